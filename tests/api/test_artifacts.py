"""Artifacts: files under a name, made here, pushed, pulled, listed and extracted, and what a registry
has about an image."""
import hashlib
import json
import os
import pathlib
import shutil
import socket
import tempfile
import unittest

from support.engine import Engine
from support.own_registry import EMPTY, fetch
from support.registry import (INDEX, MANIFEST, Layout, LyingRegistry, Registry, digest_of, free_port,
                              tar_of)

TYPE = "application/vnd.example.model"
TITLE = "org.opencontainers.image.title"


def setUpModule():
    global engine, other, own, registry, scratch
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-artifacts-", dir="/tmp"))
    registry = Registry()  # does not list referrers
    own = f"127.0.0.1:{free_port()}"  # does
    engine = Engine("--registry", own)
    other = Engine()
    (scratch / "one.bin").write_bytes(os.urandom(300_000))
    (scratch / "two.txt").write_bytes(b"two\n")


def tearDownModule():
    engine.close()
    other.close()
    registry.close()
    shutil.rmtree(scratch)


def coffer(*args, at=None, check=True):
    run = (at or engine).coffer("artifact", *args, check=False)
    if check and run.returncode != 0:
        raise AssertionError(f"artifact {args}: {run.stderr}")
    return run


def manifest_of(name, at=None):
    return json.loads(coffer("inspect", name, at=at).stdout)[0]["Manifest"]


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))

    def tearDown(self):
        for one in (engine, other):
            coffer("rm", "--all", at=one)
            one.remove_images()
            self.assertEqual(os.listdir(one.data_root / "partial"), [])
        self.assertEqual(other.left_of_images(), [])
        self.assertEqual(engine.coffer("system", "check").stdout, "Nothing is wrong.\n")

    def add(self, name, *flags, files=("one.bin", "two.txt")):
        return coffer("add", *flags, name, *(scratch / file for file in files)).stdout.strip()


class Local(Case):
    def test_add(self):
        digest = self.add("models/small:1", "--type", TYPE, "--annotation", "a=b=c", "--file-type",
                          "text/x")
        manifest = manifest_of("models/small:1")
        self.assertEqual(manifest["artifactType"], TYPE)
        self.assertEqual(manifest["config"], {**EMPTY, "data": "e30="})
        self.assertEqual(
            manifest["layers"],
            [{"mediaType": "text/x", "digest": digest_of((scratch / file).read_bytes()),
              "size": (scratch / file).stat().st_size, "annotations": {"a": "b=c", TITLE: file}}
             for file in ("one.bin", "two.txt")])
        blob = engine.data_root / "blobs/sha256" / digest[7:]
        self.assertEqual(digest_of(blob.read_bytes()), digest)

    def test_names_that_are_taken(self):
        first = self.add("a:1", files=["two.txt"])
        self.assertIn("a:1: artifact already exists",
                      coffer("add", "a:1", scratch / "two.txt", check=False).stderr)
        self.assertIn("two.txt: file: already exists",
                      coffer("add", "--append", "a:1", scratch / "two.txt", check=False).stderr)
        self.add("a:1", "--append", files=["one.bin"])
        self.assertEqual(len(manifest_of("a:1")["layers"]), 2)
        self.assertFalse((engine.data_root / "blobs/sha256" / first[7:]).exists())
        self.add("a:1", "--replace", files=["one.bin"])
        self.assertEqual([layer["annotations"][TITLE] for layer in manifest_of("a:1")["layers"]],
                         ["one.bin"])
        self.assertEqual(coffer("add", "--append", "b:1", scratch / "two.txt",
                                check=False).stderr.strip(),
                         "Error response from daemon: no such artifact: b:1")
        engine.import_busybox("box:1")
        self.assertIn("box:1 is an image",
                      coffer("add", "box:1", scratch / "two.txt", check=False).stderr)

    def test_types_of_files(self):
        (scratch / "odd:text/x").parent.mkdir(exist_ok=True)
        (scratch / "odd:text/x").write_bytes(b"x")
        self.add("a:1", "--file-type", "text/x", files=["one.bin:application/x-model", "two.txt", "odd:text/x"])
        self.assertEqual([(layer["annotations"][TITLE], layer["mediaType"]) for layer in manifest_of("a:1")["layers"]],
                         [("one.bin", "application/x-model"), ("two.txt", "text/x"), ("x", "text/x")])

    def test_two_append_at_once(self):
        self.add("a:1", files=["one.bin"])
        with socket.socket(socket.AF_UNIX) as slow:
            slow.connect(str(engine.socket))
            slow.sendall(b"POST /coffer/artifacts/a:1/add?append=1&title=slow&size=4 HTTP/1.1\r\nHost: d\r\n"
                         b"Connection: close\r\nContent-Length: 4\r\n\r\nsl")
            self.add("a:1", "--append", files=["two.txt"])
            slow.sendall(b"ow")
            reply = b"".join(iter(lambda: slow.recv(65536), b""))
        self.assertTrue(reply.startswith(b"HTTP/1.1 200"), reply)
        self.assertEqual([layer["annotations"][TITLE] for layer in manifest_of("a:1")["layers"]],
                         ["one.bin", "two.txt", "slow"])

    def test_one_that_is_damaged_hides_no_other(self):
        digest = self.add("a:1")
        self.add("b:1", files=["one.bin"])
        blob = engine.data_root / "blobs/sha256" / digest[7:]
        text = blob.read_bytes()
        blob.write_bytes(text[:10])
        run = coffer("ls", "--format", "{{.Repository}}")
        blob.write_bytes(text)
        self.assertEqual(run.stdout, "a\nb\n")
        self.assertIn("artifact a:1 is damaged: ", run.stderr)

    def test_list(self):
        digest = self.add("team/a:1")
        lines = coffer("ls").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["REPOSITORY", "TAG", "DIGEST", "CREATED", "SIZE"])
        self.assertEqual(lines[1].split()[:3], ["team/a", "1", digest[7:19]])
        self.assertIn("300kB", lines[1])
        self.assertEqual(coffer("ls", "-q", "--no-trunc").stdout.strip(), digest)
        self.assertEqual(coffer("ls", "--format", "{{.Type}}").stdout.strip(),
                         "application/vnd.unknown.artifact.v1")
        self.assertEqual(coffer("inspect", "--format", "{{.Name}}", digest[7:17]).stdout.strip(),
                         "team/a:1")

    def test_rm(self):
        digest = self.add("a:1")
        self.assertEqual(coffer("rm", "a:1").stdout, f"Untagged: a:1\nDeleted: {digest}\n")
        self.assertEqual(engine.left_of_images(), [])
        run = coffer("rm", "a:1", check=False)
        self.assertEqual((run.returncode, run.stderr.strip()),
                         (1, "Error response from daemon: no such artifact: a:1"))
        self.assertEqual(coffer("rm", check=False).returncode, 1)

    def test_extract(self):
        self.add("a:1")
        coffer("extract", "a:1", self.folder)
        for file in ("one.bin", "two.txt"):
            self.assertEqual((self.folder / file).read_bytes(), (scratch / file).read_bytes())
        coffer("extract", "--title", "two.txt", "a:1", self.folder / "else")
        self.assertEqual((self.folder / "else").read_bytes(), b"two\n")
        coffer("extract", "--digest", digest_of(b"two\n"), "a:1", self.folder / "again")
        self.assertEqual((self.folder / "again").read_bytes(), b"two\n")
        self.assertIn("several files", coffer("extract", "a:1", self.folder / "x",
                                              check=False).stderr)
        self.assertIn("no such file", coffer("extract", "--title", "x", "a:1", self.folder,
                                             check=False).stderr)
        self.assertEqual(sorted(os.listdir(self.folder)), ["again", "else", "one.bin", "two.txt"])

    def test_a_link_in_the_folder_leads_nowhere(self):
        self.add("a:1", files=["two.txt"])
        victim = scratch / "victim"
        victim.write_text("mine")
        (self.folder / "two.txt").symlink_to(victim)
        coffer("extract", "a:1", self.folder)
        self.assertEqual(victim.read_text(), "mine")
        self.assertFalse((self.folder / "two.txt").is_symlink())

    def test_it_outlives_the_engine(self):
        self.add("a:1")
        engine.stop()
        engine.start()
        coffer("extract", "a:1", self.folder)


class Remote(Case):
    def test_push_and_pull_keep_the_digest(self):
        for host in (registry.host, own):
            name = f"{host}/models/a:1"
            digest = self.add(name, "--type", TYPE)
            self.assertIn(f"1: digest: {digest} size: ", coffer("push", name).stdout)
            self.assertEqual(digest_of(fetch("models/a/manifests/1", host).body), digest)
            coffer("pull", name, at=other)
            self.assertEqual(manifest_of(name, at=other), manifest_of(name))
            self.assertEqual(coffer("ls", "-q", "--no-trunc", at=other).stdout.strip(), digest)
            coffer("extract", name, self.folder, at=other)
            self.assertEqual((self.folder / "one.bin").read_bytes(),
                             (scratch / "one.bin").read_bytes())
            self.assertEqual(coffer("pull", "--quiet", f"{name}@{digest}", at=other).stdout.strip(),
                             f"{name}@{digest}")
            coffer("rm", name, at=other)
            self.assertEqual(other.left_of_images(), [])
            coffer("rm", name)

    def test_an_artifact_of_the_own_registry_is_served_as_it_is(self):
        name = f"{own}/here/a:1"
        digest = self.add(name)
        self.assertEqual(digest_of(fetch("here/a/manifests/1", own).body), digest)
        coffer("pull", name, at=other)

    def test_one_of_another_tool(self):
        layout = Layout(self.folder / "layout")
        blob = {**layout.blob(b"payload", "text/plain"), "annotations": {TITLE: "file"}}
        layout.tag("x", layout.document({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": layout.blob(b"{}", "application/vnd.other.config"), "layers": [blob]}))
        name = registry.push(layout, "x", "other/tool:1")
        coffer("pull", name)
        self.assertEqual(coffer("ls", "--format", "{{.Type}}").stdout.strip(),
                         "application/vnd.other.config")
        coffer("extract", name, self.folder / "out")
        self.assertEqual((self.folder / "out").read_bytes(), b"payload")

    def test_an_image_is_none_and_it_is_no_image(self):
        layout = Layout(self.folder / "layout")
        layout.tag("x", layout.manifest([tar_of({"f": b"1"})]))
        image = registry.push(layout, "x", "an/image:1")
        self.assertIn("is no artifact, but an image", coffer("pull", image, check=False).stderr)
        name = f"{registry.host}/no/image:1"
        self.add(name)
        coffer("push", name)
        run = other.docker("pull", name, check=False)
        self.assertIn(f"unsupported media type {EMPTY['mediaType']}", run.stderr)
        self.assertEqual(other.left_of_images(), [])

    def test_absent(self):
        self.assertIn("not found", coffer("pull", f"{registry.host}/no/such:1", check=False).stderr)
        self.assertIn("no such artifact", coffer("push", "no/such:1", check=False).stderr)

    def hostile(self, **changes):
        """An artifact whose only file is described so."""
        layout = Layout(self.folder / hashlib.md5(repr(changes).encode()).hexdigest())
        blob = {**layout.blob(b"payload", "text/plain"), "annotations": {TITLE: "file"}, **changes}
        layout.tag("1", layout.document({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": TYPE,
            "config": {**EMPTY, **layout.blob(b"{}", EMPTY["mediaType"])}, "layers": [blob]}))
        server = LyingRegistry(layout)
        self.addCleanup(server.close)
        return server

    def test_titles_that_lead_elsewhere(self):
        for title in ("../victim", "/etc/victim", "..", ".", "a/b", "a\nb", "x\u0000y"):
            server = self.hostile(annotations={TITLE: title})
            coffer("pull", f"{server.name}:1")
            target = self.folder / "target"
            target.mkdir(exist_ok=True)
            run = coffer("extract", f"{server.name}:1", target, check=False)
            self.assertIn("is no name of a file", run.stderr)
            self.assertEqual(os.listdir(target), [])
            coffer("rm", f"{server.name}:1")
        self.assertFalse((self.folder / "victim").exists())

    def test_wrong_sizes_and_digests(self):
        for changes, words in (({"size": 3}, "larger than the 3 bytes"), ({"size": 8}, ""),
                               ({"digest": digest_of(b"else")}, ""),
                               ({"digest": "sha256:../../etc"}, "digest"), ({"size": -1}, "")):
            server = self.hostile(**changes)
            run = coffer("pull", f"{server.name}:1", at=other, check=False)
            self.assertNotEqual(run.returncode, 0, changes)
            self.assertIn(words, run.stderr)
            self.assertEqual(other.left_of_images(), [])


class Referrers(Case):
    def image(self, host):
        """An image at that registry."""
        other.import_busybox(f"{host}/team/app:1")
        other.docker("push", f"{host}/team/app:1")
        return f"{host}/team/app:1"

    def referrers(self, *args):
        return engine.coffer("image", "referrers", "--no-trunc", "--format", "{{.Digest}} {{.Type}}",
                             *args).stdout.split("\n")[:-1]

    def test_push_with_a_subject(self):
        for host in (registry.host, own):
            image = self.image(host)
            subject = fetch("team/app/manifests/1", host, "*/*, application/vnd.oci.image.manifest.v1+json, "
                            "application/vnd.docker.distribution.manifest.v2+json").body
            self.assertEqual(self.referrers(image), [])
            pushed = {}
            for n, kind in enumerate((TYPE, "application/vnd.example.other")):
                name = f"{host}/team/app:note{n}"
                self.add(name, "--type", kind, files=["two.txt"])
                out = coffer("push", "--subject", image, name).stdout
                manifest = fetch(f"team/app/manifests/note{n}", host).body
                self.assertEqual(json.loads(manifest)["subject"]["digest"], digest_of(subject))
                self.assertEqual(json.loads(manifest)["subject"]["size"], len(subject))
                self.assertIn(digest_of(manifest), out)
                pushed[kind] = digest_of(manifest)
                coffer("push", "--subject", image, name)
            self.assertEqual(set(self.referrers(image)), {f"{d} {k}" for k, d in pushed.items()})
            self.assertEqual(self.referrers("--artifact-type", TYPE, image),
                             [f"{pushed[TYPE]} {TYPE}"])
            digest = digest_of(subject)
            self.assertEqual(len(self.referrers(f"{host}/team/app@{digest}")), 2)
            tag = fetch(f"team/app/manifests/{digest.replace(':', '-')}", host, INDEX).json["manifests"] \
                if host == registry.host else None
            if tag:
                self.assertEqual([one["artifactType"] for one in tag], list(pushed))
            coffer("rm", "--all")

    def test_a_push_is_by_name(self):
        # The login that comes along is that of the registry in the name.
        coffer("add", f"{registry.host}/named/x:1", scratch / "two.txt")
        digest = json.loads(coffer("inspect", f"{registry.host}/named/x:1").stdout)[0]["Digest"]
        for word in (digest, digest.removeprefix("sha256:")[:20]):
            run = coffer("push", word, check=False)
            self.assertIn(f"name the artifact to push: {registry.host}/named/x:1", run.stderr)

    def test_subject_of_another_repository(self):
        image = self.image(registry.host)
        name = f"{registry.host}/else/where:1"
        self.add(name)
        self.assertIn("is not in repository",
                      coffer("push", "--subject", image, name, check=False).stderr)
        self.assertNotEqual(coffer("push", "--subject", f"{registry.host}/else/where:no", name,
                                   check=False).returncode, 0)

    def test_table(self):
        image = self.image(own)
        self.assertEqual(engine.coffer("image", "referrers", image).stdout.split(),
                         ["DIGEST", "TYPE", "SIZE"])
        self.assertNotEqual(engine.coffer("image", "referrers", f"{own}/no/such:1",
                                          check=False).returncode, 0)
