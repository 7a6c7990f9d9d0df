"""The systemd driver: against the machine's systemd, or else one of our own on a bus of its own."""
import os
import pathlib
import signal
import subprocess
import unittest

from support.bundle import RuntimeTest, TIMEOUT


def system_bus(*words):
    return subprocess.run(["busctl", "--system", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, timeout=TIMEOUT)


MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")


def systemd_runs_here():
    """The machine's, which answers on its bus although we are in namespaces of our own."""
    return system_bus("get-property", *MANAGER, "Version").returncode == 0


@unittest.skipIf(systemd_runs_here(), "that systemd is tried instead")
class OwnInstance(RuntimeTest):
    def setUp(self):
        super().setUp()
        self.before = self.groups()
        self.addCleanup(self.remove_groups)
        address = f"unix:path={self.dir}/bus"
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(self.dir), DBUS_SESSION_BUS_ADDRESS=address,
                        DBUS_SYSTEM_BUS_ADDRESS=address)
        self.spawn(["dbus-daemon", "--session", f"--address={address}", "--nofork", "--nosyslog"])
        self.wait_for((self.dir / "bus").exists, "the bus")
        os.makedirs("/run/systemd", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "run", "/run/systemd"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/run/systemd"], check=True)
        os.makedirs("/run/systemd/system")
        self.spawn(["/lib/systemd/systemd", "--user"])
        self.wait_for(lambda: "systemd1" in self.busctl("--acquired", "list"), "systemd on the bus")

    def spawn(self, words):
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

    def in_scope(self, config):
        config["linux"]["cgroupsPath"] = "system.slice:test:box"
        config["linux"]["resources"] = {"pids": {"limit": 33}, "cpu": {"shares": 512}}
        # A hook looks at the unit while the container is made.
        show = ("busctl --user get-property org.freedesktop.systemd1 "
                "/org/freedesktop/systemd1/unit/test_2dbox_2escope org.freedesktop.systemd1.Scope TasksMax Slice")
        config["hooks"] = {"createRuntime": [{
            "path": "/bin/sh", "args": ["sh", "-c", f"{show} > {self.dir}/unit"],
            "env": [f"{name}={self.env[name]}" for name in ("PATH", "XDG_RUNTIME_DIR",
                                                           "DBUS_SESSION_BUS_ADDRESS")]}]}

    def test_a_scope_holds_the_container(self):
        flags = ["--systemd-cgroup"]
        bundle = self.bundle("sleep", "1000", change=self.in_scope)
        self.oci("run", "-d", "-b", bundle.path, "box", flags=flags, env=self.env)
        text = pathlib.Path(f"/proc/{self.inspect()['pid']}/cgroup").read_text()
        path = "/system.slice/test-box.scope"
        for line in text.splitlines():
            # Every hierarchy of version 1; the empty second one beside it is systemd's affair.
            if not line.startswith("0::") or len(text.splitlines()) == 1:
                self.assertTrue(line.endswith(path), text)
        self.assertEqual((self.dir / "unit").read_text().split(), ["t", "33", "s", '"system.slice"'])
        self.oci("pause", "box", env=self.env, flags=flags)
        self.assertEqual(self.inspect()["status"], "paused")
        self.oci("delete", "--force", "box", env=self.env, flags=flags)
        self.assertFalse(list(pathlib.Path("/sys/fs/cgroup").glob("**/test-box.scope")))


@unittest.skipUnless(systemd_runs_here(), "systemd does not run this machine")
class SystemInstance(RuntimeTest):
    """The machine's systemd. It knows processes by its own numbers, so it has to start coffer-oci itself."""

    def outside(self, *words, check=True):
        # A file, as the container holds on to it.
        out = self.dir / "out"
        done = subprocess.run(
            ["systemd-run", "--quiet", "--wait", "--collect", f"--property=StandardOutput=file:{out}",
             f"--property=StandardError=file:{out}", self.program, "--root", self.state, "--systemd-cgroup",
             *words], stdin=subprocess.DEVNULL, timeout=4 * TIMEOUT)
        if check:
            self.assertEqual(done.returncode, 0, out.read_text())

    def remove_all(self):
        self.outside("delete", "--force", "box", check=False)

    def show(self, kind, *names):
        out = system_bus("get-property", "org.freedesktop.systemd1",
                         "/org/freedesktop/systemd1/unit/test_2dbox_2escope", f"org.freedesktop.systemd1.{kind}",
                         *names).stdout
        return [line.split(" ", 1)[1].strip('"') for line in out.splitlines()]

    def test_a_scope_from_creation_to_removal(self):
        bundle = self.bundle("sleep", "1000")
        bundle.config["linux"].update(cgroupsPath="system.slice:test:box", resources={
            "pids": {"limit": 33}, "memory": {"limit": 64 << 20}, "cpu": {"shares": 512}})
        bundle.write()
        self.outside("create", "-b", bundle.path, "box")
        group = pathlib.Path("/sys/fs/cgroup/system.slice/test-box.scope")
        self.assertEqual(self.show("Unit", "ActiveState"), ["active"])
        self.assertEqual(self.show("Scope", "Slice", "TasksMax", "MemoryMax", "ControlGroup", "Delegate"),
                         ["system.slice", "33", str(64 << 20), "/system.slice/test-box.scope", "true"])
        self.assertEqual((group / "pids.max").read_text(), "33\n")
        self.outside("start", "box")
        self.outside("update", "--memory", "128m", "box")
        self.assertEqual(system_bus("call", *MANAGER, "Reload").returncode, 0)
        self.assertEqual(self.show("Scope", "MemoryMax"), [str(128 << 20)])
        self.assertEqual((group / "memory.max").read_text(), f"{128 << 20}\n")
        self.outside("delete", "--force", "box")
        self.assertEqual(self.show("Unit", "LoadState"), ["not-found"])
        self.assertFalse(group.exists())


class Refusals(RuntimeTest):
    def create(self, path, flags, **options):
        bundle = self.bundle("true", change=lambda config: config["linux"].update(cgroupsPath=path))
        ran = self.oci("create", "-b", bundle.path, "box", flags=flags, check=False, **options)
        self.assertEqual(ran.status, 1, path)
        return ran.err

    def test_refused(self):
        self.assertIn("linux.cgroupsPath", self.create("system.slice:test:box", ["--cgroup-manager", "cgroupfs"]))
        for path in ("/plain", "a:b", "x:y:z", "system.slice:y:", "system.slice:y:z.slice", "system.slice:y:a/b"):
            self.assertIn("linux.cgroupsPath", self.create(path, ["--systemd-cgroup"]))

    def test_without_systemd(self):
        env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={self.dir}/absent")
        self.assertIn("start 'test-box.scope': systemd: StartTransientUnit",
                      self.create("system.slice:test:box", ["--systemd-cgroup"], env=env))
        self.assertEqual(self.oci("list", "-q").out, "")


if __name__ == "__main__":
    unittest.main()
