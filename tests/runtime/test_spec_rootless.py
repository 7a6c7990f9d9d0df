"""coffer-oci for a user without rights: ids by newuidmap, devices of the host, no control groups."""
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from support.bundle import BIN, RuntimeTest, namespaces

UID = 54321
RANGE = 700000
AS_USER = ("setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups")


class Rootless(RuntimeTest):
    spec_flags = ("--rootless",)

    def setUp(self):
        super().setUp()
        for folder in (os.environ["TMPDIR"], self.dir):
            os.chmod(folder, 0o711)
        self.program = self.dir / "coffer-oci"
        shutil.copy(BIN / "coffer-oci", self.program)
        self.state.mkdir()
        os.chown(self.state, UID, UID)
        # In the mount namespace of this test only.
        for name, line in (("passwd", f"tester:x:{UID}:{UID}::/:/bin/sh\n"), ("group", f"tester:x:{UID}:\n"),
                           ("subuid", f"tester:{RANGE}:65536\n"), ("subgid", f"tester:{RANGE}:65536\n")):
            place = pathlib.Path("/etc") / name
            copy = self.dir / name
            copy.write_text((place.read_text() if place.exists() else "") + line)
            place.touch()
            subprocess.run(["mount", "--bind", copy, place], check=True)
            self.addCleanup(subprocess.run, ["umount", place], check=True)

    def rootless(self, *args, change=None, single=False):
        """A bundle of the user's, with one id or with the range."""
        bundle = self.bundle(*args)
        maps = [{"containerID": 0, "hostID": UID, "size": 1}]
        if not single:
            maps.append({"containerID": 1, "hostID": RANGE, "size": 65536})
        bundle.config["linux"].update(uidMappings=maps, gidMappings=maps)
        if change:
            change(bundle.config)
        bundle.write()
        for path in (bundle.path, *bundle.path.rglob("*")):
            os.chown(path, UID, UID, follow_symlinks=False)
        return bundle

    def as_user(self, *args, **options):
        return self.oci(*args, prefix=AS_USER, **options)

    def test_run(self):
        for single in (False, True):
            bundle = self.rootless("sh", "-c", "id -u; cat /proc/self/uid_map; echo x > /dev/null; hostname;"
                                               "echo yes > /made", single=single)
            lines = [line.split() for line in self.as_user("run", "-b", bundle.path, "box").out.splitlines()]
            self.assertEqual(lines[:2], [["0"], ["0", str(UID), "1"]])
            self.assertEqual(lines[-1], [bundle.config["hostname"]])
            self.assertEqual((bundle.rootfs / "made").stat().st_uid, UID)

    def test_a_user_of_the_range(self):
        shared = self.dir / "shared"
        shared.mkdir()
        shared.chmod(0o777)

        def change(config):
            config["process"]["user"] = {"uid": 7, "gid": 8, "additionalGids": [9]}
            config["mounts"].append({"destination": "/tmp", "type": "bind", "source": str(shared),
                                     "options": ["bind"]})
        bundle = self.rootless("sh", "-c", "id -u; id -G; touch /tmp/file", change=change)
        self.assertEqual(self.as_user("run", "-b", bundle.path, "box").out, "7\n8 9\n")
        self.assertEqual((shared / "file").stat().st_uid, RANGE + 6)

    def test_create_start_exec_kill_delete(self):
        self.as_user("create", "-b", self.rootless("sleep", "1000").path, "box")
        self.as_user("start", "box")
        state = json.loads(self.as_user("state", "box").out)
        self.assertEqual((state["status"], state["owner"]), ("running", f"#{UID}"))
        words = self.as_user("exec", "box", "sh", "-c", "id -u; readlink /proc/self/ns/user; cat /proc/1/comm").out
        self.assertEqual(words.split()[:2], ["0", os.readlink(f"/proc/{state['pid']}/ns/user")])
        self.as_user("kill", "box", "KILL")
        self.wait_for(lambda: json.loads(self.as_user("state", "box").out)["status"] == "stopped", "its end")
        self.as_user("delete", "box")

    def refused(self, words, change):
        ran = self.as_user("run", "-b", self.rootless("true", change=change).path, "box", check=False)
        self.assertEqual(ran.status, 1)
        self.assertIn(words, ran.err)

    def test_limits_that_cannot_be_set_are_refused(self):
        self.refused("cgroup", lambda config: config["linux"].update(resources={"pids": {"limit": 5}}))

    def without_user_namespace(self, config):
        namespaces(config, user=None)
        del config["linux"]["uidMappings"], config["linux"]["gidMappings"]

    def test_without_a_user_namespace(self):
        self.refused("a user namespace is needed", self.without_user_namespace)

    def test_ids_that_were_not_given(self):
        self.refused("newuidmap", lambda config: config["linux"]["uidMappings"][1].update(hostID=1))

    def test_spec_for_the_user_runs(self):
        bundle = self.rootless()
        (bundle.path / "config.json").unlink()
        self.as_user("spec", "--rootless", "-b", bundle.path)
        bundle.config = json.loads((bundle.path / "config.json").read_text())
        bundle.config["process"].update(terminal=False, args=["echo", "ok"])
        self.assertEqual(self.as_user("run", "-b", bundle.write().path, "box").out, "ok\n")

    def test_inside_another_user_namespace(self):
        """As podman calls its runtime: root, but of a user namespace only."""
        bundle = self.rootless("sh", "-c", "id -u; echo x > /dev/null; echo ok", change=self.without_user_namespace)
        ran = self.oci("run", "-b", bundle.path, "box",
                       prefix=(*AS_USER, "unshare", "--user", "--map-root-user", "--mount"))
        self.assertEqual(ran.out, "0\nok\n")


if __name__ == "__main__":
    unittest.main()
