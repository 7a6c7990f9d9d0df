"""Images over the API: the real docker CLI and a real registry."""
import concurrent.futures
import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from support.engine import BIN, Engine
from support.registry import (CONFIG, LAYER, MANIFEST, Layout, LyingRegistry, Registry,
                              busybox_rootfs, digest_of, make_certificate, tar_of)


def setUpModule():
    global engine, registry, layout, scratch
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-images-"))
    engine = Engine()
    registry = Registry()
    layout = Layout(scratch / "layout")
    busybox = busybox_rootfs()
    layout.tag("busybox", layout.manifest([busybox]))
    layout.tag("two", layout.manifest([busybox, tar_of({"second": b"2"})],
                                      {"Cmd": ["cat", "/second"], "Labels": {"k": "v"}}))
    layout.tag("multi", layout.index({
        "linux/arm64": layout.manifest([tar_of({"arm": b""})], architecture="arm64"),
        "linux/amd64": layout.manifest([tar_of({"amd": b""})])}))


def tearDownModule():
    engine.close()
    registry.close()
    shutil.rmtree(scratch, ignore_errors=True)


class ImageTest(unittest.TestCase):
    def tearDown(self):
        engine.remove_images()
        self.assertEqual(engine.json("GET", "/images/json?all=1"), [])
        self.assertEqual(engine.left_of_images(), [])

    def failing(self, *args, **options):
        run = engine.docker(*args, check=False, **options)
        self.assertNotEqual(run.returncode, 0, run.stdout)
        return run.stderr.strip()

    def messages(self, path):
        status, _, body = engine.api("POST", path)
        self.assertEqual(status, 200, body)
        return [json.loads(line) for line in body.decode().split("\r\n") if line]


class Pull(ImageTest):
    def test_output_and_second_pull(self):
        name = registry.push(layout, "two", "test/two:1")
        out = engine.docker("pull", name).stdout
        self.assertIn("1: Pulling from test/two\n", out)
        self.assertEqual(out.count(": Pull complete\n"), 2)
        digest = re.search(r"\nDigest: (sha256:[0-9a-f]{64})\n", out).group(1)
        self.assertIn(f"Status: Downloaded newer image for {name}\n", out)
        self.assertTrue(out.endswith(f"{name}\n"))
        self.assertIn(f"Status: Image is up to date for {name}", engine.docker("pull", name).stdout)

        image = json.loads(engine.docker("image", "inspect", name).stdout)[0]
        self.assertEqual(image["RepoTags"], [name])
        self.assertEqual(image["RepoDigests"], [f"{registry.host}/test/two@{digest}"])
        self.assertEqual(image["Config"]["Cmd"], ["cat", "/second"])
        self.assertEqual(image["Config"]["Labels"], {"k": "v"})
        self.assertEqual(len(image["RootFS"]["Layers"]), 2)
        self.assertEqual((image["Os"], image["Architecture"]), ("linux", "amd64"))
        self.assertEqual(image["Created"], "2024-05-06T07:08:09Z")

        history = engine.docker("history", "--format", "{{.CreatedBy}} {{.Size}}", name).stdout
        self.assertEqual(history.splitlines()[0], "layer 1 1B")
        listed = engine.docker("images", "--format", "{{.Repository}} {{.Tag}}").stdout
        self.assertEqual(listed, f"{registry.host}/test/two 1\n")

    def test_vocabulary_of_the_stream(self):
        registry.push(layout, "busybox", "test/busybox:1")
        seen = self.messages(f"/images/create?fromImage={registry.host}/test/busybox&tag=1")
        self.assertEqual((seen[0]["status"], seen[0]["id"]), ("Pulling from test/busybox", "1"))
        states = [m["status"] for m in seen if len(m.get("id", "")) == 12]
        order = ["Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete",
                 "Extracting", "Pull complete"]
        self.assertEqual([s for s in dict.fromkeys(states)], order)

    def test_layer_that_is_there_is_not_fetched(self):
        engine.docker("pull", registry.push(layout, "busybox", "test/share:1"))
        out = engine.docker("pull", registry.push(layout, "two", "test/share:2")).stdout
        self.assertEqual(out.count(": Already exists\n"), 1)
        self.assertEqual(out.count(": Pull complete\n"), 1)

    def test_second_pull_of_an_unchanged_image_is_one_request(self):
        for tag, more in (("busybox", ()), ("multi", ("--platform", "linux/arm64"))):
            counting = LyingRegistry(layout)
            self.addCleanup(counting.close)
            name = f"{counting.name}:{tag}"
            engine.docker("pull", *more, name)
            del counting.seen[:]
            out = engine.docker("pull", *more, name).stdout
            self.assertIn(f"Status: Image is up to date for {name}", out)
            self.assertRegex(out, r"\nDigest: sha256:[0-9a-f]{64}\n")
            self.assertEqual(counting.seen, [f"HEAD /v2/r/manifests/{tag}"])
            # Another platform, or another image at the tag, is fetched.
            counting.replies[f"/v2/r/manifests/{tag}"] = counting.replies["/v2/r/manifests/two"]
            self.assertIn("Downloaded newer image", engine.docker("pull", name).stdout)

    def test_by_digest(self):
        name = registry.push(layout, "busybox", "test/digest:1")
        digest = layout.entries[0]["digest"]
        by_digest = f"{registry.host}/test/digest@{digest}"
        out = engine.docker("pull", by_digest).stdout
        self.assertIn(f"Digest: {digest}\n", out)
        self.assertIn(f"Status: Downloaded newer image for {by_digest}\n", out)
        self.assertEqual(engine.docker("image", "inspect", "-f", "{{.RepoTags}}", by_digest).stdout,
                         "[]\n")
        self.assertIn("No such image", self.failing("image", "inspect", name))

    def test_zstd_layers(self):
        name = registry.push(layout, "two", "test/zstd:1", "--dest-compress-format=zstd")
        engine.docker("pull", name)
        layers = json.loads(engine.docker("image", "inspect", name).stdout)[0]["RootFS"]["Layers"]
        self.assertEqual(len(layers), 2)

    def test_docker_schema_2(self):
        name = registry.push(layout, "two", "test/schema2:1", "--format=v2s2")
        engine.docker("pull", name)
        self.assertIn(name, engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout)

    def test_platforms(self):
        name = registry.push(layout, "multi", "test/multi:1")
        engine.docker("pull", name)
        show = ("image", "inspect", "-f", "{{.Architecture}}", name)
        self.assertEqual(engine.docker(*show).stdout, "amd64\n")
        engine.docker("pull", "--platform", "linux/arm64", name)
        self.assertEqual(engine.docker(*show).stdout, "amd64\n")
        self.assertEqual(engine.docker(*show, "--platform", "linux/arm64").stdout, "arm64\n")
        self.assertIn("no matching manifest for linux/s390x in the manifest list entries",
                      self.failing("pull", "--platform", "linux/s390x", name))

    def test_all_tags(self):
        for tag in ("a", "b"):
            registry.push(layout, "busybox", f"test/all:{tag}")
        engine.docker("pull", "--all-tags", f"{registry.host}/test/all")
        tags = engine.docker("images", "--format", "{{.Tag}}", f"{registry.host}/test/all").stdout
        self.assertEqual(sorted(tags.split()), ["a", "b"])

    def test_unknown_images(self):
        name = f"{registry.host}/test/none"
        self.assertEqual(self.failing("pull", name),
                         f"Error response from daemon: manifest for {name}:latest not found: "
                         "manifest unknown: manifest unknown")
        status, _, body = engine.api("POST", f"/images/create?fromImage={name}&tag=latest")
        self.assertEqual(status, 404, body)
        status, _, _ = engine.api("POST", "/images/create?fromImage=UPPER&tag=latest")
        self.assertEqual(status, 400)
        self.assertIn("failed to connect", self.failing("pull", "127.0.0.1:1/x").lower())

    def test_several_at_once(self):
        name = registry.push(layout, "two", "test/many:1")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for run in pool.map(lambda _: engine.docker("pull", name), range(6)):
                self.assertIn("Status:", run.stdout)
        self.assertEqual(len(engine.json("GET", "/images/json")), 1)

    def test_events(self):
        name = registry.push(layout, "two", "test/events:1")
        engine.docker("pull", name)
        engine.docker("rmi", name)
        time.sleep(1.1)  # the client cuts --until to whole seconds
        events = engine.docker("events", "--since", "1h", "--until", "0s", "--filter", "type=image",
                               "--format", "{{.Action}} {{.Actor.Attributes.name}}").stdout
        self.assertEqual([line.split()[0] for line in events.splitlines()][-3:],
                         ["pull", "untag", "delete"])
        self.assertIn(f"pull {registry.host}/test/events\n", events)


class Https(ImageTest):
    """A registry that is not on loopback: TLS must be right."""

    @classmethod
    def setUpClass(cls):
        cls.address = "10.98.76.54"
        subprocess.run(["ip", "addr", "add", f"{cls.address}/32", "dev", "lo"], check=True)
        # Our own view of /etc, to put a certificate there.
        etc = scratch / "etc"
        for name in ("upper", "work"):
            (etc / name).mkdir(parents=True)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir=/etc,upperdir={etc}/upper,workdir={etc}/work", "/etc"],
                       check=True)
        cls.registry = Registry(cls.address, tls=True, user=("ann", "secret"))
        cls.name = cls.registry.push(layout, "busybox", "test/tls:1")
        cls.certs = pathlib.Path("/etc/coffer/certs.d") / cls.registry.host

    @classmethod
    def tearDownClass(cls):
        cls.registry.close()
        subprocess.run(["umount", "--lazy", "/etc"], check=True)
        subprocess.run(["ip", "addr", "del", f"{cls.address}/32", "dev", "lo"], check=True)

    def setUp(self):
        (engine.dir / "docker").mkdir(exist_ok=True)
        self.config = engine.dir / "docker/config.json"
        self.config.write_text(json.dumps(self.registry.docker_config()))
        self.certs.mkdir(parents=True, exist_ok=True)

    def tearDown(self):
        self.config.unlink(missing_ok=True)
        shutil.rmtree(self.certs)
        super().tearDown()

    def test_unknown_authority_is_refused(self):
        self.assertRegex(self.failing("pull", self.name), "(?i)certificate")

    def test_private_authority_and_login(self):
        shutil.copy(self.registry.dir / "ca.crt", self.certs / "ca.crt")
        engine.docker("pull", self.name)

    def test_login_is_checked(self):
        shutil.copy(self.registry.dir / "ca.crt", self.certs / "ca.crt")
        self.config.unlink()
        login = ("login", "-u", "ann", "--password-stdin", self.registry.host)
        refused = engine.docker(*login, input="wrong", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(f"Error response from daemon: login attempt to https://{self.registry.host}"
                      "/v2/ failed with status: 401 Unauthorized", refused.stderr)
        self.assertIn("Login Succeeded", engine.docker(*login, input="secret").stdout)
        engine.docker("pull", self.name)
        engine.docker("logout", self.registry.host)
        self.assertIn("no basic auth credentials", self.failing("pull", self.name))
        ours = subprocess.run([BIN / "coffer", *login], input="secret", text=True, timeout=60,
                              capture_output=True,
                              env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}",
                                   "DOCKER_CONFIG": str(engine.dir / "docker")})
        self.assertEqual((ours.returncode, ours.stdout), (0, "Login Succeeded\n"), ours.stderr)
        engine.docker("pull", self.name)

    def test_without_login(self):
        shutil.copy(self.registry.dir / "ca.crt", self.certs / "ca.crt")
        self.config.unlink()
        self.assertIn("no basic auth credentials", self.failing("pull", self.name))

    def test_another_authority_of_the_same_name(self):
        make_certificate(self.certs, self.address)
        for name in ("server.key", "server.crt", "ca.key"):
            (self.certs / name).unlink()
        self.assertRegex(self.failing("pull", self.name), "(?i)certificate")

    def test_plain_http_is_not_tried(self):
        plain = Registry(self.address)
        try:
            name = plain.push(layout, "busybox", "test/plain:1")
            self.failing("pull", name)
        finally:
            plain.close()


class BadRegistry(ImageTest):
    def setUp(self):
        self.layout = Layout(tempfile.mkdtemp(dir=scratch))
        self.tar = tar_of({"file": b"x" * 100_000})
        self.layout.tag("1", self.layout.manifest([tar_of({"first": b""}), self.tar]))
        self.registry = LyingRegistry(self.layout)
        self.layer = "/v2/r/blobs/" + digest_of(gzip.compress(self.tar, 1, mtime=0))
        self.assertIn(self.layer, self.registry.replies)

    def tearDown(self):
        self.registry.close()
        super().tearDown()

    def refused(self):
        text = self.failing("pull", f"{self.registry.name}:1")
        self.assertEqual(engine.json("GET", "/images/json?all=1"), [])
        self.assertEqual(engine.left_of_images(), [])
        return text

    def test_control(self):
        engine.docker("pull", f"{self.registry.name}:1")

    def test_wrong_digest_of_a_layer(self):
        good = self.registry.replies[self.layer][2]
        other = gzip.compress(tar_of({"file": b"y" * 100_000}), 1, mtime=0)
        self.registry.replies[self.layer] = (200, {}, other[:len(good)].ljust(len(good), b"\0"))
        self.refused()

    def test_truncated_layer(self):
        good = self.registry.replies[self.layer][2]
        self.registry.replies[self.layer] = (200, {"Content-Length": len(good)}, good[:50])
        self.refused()

    def test_layer_longer_than_declared(self):
        good = self.registry.replies[self.layer][2]
        self.registry.replies[self.layer] = (200, {}, good + b"more")
        self.assertIn("larger than", self.refused())

    def test_manifest_that_is_not_its_digest(self):
        for path, (status, headers, body) in list(self.registry.replies.items()):
            if "/manifests/" in path:
                headers = {**headers, "Docker-Content-Digest": digest_of(b"other")}
                self.registry.replies[path] = (status, headers, body)
        self.assertIn("manifest verification failed", self.refused())

    def test_manifest_served_as_an_index(self):
        path = "/v2/r/manifests/1"
        status, headers, body = self.registry.replies[path]
        self.registry.replies[path] = (
            status, {"Content-Type": "application/vnd.oci.image.index.v1+json"}, body)
        self.refused()

    def test_digest_that_is_a_path(self):
        manifest = json.loads(self.registry.replies["/v2/r/manifests/1"][2])
        manifest["layers"][0]["digest"] = "sha256:../../../../etc/passwd"
        self.registry.replies["/v2/r/manifests/1"] = (
            200, {"Content-Type": MANIFEST}, json.dumps(manifest).encode())
        self.refused()

    def test_layer_that_leaves_its_folder(self):
        evil = tar_of({"link": "/etc", "link/evil": b"x"})
        layer = gzip.compress(evil)
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": [digest_of(evil)]}}).encode()
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {"mediaType": CONFIG, "digest": digest_of(config),
                               "size": len(config)},
                    "layers": [{"mediaType": LAYER, "digest": digest_of(layer),
                                "size": len(layer)}]}
        replies = self.registry.replies
        replies["/v2/r/manifests/1"] = (200, {"Content-Type": MANIFEST},
                                        json.dumps(manifest).encode())
        replies["/v2/r/blobs/" + digest_of(config)] = (200, {}, config)
        replies["/v2/r/blobs/" + digest_of(layer)] = (200, {}, layer)
        engine.docker("pull", f"{self.registry.name}:1", check=False)
        self.assertFalse(os.path.exists("/etc/evil"))


class Depth(ImageTest):
    def deep(self, layers):
        tars = [busybox_rootfs()] + [tar_of({f"n{n}": b"%d\n" % n}) for n in range(1, layers)]
        self.layout = Layout(scratch / f"deep{layers}")
        self.layout.tag("deep", self.layout.manifest(tars))
        return registry.push(self.layout, "deep", f"test/deep:{layers}")

    def test_as_deep_as_can_be(self):
        name = self.deep(127)
        engine.docker("pull", "-q", name)
        run = engine.docker("run", "--name", "deep", "--network", "none", name, "sh", "-c",
                            "echo x >/n1; cat /n1 /n2 /n126; ls / | grep -c '^n'")
        self.assertEqual(run.stdout, "x\n2\n126\n126\n")
        self.assertIn("max depth exceeded", self.failing("commit", "deep", "deeper"))
        engine.docker("rm", "deep")

    def test_deeper(self):
        name = self.deep(128)
        self.assertIn("max depth exceeded: 127 layers are the most", self.failing("pull", name))
        archive = scratch / "deep.tar"
        subprocess.run(["skopeo", "copy", "--quiet", f"oci:{self.layout.dir}:deep",
                        f"docker-archive:{archive}:deep:1"], check=True)
        self.assertIn("max depth exceeded", self.failing("load", "-i", archive))


class LoadAndImport(ImageTest):
    def test_docker_archive(self):
        archive = scratch / "docker.tar"
        subprocess.run(["skopeo", "copy", "--quiet", f"oci:{layout.dir}:two",
                        f"docker-archive:{archive}:team/app:7"], check=True)
        self.assertEqual(engine.docker("load", "-i", archive).stdout.splitlines()[-1],
                         "Loaded image: team/app:7")
        self.assertEqual(engine.docker("image", "inspect", "-f", "{{.Config.Cmd}}",
                                       "team/app:7").stdout, "[cat /second]\n")

    def test_compressed_oci_layout(self):
        out = engine.docker("load", input=gzip.compress(self.tar_of_layout())).stdout
        self.assertIn("Loaded image", out)
        self.assertTrue(engine.json("GET", "/images/json"))

    def tar_of_layout(self):
        return subprocess.run(["tar", "-C", layout.dir, "-cf", "-", "."], check=True,
                              stdout=subprocess.PIPE).stdout

    def test_what_is_saved_can_be_loaded(self):
        name = registry.push(layout, "two", "test/save:1")
        engine.docker("pull", name)
        image = engine.docker("image", "inspect", "-f", "{{.Id}}", name).stdout
        archive = scratch / "saved.tar"
        engine.docker("save", "-o", archive, name)
        engine.docker("rmi", name)
        self.assertIn(f"Loaded image: {name}", engine.docker("load", "-i", archive).stdout)
        self.assertEqual(engine.docker("image", "inspect", "-f", "{{.Id}}", name).stdout, image)
        check = scratch / "check"
        subprocess.run(["skopeo", "copy", "--quiet", f"docker-archive:{archive}",
                        f"dir:{check}"], check=True)

    def test_garbage(self):
        for body in (b"", b"garbage" * 1000, gzip.compress(tar_of({"x": b""}))):
            run = engine.docker("load", input=body, check=False)
            self.assertNotEqual(run.returncode, 0, run.stdout)

    def test_import(self):
        run = engine.docker("import", "--change", 'CMD ["true"]', "--change", "ENV A=b",
                            "--message", "made", "-", "rootfs:1", input=busybox_rootfs())
        self.assertRegex(run.stdout, r"^sha256:[0-9a-f]{64}\n$")
        image = json.loads(engine.docker("image", "inspect", "rootfs:1").stdout)[0]
        self.assertEqual(image["Id"], run.stdout.strip())
        self.assertEqual(image["Config"]["Cmd"], ["true"])
        self.assertEqual(image["Comment"], "made")
        self.assertIn("RUN is not a valid change command",
                      self.failing("import", "--change", "RUN x", "-", input=tar_of({"f": b""})))


class TagAndRemove(ImageTest):
    def setUp(self):
        engine.docker("import", "-", "box", input=tar_of({"f": b"1"}))

    def test_names(self):
        engine.docker("tag", "box", "team/box:2")
        self.assertEqual(engine.docker("rmi", "team/box:2").stdout, "Untagged: team/box:2\n")
        out = engine.docker("rmi", "box").stdout.splitlines()
        self.assertEqual(out[0], "Untagged: box:latest")
        self.assertRegex(out[1], "^Deleted: sha256:")
        # docker 20.10 words the 404 itself.
        self.assertIn(self.failing("rmi", "box"),
                      ("Error response from daemon: No such image: box:latest",
                       "Error: No such image: box"))
        self.assertEqual(self.failing("tag", "box", "x"),
                         "Error response from daemon: No such image: box:latest")

    def test_container_keeps_its_image(self):
        container = engine.docker("create", "--name", "keeper", "box", "x").stdout.strip()
        image = engine.docker("image", "inspect", "-f", "{{.Id}}", "box").stdout.strip()[7:19]
        self.assertEqual(
            self.failing("rmi", "box"),
            'Error response from daemon: conflict: unable to remove repository reference "box" '
            f"(must force) - container {container[:12]} is using its referenced image {image}")
        self.assertEqual(
            self.failing("rmi", image),
            f"Error response from daemon: conflict: unable to delete {image} (must be forced) - "
            f"image is being used by stopped container {container[:12]}")
        engine.docker("rm", "keeper")
        engine.docker("rmi", image)

    def test_prune(self):
        engine.docker("import", "-", input=tar_of({"f": b"22"}))
        self.assertIn("Total reclaimed space: 2B", engine.docker("image", "prune", "-f").stdout)
        self.assertIn("Total reclaimed space: 1B",
                      engine.docker("image", "prune", "-a", "-f").stdout)


class FullDisk(unittest.TestCase):
    def test_pull_fails_clearly_and_the_engine_goes_on(self):
        disk = scratch / "disk"
        disk.mkdir()
        image = scratch / "disk.img"
        with open(image, "wb") as file:
            file.truncate(16 << 20)
        # No tmpfs: before 6.3 the kernel does not map its ids.
        subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, disk], check=True)
        small = None
        try:
            small = Engine("--bridge", "none", data_root=disk / "data")
            big = Layout(scratch / "big")
            big.tag("blob", big.manifest([tar_of({"f": os.urandom(30_000_000)})]))
            big.tag("tree", big.manifest([tar_of({"f": b"0" * 30_000_000})]))
            big.tag("fits", big.manifest([tar_of({"f": b"0" * 3_000_000})]))
            for tag in ("blob", "tree"):
                name = registry.push(big, tag, f"big:{tag}")
                run = small.docker("pull", name, check=False)
                self.assertNotEqual(run.returncode, 0)
                self.assertIn("no space left on device", run.stderr.lower())
                self.assertEqual(small.json("GET", "/images/json"), [])
            small.docker("pull", registry.push(big, "fits", "big:fits"))
        finally:
            if small:
                small.close()
            subprocess.run(["umount", "--lazy", disk], check=True)


if __name__ == "__main__":
    unittest.main()
