"""Push: to Debian's docker-registry, driven by docker's client; what arrives is read by skopeo."""
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

from support.engine import Engine
from support.registry import Layout, Registry, busybox_rootfs, digest_of, tar_of

engine = None
registry = None
scratch = None
layout = None


def setUpModule():
    global engine, registry, scratch, layout
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-push-"))
    registry = Registry()
    engine = Engine()
    layout = Layout(scratch / "layout")
    layout.tag("two", layout.manifest([busybox_rootfs(), tar_of({"second": os.urandom(300_000)})]))


def tearDownModule():
    engine.close()
    registry.close()
    shutil.rmtree(scratch)


def inspect(name, *flags):
    run = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", *flags,
                          f"docker://{name}"], capture_output=True, text=True, check=True)
    return run.stdout


class ForgetfulRegistry:
    """Takes uploads and keeps nothing else; cuts the first `breaks` PATCH requests after 2 MB. With
    `resumes` an upload goes on from there, without it is unknown afterwards, as with docker-registry
    2.8. It has the documents `known` and refuses so many manifests as `refuses` says. `seen` are the requests,
    `blobs` what has arrived."""

    def __init__(self, breaks, resumes):
        registry = self
        self.breaks, self.resumes = breaks, resumes
        self.seen, self.blobs, self.uploads = [], {}, {}
        self.known, self.refuses = set(), 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def reply(self, status, **headers):
                self.send_response(status)
                for name, value in {"Content_Length": 0, **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.close_connection = True

            def handle_request(self):
                registry.seen.append(self.command)
                size = int(self.headers.get("Content-Length") or 0)
                upload = self.path.split("?")[0]
                if self.command == "HEAD":
                    digest = self.path.split("/")[-1]
                    if digest in registry.known:
                        return self.reply(200, Docker_Content_Digest=digest)
                    return self.reply(404)
                if self.command == "POST":
                    location = f"/v2/r/blobs/uploads/{len(registry.uploads)}"
                    registry.uploads[location] = b""
                    return self.reply(202, Location=location)
                if "/manifests/" in self.path:
                    self.rfile.read(size)
                    registry.refuses -= 1
                    return self.reply(201 if registry.refuses < 0 else 400)
                if upload not in registry.uploads:
                    return self.reply(404)
                if self.command == "GET":
                    last = max(0, len(registry.uploads[upload]) - 1)
                    return self.reply(204, Location=upload, Range=f"0-{last}")
                if self.command == "PUT":
                    digest = urllib.parse.unquote(self.path.split("digest=")[1])
                    registry.blobs[digest] = registry.uploads.pop(upload)
                    return self.reply(201)
                begin = int(self.headers["Content-Range"].split("-")[0])
                if begin != len(registry.uploads[upload]):
                    return self.reply(416)
                if registry.breaks and size > 2_000_000:
                    registry.breaks -= 1
                    registry.uploads[upload] += self.rfile.read(2_000_000)
                    if not registry.resumes:
                        del registry.uploads[upload]
                    self.close_connection = True
                    return self.connection.shutdown(socket.SHUT_RDWR)
                registry.uploads[upload] += self.rfile.read(size)
                return self.reply(202, Location=upload)

            do_HEAD = do_GET = do_POST = do_PATCH = do_PUT = handle_request

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Known(unittest.TestCase):
    """What the registry has under any tag gets another one."""

    def setUp(self):
        self.registry = ForgetfulRegistry(breaks=0, resumes=True)
        self.addCleanup(self.registry.close)
        source = registry.push(layout, "two", "known/two:1")
        engine.docker("pull", source)
        self.name = f"{self.registry.host}/r:1"
        engine.docker("tag", source, self.name)
        self.addCleanup(engine.remove_images)
        self.registry.known.add(digest_of(inspect(source).encode()))

    def test_two_requests_are_enough(self):
        out = engine.docker("push", self.name).stdout
        self.assertEqual(self.registry.seen, ["HEAD", "PUT"])
        self.assertEqual(out.count("Layer already exists"), 2)

    def test_one_that_has_lost_a_layer_gets_all_of_it(self):
        self.registry.refuses = 1
        engine.docker("push", self.name)
        self.assertEqual(len(self.registry.blobs), 3)
        self.assertEqual(self.registry.refuses, -1)


class Push(unittest.TestCase):
    def pulled(self):
        return registry.push(layout, "two", "source/two:1")

    def test_what_was_pulled_goes_out_with_the_same_digests(self):
        source = self.pulled()
        engine.docker("pull", source)
        target = f"{registry.host}/target/same:v1"
        engine.docker("tag", source, target)
        out = engine.docker("push", target).stdout
        self.assertIn(f"The push refers to repository [{registry.host}/target/same]", out)
        self.assertEqual(inspect(target), inspect(source))
        # The layers were in the registry already: mounted, not sent.
        self.assertEqual(out.count("Mounted from source/two"), 2, out)
        digest = json.loads(engine.docker("inspect", target).stdout)[0]["RepoDigests"]
        self.assertTrue(any(one.startswith(f"{registry.host}/target/same@sha256:")
                            for one in digest), digest)
        again = engine.docker("push", target).stdout
        self.assertEqual(again.count("Layer already exists"), 2, again)
        self.assertRegex(again, r"v1: digest: sha256:[0-9a-f]{64} size: \d+")

    def test_an_imported_image_gets_a_manifest_and_comes_back(self):
        archive = scratch / "root.tar"
        archive.write_bytes(busybox_rootfs())
        name = f"{registry.host}/target/imported:1"
        image = engine.docker("import", archive, name).stdout.strip()
        engine.docker("push", name)
        document = json.loads(inspect(name))
        self.assertEqual(document["config"]["digest"], image)
        engine.docker("rmi", "-f", image)
        engine.docker("pull", name)
        self.assertEqual(engine.docker("run", "--rm", name, "/bin/echo", "back").stdout, "back\n")

    def test_all_tags(self):
        source = self.pulled()
        engine.docker("pull", source)
        for tag in ("a", "b"):
            engine.docker("tag", source, f"{registry.host}/target/all:{tag}")
        engine.docker("push", "--all-tags", f"{registry.host}/target/all")
        self.assertEqual(inspect(f"{registry.host}/target/all:a"),
                         inspect(f"{registry.host}/target/all:b"))

    def test_messages_of_what_cannot_be_pushed(self):
        run = engine.docker("push", f"{registry.host}/no/such:1", check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("An image does not exist locally with the tag: "
                      f"{registry.host}/no/such", run.stderr)
        source = self.pulled()
        engine.docker("pull", source)
        engine.docker("tag", source, f"{registry.host}/target/one:1")
        run = engine.docker("push", f"{registry.host}/target/one:2", check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"tag does not exist: {registry.host}/target/one:2", run.stderr)

    def test_login_is_needed_where_it_is(self):
        closed = Registry(user=("someone", "secret"))
        try:
            source = self.pulled()
            engine.docker("pull", source)
            target = f"{closed.host}/mine:1"
            engine.docker("tag", source, target)
            run = engine.docker("push", target, check=False)
            self.assertEqual(run.returncode, 1)
            self.assertIn("no basic auth credentials", run.stderr)
            config = scratch / "config"
            config.mkdir(exist_ok=True)
            (config / "config.json").write_text(json.dumps(closed.docker_config()))
            engine.docker("--config", config, "push", target)
            self.assertEqual(inspect(target, "--creds", "someone:secret"), inspect(source))
        finally:
            closed.close()

    def pushed_to(self, broken):
        self.addCleanup(broken.close)
        big = Layout(tempfile.mkdtemp(dir=scratch))
        big.tag("x", big.manifest([tar_of({"noise": os.urandom(6_000_000)})]))
        source = registry.push(big, "x", "source/big:1")
        engine.docker("pull", source)
        engine.docker("tag", source, f"{broken.host}/r:1")
        engine.docker("push", f"{broken.host}/r:1")
        self.assertEqual(broken.breaks, 0)
        layers = json.loads(inspect(source))["layers"]
        for layer in layers:
            self.assertEqual(digest_of(broken.blobs[layer["digest"]]), layer["digest"])

    def test_an_upload_goes_on_where_the_connection_broke(self):
        broken = ForgetfulRegistry(breaks=2, resumes=True)
        self.pushed_to(broken)
        # One upload each for layer and config; it was asked after each break how far it is.
        self.assertEqual([broken.seen.count(one) for one in ("POST", "PATCH", "GET")], [2, 4, 2])

    def test_an_upload_that_is_forgotten_begins_again(self):
        broken = ForgetfulRegistry(breaks=2, resumes=False)
        self.pushed_to(broken)
        self.assertEqual([broken.seen.count(one) for one in ("POST", "PATCH", "GET")], [4, 4, 2])

    def test_coffer_pushes_as_docker_does(self):
        source = self.pulled()
        engine.docker("pull", source)
        target = f"{registry.host}/target/cli:1"
        engine.coffer("tag", source, target)
        out = engine.coffer("push", target).stdout
        self.assertRegex(out, r"1: digest: sha256:[0-9a-f]{64} size: \d+")
        self.assertEqual(engine.coffer("push", "--quiet", target).stdout.strip(), target)


if __name__ == "__main__":
    unittest.main()
