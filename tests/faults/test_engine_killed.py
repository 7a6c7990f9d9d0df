"""kill -9 of cofferd: containers go on, and nothing is left over after the next start."""
import io
import os
import pathlib
import random
import signal
import subprocess
import tarfile
import threading
import time
import unittest

from support.engine import Engine, links

KILLS = 25  # at least
CYCLES = 200  # where the machine does so many in LIMIT seconds
LIMIT = 240


def busybox_tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in ("sh", "sleep", "true", "echo", "touch"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type = tarfile.SYMTYPE
            link.linkname = "busybox"
            tar.addfile(link)
    return out.getvalue()


class EngineKilled(unittest.TestCase):
    def setUp(self):
        self.mounts_before = pathlib.Path("/proc/self/mounts").read_text()
        self.links_before = links()
        self.engine = Engine()
        self.addCleanup(self.engine.close)
        self.engine.docker("import", "-", "busybox:latest", input=busybox_tar())

    def kill_and_restart(self):
        self.engine.stop(signal.SIGKILL)
        self.engine.start()

    def test_a_container_goes_on_with_its_log_and_status(self):
        docker = self.engine.docker
        docker("run", "-d", "--name", "one", "busybox", "sh", "-c",
               "echo before; until [ -e /end ]; do sleep 0.1; done; echo after; exit 7")
        self.assertNotEqual(self.engine.cgroups(), [])
        self.kill_and_restart()
        self.assertEqual(docker("ps", "--format", "{{.Names}}").stdout, "one\n")
        docker("exec", "one", "touch", "/end")
        self.assertEqual(docker("wait", "one").stdout, "7\n")
        self.assertEqual(docker("logs", "one").stdout, "before\nafter\n")

    def test_an_exit_nobody_saw_is_settled(self):
        docker = self.engine.docker
        docker("run", "-d", "--name", "one", "busybox", "sh", "-c", "sleep 1; exit 9")
        self.engine.stop(signal.SIGKILL)
        time.sleep(2)
        self.engine.start()
        state = docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "one").stdout
        self.assertEqual(state, "exited 9\n")
        docker("start", "one")

    def test_kills_in_the_middle_of_many_cycles_leave_nothing(self):
        stop = threading.Event()

        def cycle(name):
            while not stop.is_set():
                for args in (["create", "--name", name, "busybox", "true"], ["start", name],
                             ["rm", "-f", name]):
                    try:
                        self.engine.docker(*args, check=False)
                    except (OSError, subprocess.SubprocessError):
                        pass
                self.done += 1

        self.done = 0
        workers = [threading.Thread(target=cycle, args=(f"w{i}",)) for i in range(3)]
        for worker in workers:
            worker.start()
        kills, end = 0, time.monotonic() + LIMIT
        while kills < KILLS or (self.done < CYCLES and time.monotonic() < end):
            time.sleep(random.uniform(0.3, 1.2))
            self.kill_and_restart()
            kills += 1
        stop.set()
        for worker in workers:
            worker.join()
        self.assertGreater(self.done, 0)
        self.kill_and_restart()
        ids = self.engine.docker("ps", "-aq", "--no-trunc").stdout.split()
        if ids:
            self.engine.docker("rm", "-f", *ids)
        time.sleep(1)
        self.assertEqual(self.engine.shims(), [])
        self.assertEqual(self.engine.cgroups(), [])
        self.assertEqual(links(), self.links_before)
        self.assertEqual(pathlib.Path("/proc/self/mounts").read_text(), self.mounts_before)
        self.assertEqual(os.listdir(self.engine.exec_root / "containers"), [])
        self.assertEqual(os.listdir(self.engine.data_root / "containers"), [])
        self.assertEqual(len(os.listdir(self.engine.data_root / "layers")), 1)


if __name__ == "__main__":
    unittest.main()
