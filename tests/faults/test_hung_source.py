"""A bind source on a file system that answers nothing (a network file system whose server is gone):
who asks for it waits, and nobody else."""
import os
import subprocess
import unittest

from support.bundle import payload
from support.engine import DOCKER, Engine


@unittest.skipUnless(os.path.exists("/dev/fuse"), "needs /dev/fuse")
class HungSource(unittest.TestCase):
    def setUp(self):
        self.engine = Engine()
        self.addCleanup(self.engine.close)
        self.engine.import_busybox()
        self.folder = self.engine.dir / "hung"
        self.folder.mkdir()
        self.server = subprocess.Popen([payload("hung_fs"), self.folder], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        self.addCleanup(self.let_go)
        self.assertEqual(self.server.stdout.readline(), b"mounted\n")
        self.engine.docker("run", "-d", "--network", "none", "--name", "works", "busybox", "sleep", "1000")
        self.waits = subprocess.Popen(
            [DOCKER, "-H", f"unix://{self.engine.socket}", "run", "--name", "waits", "--network", "none",
             "-v", f"{self.folder}/x:/x", "busybox", "true"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.assertEqual(self.server.stdout.readline(), b"asked\n")

    def let_go(self):
        if self.server.stdin.closed:
            return
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait()
        self.waits.communicate(timeout=30)  # an error: what is mounted there answers with one now
        subprocess.run(["umount", "-l", self.folder], check=True)

    def test_all_else_goes_on(self):
        docker = self.engine.docker
        names = docker("ps", "-a", "--format", "{{.Names}}", timeout=20).stdout.split()
        self.assertIn("works", names)
        shown = docker("inspect", "--type", "container", "waits", check=False, timeout=20)
        self.assertNotIn("map::at", shown.stderr)
        self.assertEqual(docker("exec", "works", "echo", "hi", timeout=20).stdout, "hi\n")
        ran = docker("run", "--rm", "--network", "none", "-v", "data:/data", "busybox", "echo", "hi",
                     timeout=20)
        self.assertEqual(ran.stdout, "hi\n")
        docker("volume", "rm", "data", timeout=20)
        self.let_go()
        self.assertNotEqual(self.waits.returncode, 0)
        docker("rm", "-f", "waits", check=False)
        self.assertEqual(docker("ps", "-a", "--format", "{{.Names}}").stdout, "works\n")

    def test_the_engine_ends(self):
        self.assertEqual(self.engine.stop(), 0)
        self.assertFalse(os.path.exists(self.engine.dir / "pid"))
        self.engine.start()
        self.assertEqual(self.engine.docker("exec", "works", "echo", "hi", timeout=20).stdout, "hi\n")
        self.let_go()
        self.engine.docker("rm", "-f", "waits", check=False)
        self.assertEqual(self.engine.docker("ps", "-a", "--format", "{{.Names}}").stdout, "works\n")


if __name__ == "__main__":
    unittest.main()
