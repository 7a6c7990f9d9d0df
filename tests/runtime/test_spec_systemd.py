"""The systemd driver, against a systemd of its own on a bus of its own."""
import os
import pathlib
import signal
import subprocess
import unittest

from spec_support import OCI, SpecTest, TIMEOUT


class Systemd(SpecTest):
    def setUp(self):
        super().setUp()
        self.before = self.groups()
        self.addCleanup(self.remove_groups)
        address = f"unix:path={self.scratch}/bus"
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(self.scratch), DBUS_SESSION_BUS_ADDRESS=address,
                        DBUS_SYSTEM_BUS_ADDRESS=address)
        self.start(["dbus-daemon", "--session", f"--address={address}", "--nofork", "--nosyslog"])
        self.wait_for((self.scratch / "bus").exists, "the bus")
        os.makedirs("/run/systemd", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "run", "/run/systemd"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/run/systemd"], check=True)
        os.makedirs("/run/systemd/system")
        self.start(["/lib/systemd/systemd", "--user"])
        self.wait_for(lambda: "systemd1" in self.busctl("--acquired", "list"), "systemd on the bus")

    def start(self, words):
        process = subprocess.Popen(words, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

    def busctl(self, *words):
        return subprocess.run(["busctl", "--user", *words], env=self.env, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, timeout=TIMEOUT).stdout

    def groups(self):
        """What a manager makes at the top of the hierarchies."""
        return {place for pattern in ("*.slice", "*/*.slice", "init.scope", "*/init.scope")
                for place in pathlib.Path("/sys/fs/cgroup").glob(pattern)}

    def remove_groups(self):
        def all_gone():
            for place in self.groups() - self.before:
                for folder, _, _ in os.walk(place, topdown=False):
                    try:
                        # Services that the manager has started outlive it.
                        for pid in (pathlib.Path(folder) / "cgroup.procs").read_text().split():
                            if pid != "0":
                                os.kill(int(pid), signal.SIGKILL)
                        os.rmdir(folder)
                    except OSError:
                        return False
            return True
        self.wait_for(all_gone, "the end of the groups")

    def box(self, flags, **resources):
        folder, cfg = self.bundle()
        cfg["linux"]["cgroupsPath"] = "system.slice:test:box"
        cfg["linux"]["resources"] = resources
        # A hook looks at the unit while the container is made.
        show = ("busctl --user get-property org.freedesktop.systemd1 "
                "/org/freedesktop/systemd1/unit/test_2dbox_2escope org.freedesktop.systemd1.Scope TasksMax Slice")
        cfg["hooks"] = {"createRuntime": [{
            "path": "/bin/sh", "args": ["sh", "-c", f"{show} > {self.scratch}/unit"],
            "env": [f"{name}={self.env[name]}" for name in ("PATH", "XDG_RUNTIME_DIR",
                                                           "DBUS_SESSION_BUS_ADDRESS")]}]}
        self.write(folder, cfg)
        # A file, as the container holds on to it.
        with open(self.scratch / "err", "w+") as err:
            done = subprocess.run([OCI, "--root", str(self.root), *flags, "run", "-d", "-b", str(folder), "box"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, env=self.env,
                                  timeout=TIMEOUT)
            err.seek(0)
            done.stderr = err.read()
        return done

    def test_a_scope_holds_the_container(self):
        flags = ["--systemd-cgroup"]
        done = self.box(flags, pids={"limit": 33}, cpu={"shares": 512})
        self.assertEqual(done.returncode, 0, done.stderr)
        text = pathlib.Path(f"/proc/{self.state()['pid']}/cgroup").read_text()
        path = "/system.slice/test-box.scope"
        for line in text.splitlines():
            # Every hierarchy of version 1; the empty second one beside it is systemd's affair.
            if not line.startswith("0::") or len(text.splitlines()) == 1:
                self.assertTrue(line.endswith(path), text)
        self.assertEqual((self.scratch / "unit").read_text().split(), ["t", "33", "s", '"system.slice"'])
        self.oci("pause", "box", check=True, env=self.env, flags=flags)
        self.assertEqual(self.state()["status"], "paused")
        self.oci("delete", "--force", "box", check=True, env=self.env, flags=flags)
        self.assertFalse(list(pathlib.Path("/sys/fs/cgroup").glob("**/test-box.scope")))

    def test_refused(self):
        done = self.box(["--cgroup-manager", "cgroupfs"])
        self.assertIn("linux.cgroupsPath", done.stderr)
        folder, cfg = self.bundle(name="two")
        for path in ("/plain", "a:b", "x:y:z", "system.slice:y:", "system.slice:y:z.slice", "system.slice:y:a/b"):
            cfg["linux"]["cgroupsPath"] = path
            self.write(folder, cfg)
            done = self.oci("create", "-b", folder, "two", env=self.env, flags=["--systemd-cgroup"])
            self.assertEqual(done.returncode, 1, path)
            self.assertIn("linux.cgroupsPath", done.stderr)

    def test_without_systemd(self):
        self.env["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={self.scratch}/absent"
        done = self.box(["--systemd-cgroup"])
        self.assertEqual(done.returncode, 1)
        self.assertIn("start 'test-box.scope': systemd: StartTransientUnit", done.stderr)
        self.assertEqual(self.oci("list", "-q").stdout, "")


if __name__ == "__main__":
    unittest.main()
