"""What the engine asks registries without a pull: search, and what stands under a name."""
import json
import pathlib
import shutil
import tempfile
import unittest
import urllib.parse

from support.engine import Engine
from support.registry import Layout, LyingRegistry, Registry, tar_of

FOUND = [
    {"name": "few", "description": "two\nlines " + "x" * 60, "star_count": 3,
     "is_official": False, "is_automated": False},
    {"name": "many", "description": "", "star_count": 50, "is_official": True,
     "is_automated": False},
]


def setUpModule():
    global engine, scratch
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-queries-"))
    engine = Engine()


def tearDownModule():
    engine.close()
    shutil.rmtree(scratch, ignore_errors=True)


class Search(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.index = LyingRegistry(Layout(scratch / "empty"))
        reply = (200, {"Content-Type": "application/json"},
                 json.dumps({"query": "web", "num_results": 2, "results": FOUND}).encode())
        cls.index.replies["/v1/search?q=web"] = reply
        cls.index.replies["/v1/search?q=web&n=7"] = reply
        cls.index.replies["/v1/search?q=a%2Fb%20c"] = reply
        cls.index.replies["/v1/search?q=broken"] = (200, {}, b"{")

    @classmethod
    def tearDownClass(cls):
        cls.index.close()

    def names(self, *args, term="web"):
        out = engine.docker("search", *args, "--format", "{{.Name}}", f"{self.index.host}/{term}")
        return out.stdout.split()

    def test_same_as_docker(self):
        """Our client prints what docker's prints."""
        for flags in ((), ("--no-trunc",), ("--format", "json"), ("--limit", "7"),
                      ("--format", "table {{.Name}}\t{{.IsOfficial}}\t{{.StarCount}}"),
                      ("--filter", "stars=4"), ("--filter", "is-official=false")):
            words = ("search", *flags, f"{self.index.host}/web")
            docker = engine.docker(*words)
            self.assertEqual(engine.coffer(*words).stdout, docker.stdout, flags)
            self.assertTrue(docker.stdout)

    def test_order_and_filters(self):
        self.assertEqual(self.names(), ["few", "many"])
        self.assertEqual(self.names("--filter", "stars=10"), ["many"])
        self.assertEqual(self.names("--filter", "is-official=true"), ["many"])
        self.assertEqual(self.names("--filter", "is-official=false"), ["few"])
        self.assertEqual(self.names("--filter", "is-automated=true"), [])
        self.assertEqual(self.names(term="a/b c"), ["few", "many"])

    def test_errors(self):
        def refused(query):
            status, _, body = engine.api("GET", f"/images/search?{query}")
            return status, json.loads(body)["message"]
        term = f"term={self.index.host}"
        self.assertEqual(refused(f"{term}/web&limit=101"),
                         (400, "limit 101 is outside the range of [1, 100]"))
        bad = urllib.parse.quote(json.dumps({"stars": ["x"]}))
        self.assertEqual(refused(f"{term}/web&filters={bad}"), (400, "invalid filter 'stars=x'"))
        bad = urllib.parse.quote(json.dumps({"nothing": ["x"]}))
        self.assertEqual(refused(f"{term}/web&filters={bad}"), (400, "invalid filter 'nothing'"))
        self.assertEqual(refused(f"{term}/other"), (500, "Unexpected status code 404"))
        self.assertEqual(refused(f"{term}/broken")[0], 500)


class Distribution(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.registry = Registry()
        cls.layout = Layout(scratch / "layout")
        cls.one = cls.layout.manifest([tar_of({"a": b""})])
        cls.layout.tag("one", cls.one)
        cls.many = cls.layout.index({
            "linux/arm64": cls.layout.manifest([tar_of({"b": b""})], architecture="arm64"),
            "linux/amd64": cls.one})
        cls.layout.tag("many", cls.many)

    @classmethod
    def tearDownClass(cls):
        cls.registry.close()

    def get(self, name, **headers):
        status, _, body = engine.api("GET", f"/distribution/{name}/json", headers=headers)
        return status, json.loads(body)

    def test_manifest_and_index(self):
        name = self.registry.push(self.layout, "one", "team/app:1")
        self.assertEqual(self.get(name), (200, {
            "Descriptor": {k: self.one[k] for k in ("mediaType", "digest", "size")},
            "Platforms": [{"architecture": "amd64", "os": "linux"}]}))
        by_digest = f"{self.registry.host}/team/app@{self.one['digest']}"
        self.assertEqual(self.get(by_digest)[0], 200)
        name = self.registry.push(self.layout, "many", "team/app:2")
        status, found = self.get(name)
        self.assertEqual(status, 200)
        self.assertEqual(found["Descriptor"]["digest"], self.many["digest"])
        self.assertEqual([p["architecture"] for p in found["Platforms"]], ["arm64", "amd64"])
        self.assertEqual(engine.json("GET", "/images/json"), [])

    def test_errors(self):
        self.assertEqual(self.get(f"{self.registry.host}/team/none:1"),
                         (404, {"message": "manifest unknown: manifest unknown"}))
        self.assertEqual(self.get("UPPER")[0], 400)
        self.assertEqual(self.get("sha256:" + "0" * 64),
                         (400, {"message": f"unknown image reference format: sha256:{'0' * 64}"}))
        private = Registry(user=("ann", "secret"))
        try:
            name = private.push(self.layout, "one", "team/app:1")
            self.assertNotEqual(self.get(name)[0], 200)
        finally:
            private.close()

    def test_config_that_is_not_its_digest(self):
        registry = LyingRegistry(self.layout)
        try:
            registry.replies["/v2/r/manifests/1"] = registry.replies["/v2/r/manifests/one"]
            self.assertEqual(self.get(f"{registry.name}:1")[0], 200)
            manifest = json.loads(registry.replies["/v2/r/manifests/1"][2])
            path = "/v2/r/blobs/" + manifest["config"]["digest"]
            good = registry.replies[path][2]
            registry.replies[path] = (200, {}, good.replace(b"amd64", b"arm64"))
            status, reply = self.get(f"{registry.name}:1")
            self.assertEqual(status, 500)
            self.assertIn("config verification failed", reply["message"])
        finally:
            registry.close()


if __name__ == "__main__":
    unittest.main()
