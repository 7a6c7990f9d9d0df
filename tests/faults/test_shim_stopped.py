"""A shim that does not answer (SIGSTOP): all else goes on, who needs it is told, and rm -f works."""
import os
import signal
import unittest

from support.engine import Engine


class ShimStopped(unittest.TestCase):
    def setUp(self):
        self.engine = Engine()
        self.addCleanup(self.engine.close)
        self.engine.import_busybox()
        for name in ("hangs", "works"):
            self.engine.docker("run", "-d", "--network", "none", "--name", name, "busybox", "sleep", "1000")
        hangs = self.engine.docker("inspect", "-f", "{{.Id}}", "hangs").stdout.strip()
        self.shim = dict(self.engine.shims())[hangs]
        os.kill(self.shim, signal.SIGSTOP)

    def test_all_else_goes_on_meanwhile(self):
        docker = self.engine.docker
        _, _, made = self.engine.api("POST", "/containers/hangs/exec", {"Cmd": ["true"]})
        self.assertIn(b"Id", made)
        self.assertEqual(docker("ps", "--format", "{{.Names}}").stdout.split(), ["works", "hangs"])
        self.assertEqual(docker("inspect", "-f", "{{.State.Status}}", "hangs").stdout, "running\n")
        self.assertEqual(docker("exec", "works", "echo", "hi").stdout, "hi\n")
        self.assertEqual(docker("logs", "hangs").stdout, "")
        ran = docker("exec", "hangs", "echo", "hi", check=False)
        self.assertIn(f"the container's shim (process {self.shim}) has not answered", ran.stdout)
        self.assertNotEqual(ran.returncode, 0)
        # An attach ends too, and hands nothing over once the shim goes on.
        ran = docker("attach", "--no-stdin", "hangs", check=False, timeout=60)
        self.assertNotEqual(ran.returncode, 0)
        os.kill(self.shim, signal.SIGCONT)
        self.assertEqual(docker("exec", "hangs", "echo", "hi").stdout, "hi\n")

    def test_stop_waits_for_it_once(self):
        self.engine.docker("stop", "-t", "0", "hangs", timeout=90)
        self.assertEqual(self.engine.docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "hangs").stdout,
                         "exited 137\n")
        self.assertFalse(os.path.exists(f"/proc/{self.shim}/exe"))
        self.assertIn("the container's shim is still silent; it is killed", self.engine.log.read_text())

    def test_rm_force(self):
        self.engine.docker("rm", "-f", "hangs", timeout=90)
        self.assertFalse(os.path.exists(f"/proc/{self.shim}/exe"))
        self.assertEqual(self.engine.docker("ps", "-a", "--format", "{{.Names}}").stdout, "works\n")


if __name__ == "__main__":
    unittest.main()
