"""What a container sees: mounts and their flags, masks, devices, namespaces."""
import os
import pathlib
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from bundle import (RuntimeTest, all_capabilities, capabilities, mount, namespaces,  # noqa: E402
                    user_namespace)


class Mounts(RuntimeTest):
    def setUp(self):
        super().setUp()
        self.volume = self.dir / "volume"
        (self.volume / "sub").mkdir(parents=True)
        (self.volume / "file").write_text("of the host\n")

    def with_mounts(self, script, *added, user=False, check=True):
        def change(config):
            config["mounts"] += added
            if user:
                user_namespace(config)
        return self.sh(script, change, check=check)

    def flags(self, destination, *added, user=False):
        """The options of a mount as the container's table shows them."""
        table = self.with_mounts("cat /proc/self/mountinfo", *added, user=user)
        rows = [line.split() for line in table.splitlines()]
        (row,) = [row for row in rows if row[4] == destination]
        return set(row[5].split(",")), row[row.index("-") + 1]

    def test_bind_of_a_folder_and_a_file(self):
        out = self.with_mounts("cat /data/file /one; echo new > /data/made; echo more >> /one",
                               mount("/data", self.volume), mount("/one", self.volume / "file"))
        self.assertEqual(out, "of the host\nof the host\n")
        self.assertEqual((self.volume / "made").read_text(), "new\n")
        self.assertEqual((self.volume / "file").read_text(), "of the host\nmore\n")

    def test_read_only(self):
        ran = self.with_mounts("echo x > /data/file; cat /data/file", mount("/data", self.volume, "rbind", "ro"),
                               check=False)
        self.assertEqual(ran.out, "of the host\n")
        self.assertIn("Read-only file system", ran.err)

    def test_flags(self):
        for user in (False, True):
            flags, kind = self.flags("/data", mount("/data", self.volume, "rbind", "ro", "nosuid", "nodev",
                                                    "noexec", "noatime"), user=user)
            self.assertLessEqual({"ro", "nosuid", "nodev", "noexec", "noatime"}, flags)
            flags, kind = self.flags("/t", mount("/t", "tmpfs", "nosuid", "size=64k", "mode=1700",
                                                 type="tmpfs"), user=user)
            self.assertEqual((flags, kind), ({"rw", "nosuid", "relatime"}, "tmpfs"))

    def test_flags_cannot_be_cleared_from_inside(self):
        def change(config):
            user_namespace(config)
            capabilities(config, all_capabilities())
            config["mounts"].append(mount("/data", self.volume, "rbind", "ro"))
        ran = self.sh("mount -o remount,bind,rw /data && echo cleared; umount /data && echo gone; "
                      "echo x > /data/file; cat /data/file", change, check=False)
        self.assertEqual(ran.out, "of the host\n")

    def below(self, *options):
        """The flags of a bind and of a mount below its source."""
        subprocess.run(["mount", "-t", "tmpfs", "below", self.volume / "sub"], check=True)
        self.addCleanup(subprocess.run, ["umount", self.volume / "sub"], check=True)
        return [self.flags(place, mount("/data", self.volume, *options))[0] for place in
                ("/data", "/data/sub")]

    def test_recursive_flags(self):
        top, sub = self.below("rbind", "rro", "rnosuid")
        self.assertLessEqual({"ro", "nosuid"}, top & sub)

    def test_plain_flags_are_of_the_top(self):
        top, sub = self.below("rbind", "ro")
        self.assertIn("ro", top)
        self.assertIn("rw", sub)

    def test_bind_without_what_is_below(self):
        subprocess.run(["mount", "-t", "tmpfs", "below", self.volume / "sub"], check=True)
        try:
            table = self.with_mounts("cat /proc/self/mountinfo", mount("/data", self.volume, "bind"))
        finally:
            subprocess.run(["umount", self.volume / "sub"], check=True)
        self.assertNotIn("/data/sub", table)

    def test_tmpfs(self):
        out = self.with_mounts("stat -c %a /t /u /tmp; dd if=/dev/zero of=/t/f bs=1k count=100 2>/dev/null; "
                               "stat -c %s /t/f",
                               mount("/t", "tmpfs", "size=64k", "mode=0711", type="tmpfs"),
                               mount("/u", "tmpfs", "nosuid", type="tmpfs"),
                               mount("/tmp", "tmpfs", "nosuid", type="tmpfs"))
        mode = format(stat.S_IMODE(os.stat(self.dir / "bundle1/rootfs/tmp").st_mode), "o")
        self.assertEqual(out.split(), ["711", "1777", mode, "65536"])

    def test_tmpfs_with_what_the_image_has(self):
        bundle = self.bundle("sh", "-c", "head -n 1 /etc/group; stat -c %a /etc; echo x > /etc/passwd "
                             "&& echo wrote; ls /new", change=lambda config: config["mounts"].extend((
                                 mount("/etc", "tmpfs", "tmpcopyup", "mode=0711", type="tmpfs"),
                                 mount("/new", "tmpfs", "tmpcopyup", type="tmpfs"))))
        self.assertEqual(self.run_in(bundle).out, "root:x:0:\n711\nwrote\n")
        self.assertTrue((bundle.rootfs / "etc/passwd").read_text().startswith("root:"))

    def test_mounts_below_each_other(self):
        out = self.with_mounts("cat /t/deep/file; ls /t", mount("/t", "tmpfs", "size=64k", type="tmpfs"),
                               mount("/t/deep", self.volume))
        self.assertEqual(out, "of the host\ndeep\n")

    def test_nothing_reaches_the_host(self):
        before = pathlib.Path("/proc/self/mountinfo").read_text()
        self.start(self.bundle("sleep", "100", change=lambda config: config["mounts"].append(
            mount("/data", self.volume, "rbind", "rshared"))), "one")
        self.assertEqual(pathlib.Path("/proc/self/mountinfo").read_text(), before)

    def test_owner_in_a_user_namespace(self):
        os.chown(self.volume / "file", 1_000_005, 1_000_006)
        out = self.with_mounts("stat -c %u:%g /data/file /t; touch /t/x; stat -c %u /t/x",
                               mount("/data", self.volume),
                               mount("/t", "tmpfs", "size=64k", type="tmpfs"), user=True)
        self.assertEqual(out.split(), ["5:6", "0:0", "0"])

    def test_id_mapped_bind(self):
        os.chown(self.volume / "file", 5, 6)
        out = self.with_mounts("stat -c %u:%g /data/file", mount("/data", self.volume, "rbind", "idmap"),
                               user=True)
        self.assertEqual(out, "5:6\n")

    def test_part_of_a_bind(self):
        (self.volume / "out").symlink_to("../../../../../../etc")
        out = self.with_mounts("cat /data", mount("/data", self.volume, "rbind", "subpath=file"))
        self.assertEqual(out, "of the host\n")
        for part in ("out", "absent", "../volume"):
            ran = self.with_mounts("ls /data", mount("/data", self.volume, "rbind", f"subpath={part}"),
                                   check=False)
            self.assertNotIn("passwd", ran.out)
            if part != "../volume":
                self.assertIn(f"'{part}'", ran.err)

    def test_layers(self):
        lower = [self.dir / name for name in ("top", "base")]
        for number, folder in enumerate(lower):
            (folder / "deep").mkdir(parents=True)
            (folder / "which").write_text(f"{number}\n")
            (folder / f"deep/{number}").touch()
            os.chown(folder / "which", 5, 6)
        options = ["idmap", "ro", *(f"lowerdir+={folder}" for folder in lower)]
        out = self.with_mounts("cat /i/which; stat -c %u:%g /i/which; ls /i/deep /part; "
                               "echo x > /i/which || echo refused; cat /one/which",
                               mount("/i", "overlay", *options, type="overlay"),
                               mount("/part", "overlay", *options, "subpath=deep", type="overlay"),
                               mount("/one", "overlay", *options[:2], options[3], type="overlay"),
                               user=True)
        self.assertEqual(out, "0\n5:6\n/i/deep:\n0\n1\n\n/part:\n0\n1\nrefused\n1\n")
        for wrong in (["idmap"], ["idmap", options[2], "index=on"]):
            ran = self.with_mounts("true", mount("/i", "overlay", *wrong, type="overlay"), user=True,
                                   check=False)
            self.assertIn("'/i'", ran.err)

    def test_processes_of_the_host_from_another_user_namespace(self):
        def change(config):
            user_namespace(config)
            namespaces(config, pid=None)
        out = self.sh("readlink /proc/self/ns/pid; head -c 1 /proc/1/environ; "
                      "wc -c < /proc/timer_list; echo x > /proc/sys/vm/swappiness || echo refused",
                      change)
        self.assertEqual(out.splitlines(), [os.readlink("/proc/self/ns/pid"), "0", "refused"])

    def test_options_that_are_none(self):
        for one in (mount("/data", self.volume, "rbind", "nonsense"), mount("data", self.volume),
                    mount("/", self.volume), mount("/data", "", "bind"), mount("/data", "x", type="ext9"),
                    mount("/data", self.dir / "absent"), mount("/data", "t", "nonsense", type="tmpfs"),
                    mount("/data", self.volume, "rbind", "idmap")):
            ran = self.with_mounts("true", one, check=False)
            self.assertEqual(ran.status, 1, one)
            self.assertTrue("mount" in ran.err, ran.err)

    def test_read_only_root(self):
        ran = self.sh("touch /x; touch /dev/shm/x && echo shm", lambda config:
                      config["root"].update(readonly=True), check=False)
        self.assertIn("Read-only file system", ran.err)
        self.assertEqual(ran.out, "shm\n")

    def test_masked_and_read_only_paths(self):
        script = """cat /proc/timer_list /etc/passwd; ls /etc/folder
            for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /bin/x /etc/passwd /etc/folder/x; do
                echo x > $f && echo wrote $f
            done; true"""
        for change in (None, user_namespace):
            def masked(config):
                config["linux"]["maskedPaths"] += ["/etc/passwd", "/etc/folder", "/absent/path"]
                config["linux"]["readonlyPaths"] += ["/bin", "/absent"]
                if change:
                    change(config)
            bundle = self.bundle("sh", "-c", script, change=masked)
            (bundle.rootfs / "etc/folder").mkdir()
            (bundle.rootfs / "etc/folder/file").write_text("seen")
            self.assertEqual(self.run_in(bundle).out, "")
        self.refused(lambda config: config["linux"].update(maskedPaths=["relative"]), "masked or read-only")

    def test_default_devices(self):
        for change in (None, user_namespace):
            out = self.sh("for n in null zero full random urandom tty; do stat -c '%n %t:%T %a' /dev/$n; "
                          "done; for n in fd stdin ptmx; do readlink /dev/$n; done; head -c 4 /dev/zero | wc -c; "
                          "echo x > /dev/null; head -c 2 /dev/urandom | wc -c", change)
            self.assertEqual(out.split(), """/dev/null 1:3 666 /dev/zero 1:5 666 /dev/full 1:7 666
                /dev/random 1:8 666 /dev/urandom 1:9 666 /dev/tty 5:0 666 /proc/self/fd /proc/self/fd/0
                pts/ptmx 4 2""".split())

    def test_devices(self):
        def change(config):
            config["linux"]["devices"] = [
                {"path": "/dev/some/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o624,
                 "uid": 7, "gid": 8},
                {"path": "/dev/fifo", "type": "p"}, {"path": "/dev/null", "type": "c", "major": 1,
                                                     "minor": 3, "fileMode": 0o600}]
        out = self.sh("stat -c '%F %a %u:%g' /dev/some/zero; stat -c %F /dev/fifo; stat -c %a /dev/null; "
                      "head -c 3 /dev/some/zero | wc -c", change)
        self.assertEqual(out.splitlines(), ["character special file 624 7:8", "fifo", "600", "3"])
        for path in ("/dev/..", "/dev", "relative"):
            self.refused(lambda config: config["linux"].update(
                devices=[{"path": path, "type": "c", "major": 1, "minor": 3}]), "is not the absolute path of a device")

    def test_devices_that_are_not_allowed(self):
        def made(config):
            capabilities(config, all_capabilities())
            config["linux"]["devices"] = [{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}]
        ran = self.sh(": < /dev/kmsg && echo opened", made, check=False)
        self.assertEqual(ran.out, "")
        self.assertIn("Operation not permitted", ran.err)

        def allowed(config):
            made(config)
            config["linux"]["resources"]["devices"].append(
                {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "rw"})
        self.assertEqual(self.sh(": < /dev/kmsg && echo opened", allowed), "opened\n")


class Namespaces(RuntimeTest):
    KINDS = ("pid", "net", "ipc", "uts", "mnt", "cgroup", "user")

    def seen(self, change=None):
        script = "; ".join(f"readlink /proc/self/ns/{kind}" for kind in self.KINDS)
        return dict(zip(self.KINDS, self.sh(script, change).split()))

    def ours(self):
        return {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in self.KINDS}

    def shared(self, change=None):
        seen, ours = self.seen(change), self.ours()
        return {kind for kind in self.KINDS if seen[kind] == ours[kind]}

    def test_new(self):
        self.assertEqual(self.shared(), {"user"})
        self.assertEqual(self.shared(user_namespace), set())

    def test_absent(self):
        def change(config):
            namespaces(config, pid=None, network=None, ipc=None, uts=None, cgroup=None)
            del config["hostname"]
        self.assertEqual(self.shared(change), {"user", "pid", "net", "ipc", "uts", "cgroup"})
        self.refused(lambda config: namespaces(config, mount=None), "needs a mount namespace")

    def test_by_path(self):
        for user in (None, user_namespace):
            name = "mapped" if user else "plain"
            self.start(self.bundle("sleep", "100", change=user), name)
            pid = self.pid(name)
            def change(config):
                namespaces(config, **{kind: f"/proc/{pid}/ns/{short}" for kind, short in (
                    ("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"),
                    ("cgroup", "cgroup"))})
                if user:
                    namespaces(config, user=f"/proc/{pid}/ns/user")
            theirs = {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in self.KINDS}
            seen = self.seen(change)
            self.assertEqual({kind for kind in self.KINDS if seen[kind] == theirs[kind]},
                             set(self.KINDS) - {"mnt"})

    def test_path_that_is_none(self):
        for path in ("/absent", "/proc/self/ns/uts", "/etc/passwd", "/dev/zero"):
            self.refused(lambda config: namespaces(config, ipc=path), "")
        self.refused(lambda config: namespaces(config, some=""), "is not known")
        self.refused(lambda config: config["linux"]["namespaces"].append({"type": "pid"}), "given twice")

    def test_host_name(self):
        def change(config):
            config["hostname"] = "some"
            config["domainname"] = "where"
        self.assertEqual(self.sh("hostname; cat /proc/sys/kernel/domainname", change), "some\nwhere\n")

        def shared(config):
            namespaces(config, uts=None)
        self.refused(shared, "unable to set hostname without a private UTS namespace")

    def test_loopback_is_up(self):
        self.assertIn("1 packets received", self.sh("ping -c 1 -W 2 127.0.0.1", lambda config: capabilities(
            config, ["CAP_NET_RAW"])))

    def test_id_mappings(self):
        def change(config):
            user_namespace(config, 1_000_000, 1000)
            config["process"]["user"] = {"uid": 5, "gid": 6}
        bundle = self.bundle("sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map; exec sleep 100",
                             change=change)
        ran = self.start(bundle, "one")
        self.until_output(ran, "1000\n")
        self.assertEqual(ran.out.split(), ["0", "1000000", "1000"] * 2)
        status = pathlib.Path(f"/proc/{self.pid('one')}/status").read_text()
        self.assertIn("Uid:\t1000005\t1000005", status)
        self.assertIn("Gid:\t1000006\t1000006", status)
        out = self.oci("exec", "-u", "7:8", "one", "sh", "-c", "id -u; id -g; cat /proc/self/uid_map").out
        self.assertEqual(out.split(), ["7", "8", "0", "1000000", "1000"])

    def test_id_mappings_that_are_none(self):
        def unmapped(config):
            user_namespace(config, 1_000_000, 1000)
            config["process"]["user"] = {"uid": 1000, "gid": 0}
        self.refused(unmapped, "user of the process: id 1000 is not mapped")
        self.refused(lambda config: namespaces(config, user=""), "needs uid and gid mappings")

    def test_sysctls(self):
        values = {"kernel.msgmax": "4321", "net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1",
                  "net.ipv4.ping_group_range": "0 5"}
        for change in (None, user_namespace):
            def with_sysctls(config):
                config["linux"]["sysctl"] = values
                if change:
                    change(config)
            out = self.sh("cd /proc/sys; cat kernel/msgmax net/ipv4/ip_forward kernel/shm_rmid_forced "
                          "net/ipv4/ping_group_range; echo 5 > kernel/msgmax || echo read-only", with_sysctls)
            self.assertEqual(out.split(), ["4321", "1", "1", "0", "5", "read-only"])

    def test_sysctls_of_the_host_are_refused(self):
        for kind, key in (("ipc", "kernel.msgmax"), ("network", "net.ipv4.ip_forward")):
            def change(config):
                namespaces(config, **{kind: None})
                config["linux"]["sysctl"] = {key: "1"}
            self.refused(change, f"not allowed in host {kind} namespace")


if __name__ == "__main__":
    unittest.main()
