"""GET /containers/json: its filters, order, limit and sizes."""
import json
import unittest
import urllib.parse

from support.engine import Engine
from support.registry import busybox_rootfs


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()
    engine.docker("network", "create", "lan")
    engine.docker("run", "-d", "--name", "web1", "-p", "8088:80", "--expose", "81/udp", "-l",
                  "tier=front", "-v", "data:/srv", "--network", "lan", "busybox", "sleep", "1000")
    engine.docker("run", "-d", "--name", "web2", "-l", "tier=back", "-v", "/tmp:/host", "busybox",
                  "sleep", "1000")
    engine.docker("run", "--name", "failed", "busybox", "sh", "-c", "exit 3", check=False)
    engine.docker("create", "--name", "fresh", "busybox", "true")
    engine.docker("run", "-d", "--name", "still", "busybox", "sleep", "1000")
    engine.docker("pause", "still")


def tearDownModule():
    engine.close()


def ask(filters=None, **query):
    if filters is not None:
        query["filters"] = json.dumps(filters)
    status, _, body = engine.api("GET", "/containers/json?" + urllib.parse.urlencode(query))
    return status, json.loads(body)


class ListTest(unittest.TestCase):
    def names(self, filters=None, **query):
        status, found = ask(filters, **query)
        self.assertEqual(status, 200, found)
        return [one["Names"][0][1:] for one in found]

    def test_newest_first_and_only_what_runs(self):
        self.assertEqual(self.names(), ["still", "web2", "web1"])
        self.assertEqual(self.names(all=1), ["still", "fresh", "failed", "web2", "web1"])
        self.assertEqual(self.names(limit=2), ["still", "fresh"])
        self.assertEqual(self.names(limit=-1), ["still", "web2", "web1"])

    def test_each_filter(self):
        image = engine.json("GET", "/images/busybox/json")["Id"]
        web1 = engine.json("GET", "/containers/web1/json")
        lan = engine.json("GET", "/networks/lan")["Id"]
        running = ["still", "web2", "web1"]
        for filters, expected in (
                ({"ancestor": ["busybox"]}, running),
                ({"ancestor": [image]}, running),
                ({"ancestor": ["absent"]}, []),
                ({"before": ["web2"]}, ["web1"]),
                ({"since": ["web1"]}, ["still", "web2"]),
                ({"exited": ["3"]}, []),
                ({"expose": ["81/udp"]}, ["web1"]),
                ({"expose": ["80-90"]}, ["web1"]),
                ({"expose": ["81"]}, []),
                ({"publish": ["8088"]}, ["web1"]),
                ({"publish": ["8000-9000/tcp"]}, ["web1"]),
                ({"publish": ["80"]}, []),
                ({"health": ["none"]}, running),
                ({"health": ["healthy"]}, []),
                ({"id": [web1["Id"][:10]]}, ["web1"]),
                ({"id": [web1["Id"][1:10]]}, []),
                ({"is-task": ["true"]}, []),
                ({"is-task": ["false"]}, running),
                ({"isolation": ["default"]}, running),
                ({"label": ["tier"]}, ["web2", "web1"]),
                ({"label": ["tier=front"]}, ["web1"]),
                ({"label": ["tier=front", "tier=back"]}, []),
                ({"name": ["eb"]}, ["web2", "web1"]),
                ({"name": ["^/web1$"]}, ["web1"]),
                ({"name": ["^(web2|still)$"]}, ["still", "web2"]),
                ({"name": ["["]}, []),
                ({"network": ["lan"]}, ["web1"]),
                ({"network": [lan[:12]]}, ["web1"]),
                ({"network": ["la"]}, []),
                ({"status": ["paused"]}, ["still"]),
                ({"status": ["created", "exited"]}, ["fresh", "failed"]),
                ({"status": ["exited"], "exited": ["3"]}, ["failed"]),
                ({"volume": ["data"]}, ["web1"]),
                ({"volume": ["/srv"]}, ["web1"]),
                ({"volume": ["/tmp"]}, ["web2"]),
                ({"name": []}, running)):
            with self.subTest(filters=filters):
                self.assertEqual(self.names(filters), expected)

    def test_wrong_filters(self):
        for filters, status, message in (
                ({"bogus": ["x"]}, 400, "invalid filter 'bogus'"),
                ({"status": ["x"]}, 400, "invalid filter 'status=x'"),
                ({"exited": ["x"]}, 400, "invalid filter 'exited=x'"),
                ({"is-task": ["x"]}, 400, "invalid filter 'is-task=[x]'"),
                ({"health": ["x"]}, 400, "Unrecognised filter value for health: x"),
                ({"publish": ["1:2"]}, 400, "filter for 'publish' should not contain ':': 1:2"),
                ({"before": ["absent"]}, 404, "No such container: absent")):
            with self.subTest(filters=filters):
                self.assertEqual(ask(filters), (status, {"message": message}))

    def test_a_name_that_means_another_image_by_now(self):
        engine.docker("tag", "busybox", "moving")
        engine.docker("create", "--name", "old", "moving", "true")
        try:
            self.assertEqual(ask({"name": ["old"]}, all=1)[1][0]["Image"], "moving")
            engine.docker("import", "-", "moving", input=busybox_rootfs())
            old = ask({"name": ["old"]}, all=1)[1][0]
            self.assertEqual(old["Image"], old["ImageID"])
        finally:
            engine.docker("rm", "old")

    def test_sizes_are_told_when_asked_for(self):
        engine.docker("exec", "web2", "dd", "if=/dev/zero", "of=/big", "bs=1k", "count=100")
        self.assertNotIn("SizeRw", ask()[1][0])
        web2 = [one for one in ask(size=1)[1] if one["Names"] == ["/web2"]][0]
        image = engine.json("GET", "/images/busybox/json")
        self.assertGreaterEqual(web2["SizeRw"], 100 << 10)
        self.assertEqual(web2["SizeRootFs"], web2["SizeRw"] + image["Size"])


if __name__ == "__main__":
    unittest.main()
