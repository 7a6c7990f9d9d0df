"""The life of containers: restart policies, who ended them, waits, and races between requests."""
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import unittest

from support.engine import DOCKER, Engine, wait_until


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


class LifeTest(unittest.TestCase):
    def setUp(self):
        self.since = time.time()

    def tearDown(self):
        engine.remove_containers()
        self.assertEqual(engine.json("GET", "/containers/json?all=1"), [])

    def out(self, *args, **options):
        return engine.docker(*args, **options).stdout

    def failing(self, *args):
        run = engine.docker(*args, check=False)
        self.assertNotEqual(run.returncode, 0, run.stdout)
        return run.stderr

    def inspect(self, name):
        return engine.json("GET", f"/containers/{name}/json")

    def state(self, name):
        return self.inspect(name)["State"]

    def until_status(self, name, status):
        return wait_until(lambda: self.inspect(name)["State"]["Status"] == status and
                          self.inspect(name))

    def events(self, name):
        """[(action, attributes)] of a container so far."""
        _, _, text = engine.api(
            "GET", f"/events?since={self.since:.6f}&until={time.time():.6f}")
        events = [json.loads(line) for line in text.splitlines()]
        return [(e["Action"], e["Actor"]["Attributes"]) for e in events
                if e["Actor"]["Attributes"].get("name") == name]

    def actions(self, name):
        return [action for action, _ in self.events(name)]

    def restart_engine(self, how=signal.SIGTERM):
        engine.stop(how)
        engine.start()


class Restarts(LifeTest):
    def test_policies_that_are_none(self):
        for args, text in {
                ("--restart", "sometimes"): "unknown policy 'sometimes'; use one of 'no', 'always', "
                                            "'on-failure', or 'unless-stopped'",
                ("--restart", "always:3"): "maximum retry count",
        }.items():
            self.assertIn(text, self.failing("create", *args, "busybox"))
        status, _, text = engine.api("POST", "/containers/create", {
            "Image": "busybox", "HostConfig": {"AutoRemove": True,
                                               "RestartPolicy": {"Name": "always"}}})
        self.assertEqual((status, json.loads(text)["message"]),
                         (400, "can't create 'AutoRemove' container with restart policy"))

    def test_on_failure_counts(self):
        self.out("run", "-d", "--name", "cc", "--restart", "on-failure:2", "busybox", "false")
        self.assertEqual(self.out("wait", "cc"), "1\n")  # waits for the last run
        view = self.until_status("cc", "exited")
        self.assertEqual((view["RestartCount"], view["State"]["ExitCode"]), (2, 1))
        self.assertEqual(self.actions("cc"), ["create"] + ["start", "die"] * 3)
        # A start by hand counts anew.
        self.out("start", "cc")
        self.assertEqual(self.out("wait", "cc"), "1\n")
        self.assertEqual(self.inspect("cc")["RestartCount"], 2)

    def test_on_failure_is_content_with_success(self):
        self.out("run", "-d", "--name", "cc", "--restart", "on-failure", "busybox", "true")
        self.assertEqual(self.out("wait", "cc"), "0\n")
        self.assertEqual(self.inspect("cc")["RestartCount"], 0)

    def test_always_until_stopped(self):
        self.out("run", "-d", "--name", "cc", "--restart", "always", "busybox", "true")
        wait_until(lambda: self.inspect("cc")["RestartCount"] >= 3)
        view = self.until_status("cc", "restarting")
        self.assertEqual([view["State"][key] for key in ("Running", "Restarting", "Pid")],
                         [True, True, 0])
        self.assertRegex(self.out("ps", "--format", "{{.Status}}"), r"^Restarting \(0\) .* ago\n$")
        self.assertIn("is restarting, wait until the container is running",
                      self.failing("exec", "cc", "true"))
        self.assertIn("is restarting, wait until the container is running",
                      self.failing("pause", "cc"))
        waiting = subprocess.Popen([DOCKER, "-H", f"unix://{engine.socket}", "wait", "cc"],
                                   stdout=subprocess.PIPE, text=True)
        wait_until(lambda: self.inspect("cc")["RestartCount"] >= 4)
        self.until_status("cc", "restarting")
        self.out("stop", "cc")
        self.assertEqual(waiting.communicate(timeout=30)[0], "0\n")
        view = self.inspect("cc")
        self.assertEqual((view["State"]["Status"], view["State"]["EndedBy"]),
                         ("exited", "stop by uid 0"))
        time.sleep(0.5)
        self.assertEqual(self.inspect("cc")["RestartCount"], view["RestartCount"])
        self.assertEqual(self.actions("cc")[-1], "stop")

    def test_requests_between_two_runs(self):
        def in_between():
            engine.docker("rm", "-f", "cc", check=False)
            self.out("run", "-d", "--name", "cc", "--restart", "always", "busybox", "false")
            wait_until(lambda: self.inspect("cc")["RestartCount"] >= 4)
            self.until_status("cc", "restarting")

        in_between()
        self.out("kill", "cc")
        self.assertEqual(self.state("cc")["Status"], "exited")
        in_between()
        self.assertIn("container is restarting: stop the container before removing or force remove",
                      self.failing("rm", "cc"))
        self.out("rm", "-f", "cc")
        self.assertEqual(self.out("ps", "-aq"), "")
        in_between()
        before = self.inspect("cc")["State"]["StartedAt"]
        self.out("restart", "cc")
        view = self.inspect("cc")
        self.assertNotEqual(view["State"]["StartedAt"], before)
        self.assertLess(view["RestartCount"], 3)
        # Another signal is for nobody, and changes nothing.
        wait_until(lambda: self.inspect("cc")["RestartCount"] >= 3)
        self.until_status("cc", "restarting")
        self.out("kill", "-s", "HUP", "cc")
        wait_until(lambda: self.inspect("cc")["RestartCount"] >= 5)

    def test_killed_by_hand_stays_down(self):
        for args in (["kill", "cc"], ["kill", "-s", "TERM", "cc"], ["stop", "cc"]):
            self.out("run", "-d", "--name", "cc", "--restart", "always", "busybox", "sh", "-c",
                     "trap 'exit 3' TERM; while :; do sleep 0.1; done")
            self.out(*args)
            self.until_status("cc", "exited")
            time.sleep(0.3)
            self.assertEqual(self.state("cc")["Status"], "exited", args)
            self.out("rm", "cc")

    def test_a_killed_process_is_started_again(self):
        self.out("run", "-d", "--name", "cc", "--restart", "unless-stopped", "busybox", "sleep",
                 "1000")
        os.kill(self.state("cc")["Pid"], signal.SIGKILL)
        wait_until(lambda: self.inspect("cc")["RestartCount"] == 1)
        self.until_status("cc", "running")

    def test_removed_containers_survive_a_restart_by_hand(self):
        self.out("run", "-d", "--rm", "--name", "cc", "busybox", "sleep", "1000")
        self.out("restart", "-t", "0", "cc")
        self.assertEqual(self.state("cc")["Status"], "running")
        self.assertEqual(self.actions("cc"), ["create", "start", "kill", "kill", "die", "stop",
                                              "start", "restart"])
        self.out("stop", "-t", "0", "cc")
        wait_until(lambda: self.out("ps", "-aq") == "")

    def test_a_start_that_fails_is_tried_again(self):
        folder = engine.dir / "bind"
        folder.mkdir()
        self.addCleanup(lambda: folder.exists() and folder.rmdir())
        self.out("run", "-d", "--name", "cc", "--restart", "always", "--mount",
                 f"type=bind,source={folder},target=/mnt", "busybox", "sleep", "1000")
        folder.rmdir()
        os.kill(self.state("cc")["Pid"], signal.SIGKILL)
        wait_until(lambda: self.inspect("cc")["RestartCount"] >= 2)
        self.assertIn(str(folder), self.state("cc")["Error"])
        folder.mkdir()
        self.until_status("cc", "running")
        self.assertEqual(self.state("cc")["Error"], "")


class EngineRestarts(LifeTest):
    def test_what_is_started_with_the_engine(self):
        names = {"always-stopped": "always", "unless-stopped": "unless-stopped",
                 "failure-stopped": "on-failure", "none": "no"}
        for name, policy in names.items():
            self.out("run", "-d", "--name", name, "--restart", policy, "busybox", "sleep", "1000")
        self.out("create", "--name", "never-started", "--restart", "always", "busybox", "sleep", "9")
        self.out("stop", "-t", "0", *names)
        for name, policy in names.items():
            self.out("run", "-d", "--name", f"{name}-2", "--restart", policy, "busybox", "sleep",
                     "1000")
        pids = [self.state(f"{name}-2")["Pid"] for name in names]
        engine.stop()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        engine.start()
        for name in ("always-stopped", "always-stopped-2", "unless-stopped-2",
                     "failure-stopped-2"):
            self.until_status(name, "running")
        for name, status in {"unless-stopped": "exited", "failure-stopped": "exited",
                             "none": "exited", "none-2": "exited",
                             "never-started": "created"}.items():
            self.assertEqual(self.state(name)["Status"], status, name)
        self.assertEqual(self.state("none-2")["ExitCode"], 137)

    def test_a_shim_that_was_killed_while_no_engine_was_there(self):
        self.out("run", "-d", "--name", "cc", "--restart", "always", "busybox", "sleep", "1000")
        pid = self.state("cc")["Pid"]
        engine.stop(signal.SIGKILL)
        os.kill(parent_of(pid), signal.SIGKILL)
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists())
        engine.start()
        self.until_status("cc", "running")
        self.assertNotEqual(self.state("cc")["Pid"], pid)

    def test_a_stop_is_known_to_the_next_engine(self):
        self.out("run", "-d", "--name", "cc", "--restart", "unless-stopped", "busybox", "sh", "-c",
                 "trap : TERM; while :; do sleep 0.1; done")
        stopping = threading.Thread(
            target=lambda: engine.docker("stop", "-t", "1000", "cc", check=False))
        stopping.start()
        wait_until(lambda: "kill" in self.actions("cc"))
        pid = self.state("cc")["Pid"]
        engine.stop(signal.SIGKILL)
        stopping.join()
        os.kill(pid, signal.SIGKILL)
        engine.start()
        wait_until(lambda: self.state("cc")["Status"] != "running")
        self.assertEqual(self.state("cc")["Status"], "exited")

    def test_between_two_runs(self):
        self.out("run", "-d", "--name", "cc", "--restart", "always", "busybox", "false")
        wait_until(lambda: self.inspect("cc")["RestartCount"] >= 5)
        self.until_status("cc", "restarting")
        self.restart_engine(signal.SIGKILL)
        count = self.inspect("cc")["RestartCount"]
        wait_until(lambda: self.inspect("cc")["RestartCount"] > count)


def parent_of(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("PPid")))


class WhyItDied(LifeTest):
    def died(self, name):
        self.until_status(name, "exited")
        attributes = [attributes for action, attributes in self.events(name) if action == "die"]
        self.assertEqual(len(attributes), 1)
        return self.state(name), attributes[0]

    def test_by_itself(self):
        self.out("run", "-d", "--name", "cc", "busybox", "sh", "-c", "exit 3")
        state, died = self.died("cc")
        self.assertEqual((state["ExitCode"], died["exitCode"]), (3, "3"))
        for key in ("ExitSignal", "OOMKills", "EndedBy"):
            self.assertNotIn(key, state)
        for key in ("signal", "oomKills", "endedBy"):
            self.assertNotIn(key, died)

    def test_by_a_signal_of_nobody_we_know(self):
        self.out("run", "-d", "--name", "cc", "busybox", "sleep", "1000")
        os.kill(self.state("cc")["Pid"], signal.SIGKILL)
        state, died = self.died("cc")
        self.assertEqual((state["ExitCode"], state["ExitSignal"], died["signal"]), (137, 9, "9"))
        self.assertNotIn("EndedBy", state)

    def test_by_somebody(self):
        self.out("run", "-d", "--name", "cc", "busybox", "sleep", "1000")
        # Another user's request: the socket is given to them.
        for folder in (engine.dir.parent, engine.dir):
            os.chmod(folder, 0o755)
        os.chmod(engine.socket, 0o666)
        subprocess.run(["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", "curl", "-sS",
                        "--unix-socket", engine.socket, "-X", "POST",
                        "http://x/containers/cc/kill?signal=KILL"], check=True)
        state, died = self.died("cc")
        self.assertEqual((state["EndedBy"], died["endedBy"]), ("kill by uid 1234",) * 2)

    def test_a_signal_that_is_handled_is_not_the_reason(self):
        self.out("run", "-d", "--name", "cc", "busybox", "sh", "-c",
                 "trap : HUP; until [ -e /end ]; do sleep 0.1; done; exit 5")
        self.out("kill", "-s", "HUP", "cc")
        self.out("exec", "cc", "touch", "/end")
        state, _ = self.died("cc")
        self.assertEqual(state["ExitCode"], 5)
        self.assertNotIn("EndedBy", state)

    def test_an_exec_that_ends_its_container_has_a_status(self):
        self.out("run", "-d", "--name", "cc", "busybox", "sh", "-c", "until [ -e /end ]; do sleep 0.01; done")
        exec_id = engine.json("POST", "/containers/cc/exec", {"Cmd": ["touch", "/end"]})["Id"]
        late = engine.json("POST", "/containers/cc/exec", {"Cmd": ["sleep", "100"]})["Id"]
        engine.api("POST", f"/exec/{late}/start", {"Detach": True})
        engine.api("POST", f"/exec/{exec_id}/start", {})
        self.out("wait", "cc")
        self.assertEqual([(view["Running"], view["ExitCode"]) for view in
                          (engine.json("GET", f"/exec/{one}/json") for one in (exec_id, late))],
                         [(False, 0), (False, 137)])
        status, _, text = engine.api("POST", f"/exec/{late}/start", {})
        self.assertEqual((status, json.loads(text)["message"]), (409, f"exec command {late} is already running"))

    def test_by_the_kernel_for_want_of_memory(self):
        # The child goes, and init goes on.
        self.out("run", "-d", "--name", "cc", "-m", "16m", "--memory-swap", "16m", "busybox", "sh",
                 "-c", "tail /dev/zero; exit 4")
        state, died = self.died("cc")
        self.assertEqual((state["ExitCode"], state["OOMKilled"]), (4, True))
        self.assertGreaterEqual(state["OOMKills"], 1)
        self.assertEqual(died["oomKills"], str(state["OOMKills"]))
        self.assertIn("oom", self.actions("cc"))


if __name__ == "__main__":
    unittest.main()
