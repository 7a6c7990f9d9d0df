"""Publishing ports of a container that runs, and taking them back: coffer update."""
import http.client
import signal
import unittest

from support.engine import Engine, wait_until

SERVER = "mkdir -p /www; echo hello > /www/index.html; httpd -p 80 -h /www; httpd -f -p 81 -h /www"


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()
    engine.docker("network", "create", "net1")


def tearDownModule():
    engine.close()


def answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read() == b"hello\n"
    except OSError:
        return False
    finally:
        connection.close()


class Publish(unittest.TestCase):
    def setUp(self):
        engine.docker("run", "-d", "--name", "one", "--network", "net1", "-p", "18201:80",
                      "busybox", "sh", "-c", SERVER)
        wait_until(lambda: answers(18201))

    def tearDown(self):
        engine.remove_containers()

    def update(self, *args, check=True):
        return engine.coffer("update", *args, "one", check=check)

    def ports(self):
        """What inspect shows: as asked for, and as it is."""
        view = engine.json("GET", "/containers/one/json")
        asked = view["HostConfig"]["PortBindings"] or {}
        real = view["NetworkSettings"]["Ports"]
        return ({key: [one["HostPort"] for one in value] for key, value in asked.items()},
                {key: [one["HostPort"] for one in value or []] for key, value in real.items()})

    def test_added_and_taken_back(self):
        self.assertEqual(self.update("--publish-add", "18202:80", "--publish-add", "18203:81").stdout,
                         "one\n")
        self.assertEqual([answers(port) for port in (18201, 18202, 18203)], [True] * 3)
        bindings = {"80/tcp": ["18201", "18202"], "81/tcp": ["18203"]}
        self.assertEqual(self.ports(), (bindings, bindings))
        self.update("--publish-rm", "18201:80")
        self.assertEqual([answers(port) for port in (18201, 18202, 18203)], [False, True, True])
        self.update("--publish-rm", "81", "--publish-add", "18204:80")
        self.assertEqual([answers(port) for port in (18202, 18203, 18204)], [True, False, True])
        bindings = {"80/tcp": ["18202", "18204"]}
        self.assertEqual(self.ports(), (bindings, bindings | {"81/tcp": []}))
        self.assertEqual(engine.docker("port", "one").stdout,
                         "80/tcp -> 127.0.0.1:18202\n80/tcp -> 127.0.0.1:18204\n")

    def test_they_outlive_the_engine_and_the_run(self):
        self.update("--publish-add", "18202:80", "--publish-rm", "18201:80")
        engine.stop(signal.SIGKILL)
        engine.start()
        self.assertEqual([answers(18201), answers(18202)], [False, True])
        engine.docker("restart", "-t", "0", "one")
        wait_until(lambda: answers(18202))
        self.assertFalse(answers(18201))
        # The port is free for another.
        engine.docker("run", "-d", "--name", "two", "-p", "18201:80", "busybox", "sleep", "100")

    def test_all_or_nothing(self):
        engine.docker("run", "-d", "--name", "two", "-p", "18205:80", "busybox", "sleep", "100")
        before = self.ports()
        run = self.update("--publish-rm", "18201:80", "--publish-add", "18206:81", "--publish-add",
                          "18205:80", check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("port is already allocated", run.stderr)
        self.assertEqual(self.ports(), before)
        self.assertEqual([answers(18201), answers(18206)], [True, False])
        for args, words in ((["--publish-rm", "90"], "port 90/tcp is not published"),
                            (["--publish-rm", "18299:80"], "port 80/tcp is not published at 18299"),
                            (["--publish-add", "18207:80", "-m", "64m"], "without other options")):
            self.assertIn(words, self.update(*args, check=False).stderr)
        self.assertEqual(self.ports(), before)

    def test_a_random_port(self):
        self.update("--publish-add", "81")
        port = int(self.ports()[1]["81/tcp"][0])
        self.assertTrue(answers(port))
        self.update("--publish-rm", f"{port}:81")
        self.assertFalse(answers(port))
        self.assertNotIn("81/tcp", self.ports()[0])

    def test_of_one_that_does_not_run(self):
        engine.docker("stop", "-t", "0", "one")
        self.update("--publish-add", "18202:80", "--publish-rm", "18201:80")
        engine.docker("start", "one")
        wait_until(lambda: answers(18202))
        self.assertFalse(answers(18201))

    def test_a_range(self):
        """Kept as one, shown one by one."""
        engine.docker("rm", "-f", "one")
        engine.docker("run", "-d", "--name", "one", "-p", "8000-9999:8000-9999/udp", "-p",
                      "18300-18309:80-89", "busybox", "sh", "-c", SERVER)
        wait_until(lambda: answers(18301))
        self.assertEqual([answers(port) for port in (18300, 18302)], [True, False])
        asked, real = self.ports()
        self.assertEqual(asked, real)
        self.assertEqual(len(asked), 2010)
        self.assertEqual((asked["9999/udp"], asked["81/tcp"]), (["9999"], ["18301"]))
        shown = engine.docker("ps", "--format", "{{.Ports}}").stdout.strip()
        # docker's client joins only those that keep their numbers.
        self.assertTrue(shown.startswith("127.0.0.1:8000-9999->8000-9999/udp, 127.0.0.1:18300->80/tcp, "), shown)
        self.assertEqual(shown, engine.coffer("ps", "--format", "{{.Ports}}").stdout.strip())
        self.assertEqual(len(engine.docker("port", "one").stdout.splitlines()), 2010)
        self.update("--publish-rm", "18301:81", "--publish-rm", "8500:8500/udp", "--publish-add",
                    "18310-18312:81-83")
        self.assertEqual([answers(port) for port in (18300, 18301, 18310)], [True, False, True])
        shown = engine.docker("ps", "--format", "{{.Ports}}").stdout.strip()
        self.assertIn("127.0.0.1:8000-8499->8000-8499/udp, 127.0.0.1:8501-9999->8501-9999/udp, ", shown)
        self.assertNotIn("8500/udp", {key for key, value in self.ports()[1].items() if value})
        engine.stop(signal.SIGKILL)
        engine.start()
        self.assertEqual([answers(port) for port in (18300, 18301, 18310)], [True, False, True])
        run = engine.docker("run", "--rm", "-p", "9000:1/udp", "busybox", "true", check=False)
        self.assertIn("Bind for 127.0.0.1:9000 failed: port is already allocated", run.stderr)
        engine.docker("run", "--rm", "-p", "8500:1/udp", "busybox", "true")
        engine.docker("commit", "one", "ranges")
        self.assertIn("8500/udp", engine.json("GET", "/images/ranges/json")["Config"]["ExposedPorts"])

    def test_without_a_network(self):
        engine.docker("rm", "-f", "one")
        engine.docker("run", "-d", "--name", "one", "--network", "none", "busybox", "sleep", "100")
        self.assertIn("no network of its own", self.update("--publish-add", "80", check=False).stderr)


if __name__ == "__main__":
    unittest.main()
