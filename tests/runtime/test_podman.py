"""podman over coffer-oci: the same commands as over its own runtime."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from bundle import BIN, base_rootfs, wait_until  # noqa: E402

IMAGE = "localhost/busybox:latest"


@unittest.skipUnless(shutil.which("podman"), "podman is not installed")
class Podman(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # podman wants a short path.
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="coffer-podman-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        tar = cls.dir / "rootfs.tar"
        subprocess.run(["tar", "-C", base_rootfs(), "-cf", tar, "."], check=True)
        cls.podman("import", "-q", tar, IMAGE)

    @classmethod
    def podman(cls, *args, check=True):
        run = subprocess.run(["podman", "--root", cls.dir / "root", "--runroot", cls.dir / "run",
                              "--tmpdir", cls.dir / "tmp", "--runtime", BIN / "coffer-oci",
                              "--cgroup-manager", "cgroupfs", *map(str, args)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, timeout=120)
        if check and run.returncode != 0:
            raise AssertionError(f"podman {' '.join(map(str, args))}: status {run.returncode}\n"
                                 f"{run.stdout}\n{run.stderr}")
        return run

    def run_(self, *args, check=True):
        # podman's own limits may be above what a machine allows.
        return self.podman("run", "--network", "none", "--ulimit", "nofile=1024:1024",
                           "--ulimit", "nproc=1024:1024", *args, check=check)

    def start(self, name, *flags):
        self.run_("-d", "--name", name, *flags, IMAGE, "sh", "-c",
                  "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")
        self.addCleanup(self.podman, "rm", "-f", "-t", "0", name, check=False)
        self.assertTrue(wait_until(lambda: "ready" in self.podman("logs", name).stdout))

    def status(self, name):
        state = json.loads(self.podman("inspect", name).stdout)[0]["State"]
        return state["Status"], state["ExitCode"]

    def test_run(self):
        self.assertEqual(self.run_("--rm", IMAGE, "echo", "hi").stdout, "hi\n")
        self.assertEqual(self.run_("--rm", IMAGE, "sh", "-c", "exit 7", check=False).returncode, 7)
        self.assertEqual(self.run_("--rm", IMAGE, "absent", check=False).returncode, 127)
        self.assertEqual(self.run_("--rm", IMAGE, "/etc/passwd", check=False).returncode, 126)
        self.assertEqual(self.podman("ps", "-aq").stdout, "")

    def test_what_run_is_asked_for(self):
        out = self.run_("--rm", "--hostname", "some", "-u", "1000:7", "-e", "A=b", "-w", "/tmp",
                        "--cap-drop", "all", "--security-opt", "no-new-privileges",
                        "--sysctl", "kernel.msgmax=4321", IMAGE, "sh", "-c",
                        "hostname; id -u; id -g; echo $A; pwd; grep -E '^(CapEff|NoNewPrivs|Seccomp):' "
                        "/proc/self/status; cat /proc/sys/kernel/msgmax").stdout
        self.assertEqual(out.split(), ["some", "1000", "7", "b", "/tmp", "CapEff:", "0" * 16,
                                       "NoNewPrivs:", "1", "Seccomp:", "2", "4321"])

    def test_terminal(self):
        out = self.run_("--rm", "-t", IMAGE, "sh", "-c", "tty; stat -c %t:%T /dev/console").stdout
        self.assertEqual(out.split(), ["/dev/pts/0", "88:0"])

    def test_volumes(self):
        folder = self.dir / "volume"
        folder.mkdir()
        out = self.run_("--rm", "-v", f"{folder}:/rw", "-v", f"{folder}:/ro:ro", IMAGE, "sh", "-c",
                        "echo x > /rw/file; cat /ro/file; touch /ro/other || echo read-only").stdout
        self.assertEqual(out.split(), ["x", "read-only"])

    def test_read_only_with_tmpfs(self):
        out = self.run_("--rm", "--read-only", "--tmpfs", "/etc:size=1m", IMAGE, "sh", "-c",
                        "touch /x || echo read-only; touch /etc/x && echo wrote; head -n 1 /etc/group").stdout
        self.assertEqual(out.split(), ["read-only", "wrote", "root:x:0:"])

    def test_user_namespace(self):
        out = self.run_("--rm", "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", IMAGE, "sh",
                        "-c", "cat /proc/self/uid_map; id -u; touch /x; stat -c %u /x").stdout
        self.assertEqual(out.split(), ["0", "100000", "65536", "0", "0"])

    def test_exec(self):
        self.start("exec")
        self.assertEqual(self.podman("exec", "exec", "echo", "hi").stdout, "hi\n")
        self.assertEqual(self.podman("exec", "-u", "1000", "exec", "id", "-u").stdout, "1000\n")
        self.assertEqual(self.podman("exec", "exec", "sh", "-c", "exit 5", check=False).returncode, 5)
        self.assertEqual(self.podman("exec", "exec", "absent", check=False).returncode, 127)
        self.assertEqual(self.podman("exec", "-t", "exec", "tty").stdout, "/dev/pts/0\n")

    def test_stop_start_kill_rm(self):
        self.start("life")
        self.podman("stop", "-t", "10", "life")
        self.assertEqual(self.status("life"), ("exited", 3))
        self.podman("start", "life")
        self.assertEqual(self.status("life")[0], "running")
        self.podman("kill", "life")
        self.assertEqual(self.podman("wait", "life").stdout, "137\n")
        self.podman("rm", "life")
        self.assertEqual(self.podman("ps", "-aq").stdout, "")

    def test_stats_and_top(self):
        self.start("stats", "--memory", "64m", "--pids-limit", "50")
        (stats,) = json.loads(self.podman("stats", "--no-stream", "--format", "json", "stats").stdout)
        self.assertIn("/ 67.11MB", stats["mem_usage"])
        self.assertIn("sh -c trap", self.podman("top", "stats").stdout)

    def test_pause(self):
        self.start("pause")
        self.podman("pause", "pause")
        self.assertEqual(self.status("pause")[0], "paused")
        self.podman("unpause", "pause")
        self.assertEqual(self.status("pause")[0], "running")
        self.podman("pause", "pause")
        self.podman("rm", "-f", "-t", "0", "pause")


if __name__ == "__main__":
    unittest.main()
