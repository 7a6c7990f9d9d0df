"""Options of the driver `local`: where the data of a volume is, how much it may be and whose."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

from support.engine import Engine


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


def mounted():
    """Where volumes of the engine are mounted."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    return [point.split("/")[-2] for point in points
            if point.startswith(f"{engine.data_root}/volumes/")]


class OptionsTest(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()
        self.assertEqual(mounted(), [])
        for one in engine.json("GET", "/volumes")["Volumes"] or []:
            self.assertEqual(engine.api("DELETE", f"/volumes/{one['Name']}")[0], 204)
        self.assertEqual(os.listdir(engine.data_root / "volumes"), [])

    def create(self, name, *options, check=True):
        flags = [word for option in options for word in ("-o", option)]
        return engine.docker("volume", "create", *flags, name, check=check)

    def run_in(self, name, script, check=True):
        return engine.docker("run", "--rm", "-v", f"{name}:/v", "busybox", "sh", "-c", script,
                             check=check)


class Mounted(OptionsTest):
    def test_tmpfs_while_it_is_used(self):
        self.create("mem", "type=tmpfs", "device=tmpfs", "o=size=1m,uid=7,mode=750")
        self.assertEqual(engine.json("GET", "/volumes/mem")["Options"],
                         {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=7,mode=750"})
        self.assertEqual(mounted(), [])
        engine.docker("run", "-d", "--name", "one", "-v", "mem:/v", "busybox", "sleep", "1000")
        engine.docker("exec", "one", "sh", "-c", "echo here >/v/file")
        line = engine.docker("exec", "one", "grep", " /v ", "/proc/mounts").stdout
        for word in ("size=1024k", "nosuid", "nodev", "mode=750"):
            self.assertIn(word, line)
        self.assertEqual(engine.docker("exec", "one", "stat", "-c", "%u", "/v").stdout, "7\n")
        engine.docker("run", "-d", "--name", "two", "-v", "mem:/v", "busybox", "sleep", "1000")
        engine.docker("kill", "one")
        engine.docker("wait", "one")
        self.assertEqual(mounted(), ["mem"])
        self.assertEqual(engine.docker("exec", "two", "cat", "/v/file").stdout, "here\n")
        engine.docker("rm", "-f", "two")
        self.assertEqual(mounted(), [])
        self.assertEqual(self.run_in("mem", "ls /v").stdout, "")

    def test_bind(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(subprocess.run, ["rm", "-rf", folder], check=True)
        (folder / "file").write_text("host\n")
        self.create("host", "type=none", f"device={folder}", "o=bind,ro")
        seen = self.run_in("host", "cat /v/file; echo x >/v/file", check=False)
        self.assertEqual(seen.stdout, "host\n")
        self.assertIn("Read-only", seen.stderr)
        engine.docker("volume", "rm", "host")
        self.assertEqual((folder / "file").read_text(), "host\n")

    def test_a_disk_in_a_file(self):
        image = engine.dir / "image.ext4"
        image.touch()
        os.truncate(image, 8 << 20)
        subprocess.run(["mkfs.ext4", "-qF", image], check=True)
        self.create("disk", "type=ext4", f"device={image}", "o=loop,noexec")
        self.assertIn("lost+found", self.run_in("disk", "echo kept >/v/file; ls /v").stdout)
        line = self.run_in("disk", "cat /v/file; grep ' /v ' /proc/mounts").stdout
        self.assertRegex(line, r"kept\n/dev/loop\d+ /v ext4 rw,nosuid,nodev,noexec")

    def test_what_cannot_be_mounted_says_why(self):
        for name, options, words in (
                ("gone", ["type=none", "device=/none/here", "o=bind"],
                 "failed to mount local volume: mount /none/here:"),
                ("odd", ["type=tmpfs", "device=tmpfs", "o=foo=1"], "data: foo=1"),
                ("far", ["type=nfs", "device=:/x", "o=addr=host.invalid"],
                 "error resolving passed in network volume address"),
                ("what", ["type=nosuchfs", "device=/x"], "nosuchfs")):
            self.create(name, *options)
            failed = self.run_in(name, "true", check=False)
            self.assertNotEqual(failed.returncode, 0)
            self.assertIn(f"error while mounting volume '{engine.data_root}/volumes/{name}/_data'", failed.stderr)
            self.assertIn(words, failed.stderr)

    def test_files_of_a_container_that_does_not_run(self):
        image = engine.dir / "copied.ext4"
        image.touch()
        os.truncate(image, 8 << 20)
        subprocess.run(["mkfs.ext4", "-qF", image], check=True)
        self.create("disk", "type=ext4", f"device={image}")
        engine.docker("create", "--name", "one", "-v", "disk:/v", "busybox")
        engine.docker("cp", "/etc/passwd", "one:/v/copied")
        self.assertEqual(mounted(), [])
        self.assertIn("root", self.run_in("disk", "cat /v/copied").stdout)

    def test_as_part_of_a_mount(self):
        engine.docker("run", "--name", "one", "--mount",
                      "src=made,dst=/v,volume-opt=type=tmpfs,volume-opt=device=tmpfs", "busybox",
                      "grep", "-q", "tmpfs /v ", "/proc/mounts")
        self.assertEqual(engine.json("GET", "/volumes/made")["Options"]["type"], "tmpfs")

    def test_for_root_alone(self):
        for folder in (engine.dir, engine.dir.parent):
            os.chmod(folder, 0o755)
        os.chmod(engine.socket, 0o666)

        def create(options):
            return subprocess.run(
                ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "curl", "-sS",
                 "--unix-socket", engine.socket, "-H", "Content-Type: application/json", "-d",
                 json.dumps({"Name": "mine", "DriverOpts": options}), "http://x/volumes/create"],
                capture_output=True, text=True, check=True).stdout
        self.assertIn("for root alone", create({"type": "none", "device": "/etc", "o": "bind"}))
        self.assertEqual(engine.api("GET", "/volumes/mine")[0], 404)
        # A tmpfs is nothing else, whatever its options say.
        self.assertIn('"Name":"mine"', create({"type": "tmpfs", "device": "/etc", "o": "bind"}))
        seen = self.run_in("mine", "ls -A /v; grep ' /v ' /proc/mounts", check=False).stdout
        self.assertNotIn("passwd", seen)
        engine.docker("volume", "rm", "mine")
        self.assertIn('"Name":"mine"', create({"type": "tmpfs", "device": "tmpfs"}))


class Sized(OptionsTest):
    def test_no_more_than_that(self):
        for name, option in (("flag", "size=16m"), ("data", "o=size=16m")):
            self.create(name, option)
            seen = self.run_in(name, "ls -A /v; dd if=/dev/zero of=/v/big bs=1M count=32", check=False)
            self.assertEqual((seen.returncode, seen.stdout), (1, ""))
            self.assertIn("No space left", seen.stderr)
            self.run_in(name, "rm /v/big; echo small >/v/small")
            self.assertEqual(self.run_in(name, "cat /v/small").stdout, "small\n")

    def test_whose_and_how(self):
        for name, size in (("plain", ""), ("disk", "size=16m,")):
            self.create(name, f"o={size}uid=12,gid=34,mode=2770")
            self.assertEqual(self.run_in(name, "stat -c '%a %u %g' /v").stdout, "2770 12 34\n")


class Mistakes(OptionsTest):
    def test_in_dockers_words(self):
        for options, words in (({"foo": "bar"}, 'invalid option: "foo"'),
                               ({"o": "bind"}, 'missing required option: "device"'),
                               ({"type": "tmpfs"}, 'missing required option: "device"'),
                               ({"device": "x"}, 'missing required option: "type"'),
                               ({"size": "xx"}, "invalid size: 'xx'"),
                               ({"o": "uid=x"}, 'invalid option: "o": uid=x')):
            status, _, body = engine.api("POST", "/volumes/create",
                                         {"Name": "vol", "DriverOpts": options})
            self.assertEqual(status, 400)
            self.assertIn(f"create vol: {words}", body.decode().replace('\\"', '"'))
        status, _, body = engine.api("POST", "/volumes/create", {"Name": "vol", "Driver": "nope"})
        self.assertEqual(status, 404)
        self.assertIn("error looking up volume plugin nope", body.decode())
        self.assertEqual(engine.json("GET", "/volumes")["Volumes"] or [], [])

    def test_no_password_in_an_error(self):
        self.create("share", "type=cifs", "device=//127.0.0.1/x",
                    "o=username=joe,password=hunter2,addr=127.0.0.1")
        failed = self.run_in("share", "true", check=False)
        self.assertIn("password=********", failed.stderr)
        self.assertNotIn("hunter2", failed.stderr)

    def test_a_second_create_changes_nothing(self):
        self.create("twice", "type=tmpfs", "device=tmpfs", "o=size=1m")
        self.assertEqual(self.create("twice", "type=tmpfs", "device=other").stdout, "twice\n")
        self.assertEqual(engine.json("GET", "/volumes/twice")["Options"]["o"], "size=1m")


class Restart(OptionsTest):
    def test_mounts_go_on_and_what_is_left_is_unmounted(self):
        self.create("used", "type=tmpfs", "device=tmpfs")
        self.create("left", "type=tmpfs", "device=tmpfs")
        for name in ("used", "left"):
            engine.docker("run", "-d", "--name", name, "-v", f"{name}:/v", "busybox", "sleep", "1000")
        engine.docker("exec", "used", "sh", "-c", "echo here >/v/file")
        self.assertEqual(sorted(mounted()), ["left", "used"])
        pid = engine.json("GET", "/containers/left/json")["State"]["Pid"]
        engine.stop(signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        engine.start()
        engine.docker("wait", "left")
        self.assertEqual(mounted(), ["used"])
        self.assertEqual(engine.docker("exec", "used", "cat", "/v/file").stdout, "here\n")
        engine.docker("rm", "-f", "used")
        self.assertEqual(mounted(), [])


if __name__ == "__main__":
    unittest.main()
