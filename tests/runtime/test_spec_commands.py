"""The commands of coffer-oci, their flags and exit codes, as runc's."""
import json
import os
import pathlib
import signal
import subprocess
import unittest

from support.bundle import RuntimeTest, TIMEOUT, namespaces


class Lifecycle(RuntimeTest):
    def test_pause_stops_and_resume_lets_run(self):
        bundle = self.running("sh", "-c", "while :; do echo >> /tmp/ticks; sleep 0.01; done")
        ticks = bundle.rootfs / "tmp/ticks"
        self.wait_for(ticks.exists, "the first tick")
        self.oci("pause", "box")
        self.assertEqual(self.inspect()["status"], "paused")
        before = ticks.stat().st_size
        self.assertIn("paused", self.oci("exec", "box", "true", check=False).err)
        self.assertEqual(self.oci("pause", "box", check=False).status, 1)
        self.assertEqual(ticks.stat().st_size, before)
        self.oci("resume", "box")
        self.assertEqual(self.inspect()["status"], "running")
        self.wait_for(lambda: ticks.stat().st_size > before, "another tick")
        refused = self.oci("resume", "box", check=False)
        self.assertEqual(refused.status, 1)
        self.assertIn("not paused", refused.err)

    def test_exec_ignores_the_pause_when_told(self):
        self.running()
        self.oci("pause", "box")
        with self.background("exec", "--ignore-paused", "box", "echo", "hi",
                             stdout=subprocess.PIPE) as running:
            self.oci("resume", "box")
            self.assertEqual(running.communicate(timeout=TIMEOUT)[0], "hi\n")

    def test_a_paused_container_can_be_killed_and_deleted(self):
        self.running()
        self.oci("pause", "box")
        self.oci("kill", "box", "KILL")
        self.wait_for(lambda: self.inspect()["status"] == "stopped", "its end")
        self.oci("delete", "box")
        self.running(name="other")
        self.oci("pause", "other")
        refused = self.oci("delete", "other", check=False)
        self.assertEqual(refused.status, 1)
        self.assertIn("paused", refused.err)
        self.oci("delete", "--force", "other")
        self.assertEqual(self.oci("state", "other", check=False).status, 1)

    def test_kill_all_reaches_every_process(self):
        self.running("sh", "-c", "sleep 1000 & sleep 1000 & wait",
                     change=lambda cfg: namespaces(cfg, pid=None))
        self.wait_for(lambda: len(json.loads(self.oci("ps", "-f", "json", "box").out)) == 3, "children")
        self.oci("kill", "--all", "box", "KILL")
        self.wait_for(lambda: json.loads(self.oci("ps", "-f", "json", "box").out) == [], "their end")
        self.oci("kill", "--all", "box", "KILL")
        stopped = self.oci("kill", "box", "KILL", check=False)
        self.assertEqual(stopped.status, 1)
        self.assertIn("container not running", stopped.err)

    def test_configuration_changed_after_creation_has_no_effect(self):
        bundle = self.running()
        bundle.config["process"]["env"].append("LATER=yes")
        bundle.write()
        self.assertNotIn("LATER", self.oci("exec", "box", "env").out)

    def test_what_a_dead_creation_left_is_cleaned(self):
        bundle = self.bundle("true")
        (self.state / "left").mkdir(parents=True)
        self.assertEqual(self.oci("state", "left", check=False).status, 1)
        self.oci("run", "-b", bundle.path, "left")
        (self.state / "broken").mkdir()
        (self.state / "broken/lock").touch()
        (self.state / "broken/state.json").write_text("{")
        self.assertEqual(self.oci("delete", "broken", check=False).status, 1)
        self.oci("delete", "--force", "broken")
        self.assertFalse((self.state / "broken").exists())

    def test_what_a_killed_run_left_is_cleaned(self):
        bundle = self.bundle("sleep", "1000")
        with self.background("run", "-b", bundle.path, "box", stderr=subprocess.DEVNULL) as run:
            self.wait_for(lambda: self.oci("state", "box", check=False).status == 0 and
                          self.inspect()["status"] == "running", "the container")
            run.send_signal(signal.SIGKILL)
            run.wait()
        again = self.oci("run", "-b", bundle.path, "box", check=False)
        self.assertIn("already exists", again.err)  # it still runs
        self.oci("kill", "box", "KILL")
        self.wait_for(lambda: self.inspect()["status"] == "stopped", "its end")
        bundle.config["process"]["args"] = ["echo", "again"]
        self.assertEqual(self.oci("run", "-b", bundle.write().path, "box").out, "again\n")

    def test_an_id_is_taken_until_its_container_is_deleted(self):
        bundle = self.created()
        taken = self.oci("create", "-b", bundle.path, "box", check=False)
        self.assertEqual(taken.status, 1)
        self.assertIn("already exists", taken.err)

    def test_keep_and_status_of_run(self):
        bundle = self.bundle("sh", "-c", "exit 7")
        self.assertEqual(self.oci("run", "--keep", "-b", bundle.path, "kept", check=False).status, 7)
        self.assertEqual(self.inspect("kept")["status"], "stopped")
        self.assertEqual(self.inspect("kept")["pid"], 0)


class Flags(RuntimeTest):
    def test_preserved_descriptors(self):
        bundle = self.bundle("sh", "-c", "cat <&3; cat <&4; ls /proc/self/fd | wc -l")
        with self.given_files("three", "four", "five"):
            done = self.oci("run", "-b", bundle.path, "--preserve-fds", "2", "box", close_fds=False)
        # 0, 1, 2, 3, 4 and the one that ls reads the folder by.
        self.assertEqual(done.out.replace("\n", " "), "threefour6 ")

    def given_files(self, *texts):
        """Descriptors 3, 4, ... of the next child."""
        test = self

        class Given:
            def __enter__(self):
                self.files = []
                for number, text in enumerate(texts, 3):
                    path = test.dir / text
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
        bundle = self.bundle("true")
        done = self.oci("run", "-b", bundle.path, "--preserve-fds", "2", "box", check=False)
        self.assertEqual(done.status, 1)
        self.assertIn("preserved descriptor 3 (of 2) is not open", done.err)

    def test_no_pivot(self):
        bundle = self.bundle("sh", "-c", "ls /; pwd")
        done = self.oci("run", "-b", bundle.path, "--no-pivot", "box")
        self.assertEqual(done.out.split(), ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "/"])

    def test_no_new_keyring(self):
        bundle = self.bundle("cat", "/proc/self/stat")
        self.oci("run", "-b", bundle.path, "--no-new-keyring", "box")

    def test_pid_file_and_console_socket(self):
        bundle = self.bundle("sh", "-c", "test -t 0 && echo terminal")
        bundle.config["process"].update(terminal=True, consoleSize={"height": 11, "width": 22})
        bundle.write()
        with self.console("create", "-b", bundle.path, "--pid-file", self.dir / "pid", "box") as master:
            self.assertEqual(int((self.dir / "pid").read_text()), self.pid())
            self.assertEqual(os.get_terminal_size(master), os.terminal_size((22, 11)))
            self.oci("start", "box")
            self.assertIn(b"terminal", os.read(master, 100))
        refused = self.oci("create", "-b", bundle.path, "two", check=False)
        self.assertIn("console socket", refused.err)

    def test_log_in_both_forms(self):
        bundle = self.bundle("true")
        bundle.config["process"]["cwd"] = "relative"
        bundle.write()
        log = self.dir / "log"
        done = self.oci("run", "-b", bundle.path, "box", flags=["--log", str(log), "--log-format", "json"], check=False)
        self.assertEqual(done.status, 1)
        record = json.loads(log.read_text())
        self.assertEqual(record["level"], "error")
        self.assertIn("process.cwd", record["msg"])
        self.assertIn("process.cwd", done.err)
        log.unlink()
        self.oci("run", "-b", bundle.path, "box", flags=["--log", str(log), "--debug"], check=False)
        self.assertRegex(log.read_text(), 'level=debug msg="command run"\ntime=".*" level=error msg="')
        self.assertEqual(self.oci("list", flags=["--log-format", "xml"], check=False).status, 1)

    def test_no_control_groups_when_disabled(self):
        bundle = self.bundle("sleep", "1000")
        with self.background("--cgroup-manager", "disabled", "run", "-b", bundle.path, "box") as run:
            self.wait_for(lambda: self.oci("state", "box", check=False).status == 0 and
                          self.inspect()["status"] == "running", "the container")
            with open(f"/proc/{self.inspect()['pid']}/cgroup") as text:
                self.assertNotIn(self.group, text.read())
            self.assertIn("no control group", self.oci("pause", "box", check=False).err)
            self.oci("kill", "--all", "box", "KILL")
            run.wait(TIMEOUT)
        self.assertEqual(self.oci("list", flags=["--cgroup-manager", "what"], check=False).status, 1)

    def test_unknown_words(self):
        self.assertEqual(self.oci("nonsense", check=False).status, 1)
        self.assertIn("flag provided but not defined: -nonsense",
                      self.oci("state", "--nonsense", "x", check=False).err)
        self.assertIn("requires exactly 1 argument", self.oci("pause", check=False).err)
        self.assertIn("does not exist", self.oci("resume", "nobody", check=False).err)


class Exec(RuntimeTest):
    def test_flags(self):
        self.running(change=lambda cfg: cfg["process"].update(noNewPrivileges=False))
        done = self.oci("exec", "--user", "7:8", "--additional-gids", "9", "--cwd", "/tmp", "--env", "A=b",
                        "box", "sh", "-c", "id -u; id -g; id -G; pwd; echo $A")
        self.assertEqual(done.out.split("\n"), ["7", "8", "8 9", "/tmp", "b", ""])
        self.assertEqual(self.oci("exec", "box", "sh", "-c", "exit 3", check=False).status, 3)
        self.assertEqual(self.oci("exec", "box", "absent", check=False).status, 255)
        nnp = self.oci("exec", "--no-new-privs", "--cap", "CAP_SYS_TIME", "box", "grep", "-E",
                       "NoNewPrivs|CapEff", "/proc/self/status").out
        self.assertIn("NoNewPrivs:\t1", nnp)
        self.assertTrue(int(nnp.split("CapEff:")[1].split()[0], 16) & 1 << 25)

    def test_a_process_from_a_file(self):
        self.running()
        file = self.dir / "process.json"
        file.write_text(json.dumps({"user": {"uid": 5, "gid": 6}, "cwd": "/", "env": ["PATH=/bin"],
                                    "args": ["id", "-u"]}))
        self.assertEqual(self.oci("exec", "--process", file, "box").out, "5\n")
        pid_file = self.dir / "exec.pid"
        subprocess.run([self.program, "--root", self.state, "exec", "-d", "--pid-file", pid_file, "box",
                        "sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)
        self.assertIn(int(pid_file.read_text()), json.loads(self.oci("ps", "-f", "json", "box").out))

    def test_a_group_below_the_containers(self):
        bundle = self.running()
        path = bundle.config["linux"]["cgroupsPath"]
        missing = self.oci("exec", "--cgroup", "below", "box", "true", check=False)
        self.assertEqual(missing.status, 255)
        self.assertIn(path + "/below", missing.err)
        folders = [f for f in pathlib.Path("/sys/fs/cgroup").glob("*" + path)]
        folders += [f for f in [pathlib.Path("/sys/fs/cgroup" + path)] if f.exists()]
        for folder in folders:
            (folder / "below").mkdir()
            for file in ("cpuset.cpus", "cpuset.mems"):
                if (folder / "below" / file).exists():
                    (folder / "below" / file).write_text((folder / file).read_text())
        inside = self.oci("exec", "--cgroup", "below", "box", "cat", "/proc/self/cgroup")
        self.assertIn(":/below\n", inside.out)

    def test_labels_of_modules_that_are_off_are_refused(self):
        self.running()
        if not os.path.exists("/sys/module/apparmor/parameters/enabled"):
            self.assertIn("process.apparmorProfile 'p'",
                          self.oci("exec", "--apparmor", "p", "box", "true", check=False).err)
        if not os.path.exists("/sys/fs/selinux/enforce"):
            self.assertIn("process.selinuxLabel 'l'",
                          self.oci("exec", "--process-label", "l", "box", "true", check=False).err)

    def test_affinity_of_exec(self):
        self.running()
        file = self.dir / "process.json"

        def allowed(affinity):
            file.write_text(json.dumps({
                "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"],
                "args": ["grep", "Cpus_allowed_list", "/proc/self/status"], "execCPUAffinity": affinity}))
            return self.oci("exec", "--process", file, "box", check=False)
        self.assertEqual(allowed({"initial": "0"}).out.split(), ["Cpus_allowed_list:", "0"])
        self.assertEqual(allowed({"initial": "0", "final": "1"}).out.split(), ["Cpus_allowed_list:", "1"])
        self.assertIn("process.execCPUAffinity.final", allowed({"final": "x"}).err)


class Resources(RuntimeTest):
    def cgroup_file(self, bundle, controller, file):
        """The text of a control file, on whichever version holds the controller."""
        path = bundle.config["linux"]["cgroupsPath"]
        places = [pathlib.Path(base + path, file) for base in (f"/sys/fs/cgroup/{controller}", "/sys/fs/cgroup")]
        return next(place for place in places if place.exists()).read_text().strip()

    def test_update_from_flags(self):
        bundle = self.running()
        self.oci("update", "--pids-limit", "77", "--memory", "64m", "--cpu-share", "512", "box")
        self.assertEqual(self.cgroup_file(bundle, "pids", "pids.max"), "77")
        v1 = os.path.exists("/sys/fs/cgroup/memory" + bundle.config["linux"]["cgroupsPath"])
        self.assertEqual(self.cgroup_file(bundle, "memory", "memory.limit_in_bytes" if v1 else "memory.max"),
                         str(64 << 20))
        self.oci("update", "--cpu-quota", "50000", "--cpu-period", "100000", "box")
        quota = self.cgroup_file(bundle, "cpu", "cpu.cfs_quota_us" if v1 else "cpu.max")
        self.assertEqual(quota.split()[0], "50000")
        self.oci("update", "--cpu-quota", "-1", "box")

    def test_update_from_json(self):
        bundle = self.running()
        self.oci("update", "-r", "-", "box", input='{"pids": {"limit": 99}}', stdin=None)
        self.assertEqual(self.cgroup_file(bundle, "pids", "pids.max"), "99")
        file = self.dir / "resources.json"
        file.write_text('{"pids": {"limit": "many"}}')
        wrong = self.oci("update", "--resources", file, "box", check=False)
        self.assertEqual(wrong.status, 1)
        self.assertIn("pids.limit", wrong.err)

    def test_a_failed_update_changes_nothing(self):
        bundle = self.running(change=lambda c: c["linux"].update(resources={"pids": {"limit": 50}}))
        self.oci("update", "--pids-limit", "60", "--cpuset-cpus", "0", "box")
        failed = self.oci("update", "-r", "-", "box", stdin=None, input=json.dumps(
            {"cpu": {"cpus": "0", "shares": 333}, "pids": {"limit": 70},
             "hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}), check=False)
        self.assertEqual(failed.status, 1)
        self.assertIn("hugetlb.3MB", failed.err)
        self.assertEqual(self.cgroup_file(bundle, "pids", "pids.max"), "60")
        v1 = os.path.exists("/sys/fs/cgroup/cpu" + bundle.config["linux"]["cgroupsPath"])
        self.assertEqual(self.cgroup_file(bundle, "cpu", "cpu.shares" if v1 else "cpu.weight"),
                         "1024" if v1 else "100")

    def test_update_checks_what_is_in_use(self):
        self.running("sh", "-c", "head -c 8000000 /dev/zero | sort | sleep 1000")
        memory = lambda: json.loads(self.oci("events", "--stats", "box").out)["data"]["memory"]
        self.wait_for(lambda: memory()["usage"]["usage"] > 4 << 20, "its memory")
        done = self.oci("update", "-r", "-", "box", stdin=None,
                        input='{"memory": {"limit": 1048576, "checkBeforeUpdate": true}}', check=False)
        self.assertEqual(done.status, 1)
        self.assertIn("bytes in use", done.err)

    def test_update_of_what_cannot_be_is_refused_by_name(self):
        self.running()
        for words, name in ((["--kernel-memory", "1m"], "memory.kernel"),
                            (["--l3-cache-schema", "L3:0=f"], "l3-cache-schema"),
                            (["--memory", "lots"], "memory"), (["--blkio-weight", "5"], "blkio")):
            done = self.oci("update", *words, "box", check=False)
            self.assertEqual(done.status, 1, words)
            self.assertIn(name, done.err)

    def test_statistics(self):
        def limits(cfg):
            cfg["linux"]["resources"] = {"pids": {"limit": 50}, "memory": {"limit": 128 << 20}}
        self.running("sh", "-c", "while :; do :; done", change=limits)
        event = json.loads(self.oci("events", "--stats", "box").out)
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
        self.running()
        with self.background("events", "--interval", "50ms", "box", stdout=subprocess.PIPE) as events:
            for _ in range(2):
                self.assertEqual(json.loads(events.stdout.readline())["type"], "stats")
            self.oci("kill", "box", "KILL")
            self.assertEqual(events.wait(TIMEOUT), 0)
        self.assertEqual(self.oci("events", "--stats", "box", check=False).status, 1)
        self.assertIn("interval", self.oci("events", "--interval", "0s", "box", check=False).err)

    def test_an_oom_kill_is_an_event(self):
        def limit(cfg):
            cfg["linux"]["resources"] = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
        script = "cat /tmp/go; head -c 100000000 /dev/zero | sort -u > /dev/null; sleep 1000"
        bundle = self.bundle("sh", "-c", script, change=limit)
        os.mkfifo(bundle.rootfs / "tmp/go")
        self.start(bundle, "box")
        with self.background("events", "--interval", "1h", "box", stdout=subprocess.PIPE) as events:
            def watches():
                return any("eventfd" in os.readlink(f) or "inotify" in os.readlink(f)
                           for f in pathlib.Path(f"/proc/{events.pid}/fd").iterdir())
            self.wait_for(watches, "the watch")
            (bundle.rootfs / "tmp/go").write_text("go")
            self.assertEqual(json.loads(events.stdout.readline()), {"type": "oom", "id": "box"})


class Features(RuntimeTest):
    def test_every_mount_option_is_taken(self):
        options = json.loads(self.oci("features").out)["mountOptions"]
        self.assertIn("tmpcopyup", options)
        unusual = {"bind", "rbind", "idmap", "ridmap", "copyup", "remount", "subpath"}

        def add(cfg):
            for number, option in enumerate(sorted(set(options) - unusual)):
                cfg["mounts"].append({"destination": f"/mnt/{number}", "type": "tmpfs", "source": "t",
                                      "options": [option]})
        self.sh("true", add)

    def test_document(self):
        features = json.loads(self.oci("features").out)
        self.assertEqual(set(features["hooks"]), {"prestart", "createRuntime", "createContainer",
                                                  "startContainer", "poststart", "poststop"})
        self.assertIn("SCMP_ACT_NOTIFY", features["linux"]["seccomp"]["actions"])
        self.assertIn("MPOL_BIND", features["linux"]["memoryPolicy"]["modes"])
        self.assertFalse(features["linux"]["intelRdt"]["enabled"])
        self.assertEqual(features["ociVersionMax"], "1.3.0")
        self.assertEqual(self.oci("features", "x", check=False).status, 1)

    def test_spec_runs(self):
        bundle = self.bundle()
        (bundle.path / "config.json").unlink()
        self.oci("spec", "-b", bundle.path)
        path = bundle.config["linux"]["cgroupsPath"]
        bundle.config = json.loads((bundle.path / "config.json").read_text())
        bundle.config["process"].update(terminal=False, args=["echo", "ok"])
        bundle.config["linux"]["cgroupsPath"] = path
        self.assertEqual(self.run_in(bundle).out, "ok\n")
        self.assertEqual(self.oci("spec", "-b", bundle.path, check=False).status, 1)


if __name__ == "__main__":
    unittest.main()
