"""Images as other programs write them, and ours as they read them: skopeo, podman, umoci, dockerd;
formats, compressions and media types."""
import bz2
import gzip
import json
import lzma
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from support.engine import Engine
from support.peers import Dockerd
from support.registry import CONFIG, MANIFEST, Layout, LyingRegistry, Registry, digest_of, tar_of

SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


def setUpModule():
    global engine, registry, scratch, layout
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-formats-", dir="/tmp"))
    engine = Engine()
    registry = Registry()
    layout = Layout(scratch / "layout")
    layout.tag("1", layout.manifest([tar_of({"a": b"1"}), tar_of({"b": b"22"})],
                                    {"Cmd": ["cat", "/b"]}))


def tearDownModule():
    engine.close()
    registry.close()
    shutil.rmtree(scratch, ignore_errors=True)


def run(*args, **options):
    return subprocess.run([str(a) for a in args], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options).stdout


def layers_of(image):
    return engine.json("GET", f"/images/{image}/json")["RootFS"]["Layers"]


WANTED = [digest_of(tar_of({"a": b"1"})), digest_of(tar_of({"b": b"22"}))]


class FormatTest(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=scratch))

    def tearDown(self):
        engine.remove_images()
        self.assertEqual(engine.left_of_images(), [])

    def loaded(self, archive):
        """Loads a file; the only image."""
        engine.docker("load", "-i", archive)
        (image,) = engine.json("GET", "/images/json")
        self.assertEqual(layers_of(image["Id"]), WANTED)
        return image

    def podman(self, *args):
        return run("podman", "--root", self.dir / "root", "--runroot", self.dir / "run",
                   "--storage-driver", "vfs", *args)


class Load(FormatTest):
    def test_skopeo(self):
        for transport in ("docker-archive", "oci-archive"):
            archive = self.dir / transport
            run("skopeo", "copy", "-q", f"oci:{layout.dir}:1", f"{transport}:{archive}:team/x:3")
            self.assertEqual(self.loaded(archive)["RepoTags"], ["team/x:3"])
            engine.docker("rmi", "team/x:3")

    def test_podman(self):
        self.podman("pull", "-q", f"oci:{layout.dir}:1")
        image = self.podman("images", "-q").split()[0].decode()
        self.podman("tag", image, "localhost/team/y:4")
        for form in ("docker-archive", "oci-archive"):
            archive = self.dir / form
            self.podman("save", "-q", "--format", form, "-o", archive, "localhost/team/y:4")
            self.assertEqual(self.loaded(archive)["RepoTags"], ["localhost/team/y:4"])
            engine.docker("rmi", "localhost/team/y:4")

    def test_umoci(self):
        """A layout of umoci as a tar; its tag is no name."""
        folder = self.dir / "umoci"
        run("umoci", "init", "--layout", folder)
        run("umoci", "new", "--image", f"{folder}:1")
        (self.dir / "files").mkdir()
        (self.dir / "files/f").write_text("x")
        run("umoci", "insert", "--image", f"{folder}:1", self.dir / "files/f", "/f")
        run("tar", "-C", folder, "-cf", self.dir / "umoci.tar", ".")
        self.assertIn("Loaded image ID: sha256:",
                      engine.docker("load", "-i", self.dir / "umoci.tar").stdout)

    def test_compressed(self):
        archive = self.dir / "plain"
        run("skopeo", "copy", "-q", f"oci:{layout.dir}:1", f"oci-archive:{archive}:team/x:3")
        plain = archive.read_bytes()
        zstd = run("zstd", "-c", "-q", archive)
        for body in (plain, gzip.compress(plain), zstd):
            self.assertIn("Loaded image: team/x:3", engine.docker("load", input=body).stdout)
            engine.docker("rmi", "team/x:3")
        for name, body in (("xz", lzma.compress(plain)), ("bzip2", bz2.compress(plain))):
            refused = engine.docker("load", input=body, check=False)
            self.assertIn(f"compression with {name} is not supported", refused.stderr)


class Save(FormatTest):
    def setUp(self):
        super().setUp()
        self.name = registry.push(layout, "1", "team/app:1")
        engine.docker("pull", self.name)
        self.id = engine.json("GET", f"/images/{self.name}/json")["Id"]
        self.archive = self.dir / "saved"
        engine.docker("save", "-o", self.archive, self.name)

    def test_skopeo(self):
        for transport in ("docker-archive", "oci-archive"):
            config = json.loads(run("skopeo", "inspect", "--config",
                                    f"{transport}:{self.archive}"))
            self.assertEqual(config["rootfs"]["diff_ids"], WANTED)

    def test_podman(self):
        self.podman("load", "-q", "-i", self.archive)
        self.assertEqual(self.podman("images", "-q", "--no-trunc").decode().strip(), self.id)

    def test_umoci(self):
        folder = self.dir / "layout"
        folder.mkdir()
        run("tar", "-C", folder, "-xf", self.archive)
        stat = json.loads(run("umoci", "stat", "--image", f"{folder}:1", "--json"))
        self.assertEqual(len([h for h in stat["history"] if not h.get("empty_layer")]), 2)

    def test_dockerd_both_ways(self):
        peer = Dockerd()
        try:
            peer.client("load", "-i", self.archive)
            shown = peer.client("image", "inspect", "-f", "{{.Id}}", self.name).stdout.strip()
            self.assertEqual(shown, self.id)
            theirs = self.dir / "theirs"
            peer.client("save", "-o", theirs, self.name)
        finally:
            peer.close()
        engine.docker("rmi", self.name)
        image = self.loaded(theirs)
        self.assertEqual((image["Id"], image["RepoTags"]), (self.id, [self.name]))


class Pull(FormatTest):
    def test_compressions_and_schema_2(self):
        for n, flags in enumerate((("--dest-compress-format=gzip",),
                                   ("--dest-compress-format=zstd",),
                                   ("--dest-compress-format=zstd:chunked",),
                                   ("--format=v2s2",))):
            try:
                name = registry.push(layout, "1", f"team/kind:{n}", *flags)
            except subprocess.CalledProcessError:
                self.assertIn("chunked", flags[0])  # an older skopeo does not write it
                continue
            engine.docker("pull", name)
            self.assertEqual(layers_of(name), WANTED)

    def lying(self, layer_type, compress, config_type=CONFIG):
        """A registry with an image of one layer of that type."""
        folder = Layout(tempfile.mkdtemp(dir=scratch))
        tar = tar_of({"f": b"x"})
        config = folder.blob(json.dumps({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]}}).encode(), config_type)
        folder.tag("1", folder.document({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config,
            "layers": [folder.blob(compress(tar), layer_type)]}))
        server = LyingRegistry(folder)
        self.addCleanup(server.close)
        return server

    def test_zstd_that_begins_with_a_skippable_frame(self):
        """As zstd:chunked may."""
        def compress(tar):
            skipped = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip"
            return skipped + run("zstd", "-c", "-q", input=tar) + skipped
        server = self.lying("application/vnd.oci.image.layer.v1.tar+zstd", compress)
        engine.docker("pull", f"{server.name}:1")

    def test_uncompressed(self):
        server = self.lying("application/vnd.oci.image.layer.v1.tar", lambda tar: tar)
        engine.docker("pull", f"{server.name}:1")

    def test_what_is_no_image(self):
        server = self.lying("application/vnd.oci.image.layer.v1.tar", lambda tar: tar,
                            config_type="application/vnd.cncf.helm.config.v1+json")
        refused = engine.docker("pull", f"{server.name}:1", check=False)
        self.assertIn("unsupported media type application/vnd.cncf.helm.config.v1+json",
                      refused.stderr)

    def test_schema_1(self):
        server = self.lying("application/vnd.oci.image.layer.v1.tar", lambda tar: tar)
        server.replies["/v2/r/manifests/1"] = (200, {"Content-Type": SCHEMA_1}, json.dumps({
            "schemaVersion": 1, "name": "r", "tag": "1", "fsLayers": []}).encode())
        refused = engine.docker("pull", f"{server.name}:1", check=False)
        self.assertIn("Docker Image manifest version 2, schema 1 support has been removed",
                      refused.stderr)


if __name__ == "__main__":
    unittest.main()
