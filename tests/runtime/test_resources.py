"""linux.resources, read back from the control groups, and felt."""
import json
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from bundle import RuntimeTest, mount, namespaces, user_namespace, wait_until  # noqa: E402

V2 = pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()


class Resources(RuntimeTest):
    def limited(self, *args, **resources):
        def change(config):
            config["linux"]["resources"].update(resources)
        return self.bundle(*args, change=change)

    def setting(self, bundle, v1, v2):
        """A file of the container's group: the controller and name in version 1, the name in 2."""
        path = bundle.config["linux"]["cgroupsPath"]
        file = f"/sys/fs/cgroup{path}/{v2}" if V2 else f"/sys/fs/cgroup/{v1[0]}{path}/{v1[1]}"
        return pathlib.Path(file).read_text().strip()

    def check(self, resources, *settings):
        bundle = self.limited("sleep", "100", **resources)
        self.oci("create", "-b", bundle.path, "one")
        for v1, v2, value_v1, value_v2 in settings:
            self.assertEqual(self.setting(bundle, v1, v2), str(value_v2 if V2 else value_v1))
        self.oci("delete", "--force", "one")

    def test_memory(self):
        self.check({"memory": {"limit": 1 << 26, "reservation": 1 << 25}},
                   (("memory", "memory.limit_in_bytes"), "memory.max", 1 << 26, 1 << 26),
                   (("memory", "memory.soft_limit_in_bytes"), "memory.low", 1 << 25, 1 << 25))

    def test_pids(self):
        self.check({"pids": {"limit": 17}}, (("pids", "pids.max"), "pids.max", 17, 17))

    def test_cpu(self):
        self.check({"cpu": {"shares": 512, "quota": 20000, "period": 50000, "cpus": "0", "mems": "0"}},
                   (("cpu", "cpu.shares"), "cpu.weight", 512, 20),
                   (("cpu", "cpu.cfs_quota_us"), "cpu.max", 20000, "20000 50000"),
                   (("cpuset", "cpuset.cpus"), "cpuset.cpus", 0, 0))

    def test_too_many_processes(self):
        ran = self.run_in(self.limited("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait",
                                       pids={"limit": 5}), check=False)
        self.assertIn("can't fork", ran.err)

    def test_too_much_memory(self):
        bundle = self.limited("sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1 && echo done",
                              memory={"limit": 1 << 24})
        ran = self.run_in(bundle, check=False)
        self.assertEqual((ran.status != 0, ran.out), (True, ""))

    def test_one_processor(self):
        self.assertEqual(self.run_in(self.limited("nproc", cpu={"cpus": "0"})).out, "1\n")

    def test_limits_that_are_none(self):
        for resources, words in (({"cpu": {"cpus": "9999"}}, "cpuset.cpus"),
                                 ({"cpu": {"quota": 10}}, "cfs_quota_us"),
                                 ({"memory": {"kernel": 1}}, "is not supported"),
                                 ({"rdma": {"x": {"hcaHandles": 1}}}, "rdma.max"),
                                 ({"devices": [{"allow": True, "type": "abc"}]}, "device type")):
            ran = self.run_in(self.limited("true", **resources), check=False)
            self.assertEqual(ran.status, 1)
            if not V2:
                self.assertIn(words, ran.err)

    def test_group_with_processes_is_not_taken(self):
        first = self.bundle("sleep", "100")
        self.start(first, "one")
        second = self.bundle("true", change=lambda config: config["linux"].update(
            cgroupsPath=first.config["linux"]["cgroupsPath"]))
        ran = self.run_in(second, check=False)
        self.assertIn("exists and has processes", ran.err)
        self.assertEqual(self.inspect("one")["status"], "running")

    def test_group_that_a_crash_left_is_taken(self):
        bundle = self.bundle("true")
        path = bundle.config["linux"]["cgroupsPath"]
        for hierarchy in [] if V2 else pathlib.Path("/sys/fs/cgroup").iterdir():
            if (hierarchy / "tasks").exists() and not hierarchy.is_symlink():
                os.makedirs(f"{hierarchy}{path}")
        if V2:
            os.makedirs(f"/sys/fs/cgroup{path}")
        self.run_in(bundle)

    def test_paths_of_groups(self):
        for path in ("/../x", "/", "/a/./b", "slice:prefix:name"):
            ran = self.run_in(self.bundle("true", change=lambda config: config["linux"].update(
                cgroupsPath=path)), check=False)
            self.assertEqual(ran.status, 1, path)
            self.assertIn("cgroup path", ran.err)

    @unittest.skipUnless(V2, "needs cgroup v2")
    def test_group_is_given_to_who_mounts_it_for_writing(self):
        def owners(*options, cgroup="", uid=0):
            def change(config):
                user_namespace(config)
                namespaces(config, cgroup=cgroup)
                config["process"]["user"] = {"uid": uid, "gid": uid}
                config["mounts"].append(mount("/sys/fs/cgroup", "cgroup", *options, type="cgroup"))
            bundle = self.bundle("sleep", "100", change=change)
            self.oci("create", "-b", bundle.path, "one")
            group = pathlib.Path("/sys/fs/cgroup" + bundle.config["linux"]["cgroupsPath"])
            found = [(group / name).stat().st_uid
                     for name in (".", "cgroup.procs", "cgroup.subtree_control", "pids.max")]
            bounds = [(group / name).read_text().strip() for name in ("cgroup.max.depth", "cgroup.max.descendants")]
            self.assertEqual("max" in bounds, found[0] == 0)
            self.oci("delete", "--force", "one")
            return found
        self.assertEqual(owners("nosuid"), [1_000_000] * 3 + [0])
        self.assertEqual(owners("nosuid", uid=7), [1_000_007] * 3 + [0])
        self.assertEqual(owners("nosuid", "ro"), [0] * 4)
        self.assertEqual(owners("nosuid", cgroup=None), [0] * 4)

    def test_processes_without_a_parent_are_in_the_group(self):
        ran = self.start(self.bundle("sh", "-c", "(sleep 100 & ); echo ready; exec sleep 100"), "one")
        self.until_output(ran, "ready")
        self.assertTrue(wait_until(lambda: len(json.loads(self.oci("ps", "-f", "json", "one").out)) == 2))

    def test_own_group_is_the_root(self):
        out = self.sh("cat /proc/self/cgroup; ls /sys/fs/cgroup")
        lines = [line for line in out.splitlines() if ":" in line]
        self.assertEqual({line.split(":")[2] for line in lines if not line.startswith("0::/..")} - {"/"},
                         set())


if __name__ == "__main__":
    unittest.main()
