"""The order in which containers start and end with the engine: compose's dependencies."""
import json
import signal
import time
import unittest

from support.engine import Engine, wait_until

DB = "rm -f /ready; trap exit TERM; sleep 1; touch /ready; while :; do sleep 0.1; done"


def setUpModule():
    global engine
    engine = Engine("--live-restore=false")
    engine.import_busybox()


def tearDownModule():
    engine.close()


class DependenciesTest(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()

    def service(self, name, depends_on, *args, command="trap exit TERM; while :; do sleep 0.1; done"):
        engine.docker("run", "-d", "--name", name, "--restart", "unless-stopped",
                      "--label", "com.docker.compose.project=shop",
                      "--label", f"com.docker.compose.service={name}",
                      "--label", f"com.docker.compose.depends_on={depends_on}",
                      *args, "busybox", "sh", "-c", command)

    def state(self, name):
        return engine.json("GET", f"/containers/{name}/json")["State"]

    def events(self, since, *actions):
        _, _, text = engine.api("GET", f"/events?since={since:.6f}&until={time.time():.6f}")
        events = [json.loads(line) for line in text.splitlines()]
        return [f"{e['Action']} {e['Actor']['Attributes']['name']}" for e in events
                if e["Type"] == "container" and e["Action"].split(":")[0] in actions]

    def boot(self, how=signal.SIGTERM):
        since = time.time()
        engine.stop(how)
        engine.start()
        return since

    def test_dependents_end_first_and_start_last(self):
        self.service("web", "db:service_healthy:false,job:service_completed_successfully:false")
        self.service("db", "", "--health-cmd", "test -e /ready", "--health-interval", "200ms",
                     "--health-retries", "100", command=DB)
        engine.docker("run", "-d", "--name", "job", "--restart", "on-failure",
                      "--label", "com.docker.compose.project=shop",
                      "--label", "com.docker.compose.service=job",
                      "busybox", "sh", "-c", "test -e /second || { touch /second; exit 1; }")
        self.service("front", "web:service_started:true")
        wait_until(lambda: self.state("job")["Status"] == "exited")
        wait_until(lambda: self.state("db")["Health"]["Status"] == "healthy")
        since = self.boot()
        for name in ("front", "web", "db"):
            wait_until(lambda: self.state(name)["Running"] and
                       self.state(name)["Status"] == "running")
        events = self.events(since, "start", "die", "health_status")
        self.assertEqual([e for e in events if e.startswith("die")],
                         ["die front", "die web", "die db"])
        self.assertEqual([e for e in events if not e.startswith("die")],
                         ["start db", "health_status: healthy db", "start web", "start front"])

    def test_one_is_waited_for_until_it_has_completed(self):
        engine.docker("run", "-d", "--name", "job", "--restart", "on-failure",
                      "--label", "com.docker.compose.project=shop",
                      "--label", "com.docker.compose.service=job",
                      "busybox", "sh", "-c", "trap 'exit 1' TERM; for i in $(seq 15); do sleep 0.1; done")
        self.service("web", "job:service_completed_successfully:false")
        since = self.boot()
        wait_until(lambda: self.state("web")["Status"] == "running")
        self.assertEqual(self.events(since, "start", "die"),
                         ["die web", "die job", "start job", "die job", "start web"])

    def test_circles_and_absent_services_hold_nobody_up(self):
        self.service("one", "two:service_started:false")
        self.service("two", "one:service_started:false,gone:service_healthy:false")
        since = self.boot()
        for name in ("one", "two"):
            wait_until(lambda: self.state(name)["Status"] == "running")
        self.assertEqual(sorted(self.events(since, "start")), ["start one", "start two"])

    def test_one_that_waits_can_be_stopped(self):
        self.service("web", "db:service_healthy:false")
        self.service("db", "", "--health-cmd", "false", "--health-interval", "1h")
        self.boot()
        wait_until(lambda: self.state("db")["Status"] == "running")
        self.assertEqual(self.state("web")["Status"], "restarting")
        engine.docker("stop", "web")
        self.assertEqual(self.state("web")["Status"], "exited")

    def test_who_was_stopped_stays_down_and_who_was_not_is_no_stopped_one(self):
        self.service("down", "")
        self.service("up", "")
        engine.docker("stop", "down")
        self.boot()
        wait_until(lambda: self.state("up")["Status"] == "running")
        self.assertEqual(self.state("down")["Status"], "exited")

    def test_a_stop_stops_nothing_else(self):
        self.service("db", "")
        self.service("web", "db:service_started:true")
        engine.docker("stop", "db")
        self.assertEqual(self.state("web")["Status"], "running")


if __name__ == "__main__":
    unittest.main()
