"""What containers use: the stats of the API, as the docker CLI shows them, and docker top."""
import json
import socket
import threading
import unittest

from support.engine import Connection, Engine

SPIN = "while :; do :; done"


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


class Stream:
    """The samples of a streamed reply."""

    def __init__(self, name):
        self.connection = Connection(engine.socket, 30)
        self.connection.request("GET", f"/containers/{name}/stats")
        self.reply = self.connection.getresponse()

    def next(self):
        line = self.reply.readline()
        return json.loads(line) if line else None

    def close(self):
        self.connection.sock.close()


class ObservedTest(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()

    def run_container(self, name, *command, flags=()):
        engine.docker("run", "-d", "--name", name, *flags, "busybox", *command)


class StatsTest(ObservedTest):
    def stats(self, name, query="stream=0"):
        return engine.json("GET", f"/containers/{name}/stats?{query}")

    def test_a_busy_container_uses_a_processor(self):
        self.run_container("busy", "sh", "-c", SPIN)
        sample = self.stats("busy")
        self.assertEqual(sample["name"], "/busy")
        now, before = sample["cpu_stats"], sample["precpu_stats"]
        used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
        passed = now["system_cpu_usage"] - before["system_cpu_usage"]
        self.assertGreater(used, 0)
        self.assertGreater(passed, 0)
        self.assertGreaterEqual(now["online_cpus"], 1)
        self.assertGreater(sample["read"], sample["preread"])
        # The CLI makes a percentage of it.
        shown = engine.docker("stats", "--no-stream", "--format", "{{.CPUPerc}}", "busy").stdout
        self.assertGreater(float(shown.strip().rstrip("%")), 0)

    def test_memory_and_processes(self):
        self.run_container("big", "sh", "-c", "sleep 100 & dd if=/dev/zero of=/dev/shm/x bs=1M "
                           "count=16 && touch /dev/shm/done && wait",
                           flags=["-m", "64m", "--pids-limit", "50"])
        engine.docker("exec", "big", "sh", "-c", "until [ -e /dev/shm/done ]; do :; done")
        sample = self.stats("big", "stream=0&one-shot=1")
        memory = sample["memory_stats"]
        self.assertEqual(memory["limit"], 64 << 20)
        self.assertGreaterEqual(memory["usage"], 16 << 20)
        self.assertIn("inactive_file", memory["stats"])
        self.assertEqual(sample["pids_stats"], {"current": 2, "limit": 50})
        # One-shot: nothing to compare with.
        self.assertEqual(sample["precpu_stats"]["cpu_usage"]["total_usage"], 0)
        self.assertEqual(sample["preread"], "0001-01-01T00:00:00Z")

    def test_traffic_is_told_by_interface(self):
        self.run_container("web", "sh", "-c", "nc -l -p 80 | wc -c > /dev/shm/got; sleep 100")
        address = engine.json("GET", "/containers/web/json")["NetworkSettings"]["IPAddress"]
        before = self.stats("web", "stream=0&one-shot=1")["networks"]["eth0"]
        engine.docker("exec", "web", "sh", "-c", "until netstat -ln | grep -q :80; do :; done")
        with socket.create_connection((address, 80)) as sender:
            sender.sendall(bytes(64 << 10))
        engine.docker("exec", "web", "sh", "-c", "until [ -s /dev/shm/got ]; do :; done")
        after = self.stats("web", "stream=0&one-shot=1")["networks"]
        self.assertEqual(list(after), ["eth0"])
        self.assertGreaterEqual(after["eth0"]["rx_bytes"] - before["rx_bytes"], 64 << 10)
        self.assertGreater(after["eth0"]["tx_packets"], before["tx_packets"])

    def test_networks_that_are_not_its_own(self):
        self.run_container("owner", "sleep", "100")
        self.run_container("guest", "sleep", "100", flags=["--network", "container:owner"])
        self.run_container("alone", "sleep", "100", flags=["--network", "none"])
        self.run_container("host", "sleep", "100", flags=["--network", "host"])
        self.assertIn("eth0", self.stats("guest", "stream=0&one-shot=1")["networks"])
        for name in ("alone", "host"):
            self.assertNotIn("networks", self.stats(name, "stream=0&one-shot=1"))

    def test_what_does_not_run_uses_nothing(self):
        engine.docker("create", "--name", "idle", "busybox", "true")
        for query in ("stream=0", "stream=0&one-shot=1"):
            sample = self.stats("idle", query)
            self.assertEqual(sample["name"], "/idle")
            self.assertEqual(sample["read"], "0001-01-01T00:00:00Z")
            self.assertEqual(sample["memory_stats"], {})
            self.assertEqual(sample["pids_stats"], {})
            self.assertIsNone(sample["blkio_stats"]["io_service_bytes_recursive"])
        shown = engine.docker("stats", "--no-stream", "--all", "--format",
                              "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}").stdout
        self.assertEqual(shown, "idle 0.00% 0B / 0B 0\n")

    def test_a_stream_goes_through_stop_and_ends_with_removal(self):
        self.run_container("some", "sleep", "100")
        stream = Stream("some")
        first, second = stream.next(), stream.next()
        self.assertEqual(first["preread"], "0001-01-01T00:00:00Z")
        self.assertEqual(second["preread"], first["read"])
        self.assertEqual(second["precpu_stats"], first["cpu_stats"])
        engine.docker("stop", "-t", "0", "some")
        while stream.next()["read"] != "0001-01-01T00:00:00Z":
            pass
        engine.docker("start", "some")
        while (sample := stream.next())["read"] == "0001-01-01T00:00:00Z":
            pass
        self.assertEqual(sample["preread"], "0001-01-01T00:00:00Z")
        engine.docker("rm", "-f", "some")
        while stream.next() is not None:
            pass
        stream.close()

    def test_watchers_share_the_samples(self):
        self.run_container("some", "sleep", "100")
        streams = [Stream("some") for _ in range(200)]
        seen = [set() for _ in streams]

        def read(stream, times):
            for _ in range(3):
                times.add(stream.next()["read"])
        readers = [threading.Thread(target=read, args=pair) for pair in zip(streams, seen)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        for stream in streams:
            stream.close()
        # Each alone would have had samples of its own.
        self.assertLess(len(set().union(*seen)), len(streams) / 2)

    def test_errors(self):
        status, _, body = engine.api("GET", "/containers/absent/stats")
        self.assertEqual((status, json.loads(body)["message"]), (404, "No such container: absent"))
        status, _, body = engine.api("GET", "/containers/absent/stats?one-shot=1")
        self.assertEqual((status, json.loads(body)["message"]),
                         (400, "cannot have stream=true and one-shot=true"))


class TopTest(ObservedTest):
    def top(self, name, arguments=""):
        status, _, body = engine.api("GET", f"/containers/{name}/top?ps_args={arguments}")
        return status, json.loads(body)

    def test_only_its_own_processes(self):
        self.run_container("some", "sh", "-c", "sleep 1234 & wait")
        engine.docker("exec", "some", "sh", "-c", "until pidof sleep; do :; done")
        status, top = self.top("some")
        self.assertEqual(status, 200)
        self.assertEqual(top["Titles"][:3], ["UID", "PID", "PPID"])
        self.assertEqual(sorted(row[-1] for row in top["Processes"]),
                         ["sh -c sleep 1234 & wait", "sleep 1234"])
        self.assertEqual({row[0] for row in top["Processes"]}, {"root"})

    def test_options_of_ps(self):
        self.run_container("some", "sleep", "1234", flags=["-u", "1000"])
        pid = str(engine.json("GET", "/containers/some/json")["State"]["Pid"])
        self.assertEqual(self.top("some", "-o+pid,uid,comm"),
                         (200, {"Titles": ["PID", "UID", "COMMAND"],
                                "Processes": [[pid, "1000", "sleep"]]}))
        shown = engine.docker("top", "some", "-o", "pid,args").stdout.splitlines()
        self.assertEqual([line.split() for line in shown],
                         [["PID", "COMMAND"], [pid, "sleep", "1234"]])

    def test_top_errors(self):
        self.run_container("some", "sleep", "1234")
        engine.docker("create", "--name", "idle", "busybox", "true")
        idle = engine.json("GET", "/containers/idle/json")["Id"]
        for name, arguments, status, message in (
                ("some", "-o+user", 500, "Couldn't find PID field in ps output"),
                ("some", "-o+user=PID", 400, 'specifying "user=PID" is not allowed'),
                ("idle", "", 409, f"container {idle} is not running"),
                ("absent", "", 404, "No such container: absent")):
            with self.subTest(name=name, arguments=arguments):
                self.assertEqual(self.top(name, arguments), (status, {"message": message}))
        status, answer = self.top("some", "nope")
        self.assertEqual(status, 500)
        self.assertTrue(answer["message"].startswith("ps: error: "), answer)
        self.assertNotIn("\n", answer["message"])


if __name__ == "__main__":
    unittest.main()
