"""The systemd driver: against the machine's systemd, or else one of our own on a bus of its own."""
import os
import pathlib
import signal
import subprocess
import unittest

from spec_support import OCI, SpecTest, TIMEOUT


def system_bus(*words):
    return subprocess.run(["busctl", "--system", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, timeout=TIMEOUT)


MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")


def systemd_runs_here():
    """The machine's, which answers on its bus although we are in namespaces of our own."""
    return system_bus("get-property", *MANAGER, "Version").returncode == 0


@unittest.skipIf(systemd_runs_here(), "that systemd is tried instead")
class OwnInstance(SpecTest):
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


@unittest.skipUnless(systemd_runs_here(), "systemd does not run this machine")
class SystemInstance(SpecTest):
    """The machine's systemd. It knows processes by its own numbers, so it has to start coffer-oci itself."""

    def outside(self, *words):
        # A file, as the container holds on to it.
        out = self.scratch / "out"
        done = subprocess.run(
            ["systemd-run", "--quiet", "--wait", "--collect", f"--property=StandardOutput=file:{out}",
             f"--property=StandardError=file:{out}", OCI, "--root", str(self.root), "--systemd-cgroup",
             *map(str, words)], stdin=subprocess.DEVNULL, timeout=4 * TIMEOUT)
        done.stdout = out.read_text()
        return done

    def remove_all(self):
        self.outside("delete", "--force", "box")

    def show(self, kind, *names):
        out = system_bus("get-property", "org.freedesktop.systemd1",
                         "/org/freedesktop/systemd1/unit/test_2dbox_2escope", f"org.freedesktop.systemd1.{kind}",
                         *names).stdout
        return [line.split(" ", 1)[1].strip('"') for line in out.splitlines()]

    def test_a_scope_from_creation_to_removal(self):
        folder, cfg = self.bundle()
        cfg["linux"]["cgroupsPath"] = "system.slice:test:box"
        cfg["linux"]["resources"] = {"pids": {"limit": 33}, "memory": {"limit": 64 << 20}, "cpu": {"shares": 512}}
        self.write(folder, cfg)
        done = self.outside("create", "-b", folder, "box")
        self.assertEqual(done.returncode, 0, done.stdout)
        group = pathlib.Path("/sys/fs/cgroup/system.slice/test-box.scope")
        self.assertEqual(self.show("Unit", "ActiveState"), ["active"])
        self.assertEqual(self.show("Scope", "Slice", "TasksMax", "MemoryMax", "ControlGroup", "Delegate"),
                         ["system.slice", "33", str(64 << 20), "/system.slice/test-box.scope", "true"])
        self.assertEqual((group / "pids.max").read_text(), "33\n")
        self.assertEqual(self.outside("start", "box").returncode, 0)
        done = self.outside("update", "--memory", "128m", "box")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(system_bus("call", *MANAGER, "Reload").returncode, 0)
        self.assertEqual(self.show("Scope", "MemoryMax"), [str(128 << 20)])
        self.assertEqual((group / "memory.max").read_text(), f"{128 << 20}\n")
        done = self.outside("delete", "--force", "box")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(self.show("Unit", "LoadState"), ["not-found"])
        self.assertFalse(group.exists())


class Refusals(SpecTest):
    def test_refused(self):
        folder, cfg = self.bundle(name="two")
        cfg["linux"]["cgroupsPath"] = "system.slice:test:box"
        self.write(folder, cfg)
        done = self.oci("create", "-b", folder, "two", flags=["--cgroup-manager", "cgroupfs"])
        self.assertIn("linux.cgroupsPath", done.stderr)
        for path in ("/plain", "a:b", "x:y:z", "system.slice:y:", "system.slice:y:z.slice", "system.slice:y:a/b"):
            cfg["linux"]["cgroupsPath"] = path
            self.write(folder, cfg)
            done = self.oci("create", "-b", folder, "two", flags=["--systemd-cgroup"])
            self.assertEqual(done.returncode, 1, path)
            self.assertIn("linux.cgroupsPath", done.stderr)

    def test_without_systemd(self):
        folder, cfg = self.bundle()
        cfg["linux"]["cgroupsPath"] = "system.slice:test:box"
        self.write(folder, cfg)
        env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={self.scratch}/absent")
        done = self.oci("create", "-b", folder, "box", env=env, flags=["--systemd-cgroup"])
        self.assertEqual(done.returncode, 1)
        self.assertIn("start 'test-box.scope': systemd: StartTransientUnit", done.stderr)
        self.assertEqual(self.oci("list", "-q").stdout, "")


if __name__ == "__main__":
    unittest.main()
