"""The commands of coffer-oci: their order, their output, their exit status."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from bundle import RuntimeTest, cgroup_folders, wait_until  # noqa: E402


class Lifecycle(RuntimeTest):
    def status(self, name):
        return self.inspect(name)["status"]

    def test_create_start_kill_delete(self):
        bundle = self.bundle("sh", "-c", "echo started; exec sleep 100",
                             change=lambda config: config.update(annotations={"a": "b"}))
        pid_file = self.dir / "pid"
        ran = self.oci("create", "-b", bundle.path, "--pid-file", pid_file, "one")
        state = self.inspect("one")
        self.assertEqual(state["status"], "created")
        self.assertEqual(state["id"], "one")
        self.assertEqual(state["bundle"], str(bundle.path))
        self.assertEqual(state["annotations"], {"a": "b"})
        self.assertEqual(state["pid"], int(pid_file.read_text()))
        self.assertEqual(ran.out, "")
        self.oci("start", "one")
        self.until_output(ran, "started")
        self.assertEqual(self.status("one"), "running")
        self.assertEqual(self.oci("delete", "one", check=False).status, 1)
        self.oci("kill", "one", "KILL")
        self.assertTrue(wait_until(lambda: self.status("one") == "stopped"))
        self.assertEqual(self.inspect("one")["pid"], 0)
        self.assertEqual(self.oci("start", "one", check=False).status, 1)
        self.assertEqual(self.oci("kill", "one", check=False).status, 1)
        self.oci("delete", "one")
        self.assertEqual(self.oci("state", "one", check=False).status, 1)
        self.assertEqual(cgroup_folders(f"{self.group}/*"), [])

    def test_created_container_is_deleted(self):
        self.oci("create", "-b", self.bundle("true").path, "one")
        self.oci("delete", "one")
        self.assertEqual(self.oci("list", "-q").out, "")

    def test_run_gives_the_exit_status(self):
        for script, status in (("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)):
            # A process 1 is not killed by itself.
            ran = self.sh(f"sh -c '{script}'; exit $?", check=False)
            self.assertEqual(ran.status, status, script)

    def test_run_passes_standard_streams(self):
        bundle = self.bundle("sh", "-c", "cat; echo problem >&2")
        with open(bundle.path / "config.json") as stdin:
            ran = self.run_in(bundle, stdin=stdin)
        self.assertEqual(json.loads(ran.out)["ociVersion"], bundle.config["ociVersion"])
        self.assertEqual(ran.err, "problem\n")

    def test_run_passes_signals(self):
        bundle = self.bundle("sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done")
        out = self.dir / "out"
        with open(out, "w") as file:
            process = subprocess.Popen([self.program, "--root", self.state, "run", "-b", bundle.path,
                                        "one"], stdout=file, stdin=subprocess.DEVNULL)
        self.assertTrue(wait_until(lambda: out.read_text()))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 5)
        self.assertEqual(self.oci("list", "-q").out, "")

    def test_run_detached(self):
        ran = self.oci("run", "-d", "-b", self.bundle("sh", "-c", "echo hi; sleep 100").path, "one")
        self.until_output(ran, "hi")
        self.assertEqual(self.status("one"), "running")
        self.assertEqual(self.oci("kill", "--all", "one", "9").status, 0)

    def test_run_keeps_what_it_is_asked_to(self):
        self.oci("run", "--keep", "-b", self.bundle("true").path, "one")
        self.assertEqual(self.status("one"), "stopped")

    def test_program_that_cannot_be_executed(self):
        bundle = self.bundle("nothing")
        ran = self.run_in(bundle, check=False)
        self.assertEqual(ran.status, 1)
        self.assertIn('exec: "nothing": executable file not found in $PATH', ran.err)
        for program, words in (("/bin", "is a directory"), ("/etc/passwd", "permission denied"),
                               ("/absent", "no such file or directory")):
            ran = self.run_in(self.bundle(program), check=False)
            self.assertEqual(ran.status, 1)
            self.assertIn(words, ran.err)

    def test_program_that_the_kernel_refuses(self):
        bundle = self.bundle("/bin/broken")
        (bundle.rootfs / "bin/broken").write_text("#!/absent\n")
        (bundle.rootfs / "bin/broken").chmod(0o755)
        self.oci("create", "-b", bundle.path, "one")
        ran = self.oci("start", "one", check=False)
        self.assertEqual(ran.status, 1)
        self.assertIn("no such file or directory", ran.err)

    def test_id_is_checked_and_unique(self):
        bundle = self.bundle("sleep", "100")
        for name in ("", ".", "..", "a/b", "../x", "a b", "a" * 256):
            self.assertEqual(self.oci("create", "-b", bundle.path, name, check=False).status, 1, name)
        self.oci("create", "-b", bundle.path, "one")
        ran = self.oci("create", "-b", bundle.path, "one", check=False)
        self.assertIn("container with given ID already exists", ran.err)

    def test_unknown_container(self):
        for command in ("state", "start", "kill", "delete", "ps"):
            ran = self.oci(command, "absent", check=False)
            self.assertEqual(ran.status, 1)
            self.assertIn("container does not exist", ran.err)
        self.assertEqual(self.oci("exec", "absent", "true", check=False).status, 255)
        self.oci("delete", "--force", "absent")

    def test_bundle_without_configuration(self):
        ran = self.oci("create", "-b", self.dir, "one", check=False)
        self.assertIn("config.json not found", ran.err)
        bundle = self.bundle("true")
        (bundle.path / "config.json").write_text('{"ociVersion": 7}')
        self.assertIn("ociVersion", self.oci("create", "-b", bundle.path, "one", check=False).err)

    def test_list(self):
        self.assertEqual(self.oci("list", "-f", "json").out, "null\n")
        for name in ("b", "a"):
            self.start(self.bundle("sleep", "100"), name)
        self.assertEqual(self.oci("list", "-q").out, "a\nb\n")
        both = json.loads(self.oci("list", "--format=json").out)
        self.assertEqual([one["id"] for one in both], ["a", "b"])
        self.assertEqual({one["status"] for one in both}, {"running"})
        table = self.oci("list").out.splitlines()
        self.assertEqual(table[0].split(), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"])
        self.assertEqual(len(table), 3)

    def test_ps(self):
        ran = self.start(self.bundle("sh", "-c", "sleep 100 & echo ready; wait"), "one")
        self.until_output(ran, "ready")
        pids = json.loads(self.oci("ps", "-f", "json", "one").out)
        self.assertEqual(len(pids), 2)
        self.assertIn(self.pid("one"), pids)
        self.assertIn("sleep 100", self.oci("ps", "one").out)
        lines = self.oci("ps", "one", "-o", "pid,comm").out.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(self.oci("ps", "one", "-o", "comm", check=False).status, 1)

    def test_exec(self):
        self.start(self.bundle("sleep", "100"), "one")
        ran = self.oci("exec", "-e", "A=b", "--cwd", "/tmp", "-u", "1000:1001", "one", "sh", "-c",
                       "echo $A $(pwd) $(id -u) $(id -g) $PATH; exit 3", check=False)
        self.assertEqual((ran.status, ran.out), (3, "b /tmp 1000 1001 /bin\n"))
        self.assertEqual(self.oci("exec", "one", "hostname").out, "coffer\n")
        ran = self.oci("exec", "one", "absent", check=False)
        self.assertEqual(ran.status, 255)
        self.assertIn("executable file not found", ran.err)
        self.assertEqual(self.oci("exec", "one", check=False).status, 255)

    def test_exec_of_a_process_file(self):
        self.start(self.bundle("sleep", "100"), "one")
        process = self.config()["process"]
        process.update(args=["sh", "-c", "echo $B"], env=["PATH=/bin", "B=c"])
        file = self.dir / "process.json"
        file.write_text(json.dumps(process))
        pid_file = self.dir / "exec.pid"
        ran = self.oci("exec", "-d", "--pid-file", pid_file, "-p", file, "one")
        self.until_output(ran, "c\n")
        self.assertTrue(pid_file.read_text().isdigit())

    def test_exec_needs_a_running_container(self):
        self.oci("create", "-b", self.bundle("true").path, "one")
        ran = self.oci("exec", "one", "true", check=False)
        self.assertIn("cannot exec in a created container", ran.err)

    def test_exec_is_in_the_group_of_the_container(self):
        self.start(self.bundle("sleep", "100"), "one")
        def groups(pid):
            return sorted(line for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
                          if not line.startswith("0:"))
        pid_file = self.dir / "exec.pid"
        self.oci("exec", "-d", "--pid-file", pid_file, "one", "sleep", "100")
        self.assertEqual(groups(pid_file.read_text()), groups(self.pid("one")))

    def test_kill_all_reaches_every_process(self):
        ran = self.start(self.bundle("sh", "-c", "sleep 100 & sleep 100 & echo ready; wait"), "one")
        self.until_output(ran, "ready")
        self.assertEqual(len(json.loads(self.oci("ps", "-f", "json", "one").out)), 3)
        self.oci("kill", "--all", "one", "SIGKILL")
        self.assertTrue(wait_until(lambda: self.status("one") == "stopped"))

    def test_pause(self):
        ran = self.start(self.bundle("sh", "-c", "while :; do echo x; sleep 0.01; done"), "one")
        self.until_output(ran, "x")
        self.assertEqual(self.oci("resume", "one", check=False).err, "container not paused\n")
        self.oci("pause", "one")
        self.assertEqual(self.status("one"), "paused")
        self.assertEqual(self.oci("pause", "one", check=False).err, "container not running\n")
        self.assertIn("cannot exec in a paused container", self.oci("exec", "one", "true", check=False).err)
        seen = len(ran.out)
        self.assertFalse(wait_until(lambda: len(ran.out) > seen, 0.1))
        self.oci("resume", "one")
        self.assertEqual(self.status("one"), "running")
        self.assertTrue(wait_until(lambda: len(ran.out) > seen))
        self.oci("pause", "one")
        self.oci("kill", "one", "KILL")
        self.assertTrue(wait_until(lambda: self.status("one") == "stopped"))
        self.oci("delete", "one")
        self.start(self.bundle("sleep", "100"), "two")
        self.oci("pause", "two")
        self.oci("delete", "--force", "two")

    def test_signals_by_any_name(self):
        script = "for s in HUP USR1 RTMIN+3; do trap \"echo got $s\" $s; done; echo ready; " \
                 "while :; do sleep 0.01; done"
        script = script.replace("RTMIN+3", "37")
        ran = self.start(self.bundle("sh", "-c", script), "one")
        self.until_output(ran, "ready")
        for given, seen in (("SIGHUP", "HUP"), ("usr1", "USR1"), ("RTMIN+3", "37")):
            self.oci("kill", "one", given)
            self.until_output(ran, f"got {seen}")
        self.assertIn("unknown signal", self.oci("kill", "one", "NONE", check=False).err)

    def test_spec_is_a_bundle_that_runs(self):
        bundle = self.bundle("true")
        (bundle.path / "config.json").unlink()
        self.oci("spec", "-b", bundle.path)
        self.assertIn("exists", self.oci("spec", "-b", bundle.path, check=False).err)
        config = json.loads((bundle.path / "config.json").read_text())
        self.assertTrue(config["process"]["noNewPrivileges"])
        self.assertTrue(config["root"]["readonly"])

    def test_features(self):
        features = json.loads(self.oci("features").out)
        self.assertIn("CAP_CHOWN", features["linux"]["capabilities"])
        self.assertIn("poststop", features["hooks"])

    def test_errors_go_to_the_log(self):
        log = self.dir / "log"
        self.oci("--log", log, "--log-format", "json", "state", "absent", check=False)
        line = json.loads(log.read_text())
        self.assertEqual(line["level"], "error")
        self.assertIn("does not exist", line["msg"])

    def test_two_starts_at_once_give_one(self):
        for i in range(10):
            ran = self.oci("create", "-b", self.bundle("sh", "-c", "echo once").path, f"c{i}")
            command = [self.program, "--root", self.state, "start", f"c{i}"]
            both = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
            self.assertEqual(sorted(one.wait(10) for one in both), [0, 1])
            self.until_output(ran, "once\n")

    def test_pid_that_was_reused_is_another(self):
        self.start(self.bundle("sleep", "100"), "one")
        file = self.state / "one/state.json"
        state = json.loads(file.read_text())
        real = state["pid"]
        state["pid"] = os.getpid()
        file.write_text(json.dumps(state))
        self.assertEqual(self.status("one"), "stopped")
        self.assertEqual(self.oci("kill", "one", "KILL", check=False).status, 1)
        state["pid"] = real
        file.write_text(json.dumps(state))


if __name__ == "__main__":
    unittest.main()
