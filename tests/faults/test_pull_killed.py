"""kill -9 of cofferd in the middle of pulls and removals: after the next start the store is whole,
and nothing of what was begun is left."""
import glob
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from support.engine import Engine
from support.registry import Layout, Registry, busybox_rootfs, tar_of

KILLS = int(os.environ.get("KILLS", "25"))


def helpers():
    """Unpackers that run; the pid namespace is the test's own."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            program = pathlib.Path(path).read_bytes().split(b"\0")[0]
        except OSError:
            continue
        if program.endswith(b"/coffer-unpack"):
            found.append(path)
    return found


class PullKilled(unittest.TestCase):
    def setUp(self):
        self.mounts_before = pathlib.Path("/proc/self/mounts").read_text()
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-pulls-"))
        self.addCleanup(shutil.rmtree, scratch)
        self.registry = Registry()
        self.addCleanup(self.registry.close)
        self.engine = Engine()
        self.addCleanup(self.engine.close)
        layout = Layout(scratch / "layout")
        # The images share their lower layers, so that one's pull meets the other's removal.
        shared = [busybox_rootfs(), tar_of({"shared": os.urandom(8_000_000)})]
        self.names = []
        for name in ("a", "b"):
            own = tar_of({f"{name}{n}": os.urandom(2000) for n in range(2000)})
            layout.tag(name, layout.manifest([*shared, own]))
            self.names.append(self.registry.push(layout, name, f"test/{name}:1"))

    def left_on_disk(self):
        return [str(path) for folder in ("blobs/sha256", "layers", "trash", "containers")
                for path in (self.engine.data_root / folder).iterdir()]

    def test_pulls_and_removals(self):
        stop = threading.Event()

        def cycle(name):
            while not stop.is_set():
                for args in (["pull", name], ["rmi", "-f", name]):
                    try:
                        self.engine.docker(*args, check=False)
                    except (OSError, subprocess.SubprocessError):
                        pass

        workers = [threading.Thread(target=cycle, args=(name,)) for name in self.names]
        for worker in workers:
            worker.start()
        try:
            for _ in range(KILLS):
                time.sleep(random.uniform(0.02, 0.8))
                self.engine.stop(signal.SIGKILL)
                self.engine.start()
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        self.engine.stop(signal.SIGKILL)
        self.engine.start()
        for name in self.names:
            self.engine.docker("pull", name)
            self.assertEqual(self.engine.docker("run", "--rm", "--network", "none", name, "sh", "-c",
                                                "ls | wc -l && wc -c </shared").stdout.split()[1],
                             "8000000")
        self.assertEqual(len(list((self.engine.data_root / "layers").iterdir())), 4)
        self.assertEqual(self.engine.coffer("system", "check", "--deep", check=False).stdout,
                         "Nothing is wrong.\n")
        du = subprocess.run(["du", "-sc", "-B1", *(self.engine.data_root / name for name in ("layers", "blobs", "partial"))],
                            stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-2]
        said = self.engine.json("GET", "/system/df")["LayersSize"]
        self.assertAlmostEqual(said / int(du), 1, delta=0.01)
        for name in self.names:
            self.engine.docker("rmi", name)
        self.assertEqual(self.left_on_disk(), [])
        self.assertEqual(helpers(), [])
        self.assertEqual(self.engine.cgroups(), [])
        self.assertEqual(pathlib.Path("/proc/self/mounts").read_text(), self.mounts_before)


if __name__ == "__main__":
    unittest.main()
