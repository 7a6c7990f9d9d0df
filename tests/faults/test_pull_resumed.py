"""Pulls that are cut off, by the connection or by kill -9 of the engine, go on where they were."""
import http.client
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import time
import unittest

from support.cutting_proxy import CuttingProxy
from support.engine import Engine
from support.registry import Layout, Registry, tar_of

CUTS = 50


class PullResumed(unittest.TestCase):
    def setUp(self):
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-resumed-"))
        self.addCleanup(shutil.rmtree, scratch)
        self.registry = Registry()
        self.addCleanup(self.registry.close)
        self.engine = Engine("--bridge", "none")
        self.addCleanup(self.engine.close)
        layout = Layout(scratch / "layout")
        layers = [tar_of({f"{n}": os.urandom(size)})
                  for n, size in enumerate((3_000_000, 400_000, 30_000_000, 6_000_000))]
        layout.tag("x", layout.manifest(layers))
        self.registry.push(layout, "x", "big:1")
        self.size = sum(path.stat().st_size for path in (layout.dir / "blobs/sha256").iterdir())

    def proxy(self, **options):
        proxy = CuttingProxy(self.registry.host, **options)
        self.addCleanup(proxy.close)
        return proxy

    def partials(self):
        return list((self.engine.data_root / "partial").iterdir())

    def broken_off(self):
        """A pull that has half of it when the engine is killed; gives its proxy."""
        proxy = self.proxy(quota=self.size // 2)
        puller = threading.Thread(target=self.engine.docker, args=("pull", "-q", f"{proxy.host}/big:1"),
                                  kwargs={"check": False})
        puller.start()
        self.assertTrue(proxy.wait_for(self.size // 2))
        self.engine.stop(signal.SIGKILL)
        puller.join()
        return proxy

    def expect_whole(self, proxy):
        self.assertEqual(self.partials(), [])
        self.assertEqual(self.engine.coffer("system", "check", "--deep").stdout, "Nothing is wrong.\n")
        print(f"{proxy.passed} bytes passed of {self.size}: {100 * proxy.passed / self.size - 100:.2f} % more")
        self.assertLessEqual(proxy.passed, self.size * 1.02)

    def test_connections_that_are_cut(self):
        proxy = self.proxy(cut_after=self.size // (CUTS + 10), cuts=CUTS)
        self.engine.docker("pull", "-q", f"{proxy.host}/big:1")
        self.assertEqual(proxy.made, CUTS)
        self.expect_whole(proxy)

    def test_an_engine_that_is_killed(self):
        proxy = self.proxy(quota=0)

        def pull():
            try:
                self.engine.api("POST", f"/images/create?fromImage={proxy.host}/big&tag=1")
            except (OSError, ValueError, http.client.HTTPException):
                pass  # the engine is gone

        for cut in range(1, CUTS + 1):
            proxy.allow(cut * self.size // (CUTS + 2))
            puller = threading.Thread(target=pull)
            puller.start()
            self.assertTrue(proxy.wait_for(cut * self.size // (CUTS + 2)), f"cut {cut}, {proxy.passed} bytes")
            time.sleep(0.05)
            self.engine.stop(signal.SIGKILL)
            proxy.drop()
            puller.join()
            self.engine.start()
            self.assertEqual(list((self.engine.data_root / "blobs/sha256").iterdir()), [])
        proxy.allow(None)
        self.engine.docker("pull", "-q", f"{proxy.host}/big:1")
        self.expect_whole(proxy)

    def test_what_is_left_of_a_broken_pull_is_counted_and_goes(self):
        self.broken_off()
        self.engine.start()
        for path in self.partials():  # its blocks are counted when they are there
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        left = sum(path.stat().st_blocks * 512 for path in self.partials())
        self.assertGreater(left, self.size // 4)
        # The folder of the layers counts, too.
        folder = (self.engine.data_root / "layers").stat().st_blocks * 512
        self.assertEqual(self.engine.json("GET", "/system/df")["LayersSize"], left + folder)
        self.assertEqual(self.engine.coffer("system", "check").stdout, "Nothing is wrong.\n")
        self.assertEqual(self.engine.json("POST", "/images/prune")["SpaceReclaimed"], left)
        self.assertEqual(self.partials(), [])

    def test_what_was_wrong_is_not_kept(self):
        proxy = self.broken_off()
        proxy.allow(None)
        for path in self.partials():
            with open(path, "r+b") as file:
                file.write(b"damage")
        self.engine.start()
        run = self.engine.docker("pull", "-q", f"{proxy.host}/big:1", check=False)
        self.assertEqual(run.returncode, 1)
        self.assertEqual(self.partials(), [])
        self.engine.docker("pull", "-q", f"{proxy.host}/big:1")


if __name__ == "__main__":
    unittest.main()
