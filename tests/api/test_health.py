"""Health checks: by a program, by a connection, and what follows from them."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

from support.engine import BIN, Engine, wait_until
from support.registry import busybox_rootfs


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


FAST = ["--health-interval", "100ms", "--health-retries", "2"]
ONCE_STARTED = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


class HealthTest(unittest.TestCase):
    def setUp(self):
        self.since = time.time()

    def tearDown(self):
        engine.remove_containers()

    def out(self, *args, **options):
        return engine.docker(*args, **options).stdout

    def run_checked(self, *args, command=ONCE_STARTED):
        return self.out("run", "-d", "--name", "cc", *FAST, *args, "busybox", *command)

    def state(self):
        return engine.json("GET", "/containers/cc/json")["State"]

    def health(self):
        return self.state()["Health"]

    def until(self, status):
        return wait_until(lambda: self.health()["Status"] == status and self.health())

    def actions(self):
        _, _, text = engine.api(
            "GET", f"/events?since={self.since:.6f}&until={time.time():.6f}")
        return [json.loads(line)["Action"] for line in text.splitlines()]


class Status(HealthTest):
    def test_follows_the_program(self):
        self.run_checked("--health-cmd", "echo checked; test -e /tmp/well")
        self.assertIn(self.health()["Status"], ("starting", "unhealthy"))
        health = self.until("unhealthy")
        self.assertGreaterEqual(health["FailingStreak"], 2)
        self.assertEqual((health["Log"][-1]["ExitCode"], health["Log"][-1]["Output"]),
                         (1, "checked\n"))
        self.assertIn("(unhealthy)", self.out("ps", "--format", "{{.Status}}"))
        self.out("exec", "cc", "touch", "/tmp/well")
        self.until("healthy")
        self.assertEqual(self.health()["FailingStreak"], 0)
        self.assertRegex(self.out("ps", "--format", "{{.Status}}"), r"^Up .* \(healthy\)\n$")
        self.assertEqual(self.out("ps", "-q", "--filter", "health=unhealthy"), "")
        self.assertNotEqual(self.out("ps", "-q", "--filter", "health=healthy"), "")
        self.assertEqual([a for a in self.actions() if a.startswith("health")],
                         ["health_status: unhealthy", "health_status: healthy"])
        wait_until(lambda: len(self.health()["Log"]) == 5)
        self.out("stop", "cc")
        self.assertEqual(self.health()["Status"], "unhealthy")
        self.out("start", "cc")
        self.until("healthy")

    def test_output_is_cut(self):
        self.run_checked("--health-cmd", "yes | head -c 100000; exit 3")
        log = self.until("unhealthy")["Log"][-1]
        self.assertEqual((log["ExitCode"], log["Output"]), (3, "y\n" * 2048 + "..."))

    def test_time_limit(self):
        self.run_checked("--health-timeout", "300ms", "--health-cmd", "sleep 1000 & wait")
        log = self.until("unhealthy")["Log"][-1]
        self.assertEqual((log["ExitCode"], log["Output"]),
                         (-1, "Health check exceeded timeout (300ms)"))
        # Neither the check nor what it started stays.
        self.out("pause", "cc")
        wait_until(lambda: "1000" not in self.out("top", "cc"))
        self.out("unpause", "cc")

    def test_a_program_that_is_not_there(self):
        engine.api("POST", "/containers/create?name=cc", {
            "Image": "busybox", "Cmd": ONCE_STARTED, "Healthcheck": {
                "Test": ["CMD", "/no/such"], "Interval": 100_000_000, "Retries": 1}})
        self.out("start", "cc")
        log = self.until("unhealthy")["Log"][-1]
        self.assertEqual(log["ExitCode"], -1)
        self.assertIn("/no/such", log["Output"])

    def test_start_period(self):
        self.run_checked("--health-start-period", "1h", "--health-start-interval", "50ms",
                         "--health-interval", "1h", "--health-cmd", "test -e /tmp/well")
        wait_until(lambda: len(self.health()["Log"] or []) == 5)
        self.assertEqual((self.health()["Status"], self.health()["FailingStreak"]), ("starting", 0))
        self.assertIn("(health: starting)", self.out("ps", "--format", "{{.Status}}"))
        self.out("exec", "cc", "touch", "/tmp/well")
        self.until("healthy")

    def test_none_while_paused(self):
        self.run_checked("--health-cmd", "echo >> /tmp/checks")
        self.until("healthy")
        self.out("pause", "cc")
        last = self.health()["Log"][-1]
        time.sleep(0.5)
        self.assertEqual(self.health()["Log"][-1], last)
        self.out("unpause", "cc")
        wait_until(lambda: self.health()["Log"][-1] != last)
        self.assertEqual(self.health()["Status"], "healthy")

    def test_after_a_restart_of_the_engine(self):
        self.run_checked("--health-cmd", "sleep 0.2")
        self.until("healthy")
        engine.stop(signal.SIGKILL)
        engine.start()
        self.until("healthy")

    def test_after_a_restart_whose_shim_answers_late(self):
        self.run_checked("--health-cmd", "true")
        self.until("healthy")
        status = pathlib.Path(f"/proc/{self.state()['Pid']}/status").read_text()
        shim = int(re.search(r"PPid:\s*(\d+)", status)[1])
        engine.stop(signal.SIGKILL)
        os.kill(shim, signal.SIGSTOP)
        try:
            engine.start()  # does not wait for it for ever
            self.assertNotIn("Health", self.state())
        finally:
            os.kill(shim, signal.SIGCONT)
        wait_until(lambda: self.state().get("Health", {}).get("Status") == "healthy", 20)


class Configuration(HealthTest):
    def test_of_the_image(self):
        engine.docker("import", "-c", 'HEALTHCHECK --interval=100ms --retries=1 CMD false', "-",
                      "checked", input=busybox_rootfs())
        self.out("run", "-d", "--name", "cc", "checked", "/bin/sleep", "1000")
        self.until("unhealthy")
        self.out("rm", "-f", "cc")
        self.out("run", "-d", "--name", "cc", "--health-cmd", "true", "-e", "PATH=/bin", "checked",
                 "/bin/sleep", "1000")
        self.until("healthy")
        self.out("rm", "-f", "cc")
        self.out("run", "-d", "--name", "cc", "--no-healthcheck", "checked", "/bin/sleep", "1000")
        self.assertNotIn("Health", self.state())

    def test_what_is_refused(self):
        for check, text in [({"Test": ["curl", "x"]}, "Unknown healthcheck type 'curl'"),
                            ({"Interval": 5}, "Interval in Healthcheck cannot be less than 1ms"),
                            ({"Retries": -1}, "Retries in Healthcheck cannot be negative"),
                            ({"Test": ["TCP", "x"]}, "is no port")]:
            status, _, body = engine.api("POST", "/containers/create",
                                         {"Image": "busybox", "Healthcheck": check})
            self.assertEqual(status, 400)
            self.assertIn(text, json.loads(body)["message"])


class Connections(HealthTest):
    SERVER = ["sh", "-c", "mkdir -p /tmp/www; echo ok > /tmp/www/healthz; until [ -e /tmp/on ]; do "
                          "sleep 0.05; done; exec httpd -f -p 8080 -h /tmp/www"]

    def test_tcp_by_label(self):
        self.run_checked("--label", "coffer.health.tcp=8080", command=self.SERVER)
        log = self.until("unhealthy")["Log"][-1]
        self.assertEqual((log["ExitCode"], log["Output"]),
                         (1, "connect to 127.0.0.1 port 8080: connection refused"))
        self.out("exec", "cc", "touch", "/tmp/on")
        self.assertEqual(self.until("healthy")["Log"][-1]["Output"], "port 8080 is open")

    def test_http_by_flag(self):
        env = {**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"}
        subprocess.run([BIN / "coffer", "run", "-d", "--name", "cc", *FAST, "--health-http",
                        "http://:8080/healthz", "busybox", *self.SERVER], env=env, check=True,
                       stdout=subprocess.DEVNULL)
        self.until("unhealthy")
        self.out("exec", "cc", "touch", "/tmp/on")
        self.assertEqual(self.until("healthy")["Log"][-1]["Output"], "GET /healthz: status 200")
        self.out("exec", "cc", "rm", "/tmp/www/healthz")
        self.assertEqual(self.until("unhealthy")["Log"][-1]["Output"], "GET /healthz: status 404")

    def test_a_server_that_says_nothing(self):
        self.run_checked("--label", "coffer.health.http=http://:81/", "--health-timeout", "200ms",
                         command=["sh", "-c", "while :; do sleep 1000 | nc -l -p 81; done"])
        wait_until(lambda: any("exceeded timeout" in log["Output"]
                               for log in self.health()["Log"] or []))


class Actions(HealthTest):
    def failing_from_now(self, action, *args):
        self.run_checked("--label", f"coffer.health.on-failure={action}", "--health-cmd",
                         "test ! -e /tmp/ill", *args)
        self.until("healthy")
        started = self.state()["StartedAt"]
        self.out("exec", "cc", "touch", "/tmp/ill")
        return started

    def test_stop(self):
        self.failing_from_now("stop", "--restart", "always")
        wait_until(lambda: self.state()["Status"] == "exited")
        self.assertEqual(self.state()["EndedBy"], "stop by health check")

    def test_kill_leaves_the_rest_to_the_policy(self):
        self.failing_from_now("kill")
        wait_until(lambda: self.state()["Status"] == "exited")
        self.assertEqual((self.state()["ExitCode"], self.state()["EndedBy"]),
                         (137, "kill by health check"))
        self.out("rm", "cc")
        started = self.failing_from_now("kill", "--restart", "on-failure")
        wait_until(lambda: self.state()["StartedAt"] != started)

    def test_restart_needs_no_policy(self):
        started = self.failing_from_now("restart", "--rm")
        wait_until(lambda: self.state()["StartedAt"] != started and self.state()["Pid"])
        self.assertGreaterEqual(engine.json("GET", "/containers/cc/json")["RestartCount"], 1)


if __name__ == "__main__":
    unittest.main()
