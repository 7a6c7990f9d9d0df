"""Mounts that come and go while their container runs: coffer update --mount-add, --mount-rm."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from support.engine import Engine, wait_until
from support.swapper import Swapper

# What a root with rights over its mounts tries, and does with a mount of its own.
TAKE_OFF = ("for m in /m /own; do mount -o remount,bind,rw,suid,dev $m; echo x >$m/x; done; "
            "grep -E ' /(m|own) ' /proc/self/mounts")


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


class LiveMounts(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)
        (self.dir / "file").write_text("host\n")
        self.run_one()

    def tearDown(self):
        engine.remove_containers()
        engine.docker("volume", "prune", "-af")

    def run_one(self, *flags):
        engine.docker("run", "-d", "--name", "one", "--network", "none", *flags, "busybox",
                      "sh", "-c", "trap exit TERM; while true; do sleep 0.1; done")

    def update(self, *args, check=True):
        return engine.coffer("update", *args, "one", check=check)

    def refused(self, *args):
        before = self.seen()
        run = self.update(*args, check=False)
        self.assertEqual(run.returncode, 1, run.stdout)
        self.assertEqual(self.seen(), before)
        return run.stderr

    def sh(self, script):
        return engine.docker("exec", "one", "sh", "-c", script, check=False)

    def out(self, script):
        return self.sh(script).stdout

    def shown(self):
        view = engine.json("GET", "/containers/one/json")
        return (sorted(mount["Destination"] for mount in view["Mounts"]),
                sorted(mount["Target"] for mount in view["HostConfig"].get("Mounts") or []))

    def seen(self):
        """What inspect shows, and what the container's own table of mounts does."""
        return self.shown(), self.out("cat /proc/self/mounts")

    def bind(self, target, more=""):
        return f"type=bind,source={self.dir},target={target}{more}"

    def test_of_each_kind(self):
        self.assertEqual(self.update(
            "--mount-add", self.bind("/m"), "--mount-add", self.bind("/a/b/ro", ",readonly"),
            "--mount-add", "type=volume,source=vol,target=/v",
            "--mount-add", "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=0711",
            "--mount-add", f"type=bind,source={self.dir}/file,target=/etc/one",
            "--mount-add", "type=image,source=busybox,target=/i").stdout, "one\n")
        self.assertEqual(self.out("cat /m/file /a/b/ro/file /etc/one; stat -c %u:%g /m/file"),
                         "host\n" * 3 + "0:0\n")
        self.assertEqual(self.out("echo new >/m/new; echo kept >/v/kept; stat -c %a /t; df /t | "
                                  "awk 'END {print $2}'"), "711\n1024\n")
        self.assertEqual((self.dir / "new").read_text(), "new\n")
        self.assertEqual((self.dir / "new").stat().st_uid, 0)
        for script in ("echo x >/a/b/ro/x", "echo x >/i/x"):
            self.assertIn("Read-only", self.sh(script).stderr)
        self.assertEqual(self.sh("test -x /i/bin/sh").returncode, 0)
        self.assertEqual(engine.docker("run", "--rm", "-v", "vol:/v", "busybox", "cat",
                                       "/v/kept").stdout, "kept\n")
        targets = ["/a/b/ro", "/etc/one", "/i", "/m", "/t", "/v"]
        self.assertEqual(self.shown(), (targets, targets))
        options = {line.split()[1]: line.split()[3].split(",") for line in
                   self.out("cat /proc/self/mounts").splitlines()}
        for target in targets:
            self.assertLessEqual({"nosuid", "nodev"}, set(options[target]), target)
        # The host has none of it.
        self.assertNotIn(str(self.dir), pathlib.Path("/proc/self/mounts").read_text())

    def test_taken_away(self):
        self.update("--mount-add", self.bind("/m"), "--mount-add", "type=volume,source=vol,target=/m/v")
        self.assertIn("volume is in use", engine.docker("volume", "rm", "vol", check=False).stderr)
        self.assertIn("in use", self.refused("--mount-rm", "/m"))
        engine.docker("exec", "-d", "one", "sh", "-c",
                      "exec 3<>/m/v/open; touch /held; while [ -e /held ]; do sleep 0.05; done")
        wait_until(lambda: self.sh("test -e /held").returncode == 0)
        self.assertIn("the mount on '/m/v' is in use", self.refused("--mount-rm", "/m/v"))
        self.sh("rm /held")
        wait_until(lambda: self.update("--mount-rm", "/m/", "--mount-rm", "/m/v",
                                       check=False).returncode == 0)
        self.assertEqual(self.out("ls /m"), "")
        self.assertEqual(self.shown(), ([], []))
        engine.docker("volume", "rm", "vol")
        self.assertEqual(os.listdir(self.dir / "v"), [])

    def test_one_for_another(self):
        (self.dir / "sub").mkdir()
        self.update("--mount-add", self.bind("/m"))
        self.update("--mount-rm", "/m", "--mount-add",
                    f"type=bind,source={self.dir}/sub,target=/m")
        self.assertEqual(self.out("ls /m"), "")
        self.assertEqual(self.shown(), (["/m"], ["/m"]))

    def test_all_or_nothing(self):
        self.update("--mount-add", self.bind("/kept"))
        self.assertIn("something is mounted there already", self.refused(
            "--mount-rm", "/kept", "--mount-add", self.bind("/m"), "--mount-add",
            "type=volume,source=new,target=/v", "--mount-add", self.bind("/dev/shm")))
        self.assertEqual(self.out("cat /kept/file; ls /m; ls /v"), "host\n")
        self.assertEqual(engine.api("GET", "/volumes/new")[0], 404)
        self.assertIn("Duplicate mount point: /kept", self.refused("--mount-add", self.bind("/kept/")))
        self.assertIn("Duplicate mount point: /m", self.refused(
            "--mount-add", self.bind("/m"), "--mount-add", self.bind("/m/.")))
        self.assertIn("bind source path does not exist", self.refused(
            "--mount-add", "type=bind,source=/none,target=/m"))
        self.assertIn("a file on a folder", self.refused(
            "--mount-add", f"type=bind,source={self.dir}/file,target=/etc"))
        for path in ("/proc", "/dev/shm", "/etc/hosts", "/none"):
            self.assertIn("nothing is mounted on", self.refused("--mount-rm", path))
        self.assertIn("without other options", self.update(
            "--mount-add", self.bind("/m"), "-m", "64m", check=False).stderr)

    def test_of_the_start(self):
        engine.docker("rm", "-f", "one")
        self.run_one("-v", f"{self.dir}:/m")
        self.assertIn("only while it is stopped", self.refused("--mount-rm", "/m"))
        engine.docker("stop", "-t", "0", "one")
        self.update("--mount-rm", "/m", "--mount-add", "type=volume,source=vol,target=/v")
        engine.docker("start", "one")
        self.assertEqual(self.out("ls /m; grep -c ' /v ' /proc/self/mounts"), "1\n")
        self.assertEqual(self.shown(), (["/v"], ["/v"]))
        view = engine.json("GET", "/containers/one/json")
        self.assertFalse(view["HostConfig"]["Binds"])

    def test_later_runs(self):
        self.update("--mount-add", self.bind("/m"))
        engine.stop(signal.SIGKILL)
        engine.start()
        self.assertEqual(self.out("cat /m/file"), "host\n")
        engine.docker("restart", "-t", "0", "one")
        self.assertEqual(self.out("cat /m/file"), "host\n")
        engine.docker("restart", "-t", "0", "one")
        self.update("--mount-add", self.bind("/n"))
        self.update("--mount-rm", "/n")
        self.assertEqual(self.shown(), (["/m"], ["/m"]))

    def test_its_root_cannot_take_the_flags_off(self):
        engine.docker("rm", "-f", "one")
        self.run_one("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined",
                     "--security-opt", "apparmor=unconfined")
        self.update("--mount-add", self.bind("/m", ",readonly"))
        text = self.out("mkdir /own; mount -t tmpfs own /own; "
                        "mount -o remount,bind,ro,nosuid /own; " + TAKE_OFF)
        self.assertRegex(text, r" /own \S+ rw,(?!nosuid)")
        self.assertRegex(text, r" /m \S+ ro,(\S+,)?nosuid,nodev")
        self.assertFalse((self.dir / "x").exists())

    def test_links_are_the_containers_own(self):
        self.sh("mkdir /real; ln -s /real /link; ln -s /../../../etc /up")
        self.update("--mount-add", self.bind("/link/m"), "--mount-add", self.bind("/up/m"))
        self.assertEqual(self.out("cat /real/m/file /etc/m/file"), "host\n" * 2)
        self.update("--mount-rm", "/link/m", "--mount-rm", "/up/m")
        self.assertEqual(self.out("ls /real/m; ls /etc/m; ls -d /real/m"), "/real/m\n")

    def test_swapped_meanwhile(self):
        # A folder that the container shares with the host is swapped for a link to the host's.
        shared, outside = self.dir / "shared", self.dir / "outside"
        for folder in (shared / "x/m", outside / "m"):
            folder.mkdir(parents=True)
        (shared / "y").symlink_to(outside)
        self.update("--mount-add", f"type=bind,source={shared},target=/s")
        with Swapper(shared / "x", shared / "y"):
            for _ in range(20):
                if self.update("--mount-add", "type=tmpfs,target=/s/x/m", check=False).returncode:
                    continue  # it was the link when the folder was looked for
                # Where it went is found again once the names are as they were then.
                wait_until(lambda: self.update("--mount-rm", "/s/x/m", check=False).returncode == 0)
        self.assertNotIn(str(self.dir), pathlib.Path("/proc/self/mounts").read_text())
        self.assertEqual([os.listdir(outside), os.listdir(outside / "m")], [["m"], []])

    def test_a_user_has_their_own_rights(self):
        os.chmod(self.dir, 0o711)
        os.chmod(self.dir / "file", 0o600)
        os.chown(self.dir / "file", 0, 0)
        for folder in (engine.dir, engine.dir.parent):
            os.chmod(folder, 0o755)
        os.chmod(engine.socket, 0o666)
        body = '{"MountAdd":[{"Type":"bind","Source":"%s","Target":"/m"}]}' % self.dir
        run = subprocess.run(
            ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "curl", "-sS",
             "--unix-socket", engine.socket, "-H", "Content-Type: application/json", "-d", body,
             "http://x/containers/one/update"], capture_output=True, text=True, check=True)
        self.assertEqual(run.stdout.strip(), '{"Warnings":null}')
        self.assertIn("Permission denied", self.sh("cat /m/file").stderr)

    def test_a_read_only_root(self):
        engine.docker("rm", "-f", "one")
        self.run_one("--read-only", "--tmpfs", "/tmp")
        self.assertIn("read-only file system", self.refused("--mount-add", self.bind("/made")))
        self.update("--mount-add", self.bind("/tmp/m"))
        self.assertEqual(self.out("cat /tmp/m/file"), "host\n")

    def test_what_is_mounted_below_goes_along(self):
        (self.dir / "below").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.dir / "below"], check=True)
        self.addCleanup(subprocess.run, ["umount", self.dir / "below"], check=True)
        (self.dir / "below/file").write_text("below\n")
        self.update("--mount-add", self.bind("/m"))
        self.assertEqual(self.out("cat /m/below/file"), "below\n")
        self.update("--mount-rm", "/m")
        self.assertEqual(self.out("ls /m; grep -c ' /m' /proc/self/mounts"), "0\n")


if __name__ == "__main__":
    unittest.main()
