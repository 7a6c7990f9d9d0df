"""coffer recreate: a new container in the place of an old one, or all as it was."""
import random
import signal
import threading
import time
import unittest

from support.engine import Engine, wait_until

LOOP = "trap exit TERM; while :; do sleep 0.1; done"
FAST = ["--health-interval", "100ms", "--health-retries", "2"]


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()
    engine.docker("network", "create", "net1")


def tearDownModule():
    engine.close()


class Recreate(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()

    def run_one(self, *args, command=LOOP):
        engine.docker("run", "-d", "--name", "one", *args, "busybox", "sh", "-c", command)
        return self.view()

    def view(self, name="one"):
        return engine.json("GET", f"/containers/{name}/json")

    def names(self):
        return [one["Names"][0] for one in engine.json("GET", "/containers/json?all=1")]

    def recreate(self, *args):
        return engine.coffer("recreate", "--wait", "1", *args, check=False)

    def test_new_configuration_and_all_else_as_before(self):
        old = self.run_one("-e", "A=1", "-e", "B=2", "-l", "x=y", "-m", "64m", "-p", "80", "-v",
                           "/data", "-v", "named:/named", "--network",
                           "name=net1,alias=www", "--restart", "unless-stopped", "--memory-swappiness",
                           "10", "--cap-drop", "CHOWN")
        engine.docker("exec", "one", "touch", "/data/kept", "/named/kept")
        run = self.recreate("-e", "A=3", "-e", "C=4", "-m", "128m", "one")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        new = self.view()
        self.assertEqual(run.stdout.strip(), new["Id"])
        self.assertNotEqual(new["Id"], old["Id"])
        self.assertEqual(self.names(), ["/one"])
        self.assertEqual(set(new["Config"]["Env"]), {"A=3", "B=2", "C=4", "PATH=/bin"})
        self.assertEqual(new["HostConfig"]["Memory"], 128 << 20)
        for key in set(old["HostConfig"]) - {"Memory"}:
            self.assertEqual(new["HostConfig"][key], old["HostConfig"][key], key)
        for key in set(old["Config"]) - {"Env", "Hostname"}:
            self.assertEqual(new["Config"][key], old["Config"][key], key)
        self.assertEqual(new["NetworkSettings"]["Ports"], old["NetworkSettings"]["Ports"])
        for key in ("IPAddress", "MacAddress", "Aliases"):
            self.assertEqual(new["NetworkSettings"]["Networks"]["net1"][key],
                             old["NetworkSettings"]["Networks"]["net1"][key])
        self.assertEqual({m["Destination"]: m["Name"] for m in new["Mounts"]},
                         {m["Destination"]: m["Name"] for m in old["Mounts"]})
        engine.docker("exec", "one", "ls", "/data/kept", "/named/kept")

    def test_what_is_set_back_to_its_default(self):
        self.run_one("-m", "64m", "--read-only", "--restart", "always")
        run = self.recreate("-m", "0", "--read-only=false", "--restart", "no", "one", "sleep", "9")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        new = self.view()
        self.assertEqual([new["HostConfig"]["Memory"], new["HostConfig"]["ReadonlyRootfs"],
                          new["HostConfig"]["RestartPolicy"]["Name"], new["Config"]["Cmd"]],
                         [0, False, "no", ["sleep", "9"]])

    def test_another_image_brings_its_own_defaults(self):
        engine.docker("tag", "busybox", "first")
        self.run_one()
        engine.docker("commit", "-c", "ENV NEW=1", "-c", 'CMD ["sleep", "77"]', "one", "second")
        engine.docker("rm", "-f", "one")
        engine.docker("run", "-d", "--name", "one", "-e", "OWN=1", "first", "sleep", "5000")
        self.assertEqual(self.recreate("--image", "second", "one").returncode, 0)
        new = self.view()
        self.assertEqual(set(new["Config"]["Env"]), {"OWN=1", "NEW=1", "PATH=/bin"})
        self.assertEqual((new["Config"]["Image"], new["Config"]["Cmd"]),
                         ("second", ["sleep", "5000"]))

    def as_it_was(self, old):
        now = self.view()
        self.assertEqual(self.names(), ["/one"])
        self.assertEqual((now["Id"], now["State"]["Status"]), (old["Id"], "running"))
        self.assertEqual(now["HostConfig"], old["HostConfig"])
        self.assertEqual(now["NetworkSettings"]["Networks"].keys(),
                         old["NetworkSettings"]["Networks"].keys())

    def test_one_that_ends_is_taken_back(self):
        old = self.run_one("-p", "18123:80", "-v", "/data")
        volumes = engine.json("GET", "/volumes")["Volumes"]
        run = self.recreate("-v", "/more", "one", "sh", "-c", "exit 3")
        self.assertEqual(run.returncode, 1)
        self.assertIn("container one is as it was: the new one ended with status 3", run.stderr)
        self.as_it_was(old)
        self.assertEqual(engine.json("GET", "/volumes")["Volumes"], volumes)
        run = self.recreate("one", "/absent")
        self.assertIn("container one is as it was: failed to create task", run.stderr)
        self.as_it_was(old)

    def test_health_decides(self):
        old = self.run_one()
        run = self.recreate(*FAST, "--health-cmd", "echo bad; false", "--wait", "30", "one")
        self.assertIn("container one is as it was: the new one is unhealthy: bad", run.stderr)
        self.as_it_was(old)
        run = self.recreate("--health-cmd", "true", "--health-interval", "1h", "one")
        self.assertIn("the new one is not healthy after 1 seconds", run.stderr)
        self.as_it_was(old)
        run = self.recreate(*FAST, "--health-cmd", "true", "--wait", "30", "one")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.view()["State"]["Health"]["Status"], "healthy")

    def test_one_that_does_not_run_is_not_started(self):
        engine.docker("create", "--name", "one", "busybox", "true")
        self.assertEqual(self.recreate("-m", "64m", "one").returncode, 0)
        self.assertEqual(self.view()["State"]["Status"], "created")
        self.assertEqual(self.view()["HostConfig"]["Memory"], 64 << 20)

    def test_what_is_refused(self):
        engine.docker("run", "-d", "--rm", "--name", "one", "busybox", "sleep", "100")
        self.assertIn("with --rm it would be gone", self.recreate("-m", "64m", "one").stderr)
        self.assertIn("--name is no option of recreate", self.recreate("--name", "x", "one").stderr)
        self.assertIn("No such container: none", self.recreate("none").stderr)
        self.assertEqual(self.view()["State"]["Status"], "running")
        engine.docker("rm", "-f", "one")
        old = self.run_one()
        self.assertIn("Minimum memory limit", self.recreate("-m", "1", "one").stderr)
        self.as_it_was(old)

    def test_the_end_of_the_engine_in_the_middle(self):
        old = self.run_one("--restart", "always", "-p", "18124:80")
        waiting = threading.Thread(target=engine.coffer, args=(
            "recreate", "--health-cmd", "false", "--health-interval", "1h", "--wait", "60", "one"),
            kwargs={"check": False})
        waiting.start()
        wait_until(lambda: self.view()["Id"] != old["Id"] and
                   self.view()["State"]["Status"] == "running")
        engine.stop(signal.SIGKILL)
        waiting.join()
        engine.start()
        self.as_it_was(old)
        engine.docker("rm", "-f", "one")
        # While the old one takes its time to end: it runs again, though it was told not to.
        old = self.run_one("--restart", "always",
                           command="trap 'sleep 2; exit' TERM; while :; do sleep 0.1; done")
        waiting = threading.Thread(target=engine.coffer, args=("recreate", "one"),
                                   kwargs={"check": False})
        waiting.start()
        wait_until(lambda: len(self.names()) == 2)
        time.sleep(0.3)  # until it has the signal
        engine.stop(signal.SIGKILL)
        waiting.join()
        engine.start()
        wait_until(lambda: self.view()["State"]["StartedAt"] != old["State"]["StartedAt"] and
                   self.view()["State"]["Status"] == "running")
        self.assertEqual((self.names(), self.view()["Id"]), (["/one"], old["Id"]))
        engine.docker("rm", "-f", "one")
        self.run_one("--restart", "always", "-p", "18124:80")
        # At any moment: one container of that name, running, and nothing beside it.
        for _ in range(8):
            before = self.view()
            going = threading.Thread(target=engine.coffer, args=("recreate", "--wait", "1", "one"),
                                     kwargs={"check": False})
            going.start()
            time.sleep(random.uniform(0, 1.6))
            engine.stop(signal.SIGKILL)
            going.join()
            engine.start()
            self.assertEqual(self.names(), ["/one"])
            wait_until(lambda: self.view()["State"]["Status"] == "running")
            self.assertEqual(self.view()["HostConfig"], before["HostConfig"])


if __name__ == "__main__":
    unittest.main()
