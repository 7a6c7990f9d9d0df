"""coffer-oci for a user without rights: ids by newuidmap, devices of the host, no control groups."""
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from spec_support import OCI, SpecTest, TIMEOUT

UID = 54321
RANGE = 700000


class Rootless(SpecTest):
    def setUp(self):
        super().setUp()
        for folder in (os.environ["TMPDIR"], self.scratch):
            os.chmod(folder, 0o711)
        self.program = self.scratch / "coffer-oci"
        shutil.copy(OCI, self.program)
        # In the mount namespace of this test only.
        for name, line in (("passwd", f"tester:x:{UID}:{UID}::/:/bin/sh\n"), ("group", f"tester:x:{UID}:\n"),
                           ("subuid", f"tester:{RANGE}:65536\n"), ("subgid", f"tester:{RANGE}:65536\n")):
            place = pathlib.Path("/etc") / name
            copy = self.scratch / name
            copy.write_text((place.read_text() if place.exists() else "") + line)
            place.touch()
            subprocess.run(["mount", "--bind", copy, place], check=True)
            self.addCleanup(subprocess.run, ["umount", place], check=True)

    def rootless(self, folder, cfg, single=False):
        cfg["linux"]["namespaces"].append({"type": "user"})
        maps = lambda own: [{"containerID": 0, "hostID": own, "size": 1}] + (
            [] if single else [{"containerID": 1, "hostID": RANGE, "size": 65536}])
        cfg["linux"]["uidMappings"] = maps(UID)
        cfg["linux"]["gidMappings"] = maps(UID)
        del cfg["process"]["capabilities"]
        self.write(folder, cfg)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, UID, UID, follow_symlinks=False)

    def as_user(self, *args, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        state = self.scratch / "user-state"
        state.mkdir(exist_ok=True)
        os.chown(state, UID, UID)
        return subprocess.run(["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups",
                               str(self.program), "--root", str(state), *map(str, args)], text=True,
                              timeout=TIMEOUT, **options)

    def test_run(self):
        for single in (False, True):
            folder, cfg = self.bundle("sh", "-c", "id -u; cat /proc/self/uid_map; echo x > /dev/null; hostname;"
                                                  "echo yes > /made", name=f"bundle-{single}")
            self.rootless(folder, cfg, single)
            done = self.as_user("run", "-b", folder, "box")
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = [line.split() for line in done.stdout.splitlines()]
            self.assertEqual(lines[:2], [["0"], ["0", str(UID), "1"]])
            self.assertEqual(lines[-1], ["spec"])
            self.assertEqual((folder / "rootfs/made").stat().st_uid, UID)

    def test_a_user_of_the_range(self):
        folder, cfg = self.bundle("sh", "-c", "id -u; id -G; touch /tmp/file")
        cfg["process"]["user"] = {"uid": 7, "gid": 8, "additionalGids": [9]}
        cfg["mounts"].append({"destination": "/tmp", "type": "bind", "source": str(folder / "shared"),
                              "options": ["bind"]})
        (folder / "shared").mkdir()
        self.rootless(folder, cfg)
        os.chmod(folder / "shared", 0o777)
        done = self.as_user("run", "-b", folder, "box")
        self.assertEqual((done.returncode, done.stdout), (0, "7\n8 9\n"), done.stderr)
        self.assertEqual((folder / "shared/file").stat().st_uid, RANGE + 6)

    def test_create_start_exec_kill_delete(self):
        folder, cfg = self.bundle("sleep", "1000")
        self.rootless(folder, cfg)
        with open(self.scratch / "out", "w+") as out:
            done = self.as_user("create", "-b", folder, "box", stdout=out, stderr=out)
            out.seek(0)
            self.assertEqual(done.returncode, 0, out.read())
        self.assertEqual(self.as_user("start", "box").returncode, 0)
        state = json.loads(self.as_user("state", "box").stdout)
        self.assertEqual((state["status"], state["owner"]), ("running", f"#{UID}"))
        done = self.as_user("exec", "box", "sh", "-c", "id -u; readlink /proc/self/ns/user; cat /proc/1/comm")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.split()[0], "0")
        self.assertEqual(done.stdout.split()[1], os.readlink(f"/proc/{state['pid']}/ns/user"))
        self.assertEqual(self.as_user("kill", "box", "KILL").returncode, 0)
        self.wait_for(lambda: json.loads(self.as_user("state", "box").stdout)["status"] == "stopped", "its end")
        self.assertEqual(self.as_user("delete", "box").returncode, 0)

    def test_limits_that_cannot_be_set_are_refused(self):
        folder, cfg = self.bundle("true")
        cfg["linux"]["resources"] = {"pids": {"limit": 5}}
        self.rootless(folder, cfg)
        done = self.as_user("run", "-b", folder, "box")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cgroup", done.stderr)

    def test_without_a_user_namespace(self):
        folder, cfg = self.bundle("true")
        self.rootless(folder, cfg)
        cfg["linux"]["namespaces"].pop()
        del cfg["linux"]["uidMappings"], cfg["linux"]["gidMappings"]
        self.write(folder, cfg)
        done = self.as_user("run", "-b", folder, "box")
        self.assertEqual(done.returncode, 1)
        self.assertIn("a user namespace is needed", done.stderr)

    def test_ids_that_were_not_given(self):
        folder, cfg = self.bundle("true")
        self.rootless(folder, cfg)
        cfg["linux"]["uidMappings"][1]["hostID"] = 1
        self.write(folder, cfg)
        done = self.as_user("run", "-b", folder, "box")
        self.assertEqual(done.returncode, 1)
        self.assertIn("newuidmap", done.stderr)

    def test_spec_for_the_user_runs(self):
        folder, cfg = self.bundle()
        os.chown(folder, UID, UID)
        done = self.as_user("spec", "--rootless", "-b", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        cfg = json.loads((folder / "config.json").read_text())
        cfg["process"].update(terminal=False, args=["echo", "ok"])
        self.write(folder, cfg)
        for path in folder.rglob("*"):
            os.chown(path, UID, UID, follow_symlinks=False)
        done = self.as_user("run", "-b", folder, "box")
        self.assertEqual((done.returncode, done.stdout), (0, "ok\n"), done.stderr)

    def test_inside_another_user_namespace(self):
        """As podman calls its runtime: root, but of a user namespace only."""
        folder, cfg = self.bundle("sh", "-c", "id -u; echo x > /dev/null; echo ok")
        self.rootless(folder, cfg)
        cfg["linux"]["namespaces"].pop()
        del cfg["linux"]["uidMappings"], cfg["linux"]["gidMappings"]
        self.write(folder, cfg)
        state = self.scratch / "user-state"
        state.mkdir()
        os.chown(state, UID, UID)
        done = subprocess.run(["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups",
                               "unshare", "--user", "--map-root-user", "--mount",
                               str(self.program), "--root", str(state), "run", "-b", str(folder), "box"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=TIMEOUT)
        self.assertEqual((done.returncode, done.stdout), (0, "0\nok\n"), done.stderr)


if __name__ == "__main__":
    unittest.main()
