"""containerd and dockerd over coffer-oci: the same commands as over their own runtime."""
import glob
import json
import pathlib
import unittest

from support import peers
from support.bundle import wait_until

LOOP = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"


@unittest.skipUnless(peers.find("containerd"), "containerd is not installed")
class Containerd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.peer = peers.Containerd()
        cls.addClassCleanup(cls.peer.close)

    def ctr(self, *args, check=True):
        return self.peer.client(*args, check=check)

    def start(self, name, *flags):
        self.peer.run("-d", *flags, peers.IMAGE, name, "sh", "-c", LOOP)
        self.addCleanup(self.remove, name)

    def remove(self, name):
        self.ctr("task", "rm", "-f", name, check=False)
        self.ctr("container", "rm", name)

    def status(self, name):
        for line in self.ctr("task", "ls").stdout.splitlines():
            if line.split()[0] == name:
                return line.split()[2]
        return None

    def test_run(self):
        done = self.peer.run("--rm", peers.IMAGE, "run", "sh", "-c", "echo hi; echo err >&2; exit 7",
                             check=False)
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("hi\n", "err\n", 7))
        absent = self.peer.run("--rm", peers.IMAGE, "run", "absent", check=False)
        self.assertIn('exec: "absent": executable file not found in $PATH', absent.stderr)
        self.assertEqual(self.ctr("container", "ls", "-q").stdout, "")

    def test_what_run_is_asked_for(self):
        done = self.peer.run("--rm", "--env", "A=b", "--cwd", "/tmp", "--read-only",
                             "--seccomp", peers.IMAGE, "ask", "sh", "-c",
                             "echo $A; pwd; touch /x || echo read-only; grep Seccomp: /proc/self/status")
        self.assertEqual(done.stdout.split(), ["b", "/tmp", "read-only", "Seccomp:", "2"])

    def test_exec(self):
        self.start("exec")
        out = self.ctr("task", "exec", "--exec-id", "a", "exec", "sh", "-c", "ps | wc -l; echo hi").stdout
        self.assertTrue(out.endswith("hi\n"), out)
        failed = self.ctr("task", "exec", "--exec-id", "b", "exec", "sh", "-c", "exit 5", check=False)
        self.assertEqual(failed.returncode, 5)
        absent = self.ctr("task", "exec", "--exec-id", "c", "exec", "absent", check=False)
        self.assertIn("executable file not found", absent.stderr)

    def test_pause_and_resume(self):
        self.start("pause")
        self.ctr("task", "pause", "pause")
        self.assertEqual(self.status("pause"), "PAUSED")
        self.ctr("task", "resume", "pause")
        self.assertEqual(self.status("pause"), "RUNNING")

    def test_metrics_and_processes(self):
        self.start("metrics", "--memory-limit", "33554432")
        metrics = json.loads(self.ctr("task", "metrics", "--format", "json", "metrics").stdout)
        memory = metrics["memory"]
        limit = memory["usage_limit"] if "usage_limit" in memory else memory["usage"]["limit"]
        self.assertEqual(limit, 33554432)
        self.assertGreaterEqual(metrics["pids"]["current"], 1)
        pid = next(line.split()[1] for line in self.ctr("task", "ls").stdout.splitlines()
                   if line.startswith("metrics "))
        self.assertIn(pid, self.ctr("task", "ps", "metrics").stdout.split())

    def test_kill_and_remove(self):
        self.start("kill")
        self.ctr("task", "kill", "kill")
        self.assertTrue(wait_until(lambda: self.status("kill") == "STOPPED"))
        removed = self.ctr("task", "rm", "kill", check=False)
        self.assertIn("non-zero exit code 3", removed.stdout + removed.stderr)
        self.assertIsNone(self.status("kill"))


@unittest.skipUnless(peers.find("dockerd"), "docker.io is not installed")
class Docker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.peer = peers.Dockerd()
        cls.addClassCleanup(cls.peer.close)

    def docker(self, *args, check=True):
        return self.peer.client(*args, check=check)

    def start(self, name, *flags):
        self.peer.run("-d", "--name", name, *flags, peers.IMAGE, "sh", "-c", LOOP)
        self.addCleanup(self.docker, "rm", "-f", name, check=False)
        self.assertTrue(wait_until(lambda: "ready" in self.docker("logs", name).stdout))

    def state(self, name):
        return json.loads(self.docker("inspect", name).stdout)[0]["State"]

    def test_run(self):
        done = self.peer.run("--rm", peers.IMAGE, "sh", "-c", "echo hi; echo err >&2; exit 7", check=False)
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("hi\n", "err\n", 7))
        self.assertEqual(self.peer.run("--rm", peers.IMAGE, "absent", check=False).returncode, 127)
        self.assertEqual(self.docker("ps", "-aq").stdout, "")

    def test_what_run_is_asked_for(self):
        out = self.peer.run(
            "--rm", "--hostname", "some", "-u", "1000:7", "-e", "A=b", "-w", "/tmp", "--cap-drop", "all",
            "--security-opt", "no-new-privileges", "--sysctl", "kernel.msgmax=4321", "--read-only",
            "--tmpfs", "/var", "--device", "/dev/null:/dev/other", "--ulimit", "nofile=99", peers.IMAGE,
            "sh", "-c", "hostname; id -u; id -g; echo $A; pwd; cat /proc/sys/kernel/msgmax;"
            "touch /tmp/x 2>/dev/null || echo read-only; test -c /dev/other && ulimit -n;"
            "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status").stdout
        self.assertEqual(out.split(), ["some", "1000", "7", "b", "/tmp", "4321", "read-only", "99",
                                       "CapEff:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2"])

    def test_privileged(self):
        # dockerd names every device of the host, /dev/ptmx among them; with a terminal too.
        out = self.peer.run("--rm", "-t", "--privileged", peers.IMAGE, "sh", "-c",
                            "tty; readlink /dev/ptmx; test -c /dev/loop-control && echo all").stdout
        host = ["all"] if pathlib.Path("/dev/loop-control").exists() else []
        self.assertEqual(out.split(), ["/dev/pts/0", "pts/ptmx"] + host)

    def test_exec(self):
        self.start("exec")
        self.assertEqual(self.docker("exec", "exec", "echo", "hi").stdout, "hi\n")
        out = self.docker("exec", "-u", "1000", "-e", "A=b", "-w", "/tmp", "exec", "sh", "-c",
                          "id -u; echo $A; pwd").stdout
        self.assertEqual(out.split(), ["1000", "b", "/tmp"])
        self.assertEqual(self.docker("exec", "exec", "sh", "-c", "exit 5", check=False).returncode, 5)
        self.assertEqual(self.docker("exec", "-t", "exec", "tty").stdout.strip(), "/dev/pts/0")

    def test_stop_start_kill(self):
        self.start("life")
        self.docker("stop", "life")
        self.assertEqual(self.state("life")["ExitCode"], 3)
        self.docker("start", "life")
        self.assertEqual(self.state("life")["Status"], "running")
        self.docker("kill", "life")
        self.assertEqual(self.docker("wait", "life").stdout, "137\n")

    def test_pause(self):
        self.start("pause")
        self.docker("pause", "pause")
        self.assertEqual(self.state("pause")["Status"], "paused")
        self.docker("unpause", "pause")
        self.assertEqual(self.state("pause")["Status"], "running")

    def test_stats_and_top(self):
        self.start("stats", "--memory", "64m")
        stats = json.loads(self.docker("stats", "--no-stream", "--format", "{{json .}}", "stats").stdout)
        self.assertIn("/ 64MiB", stats["MemUsage"])
        self.assertGreaterEqual(int(stats["PIDs"]), 1)
        self.assertIn("trap", self.docker("top", "stats").stdout)

    def test_update(self):
        self.start("update", "--memory", "64m")
        self.docker("update", "--memory", "128m", "--memory-swap", "256m", "--pids-limit", "77", "update")
        id_ = json.loads(self.docker("inspect", "update").stdout)[0]["Id"]
        texts = [pathlib.Path(path).read_text().strip()
                 for name in ("memory.limit_in_bytes", "memory.max", "pids.max")
                 for path in glob.glob(f"/sys/fs/cgroup/**/docker/{id_}/{name}", recursive=True)]
        self.assertEqual(texts, ["134217728", "77"])

    def test_out_of_memory(self):
        # The container outlives what is killed: of its own end containerd could hear first.
        self.docker("run", "--runtime", "coffer", "--network", "none", "--name", "oom", "--memory", "10m",
                    peers.IMAGE, "sh", "-c", "(x=a; while :; do x=$x$x; done); code=$?; sleep 1; exit $code",
                    check=False)
        self.addCleanup(self.docker, "rm", "-f", "oom")
        state = self.state("oom")
        self.assertEqual((state["OOMKilled"], state["ExitCode"]), (True, 137))


if __name__ == "__main__":
    unittest.main()
