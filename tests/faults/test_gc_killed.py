"""kill -9 of cofferd in the middle of a collection: an image is there or gone, and nothing is left."""
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
from support.registry import Layout, busybox_rootfs, tar_of

KILLS = int(os.environ.get("KILLS", "20"))
IMAGES = ("a", "b", "c", "d")


class GcKilled(unittest.TestCase):
    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-gc-"))
        self.addCleanup(shutil.rmtree, self.scratch)
        self.engine = Engine("--gc-min-age", "0s", "--gc-keep", "kept")
        self.addCleanup(self.engine.close)
        base = busybox_rootfs()
        for name in (*IMAGES, "kept"):
            layout = Layout(self.scratch / name)
            layout.tag("1", layout.manifest([base, tar_of({f"{name}{n}": os.urandom(2000) for n in range(1500)})]))
            subprocess.run(["skopeo", "copy", "--quiet", f"oci:{layout.dir}:1",
                            f"docker-archive:{self.scratch / name}.tar:{name}:1"], check=True)

    def load(self, name):
        self.engine.docker("load", "-q", "-i", f"{self.scratch / name}.tar")

    def test_collections(self):
        self.load("kept")
        whole = 0
        for _ in range(KILLS):
            for name in IMAGES:
                self.load(name)
            gc = threading.Thread(target=self.engine.coffer, args=("system", "gc", "--to", "0"),
                                  kwargs={"check": False})
            gc.start()
            time.sleep(random.uniform(0, 0.08))
            self.engine.stop(signal.SIGKILL)
            gc.join()
            self.engine.start()
            self.assertEqual(self.engine.coffer("system", "check", check=False).stdout, "Nothing is wrong.\n")
            there = [tag for image in self.engine.json("GET", "/images/json") for tag in image["RepoTags"]]
            self.assertIn("kept:1", there)
            whole += len(there) - 1
            for name in there:
                self.assertEqual(self.engine.docker("run", "--rm", "--network", "none", name, "sh", "-c",
                                                    f"ls | grep -c '^{name[:-2]}[0-9]'").stdout, "1500\n")
        self.assertGreater(whole, 0)  # of some it came to nothing
        self.assertLess(whole, KILLS * len(IMAGES))
        self.assertEqual(self.engine.coffer("system", "check", "--deep", check=False).stdout, "Nothing is wrong.\n")
        self.engine.coffer("system", "gc", "--to", "0")
        self.engine.docker("rmi", "kept:1")
        self.assertEqual(self.engine.left_of_images(), [])


if __name__ == "__main__":
    unittest.main()
