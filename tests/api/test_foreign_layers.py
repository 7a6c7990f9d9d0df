"""Layers that registries need not have: fetched from where the manifest says, pushed only where that is
allowed, saved and loaded."""
import base64
import gzip
import json
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import unittest

from support.engine import Engine
from support.own_registry import fetch
from support.registry import (CONFIG, LAYER, MANIFEST, Layout, LyingRegistry, busybox_rootfs, digest_of, free_port,
                              tar_of)

FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
DOCKER = {MANIFEST: "application/vnd.docker.distribution.manifest.v2+json",
          CONFIG: "application/vnd.docker.container.image.v1+json",
          LAYER: "application/vnd.docker.image.rootfs.diff.tar.gzip",
          FOREIGN: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}
OUTSIDE = "10.98.76.54"
BUSYBOX, SECRET = busybox_rootfs(), tar_of({"secret": b"foreign"})
BASE_BLOB, FOREIGN_BLOB = (gzip.compress(tar, 1, mtime=0) for tar in (BUSYBOX, SECRET))


def setUpModule():
    global engine
    subprocess.run(["ip", "addr", "add", f"{OUTSIDE}/32", "dev", "lo"], check=True)
    engine = Engine("--bridge", "none", "--insecure-registry", f"{OUTSIDE}/32")


def tearDownModule():
    engine.close()
    subprocess.run(["ip", "addr", "del", f"{OUTSIDE}/32", "dev", "lo"], check=True)


class Foreign(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.empty = Layout(self.folder / "empty")
        self.elsewhere = self.serve(self.empty)

    def tearDown(self):
        engine.remove_containers()
        engine.remove_images()
        self.assertEqual(engine.left_of_images(), [])

    def serve(self, layout, host="127.0.0.1"):
        server = LyingRegistry(layout, host=host)
        self.addCleanup(server.close)
        return server

    def registry(self, urls=None, host="127.0.0.1", docker=False, **changes):
        """Has an image whose upper layer is elsewhere, and not that layer; gives the name."""
        layout = Layout(tempfile.mkdtemp(dir=self.folder))
        kind = (lambda name: DOCKER[name]) if docker else (lambda name: name)
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
                             "rootfs": {"type": "layers",
                                        "diff_ids": [digest_of(BUSYBOX), digest_of(SECRET)]}}).encode()
        if urls is None:
            urls = [f"http://{self.elsewhere.host}/layer"]
        layout.tag("1", layout.document({
            "schemaVersion": 2, "mediaType": kind(MANIFEST), "config": layout.blob(config, kind(CONFIG)),
            "layers": [layout.blob(BASE_BLOB, kind(LAYER)),
                       {"mediaType": kind(FOREIGN), "digest": digest_of(FOREIGN_BLOB), "size": len(FOREIGN_BLOB),
                        "urls": urls, **changes}]}))
        self.elsewhere.replies["/layer"] = (200, {}, FOREIGN_BLOB)
        self.source = self.serve(layout, host)
        self.manifest = self.source.replies["/v2/r/manifests/1"][2]
        return f"{self.source.name}:1"

    def pull(self, name, **headers):
        name, tag = name.rsplit(":", 1)
        _, _, body = engine.api("POST", f"/images/create?fromImage={name}&tag={tag}", headers=headers)
        return body.decode()

    def layer_is_here(self):
        path = engine.data_root / "blobs/sha256" / digest_of(FOREIGN_BLOB)[7:]
        return path.exists() and path.read_bytes() == FOREIGN_BLOB

    def test_it_comes_from_where_the_manifest_says(self):
        for docker in (False, True):
            name = self.registry(docker=docker)
            engine.docker("pull", name)
            self.assertTrue(self.layer_is_here())
            self.assertEqual(engine.docker("run", "--rm", "--network", "none", name, "cat", "/secret")
                             .stdout, "foreign")
            engine.remove_images()

    def test_no_login_goes_there(self):
        token = base64.urlsafe_b64encode(b'{"registrytoken":"s3cret"}').decode()
        out = self.pull(self.registry(), **{"X-Registry-Auth": token})
        self.assertTrue(self.layer_is_here(), out)
        self.assertIn("Bearer s3cret", {login for _, login in self.source.logins})
        self.assertEqual({login for _, login in self.elsewhere.logins}, {None})
        # Nor by an address of the registry itself.
        engine.remove_images()
        name = self.registry()
        self.source.replies["/layer"] = self.elsewhere.replies["/layer"]
        manifest = self.manifest.replace(self.elsewhere.host.encode(), self.source.host.encode())
        self.source.replies["/v2/r/manifests/1"] = (200, {"Content-Type": MANIFEST}, manifest)
        self.pull(name, **{"X-Registry-Auth": token})
        self.assertIn(("/layer", None), self.source.logins)

    def test_the_next_address_is_asked(self):
        self.pull(self.registry([f"http://{self.elsewhere.host}/no", "file:///etc/passwd",
                                 f"http://{self.elsewhere.host}/layer"]))
        self.assertTrue(self.layer_is_here())

    def test_a_registry_that_has_it_is_enough(self):
        name = self.registry()
        self.source.replies[f"/v2/r/blobs/{digest_of(FOREIGN_BLOB)}"] = (200, {}, FOREIGN_BLOB)
        self.pull(name)
        self.assertTrue(self.layer_is_here())
        self.assertEqual(self.elsewhere.seen, [])

    def test_what_is_wrong_is_refused(self):
        name = self.registry()
        self.elsewhere.replies["/layer"] = (200, {}, FOREIGN_BLOB[:-1] + b"x")
        self.assertIn("errorDetail", self.pull(name))
        self.elsewhere.replies["/layer"] = (200, {}, FOREIGN_BLOB + b"x")
        self.assertIn("larger than", self.pull(name))
        self.elsewhere.replies["/layer"] = (200, {}, FOREIGN_BLOB[:-1])
        self.assertIn("errorDetail", self.pull(name))
        self.assertIn("errorDetail", self.pull(self.registry([])))

    def test_addresses_of_a_layer_that_is_none_do_not_count(self):
        self.assertIn("errorDetail", self.pull(self.registry(mediaType=LAYER)))
        self.assertEqual(self.elsewhere.seen, [])

    def test_a_registry_elsewhere_names_no_address_of_this_machine(self):
        name = self.registry(host=OUTSIDE)
        self.assertIn("of this machine or its links", self.pull(name))
        self.assertEqual(self.elsewhere.seen, [])
        near = self.serve(self.empty, OUTSIDE)
        near.replies["/layer"] = (200, {}, FOREIGN_BLOB)
        self.pull(self.registry([f"http://{near.host}/layer"], host=OUTSIDE))
        self.assertTrue(self.layer_is_here())

    def pushed(self, *flags):
        """To an engine's registry; gives what was said and whether the layer is there."""
        host = f"127.0.0.1:{free_port()}"
        there = Engine("--bridge", "none", "--registry", host)
        sender = Engine("--bridge", "none", *flags)
        self.addCleanup(there.close)
        self.addCleanup(sender.close)
        sender.docker("pull", self.registry())
        sender.docker("tag", f"{self.source.host}/r:1", f"{host}/r:1")
        out = sender.docker("push", f"{host}/r:1").stdout
        self.assertEqual(fetch("r/manifests/1", host).body, self.manifest)
        return out, (there.data_root / "blobs/sha256" / digest_of(FOREIGN_BLOB)[7:]).exists()

    def test_it_is_not_pushed(self):
        out, there = self.pushed()
        self.assertIn(f"{digest_of(SECRET)[7:19]}: Skipped foreign layer", out)
        self.assertFalse(there)

    def test_it_is_pushed_where_that_is_allowed(self):
        out, there = self.pushed("--allow-nondistributable-artifacts", "127.0.0.0/8")
        self.assertNotIn("Skipped", out)
        self.assertTrue(there)

    def test_save_and_load(self):
        name = self.registry(docker=True)
        engine.docker("pull", name)
        engine.docker("save", "-o", self.folder / "saved.tar", name)
        with tarfile.open(self.folder / "saved.tar") as tar:
            (item,) = json.load(tar.extractfile("manifest.json"))
        self.assertEqual(item["LayerSources"], {digest_of(SECRET): json.loads(self.manifest)["layers"][1]})
        engine.remove_images()
        engine.docker("load", "-i", self.folder / "saved.tar")
        self.assertEqual(engine.docker("run", "--rm", "--network", "none", name, "cat", "/secret").stdout,
                         "foreign")


if __name__ == "__main__":
    unittest.main()
