"""Registries that mean harm: a clear error within bounded time and memory, and nothing stays in the store."""
import contextlib
import gzip
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import unittest
import zlib

from support.engine import Engine
from support.registry import CONFIG, INDEX, LAYER, MANIFEST, Layout, LyingRegistry, digest_of, tar_of

MANIFEST_PATH = "/v2/r/manifests/1"
MEMORY_MB = 600 if "ASAN_OPTIONS" in os.environ else 100
OUTSIDE = "10.98.76.55"


def setUpModule():
    global engine, scratch
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-bad-"))
    subprocess.run(["ip", "addr", "add", f"{OUTSIDE}/32", "dev", "lo"], check=True)
    engine = Engine("--bridge", "none", "--insecure-registry", f"{OUTSIDE}/32")


def tearDownModule():
    engine.close()
    subprocess.run(["ip", "addr", "del", f"{OUTSIDE}/32", "dev", "lo"], check=True)
    shutil.rmtree(scratch, ignore_errors=True)


def peak_mb(pid):
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0


class Watch:
    """The peak memory of the engine and of its unpackers meanwhile, in MB."""

    def __enter__(self):
        pathlib.Path(f"/proc/{engine.process.pid}/clear_refs").write_text("5")
        self.unpacker, self.ended = 0, threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def look(self):
        while not self.ended.wait(0.02):
            for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
                with contextlib.suppress(OSError):
                    if path.read_text().startswith("coffer-unpack"):
                        self.unpacker = max(self.unpacker, peak_mb(path.parent.name))

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.engine = peak_mb(engine.process.pid)


def gzip_of(pieces):
    """Compressed as they come, of (bytes, times)."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    out, hashed = [], hashlib.sha256()
    for piece, times in pieces:
        for _ in range(times):
            out.append(packer.compress(piece))
            hashed.update(piece)
    out.append(packer.flush())
    return b"".join(out), "sha256:" + hashed.hexdigest()


def tar_header(name, size, kind=b"0"):
    header = bytearray(struct.pack("100s8s8s8s12s12s8s1s", name.encode(), b"0000644\0", b"0000000\0", b"0000000\0",
                                   f"{size:011o}\0".encode(), b"00000000000\0", b" " * 8, kind).ljust(512, b"\0"))
    header[257:265] = b"ustar\x0000"
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


def zstd_of_zeros(blocks, window_log):
    """A frame of RLE blocks, 128 KiB of zeros each."""
    block = 128 * 1024
    head = b"\x28\xb5\x2f\xfd" + bytes([0, (window_log - 10) << 3])
    return head + b"".join(struct.pack("<I", (block << 3) | 2 | (n == blocks - 1))[:3] + b"\0" for n in range(blocks))


class BadRegistry(unittest.TestCase):
    def setUp(self):
        layout = Layout(tempfile.mkdtemp(dir=scratch))
        layout.tag("1", layout.manifest([tar_of({"file": os.urandom(30_000)})]))
        self.registry = LyingRegistry(layout)
        self.addCleanup(self.registry.close)
        self.replies = self.registry.replies
        self.manifest = json.loads(self.replies[MANIFEST_PATH][2])
        self.layer = "/v2/r/blobs/" + self.manifest["layers"][0]["digest"]

    def refused(self, says="", memory=MEMORY_MB, name=None):
        with Watch() as peak:
            run = engine.docker("pull", name or f"{self.registry.name}:1", check=False)
        self.assertEqual(run.returncode, 1, run.stdout)
        if says:
            self.assertRegex(run.stderr, says)
        self.assertEqual(engine.json("GET", "/images/json?all=1"), [])
        for folder in ("blobs/sha256", "layers", "partial", "trash"):
            self.assertEqual(list((engine.data_root / folder).iterdir()), [])
        self.assertLess(peak.engine, memory)
        self.assertLess(peak.unpacker, memory)
        return run.stderr

    def put_manifest(self, value, media_type=MANIFEST):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.replies[MANIFEST_PATH] = (200, {"Content-Type": media_type}, body)
        return body

    def put_blob(self, data):
        self.replies["/v2/r/blobs/" + digest_of(data)] = (200, {}, data)
        return {"digest": digest_of(data), "size": len(data)}

    def put_layer(self, data, diff_id, media_type=LAYER):
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode()
        self.put_manifest({**self.manifest, "config": {"mediaType": CONFIG, **self.put_blob(config)},
                           "layers": [{"mediaType": media_type, **self.put_blob(data)}]})

    def endless(self, chunk=b"x" * 65536):
        def write(out):
            with contextlib.suppress(OSError):
                while True:
                    out.write(chunk)
        return write

    def test_control(self):
        engine.docker("pull", f"{self.registry.name}:1")
        engine.docker("rmi", f"{self.registry.name}:1")

    # ---- answers ----

    def test_endless_bodies(self):
        for status, says in ((200, "larger than"), (404, "larger than"), (307, "larger than"), (401, "larger than")):
            self.replies[MANIFEST_PATH] = (status, {"Content-Type": MANIFEST, "Location": "/v2/r/x"}, self.endless())
            self.refused(says)

    def test_endless_layer(self):
        self.replies[self.layer] = (200, {}, self.endless())
        self.refused("larger than")

    def test_endless_headers(self):
        def write(out):
            with contextlib.suppress(OSError):
                for n in range(10**9):
                    out.write(b"X-%d: %s\r\n" % (n, b"y" * 1000))
        self.replies[MANIFEST_PATH] = (200, None, write)
        self.refused("bytes of headers")

    def test_redirects_in_a_circle(self):
        self.replies[MANIFEST_PATH] = (302, {"Location": MANIFEST_PATH}, b"")
        self.refused("redirects")

    def test_truncated_layer(self):
        good = self.replies[self.layer][2]
        self.replies[self.layer] = (200, {"Content-Length": len(good)}, good[:5000])
        self.refused()

    # ---- documents ----

    def test_manifests_that_are_no_manifest(self):
        self.put_manifest({**self.manifest, "mediaType": INDEX})
        self.refused()
        self.put_manifest({**self.manifest, "manifests": []})
        self.refused()
        self.put_manifest({"schemaVersion": 1, "fsLayers": []}, "application/vnd.docker.distribution.manifest.v1+json")
        self.refused()
        self.put_manifest(b'{"schemaVersion":2,"x":"' + b"x" * (5 << 20) + b'"}')
        self.refused("larger than")
        self.put_manifest(b"[" * 100_000)
        self.refused()
        self.put_manifest({"layers": self.manifest["layers"][:1] * 20_000, **{
            key: value for key, value in self.manifest.items() if key != "layers"}})
        self.refused()

    def test_index_in_an_index(self):
        platform = {"platform": {"os": "linux", "architecture": "amd64"}}
        inner = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
        body = json.dumps(inner).encode()
        self.replies["/v2/r/manifests/" + digest_of(body)] = (200, {"Content-Type": INDEX}, body)
        entry = {"digest": digest_of(body), "size": len(body), **platform}
        self.put_manifest({**inner, "manifests": [{"mediaType": INDEX, **entry}]}, INDEX)
        self.refused("no matching manifest")
        # Called a manifest, it is still an index.
        self.put_manifest({**inner, "manifests": [{"mediaType": MANIFEST, **entry}]}, INDEX)
        self.refused()

    def test_digests(self):
        for digest in ("sha256:../../../../etc/passwd", "sha256:" + "A" * 64, "sha256:" + "a" * 63, "md5:" + "a" * 32,
                       "sha512:" + "a" * 128, "", "sha256:" + "a" * 63 + "/"):
            layers = [{**self.manifest["layers"][0], "digest": digest}]
            self.put_manifest({**self.manifest, "layers": layers})
            self.refused()

    def test_media_types_and_sizes(self):
        for change in ({"mediaType": "text/html"}, {"size": -1}, {"size": 1 << 62}, {"size": 0}, {"size": "1"}):
            layers = [{**self.manifest["layers"][0], **change}]
            self.put_manifest({**self.manifest, "layers": layers})
            self.refused()
        self.put_manifest({**self.manifest, "config": {**self.manifest["config"], "size": 1 << 40}})
        self.refused("config of the image has")

    # ---- layers ----

    def test_wrong_diff_id(self):
        self.put_layer(gzip.compress(tar_of({"f": b"1"})), digest_of(b"another"))
        self.refused()

    def test_gzip_bomb(self):
        """2 GiB of zeros after the end of the archive, in 2 MB."""
        data, _ = gzip_of([(tar_of({"f": b"1"}), 1), (b"\0" * (1 << 20), 2048)])
        self.put_layer(data, digest_of(b"another"))
        self.refused()

    def test_zstd_bomb(self):
        data = zstd_of_zeros(50_000, 17)  # 6 GiB in 200 kB
        self.put_layer(data, digest_of(b"another"), LAYER.replace("gzip", "zstd"))
        self.refused("times|ratio|larger|expands")

    def test_zstd_that_wants_a_window_of_2_gib(self):
        self.put_layer(zstd_of_zeros(4, 31), digest_of(b"another"), LAYER.replace("gzip", "zstd"))
        self.refused()

    def test_pax_header_of_1_gib(self):
        data, _ = gzip_of([(tar_header("pax", 1 << 30, b"x"), 1), (b"9" * (1 << 20), 1024)])
        self.put_layer(data, digest_of(b"another"))
        self.refused()

    def test_a_hundred_thousand_tiny_entries(self):
        """All of them in one folder, and the digest is wrong in the end."""
        data, _ = gzip_of([(b"".join(tar_header(f"d/{n}", 0) for n in range(100_000)), 1), (b"\0" * 1024, 1)])
        self.put_layer(data, digest_of(b"another"))
        self.refused()

    def test_garbage_for_a_layer(self):
        for data in (b"", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", os.urandom(100_000), gzip.compress(os.urandom(100_000)),
                     gzip.compress(tar_of({"f": b"1"}))[:-4]):
            self.put_layer(data, digest_of(b"another"))
            self.refused()


class Realms(unittest.TestCase):
    """A registry that is elsewhere sends us to this machine, or to where it gets the login."""

    def setUp(self):
        registry = self
        self.challenge, self.location, self.reached = "", "", []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                registry.reached.append((self.server.server_address[0], self.path, self.headers.get("Authorization")))
                here = self.server.server_address[0] == OUTSIDE
                self.send_response(307 if here and registry.location else 401 if here else 200)
                if here and registry.location:
                    self.send_header("Location", registry.location)
                elif here:
                    self.send_header("WWW-Authenticate", registry.challenge)
                body = b'{"token":"t"}'
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *args):
                pass

        self.servers = [http.server.ThreadingHTTPServer((host, 0), Handler) for host in (OUTSIDE, "127.0.0.1")]
        for server in self.servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)
        self.host = f"{OUTSIDE}:{self.servers[0].server_port}"
        self.inside = f"127.0.0.1:{self.servers[1].server_port}"

    def pull(self, by=None):
        run = (by or engine).docker("pull", f"{self.host}/r:1", check=False)
        self.assertEqual(run.returncode, 1)
        return run.stderr

    def test_realms(self):
        for realm in (f"http://{self.inside}/token", f"http://localhost:{self.inside.split(':')[1]}/token",
                      "http://169.254.169.254/latest/meta-data", f"http://[::ffff:127.0.0.1]:{self.inside.split(':')[1]}/"):
            self.challenge = f'Bearer realm="{realm}",service="s"'
            self.assertRegex(self.pull(), "of this machine|no realm|invalid address|Couldn't connect", realm)
        for realm in ("file:///etc/passwd", "gopher://127.0.0.1:1/x", "http://u:p@10.0.0.1/x", "", "token"):
            self.challenge = f'Bearer realm="{realm}"'
            self.pull()
        self.assertEqual({host for host, *_ in self.reached}, {OUTSIDE})

    def test_redirects(self):
        for self.location in (f"http://{self.inside}/v2/", "http://169.254.169.254/", "file:///etc/passwd"):
            self.pull()
        self.assertEqual({host for host, *_ in self.reached}, {OUTSIDE})

    def test_a_login_at_the_usual_port(self):
        """The port that goes without saying does not make another host of it."""
        server = http.server.ThreadingHTTPServer((OUTSIDE, 80), self.servers[0].RequestHandlerClass)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.challenge = "Basic"
        engine.api("POST", "/auth", {"username": "u", "password": "p", "serveraddress": f"{OUTSIDE}:80"})
        self.assertIn((OUTSIDE, "/v2/", "Basic dTpw"), self.reached)

    def test_no_way_around_the_proxy(self):
        """What NO_PROXY names is asked by ourselves, and that is not for a registry to make use of."""
        other = Engine("--bridge", "none", "--insecure-registry", f"{OUTSIDE}/32",
                       "--http-proxy", "http://127.0.0.1:1", "--no-proxy", f"{OUTSIDE},0.0.0.0")
        self.addCleanup(other.close)
        self.location = f"http://0.0.0.0:{self.inside.split(':')[1]}/"
        self.assertIn("of this machine", self.pull(other))
        self.assertEqual({host for host, *_ in self.reached}, {OUTSIDE})

    def test_challenges_that_are_nonsense(self):
        for self.challenge in ("", "Bearer", "Bearer realm", 'Bearer realm="', "Negotiate", "Digest realm=x",
                               "Basic", "x" * 60_000, 'Bearer realm="http://\x01"'):
            self.pull()


if __name__ == "__main__":
    unittest.main()
