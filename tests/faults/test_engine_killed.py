"""kill -9 of cofferd: containers go on, and nothing is left over after the next start."""
import glob
import hashlib
import io
import os
import pathlib
import random
import signal
import subprocess
import sys
import tarfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from engine import Engine  # noqa: E402

KILLS = 25


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


def links(prefix="cof"):
    text = subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE, text=True).stdout
    return sorted(line.split(": ")[1].split("@")[0] for line in text.splitlines()
                  if line.split(": ")[1].startswith(prefix) and "@" in line.split(": ")[1])


def shims(engine):
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            words = pathlib.Path(path).read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 1 and words[1].startswith(os.fsencode(engine.exec_root)):
            found.append(words[1].decode())
    return found


def groups(engine):
    """The engine's groups, in cgroup v1 and v2: others may be at work on this machine."""
    name = "coffer-" + hashlib.sha256(os.fsencode(engine.data_root)).hexdigest()[:12]
    return (glob.glob(f"/sys/fs/cgroup/*/{name}/*/cgroup.procs") +
            glob.glob(f"/sys/fs/cgroup/{name}/*/cgroup.procs"))


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
        for _ in range(KILLS):
            time.sleep(random.uniform(0.3, 1.2))
            self.kill_and_restart()
        stop.set()
        for worker in workers:
            worker.join()
        self.assertGreater(self.done, 0)
        self.kill_and_restart()
        ids = self.engine.docker("ps", "-aq", "--no-trunc").stdout.split()
        if ids:
            self.engine.docker("rm", "-f", *ids)
        time.sleep(1)
        self.assertEqual(shims(self.engine), [])
        self.assertEqual(groups(self.engine), [])
        self.assertEqual(links(), self.links_before)
        self.assertEqual(pathlib.Path("/proc/self/mounts").read_text(), self.mounts_before)
        self.assertEqual(os.listdir(self.engine.exec_root / "containers"), [])
        self.assertEqual(os.listdir(self.engine.data_root / "containers"), [])
        self.assertEqual(len(os.listdir(self.engine.data_root / "layers")), 1)


if __name__ == "__main__":
    unittest.main()
