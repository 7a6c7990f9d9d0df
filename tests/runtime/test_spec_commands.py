"""The commands of coffer-oci, their flags and exit codes, as runc's."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import unittest

from spec_support import OCI, SpecTest, TIMEOUT


class Lifecycle(SpecTest):
    def test_pause_stops_and_resume_lets_run(self):
        folder, cfg = self.detached(args=["sh", "-c", "while :; do echo >> /tmp/ticks; sleep 0.01; done"])
        ticks = folder / "rootfs/tmp/ticks"
        self.wait_for(ticks.exists, "the first tick")
        self.oci("pause", "box", check=True)
        self.assertEqual(self.state()["status"], "paused")
        before = ticks.stat().st_size
        self.assertIn("paused", self.oci("exec", "box", "true").stderr)
        self.assertEqual(self.oci("pause", "box").returncode, 1)
        self.assertEqual(ticks.stat().st_size, before)
        self.oci("resume", "box", check=True)
        self.assertEqual(self.state()["status"], "running")
        self.wait_for(lambda: ticks.stat().st_size > before, "another tick")
        refused = self.oci("resume", "box")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("not paused", refused.stderr)

    def test_exec_ignores_the_pause_when_told(self):
        self.detached()
        self.oci("pause", "box", check=True)
        with self.background("exec", "--ignore-paused", "box", "echo", "hi",
                             stdout=subprocess.PIPE) as running:
            self.oci("resume", "box", check=True)
            self.assertEqual(running.communicate(timeout=TIMEOUT)[0], "hi\n")

    def test_a_paused_container_can_be_killed_and_deleted(self):
        self.detached()
        self.oci("pause", "box", check=True)
        self.oci("kill", "box", "KILL", check=True)
        self.wait_for(lambda: self.state()["status"] == "stopped", "its end")
        self.oci("delete", "box", check=True)
        self.detached(name="other")
        self.oci("pause", "other", check=True)
        refused = self.oci("delete", "other")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("paused", refused.stderr)
        self.oci("delete", "--force", "other", check=True)
        self.assertEqual(self.oci("state", "other").returncode, 1)

    def test_kill_all_reaches_every_process(self):
        def share(cfg):
            cfg["linux"]["namespaces"] = [n for n in cfg["linux"]["namespaces"] if n["type"] != "pid"]
        self.detached(share, ["sh", "-c", "sleep 1000 & sleep 1000 & wait"])
        self.wait_for(lambda: len(json.loads(self.oci("ps", "-f", "json", "box").stdout)) == 3, "children")
        self.oci("kill", "--all", "box", "KILL", check=True)
        self.wait_for(lambda: json.loads(self.oci("ps", "-f", "json", "box").stdout) == [], "their end")
        self.oci("kill", "--all", "box", "KILL", check=True)
        stopped = self.oci("kill", "box", "KILL")
        self.assertEqual(stopped.returncode, 1)
        self.assertIn("container not running", stopped.stderr)

    def test_configuration_changed_after_creation_has_no_effect(self):
        folder, cfg = self.detached()
        cfg["process"]["env"].append("LATER=yes")
        self.write(folder, cfg)
        self.assertNotIn("LATER", self.oci("exec", "box", "env", check=True).stdout)

    def test_what_a_dead_creation_left_is_cleaned(self):
        folder, cfg = self.bundle("true")
        (self.root / "left").mkdir(parents=True)
        self.assertEqual(self.oci("state", "left").returncode, 1)
        self.assertEqual(self.run_in(folder, cfg, "left").returncode, 0)
        (self.root / "broken").mkdir()
        (self.root / "broken/lock").touch()
        (self.root / "broken/state.json").write_text("{")
        self.assertEqual(self.oci("delete", "broken").returncode, 1)
        self.oci("delete", "--force", "broken", check=True)
        self.assertFalse((self.root / "broken").exists())

    def test_what_a_killed_run_left_is_cleaned(self):
        folder, cfg = self.bundle()
        self.write(folder, cfg)
        with self.background("run", "-b", folder, "box", stderr=subprocess.DEVNULL) as run:
            self.wait_for(lambda: self.oci("state", "box").returncode == 0 and
                          self.state()["status"] == "running", "the container")
            run.send_signal(signal.SIGKILL)
            run.wait()
        again = self.run_in(folder, cfg, "box")
        self.assertIn("already exists", again.stderr)  # it still runs
        self.oci("kill", "box", "KILL", check=True)
        self.wait_for(lambda: self.state()["status"] == "stopped", "its end")
        cfg["process"]["args"] = ["echo", "again"]
        again = self.run_in(folder, cfg, "box")
        self.assertEqual((again.returncode, again.stdout), (0, "again\n"), again.stderr)

    def test_an_id_is_taken_until_its_container_is_deleted(self):
        folder, _ = self.created()
        taken = self.oci("create", "-b", folder, "box")
        self.assertEqual(taken.returncode, 1)
        self.assertIn("already exists", taken.stderr)

    def test_keep_and_status_of_run(self):
        folder, cfg = self.bundle("sh", "-c", "exit 7")
        self.write(folder, cfg)
        self.assertEqual(self.oci("run", "--keep", "-b", folder, "kept").returncode, 7)
        self.assertEqual(self.state("kept")["status"], "stopped")
        self.assertEqual(self.state("kept")["pid"], 0)


class Flags(SpecTest):
    def test_preserved_descriptors(self):
        folder, cfg = self.bundle("sh", "-c", "cat <&3; cat <&4; ls /proc/self/fd | wc -l")
        self.write(folder, cfg)
        with self.given_files("three", "four", "five"):
            done = self.oci("run", "-b", folder, "--preserve-fds", "2", "box", close_fds=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        # 0, 1, 2, 3, 4 and the one that ls reads the folder by.
        self.assertEqual(done.stdout.replace("\n", " "), "threefour6 ")

    def given_files(self, *texts):
        """Descriptors 3, 4, ... of the next child."""
        test = self

        class Given:
            def __enter__(self):
                self.files = []
                for number, text in enumerate(texts, 3):
                    path = test.scratch / text
                    path.write_text(text)
                    fd = os.open(path, os.O_RDONLY)
                    if fd != number:
                        os.dup2(fd, number)
                        os.close(fd)
                    os.set_inheritable(number, True)
                    self.files.append(number)

            def __exit__(self, *_):
                for fd in self.files:
                    os.close(fd)
        return Given()

    def test_preserved_descriptors_must_be_open(self):
        folder, cfg = self.bundle("true")
        self.write(folder, cfg)
        done = self.oci("run", "-b", folder, "--preserve-fds", "2", "box")
        self.assertEqual(done.returncode, 1)
        self.assertIn("preserved descriptor 3 (of 2) is not open", done.stderr)

    def test_no_pivot(self):
        folder, cfg = self.bundle("sh", "-c", "ls /; pwd")
        self.write(folder, cfg)
        done = self.oci("run", "-b", folder, "--no-pivot", "box")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.split(), ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "/"])

    def test_no_new_keyring(self):
        folder, cfg = self.bundle("cat", "/proc/self/stat")
        self.write(folder, cfg)
        self.assertEqual(self.oci("run", "-b", folder, "--no-new-keyring", "box").returncode, 0)

    def test_pid_file_and_console_socket(self):
        folder, cfg = self.bundle("sh", "-c", "test -t 0 && echo terminal")
        cfg["process"]["terminal"] = True
        cfg["process"]["consoleSize"] = {"height": 11, "width": 22}
        self.write(folder, cfg)
        path = str(self.scratch / "console.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            self.oci("create", "-b", folder, "--console-socket", path, "--pid-file",
                     self.scratch / "pid", "box", check=True)
            connection, _ = listener.accept()
            _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
            connection.close()
        self.assertEqual(int((self.scratch / "pid").read_text()), self.state()["pid"])
        self.assertEqual(os.get_terminal_size(fds[0]), os.terminal_size((22, 11)))
        self.oci("start", "box", check=True)
        self.assertIn(b"terminal", os.read(fds[0], 100))
        os.close(fds[0])
        refused = self.oci("create", "-b", folder, "two")
        self.assertIn("console socket", refused.stderr)

    def test_log_in_both_forms(self):
        folder, cfg = self.bundle("true")
        cfg["process"]["cwd"] = "relative"
        self.write(folder, cfg)
        log = self.scratch / "log"
        done = self.oci("run", "-b", folder, "box", flags=["--log", str(log), "--log-format", "json"])
        self.assertEqual(done.returncode, 1)
        record = json.loads(log.read_text())
        self.assertEqual(record["level"], "error")
        self.assertIn("process.cwd", record["msg"])
        self.assertIn("process.cwd", done.stderr)
        log.unlink()
        self.oci("run", "-b", folder, "box", flags=["--log", str(log), "--debug"])
        self.assertRegex(log.read_text(), 'level=debug msg="command run"\ntime=".*" level=error msg="')
        self.assertEqual(self.oci("list", flags=["--log-format", "xml"]).returncode, 1)

    def test_no_control_groups_when_disabled(self):
        folder, cfg = self.bundle()
        self.write(folder, cfg)
        with self.background("--cgroup-manager", "disabled", "run", "-b", folder, "box"):
            self.wait_for(lambda: self.oci("state", "box").returncode == 0 and
                          self.state()["status"] == "running", "the container")
            with open(f"/proc/{self.state()['pid']}/cgroup") as text:
                self.assertNotIn("spec-", text.read())
            self.assertIn("no control group", self.oci("pause", "box").stderr)
            self.oci("kill", "--all", "box", "KILL", check=True)
        self.assertEqual(self.oci("list", flags=["--cgroup-manager", "what"]).returncode, 1)

    def test_unknown_words(self):
        self.assertEqual(self.oci("nonsense").returncode, 1)
        self.assertIn("flag provided but not defined: -nonsense",
                      self.oci("state", "--nonsense", "x").stderr)
        self.assertIn("requires exactly 1 argument", self.oci("pause").stderr)
        self.assertIn("does not exist", self.oci("resume", "nobody").stderr)


class Exec(SpecTest):
    def test_flags(self):
        self.detached()
        done = self.oci("exec", "--user", "7:8", "--additional-gids", "9", "--cwd", "/tmp", "--env", "A=b",
                        "box", "sh", "-c", "id -u; id -g; id -G; pwd; echo $A", check=True)
        self.assertEqual(done.stdout.split("\n"), ["7", "8", "8 9", "/tmp", "b", ""])
        self.assertEqual(self.oci("exec", "box", "sh", "-c", "exit 3").returncode, 3)
        self.assertEqual(self.oci("exec", "box", "absent").returncode, 255)
        nnp = self.oci("exec", "--no-new-privs", "--cap", "CAP_SYS_TIME", "box", "grep", "-E",
                       "NoNewPrivs|CapEff", "/proc/self/status", check=True).stdout
        self.assertIn("NoNewPrivs:\t1", nnp)
        self.assertTrue(int(nnp.split("CapEff:")[1].split()[0], 16) & 1 << 25)

    def test_a_process_from_a_file(self):
        self.detached()
        file = self.scratch / "process.json"
        file.write_text(json.dumps({"user": {"uid": 5, "gid": 6}, "cwd": "/", "env": ["PATH=/bin"],
                                    "args": ["id", "-u"]}))
        self.assertEqual(self.oci("exec", "--process", file, "box", check=True).stdout, "5\n")
        pid_file = self.scratch / "exec.pid"
        subprocess.run([OCI, "--root", str(self.root), "exec", "-d", "--pid-file", str(pid_file), "box",
                        "sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)
        self.assertIn(int(pid_file.read_text()), json.loads(self.oci("ps", "-f", "json", "box").stdout))

    def test_a_group_below_the_containers(self):
        _, cfg = self.detached()
        path = cfg["linux"]["cgroupsPath"]
        missing = self.oci("exec", "--cgroup", "below", "box", "true")
        self.assertEqual(missing.returncode, 255)
        self.assertIn(path + "/below", missing.stderr)
        folders = [f for f in pathlib.Path("/sys/fs/cgroup").glob("*" + path)]
        folders += [f for f in [pathlib.Path("/sys/fs/cgroup" + path)] if f.exists()]
        for folder in folders:
            (folder / "below").mkdir()
            for file in ("cpuset.cpus", "cpuset.mems"):
                if (folder / "below" / file).exists():
                    (folder / "below" / file).write_text((folder / file).read_text())
        inside = self.oci("exec", "--cgroup", "below", "box", "cat", "/proc/self/cgroup", check=True)
        self.assertIn(path + "/below", inside.stdout)

    def test_labels_of_modules_that_are_off_are_refused(self):
        self.detached()
        if not os.path.exists("/sys/module/apparmor/parameters/enabled"):
            self.assertIn("process.apparmorProfile 'p'",
                          self.oci("exec", "--apparmor", "p", "box", "true").stderr)
        if not os.path.exists("/sys/fs/selinux/enforce"):
            self.assertIn("process.selinuxLabel 'l'",
                          self.oci("exec", "--process-label", "l", "box", "true").stderr)

    def test_affinity_of_exec(self):
        self.detached()
        file = self.scratch / "process.json"

        def allowed(affinity):
            file.write_text(json.dumps({
                "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"],
                "args": ["grep", "Cpus_allowed_list", "/proc/self/status"], "execCPUAffinity": affinity}))
            return self.oci("exec", "--process", file, "box")
        self.assertEqual(allowed({"initial": "0"}).stdout.split(), ["Cpus_allowed_list:", "0"])
        self.assertEqual(allowed({"initial": "0", "final": "1"}).stdout.split(), ["Cpus_allowed_list:", "1"])
        self.assertIn("process.execCPUAffinity.final", allowed({"final": "x"}).stderr)


class Resources(SpecTest):
    def test_update_from_flags(self):
        _, cfg = self.detached()
        self.oci("update", "--pids-limit", "77", "--memory", "64m", "--cpu-share", "512", "box", check=True)
        self.assertEqual(self.cgroup_file(cfg, "pids", "pids.max"), "77")
        v1 = os.path.exists("/sys/fs/cgroup/memory" + cfg["linux"]["cgroupsPath"])
        self.assertEqual(self.cgroup_file(cfg, "memory", "memory.limit_in_bytes" if v1 else "memory.max"),
                         str(64 << 20))
        self.oci("update", "--cpu-quota", "50000", "--cpu-period", "100000", "box", check=True)
        quota = self.cgroup_file(cfg, "cpu", "cpu.cfs_quota_us" if v1 else "cpu.max")
        self.assertEqual(quota.split()[0], "50000")
        self.oci("update", "--cpu-quota", "-1", "box", check=True)

    def test_update_from_json(self):
        _, cfg = self.detached()
        done = self.oci("update", "-r", "-", "box", input='{"pids": {"limit": 99}}', stdin=None)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.cgroup_file(cfg, "pids", "pids.max"), "99")
        file = self.scratch / "resources.json"
        file.write_text('{"pids": {"limit": "many"}}')
        wrong = self.oci("update", "--resources", file, "box")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("pids.limit", wrong.stderr)

    def test_a_failed_update_changes_nothing(self):
        _, cfg = self.detached(lambda c: c["linux"].update(resources={"pids": {"limit": 50}}))
        self.oci("update", "--pids-limit", "60", "--cpuset-cpus", "0", "box", check=True)
        failed = self.oci("update", "-r", "-", "box", stdin=None, input=json.dumps(
            {"cpu": {"cpus": "0", "shares": 333}, "pids": {"limit": 70},
             "hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}))
        self.assertEqual(failed.returncode, 1)
        self.assertIn("hugetlb.3MB", failed.stderr)
        self.assertEqual(self.cgroup_file(cfg, "pids", "pids.max"), "60")
        v1 = os.path.exists("/sys/fs/cgroup/cpu" + cfg["linux"]["cgroupsPath"])
        self.assertEqual(self.cgroup_file(cfg, "cpu", "cpu.shares" if v1 else "cpu.weight"),
                         "1024" if v1 else "100")

    def test_update_checks_what_is_in_use(self):
        self.detached(args=["sh", "-c", "head -c 8000000 /dev/zero | sort | sleep 1000"])
        self.wait_for(lambda: json.loads(self.oci("events", "--stats", "box").stdout)["data"]["memory"]["usage"]
                      ["usage"] > 4 << 20, "its memory")
        done = self.oci("update", "-r", "-", "box", stdin=None,
                        input='{"memory": {"limit": 1048576, "checkBeforeUpdate": true}}')
        self.assertEqual(done.returncode, 1)
        self.assertIn("bytes in use", done.stderr)

    def test_update_of_what_cannot_be_is_refused_by_name(self):
        self.detached()
        for words, name in ((["--kernel-memory", "1m"], "memory.kernel"),
                            (["--l3-cache-schema", "L3:0=f"], "l3-cache-schema"),
                            (["--memory", "lots"], "memory"), (["--blkio-weight", "5"], "blkio")):
            done = self.oci("update", *words, "box")
            self.assertEqual(done.returncode, 1, words)
            self.assertIn(name, done.stderr)

    def test_statistics(self):
        def limits(cfg):
            cfg["linux"]["resources"] = {"pids": {"limit": 50}, "memory": {"limit": 128 << 20}}
        self.detached(limits, ["sh", "-c", "while :; do :; done"])
        event = json.loads(self.oci("events", "--stats", "box", check=True).stdout)
        self.assertEqual((event["type"], event["id"]), ("stats", "box"))
        data = event["data"]
        self.assertEqual(data["pids"], {"current": 1, "limit": 50})
        self.assertEqual(data["memory"]["usage"]["limit"], 128 << 20)
        self.assertGreater(data["memory"]["usage"]["usage"], 0)
        self.assertGreater(data["cpu"]["usage"]["total"], 0)
        self.assertIn("cache" if "cache" in data["memory"]["raw"] else "file", data["memory"]["raw"])
        self.assertEqual(set(data), {"cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt",
                                     "network_interfaces"})
        for part in ("swap", "kernel", "kernelTCP"):
            self.assertIn("failcnt", data["memory"][part])

    def test_events_come_until_the_container_ends(self):
        self.detached()
        with self.background("events", "--interval", "50ms", "box", stdout=subprocess.PIPE) as events:
            for _ in range(2):
                self.assertEqual(json.loads(events.stdout.readline())["type"], "stats")
            self.oci("kill", "box", "KILL", check=True)
            self.assertEqual(events.wait(TIMEOUT), 0)
        self.assertEqual(self.oci("events", "--stats", "box").returncode, 1)
        self.assertIn("interval", self.oci("events", "--interval", "0s", "box").stderr)

    def test_an_oom_kill_is_an_event(self):
        def limit(cfg):
            cfg["linux"]["resources"] = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
        script = "cat /tmp/go; head -c 100000000 /dev/zero | sort -u > /dev/null; sleep 1000"
        folder, _ = self.bundle(name="unused")
        folder, cfg = self.bundle("sh", "-c", script, name="hungry")
        limit(cfg)
        os.mkfifo(folder / "rootfs/tmp/go")
        self.write(folder, cfg)
        subprocess.run([OCI, "--root", str(self.root), "run", "-d", "-b", str(folder), "box"], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with self.background("events", "--interval", "1h", "box", stdout=subprocess.PIPE) as events:
            def watches():
                return any("eventfd" in os.readlink(f) or "inotify" in os.readlink(f)
                           for f in pathlib.Path(f"/proc/{events.pid}/fd").iterdir())
            self.wait_for(watches, "the watch")
            (folder / "rootfs/tmp/go").write_text("go")
            self.assertEqual(json.loads(events.stdout.readline()), {"type": "oom", "id": "box"})


class Features(SpecTest):
    def test_every_mount_option_is_taken(self):
        options = json.loads(self.oci("features", check=True).stdout)["mountOptions"]
        self.assertIn("tmpcopyup", options)
        unusual = {"bind", "rbind", "idmap", "ridmap", "copyup", "remount", "subpath"}

        def add(cfg):
            for number, option in enumerate(sorted(set(options) - unusual)):
                cfg["mounts"].append({"destination": f"/mnt/{number}", "type": "tmpfs", "source": "t",
                                      "options": [option]})
        self.sh("true", add)

    def test_document(self):
        features = json.loads(self.oci("features", check=True).stdout)
        self.assertEqual(set(features["hooks"]), {"prestart", "createRuntime", "createContainer",
                                                  "startContainer", "poststart", "poststop"})
        self.assertIn("SCMP_ACT_NOTIFY", features["linux"]["seccomp"]["actions"])
        self.assertIn("MPOL_BIND", features["linux"]["memoryPolicy"]["modes"])
        self.assertFalse(features["linux"]["intelRdt"]["enabled"])
        self.assertEqual(features["ociVersionMax"], "1.3.0")
        self.assertEqual(self.oci("features", "x").returncode, 1)

    def test_spec_runs(self):
        folder, _ = self.bundle()
        self.oci("spec", "-b", folder, check=True)
        cfg = json.loads((folder / "config.json").read_text())
        cfg["process"].update(terminal=False, args=["echo", "ok"])
        cfg["linux"]["cgroupsPath"] = "/coffer/spec-from-spec"
        done = self.run_in(folder, cfg)
        self.assertEqual((done.returncode, done.stdout), (0, "ok\n"), done.stderr)
        self.assertEqual(self.oci("spec", "-b", folder).returncode, 1)


if __name__ == "__main__":
    unittest.main()
