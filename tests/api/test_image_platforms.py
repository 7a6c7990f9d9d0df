"""Images of several platforms under one name: what is kept, shown, removed, saved and pushed."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse

from support.engine import Engine
from support.registry import CONFIG, MANIFEST, Layout, Registry, busybox_rootfs, tar_of

STATEMENT = b'{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://slsa.dev/x"}'
AMD = json.dumps({"os": "linux", "architecture": "amd64"})
ARM = json.dumps({"os": "linux", "architecture": "arm64"})
S390X = json.dumps({"os": "linux", "architecture": "s390x"})


def make_layout(folder):
    """An index of two platforms, one of which has an attestation, as BuildKit makes it."""
    layout = Layout(folder)
    busybox = busybox_rootfs()
    amd = layout.manifest([busybox, tar_of({"amd": b"1"})])
    arm = layout.manifest([busybox, tar_of({"arm": b"2"})], architecture="arm64")
    statement = {**layout.blob(STATEMENT, "application/vnd.in-toto+json"),
                 "annotations": {"in-toto.io/predicate-type": "https://slsa.dev/x"}}
    attestation = layout.document({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": layout.blob(json.dumps({
            "architecture": "unknown", "os": "unknown", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [statement["digest"]]}}).encode(), CONFIG),
        "layers": [statement]})
    index = layout.document({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {**amd, "platform": {"os": "linux", "architecture": "amd64"}},
            {**arm, "platform": {"os": "linux", "architecture": "arm64"}},
            {**attestation, "platform": {"os": "unknown", "architecture": "unknown"},
             "annotations": {"vnd.docker.reference.type": "attestation-manifest",
                             "vnd.docker.reference.digest": amd["digest"]}}]})
    layout.tag("app", index)
    return layout, index, amd, arm, attestation


def setUpModule():
    global engine, registry, scratch, layout, index, amd, arm, attestation, name
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-platforms-"))
    engine = Engine()
    registry = Registry()
    layout, index, amd, arm, attestation = make_layout(scratch / "layout")
    name = registry.push(layout, "app", "team/app:1")


def tearDownModule():
    engine.close()
    registry.close()
    shutil.rmtree(scratch, ignore_errors=True)


def config_of(descriptor, folder=None):
    path = (folder or layout).dir / "blobs/sha256" / descriptor["digest"][7:]
    return json.loads(path.read_text())["config"]["digest"]


class Platforms(unittest.TestCase):
    def setUp(self):
        for one in ("linux/arm64", "linux/amd64"):
            engine.docker("pull", "--platform", one, name)

    def tearDown(self):
        engine.remove_containers()
        engine.remove_images()
        self.assertEqual(engine.left_of_images(), [])

    def get(self, path, **query):
        status, _, body = engine.api("GET", path + "?" + urllib.parse.urlencode(query))
        return status, json.loads(body)

    def manifests(self):
        (image,) = engine.json("GET", "/images/json?manifests=1")
        return image, {m["ID"]: m for m in image["Manifests"]}

    def test_list(self):
        image, manifests = self.manifests()
        self.assertEqual(image["RepoTags"], [name])
        self.assertEqual(image["Id"], config_of(amd))
        self.assertEqual(image["Descriptor"]["digest"], index["digest"])
        self.assertEqual({m["Kind"] for m in manifests.values()}, {"image", "attestation"})
        self.assertTrue(all(m["Available"] for m in manifests.values()))
        one = manifests[arm["digest"]]
        self.assertEqual(one["ImageData"]["Platform"], {"os": "linux", "architecture": "arm64"})
        self.assertEqual(one["Size"]["Total"],
                         one["Size"]["Content"] + one["ImageData"]["Size"]["Unpacked"])
        self.assertGreater(one["Size"]["Content"], arm["size"])
        self.assertEqual(manifests[attestation["digest"]]["AttestationData"],
                         {"For": amd["digest"]})
        plain = engine.json("GET", "/images/json")
        self.assertEqual(len(plain), 1)
        self.assertNotIn("Manifests", plain[0])
        self.assertEqual(len(engine.json("GET", "/images/json?all=1")), 2)

    def test_tree(self):
        ours = engine.coffer("images", "--tree").stdout
        self.assertIn(f"{name} ", ours)
        self.assertRegex(ours, r"├─ linux/amd64 .*attested")
        self.assertIn("└─ linux/arm64 ", ours)
        self.assertIn("linux/arm64", engine.docker("images", "--tree").stdout)

    def test_second_pull_is_up_to_date(self):
        for one in ("linux/arm64", "linux/amd64"):
            self.assertIn("Image is up to date",
                          engine.docker("pull", "--platform", one, name).stdout)

    def test_inspect_and_history(self):
        def platform(text):
            return self.get(f"/images/{name}/json", platform=text)
        self.assertEqual(platform(ARM)[1]["Architecture"], "arm64")
        self.assertEqual(platform(AMD)[1]["Architecture"], "amd64")
        self.assertEqual(platform(S390X), (404, {
            "message": f"image with reference {name} was found but does not provide the specified "
                       "platform (linux/s390x)"}))
        self.assertEqual(platform("{")[0], 400)
        self.assertEqual(platform('{"os":"linux"}'),
                         (400, {"message": "both OS and Architecture must be provided"}))
        status, found = self.get(f"/images/{name}/json", manifests=1)
        self.assertEqual((status, len(found["Manifests"])), (200, 3))
        self.assertEqual(found["Descriptor"]["digest"], index["digest"])
        words = ("image", "inspect", "-f", "{{.Architecture}}", "--platform", "linux/arm64", name)
        self.assertEqual(engine.docker(*words).stdout, "arm64\n")
        self.assertEqual(engine.coffer(*words).stdout, "arm64\n")
        words = ("history", "--platform", "linux/arm64", "-q", "--no-trunc", name)
        self.assertIn(config_of(arm), engine.docker(*words).stdout)
        self.assertIn(config_of(arm), engine.coffer(*words).stdout)

    def test_attestations(self):
        path = f"/images/{name}/attestations"
        status, (one,) = self.get(path)
        self.assertEqual((status, one["PredicateType"]), (200, "https://slsa.dev/x"))
        self.assertNotIn("Statement", one)
        status, (one,) = self.get(path, statement=1, type="https://slsa.dev/x")
        self.assertEqual(one["Statement"], json.loads(STATEMENT))
        self.assertEqual(self.get(path, type="other"), (200, []))
        self.assertEqual(self.get(path, platform=ARM), (200, []))
        self.assertEqual(self.get(path, platform=S390X)[0], 404)

    def test_container_of_a_platform(self):
        def image(*flags):
            made = engine.docker("create", *flags, name, "true")
            image = engine.json("GET", f"/containers/{made.stdout.strip()}/json")["Image"]
            return image, made.stderr
        self.assertEqual(image()[0], config_of(amd))
        self.assertEqual(image("--platform", "linux/arm64"), (config_of(arm), ""))
        engine.docker("rm", "-f", *engine.docker("ps", "-aq").stdout.split())
        engine.docker("rmi", "--platform", "linux/amd64", name)
        made, warning = image()
        self.assertEqual(made, config_of(arm))
        self.assertIn("The requested image's platform (linux/arm64) does not match the detected "
                      "host platform (linux/amd64) and no specific platform was requested", warning)

    def test_remove_one_platform(self):
        for client in (engine.docker, engine.coffer):
            out = client("rmi", "--platform", "linux/amd64", name).stdout
            self.assertIn(f"Deleted: {config_of(amd)}", out)
            self.assertNotIn("Untagged", out)
            image, manifests = self.manifests()
            self.assertEqual((image["Id"], image["RepoTags"]), (config_of(arm), [name]))
            self.assertFalse(manifests[amd["digest"]]["Available"])
            engine.docker("pull", name)
        out = engine.docker("rmi", name).stdout
        self.assertIn(f"Untagged: {name}", out)
        for one in (amd, arm):
            self.assertIn(f"Deleted: {config_of(one)}", out)
        self.assertEqual(engine.json("GET", "/images/json?all=1"), [])

    def test_platform_in_use(self):
        engine.docker("create", "--platform", "linux/arm64", name, "true")
        run = engine.docker("rmi", "--platform", "linux/arm64", name, check=False)
        self.assertIn("must be forced", run.stderr)
        engine.docker("rmi", name)
        self.assertEqual([image["Id"] for image in engine.json("GET", "/images/json?all=1")],
                         [config_of(arm)])

    def test_prune_keeps_what_a_name_stands_for(self):
        engine.docker("image", "prune", "-f")
        self.assertEqual(len(engine.json("GET", "/images/json?all=1")), 2)
        engine.docker("image", "prune", "-af")
        self.assertEqual(engine.json("GET", "/images/json?all=1"), [])

    def test_tag_that_moves(self):
        other = Layout(tempfile.mkdtemp(dir=scratch))
        other.tag("app", other.manifest([tar_of({"new": b"3"})]))
        moving = registry.push(layout, "app", "team/moving:1")
        for one in ("linux/arm64", "linux/amd64"):
            engine.docker("pull", "--platform", one, moving)
        registry.push(other, "app", "team/moving:1")
        self.assertIn("Downloaded newer image", engine.docker("pull", moving).stdout)
        image = engine.json("GET", f"/images/{moving}/json")
        self.assertEqual(image["Id"], config_of(other.entries[0], other))

    def test_save_and_load(self):
        archive = scratch / "both.tar"
        engine.docker("save", "-o", archive, name)
        for target in ("docker-archive", "oci-archive"):
            subprocess.run(["skopeo", "copy", "--quiet", f"{target}:{archive}",
                            f"dir:{scratch}/{target}"], check=True)
        engine.docker("rmi", name)
        out = engine.docker("load", "-i", archive).stdout
        self.assertEqual(out.count(f"Loaded image: {name}"), 1)
        image, manifests = self.manifests()
        self.assertEqual((image["Id"], image["Descriptor"]["digest"]),
                         (config_of(amd), index["digest"]))
        self.assertTrue(all(m["Available"] for m in manifests.values()))
        engine.docker("rmi", name)
        for client in (engine.docker, engine.coffer):
            client("load", "--platform", "linux/arm64", "-i", archive)
            self.assertEqual(engine.json("GET", f"/images/{name}/json")["Architecture"], "arm64")
            client("save", "--platform", "linux/arm64", "-o", scratch / "arm.tar", name)
            engine.docker("rmi", name)
        run = engine.docker("load", "--platform", "linux/s390x", "-i", archive, check=False)
        self.assertIn("no image for platform linux/s390x in the archive", run.stderr)
        engine.docker("load", "-i", scratch / "arm.tar")
        self.assertEqual(self.get(f"/images/{name}/json", platform=AMD), (404, {
            "message": f"image with reference {name} was found but its platform (linux/arm64) does "
                       "not match the specified platform (linux/amd64)"}))

    def raw(self, target):
        return subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false",
                               f"docker://{target}"], check=True, capture_output=True).stdout

    def test_push(self):
        target = f"{registry.host}/team/pushed:1"
        engine.docker("tag", name, target)
        self.assertIn(f"1: digest: {index['digest']}", engine.docker("push", target).stdout)
        self.assertEqual(json.loads(self.raw(target))["manifests"][2]["digest"],
                         attestation["digest"])
        for n, client in enumerate((engine.docker, engine.coffer)):
            one = f"{registry.host}/team/pushed:arm{n}"
            engine.docker("tag", name, one)
            out = client("push", "--platform", "linux/arm64", one).stdout
            self.assertIn(f"digest: {arm['digest']}", out)
        # A part of an index is no index.
        engine.docker("rmi", "--platform", "linux/arm64", target)
        run = engine.docker("push", target)
        self.assertIn(f"digest: {amd['digest']}", run.stdout)
        self.assertIn("Not all multiplatform-content is present and only the available "
                      "single-platform image was pushed", run.stdout + run.stderr)
        run = engine.docker("push", "--platform", "linux/s390x", target, check=False)
        self.assertIn("does not provide the specified platform (linux/s390x)", run.stderr)

    def test_after_a_restart(self):
        engine.stop()
        engine.start()
        image, manifests = self.manifests()
        self.assertEqual((image["RepoTags"], len(manifests)), ([name], 3))
        self.assertEqual(engine.coffer("system", "check", "--deep").stdout, "Nothing is wrong.\n")


if __name__ == "__main__":
    unittest.main()
