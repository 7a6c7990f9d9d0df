"""coffer against an engine of its own. Needs root."""

import concurrent.futures
import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from engine import BIN, Engine  # noqa: E402


def busybox_tar(path):
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(root + "/bin")
        shutil.copy("/bin/busybox", root + "/bin/busybox")
        for name in subprocess.check_output(["/bin/busybox", "--list"], text=True).split():
            if name != "busybox":
                os.symlink("busybox", f"{root}/bin/{name}")
        subprocess.check_call(["tar", "-C", root, "-cf", path, "."])


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class CofferTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = Engine()
        cls.environment = {"PATH": os.environ["PATH"], "HOME": str(cls.engine.dir),
                           "COFFER_HOST": f"unix://{cls.engine.socket}"}
        archive = str(cls.engine.dir / "root.tar")
        busybox_tar(archive)
        done = cls.coffer("import", "-c", "ENV PATH=/bin", archive, "starter:latest")
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        cls.engine.close()

    @classmethod
    def coffer(cls, *args, **options):
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([BIN / "coffer", *args], env=cls.environment, capture_output=True,
                              text=True, timeout=60, **options)

    def test_output_and_status_of_the_program(self):
        done = self.coffer("run", "--rm", "starter", "sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "out\n", "err\n"))

    def test_input_is_half_closed(self):
        done = self.coffer("run", "--rm", "-i", "starter", "sh", "-c", "cat; echo end",
                           input="x" * 300000)
        self.assertEqual((done.returncode, len(done.stdout)), (0, 300004))

    def test_statuses_of_run(self):
        self.assertEqual(self.coffer("run", "--rm", "starter", "/absent").returncode, 127)
        self.assertEqual(self.coffer("run", "--rm", "starter", "/bin").returncode, 126)
        self.assertEqual(self.coffer("run", "--nope").returncode, 125)

    def test_life_of_a_container(self):
        done = self.coffer("run", "-d", "--name", "life", "starter", "sleep", "100")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.strip()), 64)
        self.assertIn("life", self.coffer("ps", "--format", "{{.Names}}").stdout)
        self.assertEqual(self.coffer("exec", "life", "sh", "-c", "echo in; exit 3").returncode, 3)
        self.assertEqual(
            self.coffer("inspect", "-f", "{{.State.Status}}", "life").stdout, "running\n")
        self.assertEqual(self.coffer("stop", "-t", "0", "life").stdout, "life\n")
        self.assertEqual(self.coffer("wait", "life").stdout, "137\n")
        self.assertEqual(self.coffer("rm", "life").stdout, "life\n")
        done = self.coffer("rm", "life")
        self.assertEqual((done.returncode, done.stderr),
                         (1, "Error response from daemon: No such container: life\n"))

    def test_status_of_many_execs_at_once(self):
        self.coffer("run", "-d", "--name", "many", "starter", "sleep", "100")
        self.addCleanup(self.coffer, "rm", "-f", "many")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            done = pool.map(lambda _: self.coffer("exec", "many", "sh", "-c", "exit 3"), range(32))
            self.assertEqual([one.returncode for one in done], [3] * 32)

    def test_logs(self):
        self.coffer("run", "--name", "talks", "starter", "sh", "-c", "echo a; echo b >&2")
        done = self.coffer("logs", "talks")
        self.coffer("rm", "talks")
        self.assertEqual((done.stdout, done.stderr), ("a\n", "b\n"))

    def test_terminal(self):
        ours, theirs = pty.openpty()
        run = subprocess.Popen([BIN / "coffer", "run", "--rm", "-it", "starter", "sh", "-c",
                                "read line; echo got:$line; exit 4"],
                               stdin=theirs, stdout=theirs, stderr=theirs, env=self.environment)
        os.close(theirs)
        time.sleep(0.5)
        os.write(ours, b"word\r")
        shown = b""
        try:
            while True:
                shown += os.read(ours, 4096)
        except OSError:
            pass
        self.assertEqual(run.wait(20), 4)
        self.assertIn(b"got:word", shown)

    def test_no_daemon(self):
        done = subprocess.run([BIN / "coffer", "-H", "unix:///absent.sock", "ps"],
                              capture_output=True, text=True, env=self.environment, timeout=20)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "Cannot connect to the Coffer daemon at unix:///absent.sock. Is the "
                             "coffer daemon running?\n"))


if __name__ == "__main__":
    unittest.main()
