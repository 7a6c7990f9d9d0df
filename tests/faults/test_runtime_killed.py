"""coffer-oci killed at any moment: what is deleted afterwards leaves no group, mount or process.

COFFER_CYCLES is how many containers that takes (default 60)."""
import os
import random
import subprocess
import unittest

from support.bundle import RuntimeTest, wait_until

CYCLES = int(os.environ.get("COFFER_CYCLES", "60"))


class RuntimeKilled(RuntimeTest):
    def killed(self, *args, after):
        """A command that gets SIGKILL `after` seconds, if it still runs."""
        process = subprocess.Popen([self.program, "--root", self.state, *map(str, args)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def cycle(self, bundle, name, chance):
        # Some are killed, some come to their end.
        def after():
            return chance.choice([chance.uniform(0, 0.05), 5])
        if chance.random() < 0.3:
            self.killed("run", "-b", bundle.path, name, after=chance.uniform(0, 0.08))
        else:
            self.killed("create", "-b", bundle.path, name, after=after())
            self.killed("start", name, after=after())
            self.killed("exec", name, "true", after=after())
            self.killed("kill", name, "KILL", after=after())
            self.killed("delete", name, after=after())
        self.oci("delete", "--force", name)

    def test_nothing_is_left(self):
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        bundle = self.bundle("sleep", "1000")
        for number in range(CYCLES):
            with self.subTest(seed=seed, cycle=number):
                self.cycle(bundle, f"box{number % 3}", chance)
        # Groups, mounts, processes and state are looked for at the end of every test.
        self.assertEqual(self.oci("list", "-q").out, "")
        self.assertTrue(wait_until(lambda: not self.ours()), self.ours())

    def ours(self):
        """Processes of the bundle, by their command line."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as text:
                    words = text.read().split(b"\0")
            except OSError:
                continue
            if str(self.state).encode() in words or words[:2] == [b"sleep", b"1000"]:
                found.append(pid)
        return found


if __name__ == "__main__":
    unittest.main()
