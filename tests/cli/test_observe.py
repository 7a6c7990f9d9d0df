"""coffer's commands that look: their output beside that of the docker CLI on the same engine."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import unittest

from support.engine import BIN, Engine


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()
    engine.docker("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    engine.docker("create", "--name", "idle", "-v", "data:/data", "busybox", "true")


def tearDownModule():
    engine.close()


def environment():
    return {**os.environ, "DOCKER_HOST": f"unix://{engine.socket}", "TERM": "xterm",
            "DOCKER_CONFIG": str(engine.dir / "docker")}


def coffer(*args):
    return subprocess.run([BIN / "coffer", *args], env=environment(), capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL)


class SystemTest(unittest.TestCase):
    def same(self, *args):
        """Ages of things grow between the two: theirs is what ours was just before or after."""
        def matches():
            before, theirs, after = coffer(*args), engine.docker(*args, check=False), coffer(*args)
            self.seen = [(run.returncode, run.stdout, run.stderr)
                         for run in (before, theirs, after)]
            return self.seen[1] in (self.seen[0], self.seen[2])
        for _ in range(5):
            if matches():
                return
        self.assertEqual(*self.seen[:2])

    def test_info_and_version(self):
        """What they say of the engine, but for lines of docker's that end in nothing."""
        def of_server(text):
            lines = text[text.index("Server:"):].splitlines()
            return [in_order(line) for line in lines if line.strip() and not re.search(": +$", line)]

        def in_order(line):
            """docker's CLI takes the runtimes from a map, in another order each time."""
            name, colon, words = line.partition(": ")
            return name + colon + (" ".join(sorted(words.split())) if name == " Runtimes" else words)
        ours, theirs = coffer("info"), engine.docker("info")
        own = [" Firewall Backend: nftables"]  # which docker's CLI does not show
        self.assertEqual(of_server(ours.stdout), of_server(theirs.stdout) + own)
        self.assertEqual(ours.stderr, theirs.stderr)
        self.assertEqual(of_server(coffer("version").stdout),
                         of_server(engine.docker("version").stdout))
        for pattern in ("{{.ServerVersion}} {{.Driver}} {{json .Plugins}} {{.NCPU}}",
                        "{{range .SecurityOptions}}{{.}};{{end}}{{.CgroupVersion}}"):
            self.same("info", "--format", pattern)
        self.same("version", "--format", "{{.Server.Version}} {{json .Server.Components}}")

    def test_disk_usage(self):
        self.same("system", "df")
        self.same("system", "df", "-v")
        self.same("system", "df", "--format", "json")
        self.same("system", "df", "--format", "table {{.Type}}\t{{.Active}}")
        self.same("system", "df", "-v", "--format", "json")
        self.same("system", "df", "-v", "--format",
                  "{{range .Images}}{{.ID}} {{.UniqueSize}} {{.Containers}}\n{{end}}"
                  "{{range .Containers}}{{.Names}} {{.ID}} {{.Size}} {{.LocalVolumes}}\n{{end}}")
        self.assertRegex(coffer("system", "df").stdout, r"Images +1 +1 .*\nContainers +2 +1 ")


class StatsTest(unittest.TestCase):
    def same(self, *args):
        ours, theirs = coffer(*args), engine.docker(*args, check=False)
        self.assertEqual((ours.returncode, ours.stderr), (theirs.returncode, theirs.stderr))
        # The numbers move between the two.
        masked = [re.sub(r"[0-9.]+(?=%|B|kB|MB|KiB|MiB|GiB| )", "N", run.stdout)
                  for run in (ours, theirs)]
        masked = [re.sub(r"N[kKM]?i?B", "NB", text) for text in masked]
        masked = [re.sub(r" +", " ", text) for text in masked]
        self.assertEqual(*masked)

    def test_same_as_docker(self):
        self.same("stats", "--no-stream")
        self.same("stats", "--no-stream", "--all")
        self.same("stats", "--no-stream", "--no-trunc", "web")
        self.same("stats", "--no-stream", "--format", "json", "web")
        self.same("stats", "--no-stream", "--format", "{{.Container}} {{.Name}} {{.PIDs}}", "web")
        self.same("stats", "--no-stream", "--format", "table {{.Name}}\t{{.MemPerc}}", "idle")

    def test_an_absent_container(self):
        run = coffer("stats", "--no-stream", "absent")
        self.assertEqual((run.returncode, run.stderr),
                         (1, "Error response from daemon: No such container: absent\n"))

    def test_the_live_view_of_stats(self):
        self.live("stats")

    def test_the_live_view_of_ps(self):
        text = self.live("ps", "--watch", "--all")
        self.assertIn("STATUS", text)
        self.assertRegex(text, r"Up \d+|Up Less|Up About")
        self.assertRegex(text, r"\d\.\d\d% +▁")
        run = coffer("ps", "--watch")
        self.assertEqual((run.returncode, run.stderr),
                         (1, "--watch needs a terminal to write to\n"))
        run = coffer("ps", "--watch", "--quiet")
        self.assertEqual((run.returncode, run.stderr), (1, "--watch goes without --quiet\n"))

    def live(self, *words):
        child, terminal = pty.fork()
        if child == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 250, 0, 0))
            os.execve(BIN / "coffer", ["coffer", *words], environment())
        seen = b""
        deadline = time.monotonic() + 30
        while seen.count("HISTORY".encode()) < 4 and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                seen += os.read(terminal, 65536)
        os.write(terminal, b"q")
        try:
            while more := os.read(terminal, 65536):
                seen += more
        except OSError:
            pass
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        text = seen.decode()
        self.assertIn("web", text)
        self.assertIn("▁", text)
        self.assertTrue(text.startswith("\033[?1049h"))
        self.assertTrue(text.endswith("\033[?1049l"))
        return text


if __name__ == "__main__":
    unittest.main()
