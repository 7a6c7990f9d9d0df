"""GET /events: every kind that the engine emits, filters, and the past that outlives it."""
import json
import time
import unittest
import urllib.parse

from support.engine import Connection, Engine
from support.registry import busybox_rootfs


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


def events(since, filters=None, version="v1.50", until=None):
    query = {"since": since, "until": until or time.time()}
    if filters:
        query["filters"] = json.dumps(filters)
    status, _, body = engine.api("GET", f"/{version}/events?" + urllib.parse.urlencode(query))
    assert status == 200, body
    return [json.loads(line) for line in body.splitlines()]


def told(since, **options):
    return [(e["Type"], e["Action"]) for e in events(since, **options)]


class EventsTest(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()

    def test_the_life_of_a_container(self):
        start = time.time()
        engine.docker("network", "create", "lan")
        engine.docker("create", "--name", "web", "-l", "tier=front", "-v", "data:/srv",
                      "--network", "lan", "--stop-signal", "KILL", "busybox", "sleep", "1000")
        engine.docker("start", "web")
        engine.docker("exec", "web", "sh", "-c", "exit 3", check=False)
        engine.docker("pause", "web")
        engine.docker("unpause", "web")
        engine.docker("top", "web")
        engine.api("POST", "/containers/web/resize?h=30&w=90")
        engine.docker("rename", "web", "web2")
        engine.docker("kill", "-s", "URG", "web2")
        engine.docker("stop", "web2")
        engine.docker("rm", "web2")
        engine.docker("volume", "rm", "data")
        engine.docker("network", "rm", "lan")
        all_of_it = events(start)
        kinds = [(e["Type"], e["Action"].split(":")[0]) for e in all_of_it]
        expected = [
            ("network", "create"), ("volume", "create"), ("container", "create"),
            ("network", "connect"), ("volume", "mount"), ("container", "start"),
            ("container", "exec_create"), ("container", "exec_start"), ("container", "exec_die"),
            ("container", "pause"), ("container", "unpause"), ("container", "top"),
            ("container", "rename"), ("container", "kill"), ("container", "kill"),
            ("container", "die"), ("network", "disconnect"), ("volume", "unmount"),
            ("container", "destroy"), ("volume", "destroy"), ("network", "destroy")]
        # The end of a stop is told beside what the end of the run leaves; there may be no terminal.
        beside = [("container", "resize"), ("container", "stop")]
        self.assertEqual([kind for kind in kinds if kind not in beside], expected)
        self.assertGreater(kinds.index(("container", "stop")), kinds.index(("container", "die")))

        def attributes(kind, action):
            return next(e["Actor"]["Attributes"] for e in all_of_it
                        if (e["Type"], e["Action"].split(":")[0]) == (kind, action))
        self.assertEqual(attributes("container", "start"),
                         {"image": "busybox", "name": "web", "tier": "front"})
        self.assertEqual(attributes("container", "kill")["signal"], "23")
        self.assertEqual(attributes("container", "exec_die")["exitCode"], "3")
        self.assertIn("execID", attributes("container", "exec_create"))
        self.assertEqual(attributes("container", "rename")["oldName"], "/web")
        died = attributes("container", "die")
        self.assertEqual(died["exitCode"], "137")
        self.assertIn("execDuration", died)
        self.assertEqual(attributes("network", "create"), {"name": "lan", "type": "bridge"})
        joined = attributes("network", "connect")
        container = next(e["Actor"]["ID"] for e in all_of_it if e["Type"] == "container")
        self.assertEqual(joined, {"name": "lan", "type": "bridge", "container": container})
        self.assertEqual(attributes("volume", "mount"),
                         {"driver": "local", "container": container, "destination": "/srv",
                          "propagation": "", "read/write": "true"})
        times = [e["timeNano"] for e in all_of_it]
        self.assertEqual(times, sorted(times))
        self.assertEqual({e["scope"] for e in all_of_it}, {"local"})

    def test_images(self):
        start = time.time()
        engine.docker("tag", "busybox", "other:1")
        archive = engine.dir / "saved.tar"
        engine.docker("save", "-o", archive, "other:1")
        engine.docker("rmi", "other:1")
        engine.docker("load", "-i", archive)
        engine.docker("rmi", "other:1")
        engine.docker("import", "-", "fresh", input=busybox_rootfs() + bytes(512))
        engine.docker("image", "prune", "-f")
        actions = [action for kind, action in told(start) if kind == "image"]
        for action in ("tag", "save", "untag", "load", "import", "prune"):
            self.assertIn(action, actions)
        tagged = events(start, {"event": ["tag"]})[0]
        self.assertEqual(tagged["Actor"]["Attributes"]["name"], "other:1")
        self.assertEqual(tagged["Actor"]["ID"], engine.json("GET", "/images/busybox/json")["Id"])

    def test_prunes(self):
        start = time.time()
        engine.docker("create", "busybox", "true")
        engine.docker("container", "prune", "-f")
        engine.docker("network", "prune", "-f")
        pruned = [e for e in events(start) if e["Action"] == "prune"]
        self.assertEqual([e["Type"] for e in pruned], ["container", "network"])
        self.assertTrue(all("reclaimed" in e["Actor"]["Attributes"] for e in pruned))

    def test_forms_by_version(self):
        start = time.time()
        engine.docker("create", "--name", "web", "busybox", "true")
        old = events(start, version="v1.50")[-1]
        self.assertEqual((old["status"], old["id"], old["from"]),
                         ("create", old["Actor"]["ID"], "busybox"))
        engine.docker("network", "create", "lan")
        engine.docker("network", "rm", "lan")
        self.assertNotIn("status", events(start, {"type": ["network"]})[0])

    def test_filters(self):
        start = time.time()
        engine.docker("create", "--name", "web1", "-l", "tier=front", "busybox", "true")
        engine.docker("create", "--name", "db", "-l", "tier=back", "busybox:latest", "true")
        engine.docker("rm", "db")
        ident = engine.json("GET", "/containers/web1/json")["Id"]
        for filters, count in (
                ({"container": ["web1"]}, 1), ({"container": ["we"]}, 1),
                ({"container": [ident[:8]]}, 1), ({"container": ["eb1"]}, 0),
                ({"container": ["web1", "db"]}, 3), ({"event": ["create"]}, 2),
                ({"event": ["create", "destroy"]}, 3), ({"image": ["busybox"]}, 3),
                ({"image": ["busybox:latest"]}, 2), ({"image": ["other"]}, 0),
                ({"label": ["tier"]}, 3), ({"label": ["tier=back"]}, 2),
                ({"type": ["container"]}, 3), ({"type": ["network"]}, 0),
                ({"scope": ["local"]}, 3), ({"scope": ["swarm"]}, 0), ({"bogus": ["x"]}, 3)):
            with self.subTest(filters=filters):
                self.assertEqual(len(events(start, filters)), count)

    def test_wrong_times(self):
        for query, message in (
                ("since=6&until=5", "`since` time (6) cannot be after `until` time (5)"),
                ("since=yesterday", 'invalid value for "since": yesterday')):
            status, _, body = engine.api("GET", "/events?" + query)
            self.assertEqual((status, json.loads(body)["message"]), (400, message))

    def test_the_past_outlives_the_engine(self):
        start = time.time()
        engine.docker("create", "--name", "web", "busybox", "true")
        engine.stop()
        engine.start()
        engine.docker("rm", "web")
        self.assertEqual(told(start), [("container", "create"), ("container", "destroy")])
        # A time to end at is enough to be told the past.
        status, _, body = engine.api("GET", f"/events?until={time.time()}")
        self.assertEqual(json.loads(body.splitlines()[-1])["Action"], "destroy")

    def test_a_listener_hears_what_comes_and_is_counted(self):
        self.assertEqual(engine.json("GET", "/info")["NEventsListener"], 0)
        listener = Connection(engine.socket, 30)
        listener.request("GET", "/events?" + urllib.parse.urlencode(
            {"filters": json.dumps({"event": ["create"]})}))
        reply = listener.getresponse()  # the head comes at once
        self.assertEqual(engine.json("GET", "/info")["NEventsListener"], 1)
        engine.docker("create", "--name", "late", "busybox", "true")
        self.assertEqual(json.loads(reply.readline())["Actor"]["Attributes"]["name"], "late")
        listener.sock.close()


if __name__ == "__main__":
    unittest.main()
