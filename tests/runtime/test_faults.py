"""Steps of a start and of an exec fail, and the runtime dies at them: nothing is left behind."""
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from bundle import (RuntimeTest, cgroup_folders, mount, payload, process_ids,  # noqa: E402
                    user_namespace, wait_until)

CYCLES_FOR = 6  # seconds


def steps(stride):
    """The first step to fail, and the stride: each run of the tests takes other steps. The step 1 is
    the execution of the runtime itself."""
    return random.randint(2, stride + 1), stride


class Faults(RuntimeTest):
    def bundle_with_everything(self, *args, change=None):
        def all_of_it(config):
            config["mounts"] += [mount("/made/tmp", "tmpfs", "size=1m", type="tmpfs"),
                                 mount("/made/bind", self.dir, "rbind", "ro")]
            config["linux"]["sysctl"] = {"kernel.msgmax": "4321"}
            config["linux"]["devices"] = [{"path": "/dev/some", "type": "c", "major": 1, "minor": 3}]
            config["linux"]["resources"]["pids"] = {"limit": 20}
            config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}]}
            if change:
                change(config)
        return self.bundle(*args, change=all_of_it)

    def with_fault(self, n, how, *args):
        """Gives what ran, and whether there was an n-th call."""
        ran = self.oci(*args, check=False, prefix=[payload("fail_at"), str(n), how])
        return ran, int(ran.out.split()[-1]) >= n

    def check_gone(self, what, processes=frozenset()):
        self.assertEqual(cgroup_folders(f"{self.group}/*"), [], what)
        self.assertEqual([one.name for one in self.state.iterdir() if one.name != "seccomp"]
                         if self.state.exists() else [], [], what)
        gone = wait_until(lambda: not process_ids() - self.processes_before - processes, 3)
        self.assertTrue(gone, what)

    def fail_steps_of_create(self, stride, change=None):
        bundle = self.bundle_with_everything("sleep", "100", change=change)
        self.oci("create", "-b", bundle.path, "warm")  # the filter is compiled
        self.oci("delete", "--force", "warm")
        failed = tried = 0
        n, stride = steps(stride)
        more = True
        while more:
            ran, more = self.with_fault(n, "errno", "create", "-b", bundle.path, "--pid-file",
                                        self.dir / "pid", "one")
            if ran.status == 0:
                self.oci("delete", "--force", "one")
            else:
                failed += 1
                self.assertNotEqual(ran.err, "", f"step {n}")
            self.check_gone(f"step {n}: {ran.err}")
            n += stride
            tried += 1
        self.assertGreater(n, 50)
        # Few can be done without: most must be noticed.
        self.assertGreater(failed, tried * 2 / 3)

    def test_steps_of_create_fail(self):
        self.fail_steps_of_create(4)

    def test_steps_of_create_in_a_user_namespace_fail(self):
        self.fail_steps_of_create(6, user_namespace)

    def test_killed_at_steps_of_create(self):
        bundle = self.bundle_with_everything("sleep", "100")
        (n, stride), more = steps(5), True
        while more:
            ran, more = self.with_fault(n, "kill", "create", "-b", bundle.path, "one")
            # The last steps are init's, who may be later than the end of the runtime.
            self.assertIn(ran.status, (137, 0) if more else (0,))
            self.oci("delete", "--force", "one")
            self.check_gone(f"step {n}")
            n += stride

    def test_each_step_of_exec_fails(self):
        self.start(self.bundle("sleep", "100"), "one")
        before = frozenset(process_ids())
        n, more = 1, True
        while more:
            n += 1
            ran, more = self.with_fault(n, "errno", "exec", "one", "true")
            gone = wait_until(lambda: not process_ids() - before, 3)
            self.assertTrue(gone, f"step {n}: {ran.err}")
        self.assertEqual(self.inspect("one")["status"], "running")
        self.assertEqual(self.oci("exec", "one", "echo", "hi").out, "hi\n")

    def test_killed_at_each_step_of_exec(self):
        self.start(self.bundle("sleep", "100"), "one")
        before = frozenset(process_ids())
        n, more = 1, True
        while more:
            n += 1
            _, more = self.with_fault(n, "kill", "exec", "one", "true")
            gone = wait_until(lambda: not process_ids() - before, 3)
            self.assertTrue(gone, f"step {n}")

    def test_what_ends_while_it_is_deleted_is_deleted(self):
        self.start(self.bundle("sleep", "100"), "one")
        log = self.dir / "calls"
        deletion = subprocess.Popen(["strace", "-f", "-qq", "-o", log, "-e", "trace=pidfd_open,pidfd_send_signal",
                                     "-e", "inject=pidfd_send_signal:delay_enter=1000000", self.program,
                                     "--root", self.state, "delete", "--force", "one"],
                                    stderr=subprocess.PIPE, text=True)
        # It has looked, and is about to send its signal.
        self.assertTrue(wait_until(lambda: log.exists() and "pidfd_open" in log.read_text()))
        os.kill(self.inspect("one")["pid"], signal.SIGKILL)
        self.assertEqual(deletion.communicate(timeout=20)[1], "")
        self.assertEqual(deletion.returncode, 0)
        self.assertIn("ESRCH", log.read_text())
        self.check_gone("delete")

    def test_killed_at_any_time(self):
        bundle = self.bundle_with_everything("sleep", "100")
        end = time.monotonic() + CYCLES_FOR
        cycles = 0
        while time.monotonic() < end:
            cycles += 1
            for command in (["create", "-b", bundle.path, "one"], ["start", "one"],
                            ["exec", "one", "true"], ["delete", "--force", "one"]):
                process = subprocess.Popen([self.program, "--root", self.state, *command],
                                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL)
                try:
                    process.wait(random.random() * 0.06)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                process.wait()
            self.oci("delete", "--force", "one")
            self.check_gone(f"cycle {cycles}")
        self.assertGreater(cycles, 10)


if __name__ == "__main__":
    unittest.main()
