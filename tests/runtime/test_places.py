"""What a configuration puts into places of its own: devices outside of /dev, remounts, a given mount
namespace, groups of single controllers."""
import os
import unittest

from support.bundle import RuntimeTest, cgroup_folders, mount, namespaces, user_namespace

NULL = {"path": "/opt/some/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o646, "uid": 3, "gid": 4}


def devices(*list_):
    def change(config):
        config["linux"]["devices"] = list(list_)
    return change


class Devices(RuntimeTest):
    def test_outside_of_dev(self):
        script = "echo x > /opt/some/null; stat -c '%t:%T %a %u:%g' /opt/some/null; cat /opt/some/null"
        for user in (False, True):
            def change(config):
                devices(NULL)(config)
                if user:
                    user_namespace(config)
            self.assertEqual(self.sh(script, change), "1:3 646 3:4\n")

    def test_the_image_gets_no_node(self):
        bundle = self.bundle("true", change=devices(NULL))
        self.run_in(bundle)
        place = bundle.rootfs / "opt/some/null"
        self.assertTrue(place.is_file())

    def test_links_of_the_image_lead_nowhere_else(self):
        bundle = self.bundle("true", change=devices({**NULL, "path": "/link/null"}))
        os.symlink(self.dir, bundle.rootfs / "link")
        self.run_in(bundle, check=False)
        self.assertFalse((self.dir / "null").exists())

    def test_below_what_is_mounted_later(self):
        self.refused(devices({**NULL, "path": "/proc/null"}), "device '/proc/null' lies below the mount '/proc'")

    def test_the_terminal_multiplexer_is_the_containers(self):
        ptmx = {"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2}
        self.assertEqual(self.sh("readlink /dev/ptmx", devices(ptmx)), "pts/ptmx\n")


class Remount(RuntimeTest):
    def test_flags_of_a_bind(self):
        folder = self.dir / "folder"
        folder.mkdir()

        def change(config):
            config["mounts"] += [mount("/data", folder, "bind", "nosuid"),
                                 mount("/data", "", "remount", "bind", "ro", "noexec")]
        out = self.sh("touch /data/x || echo read-only; grep ' /data ' /proc/self/mountinfo", change)
        self.assertTrue(out.startswith("read-only\n"), out)
        # What it had stays.
        self.assertEqual(set(out.split()[6].split(",")) & {"ro", "nosuid", "noexec"},
                         {"ro", "nosuid", "noexec"})

    def test_options_of_a_file_system(self):
        def change(config):
            config["mounts"].append(mount("/dev/shm", "shm", "remount", "size=1m", type="tmpfs"))
        self.assertIn("size=1024k", self.sh("grep ' /dev/shm ' /proc/self/mounts", change))

    def test_of_what_is_made_inside(self):
        def change(config):
            config["mounts"].append(mount("/proc", "proc", "remount", "bind", "ro", type="proc"))
        self.assertIn("proc ro,", self.sh("grep ' /proc ' /proc/self/mounts", change))

    def test_of_nothing(self):
        self.refused(lambda config: config["mounts"].append(mount("/tmp", "", "remount", "bind", "ro")),
                     "mount '/tmp': 'remount' of what is not mounted")


class MountNamespace(RuntimeTest):
    def test_a_given_one_is_joined(self):
        with self.unshared("--mount", script="mount -t tmpfs mark /mnt && touch /mnt/mark") as process:
            path = process / "ns/mnt"
            bundle = self.bundle("sh", "-c", "readlink /proc/self/ns/mnt; ls /; echo rest; sleep 1000",
                                 change=lambda config: namespaces(config, mount=path))
            ran = self.start(bundle, "box")
            self.until_output(ran, "rest")
            self.assertEqual(ran.out.split()[0], os.readlink(path))
            self.assertEqual(set(ran.out.split()[1:-1]), set(os.listdir(bundle.rootfs)))
            # So does what is executed in it; who was there sees what it saw.
            self.assertEqual(self.oci("exec", "box", "readlink", "/proc/self/ns/mnt").out.strip(),
                             os.readlink(path))
            self.assertIn("busybox", self.oci("exec", "box", "ls", "/bin").out)
            self.assertTrue((process / "root/mnt/mark").exists())
            self.oci("delete", "--force", "box")

    def test_a_shared_root_is_refused(self):
        with self.unshared("--mount", "--propagation", "shared") as process:
            self.refused(lambda config: namespaces(config, mount=process / "ns/mnt"),
                         "its root is shared with other mount namespaces")


class Groups(RuntimeTest):
    @unittest.skipUnless(os.path.isdir("/sys/fs/cgroup/pids"), "needs cgroup v1")
    def test_exec_in_a_group_of_single_controllers(self):
        bundle = self.bundle("sleep", "1000")
        self.start(bundle, "box")
        path = bundle.config["linux"]["cgroupsPath"]
        below = [f"/sys/fs/cgroup/{name}{path}/below" for name in ("pids", "cpu")]
        for folder in below:
            os.mkdir(folder)
        out = self.oci("exec", "--cgroup", "pids,cpu:below", "box", "cat", "/proc/self/cgroup").out
        places = {name: line.split(":")[2] for line in out.splitlines()
                  for name in line.split(":")[1].split(",")}
        # As its cgroup namespace shows it.
        self.assertEqual((places["pids"], places["cpu"], places["memory"]), ("/below", "/below", "/"))
        absent = self.oci("exec", "--cgroup", "memory:below", "box", "true", check=False)
        self.assertIn("no cgroup", absent.err)
        unknown = self.oci("exec", "--cgroup", "nonsense:below", "box", "true", check=False)
        self.assertIn("controller 'nonsense' is not mounted", unknown.err)
        self.oci("delete", "--force", "box")
        self.assertEqual(cgroup_folders(path.strip("/")), [])

    @unittest.skipIf(os.path.isdir("/sys/fs/resctrl/info"), "the machine has resctrl")
    def test_intel_rdt_without_resctrl(self):
        def change(config):
            config["linux"]["intelRdt"] = {"closID": "gold", "schemata": ["L3:0=f"]}
        self.refused(change, "linux.intelRdt: no resctrl file system is mounted")

    def test_intel_rdt_that_cannot_be(self):
        def change(config):
            config["linux"]["intelRdt"] = {"closID": "../gold"}
        self.refused(change, "linux.intelRdt.closID '../gold' is not the name of a group")


if __name__ == "__main__":
    unittest.main()
