"""Registries and images for tests: the docker-registry of Debian on loopback, filled by skopeo from
OCI layouts made here; and a registry that lies."""
import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import pathlib
import select
import shutil
import socket
import socketserver
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.parse
import warnings

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(files):
    """An uncompressed tar of {name: bytes}; a name that ends with / is a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mtime = 1_600_000_000
            if name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size, info.mode = len(content), 0o755
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def busybox_rootfs():
    """A root file system of Debian's busybox-static."""
    files = {"bin/": None, "tmp/": None, "etc/": None, "proc/": None, "sys/": None, "dev/": None,
             "root/": None, "var/": None,
             "bin/busybox": pathlib.Path("/bin/busybox").read_bytes(),
             "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
             "etc/group": b"root:x:0:\nnobody:x:65534:\n"}
    names = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True)
    for name in names.stdout.split():
        if name != "busybox":
            files[f"bin/{name}"] = "busybox"
    return tar_of(files)


class Layout:
    """An OCI image layout in a folder."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        (self.dir / "blobs/sha256").mkdir(parents=True)
        (self.dir / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.entries = []

    def blob(self, data, media_type):
        digest = digest_of(data)
        (self.dir / "blobs/sha256" / digest[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def document(self, value):
        return self.blob(json.dumps(value).encode(), value["mediaType"])

    def manifest(self, tars, config=None, architecture="amd64"):
        """The descriptor of an image whose layers are uncompressed tars, stored as gzip."""
        layers = [self.blob(gzip.compress(tar, 1, mtime=0), LAYER) for tar in tars]
        document = {"architecture": architecture, "os": "linux", "created": "2024-05-06T07:08:09Z",
                    "config": config or {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
                    "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
                    "history": [{"created": "2024-05-06T07:08:09Z", "created_by": f"layer {n}"}
                                for n in range(len(tars))]}
        return self.document({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": self.blob(json.dumps(document).encode(), CONFIG), "layers": layers})

    def index(self, platforms):
        """The descriptor of an index: {"linux/arm64": descriptor}."""
        entries = []
        for name, descriptor in platforms.items():
            os_name, architecture = name.split("/")
            entries.append({**descriptor,
                            "platform": {"os": os_name, "architecture": architecture}})
        return self.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})

    def tag(self, name, descriptor):
        self.entries.append({**descriptor,
                             "annotations": {"org.opencontainers.image.ref.name": name}})
        (self.dir / "index.json").write_text(json.dumps(
            {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.entries}))


def free_port(host="127.0.0.1"):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def make_certificate(folder, address):
    """A private CA and a server certificate of it: ca.crt, server.crt, server.key."""
    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)
    folder = pathlib.Path(folder)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj", "/CN=private CA", "-keyout", folder / "ca.key", "-out",
            folder / "ca.crt")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            "/CN=registry", "-keyout", folder / "server.key", "-out", folder / "server.csr")
    (folder / "ext").write_text(f"subjectAltName=IP:{address}\n")
    openssl("x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.crt", "-CAkey",
            folder / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", folder / "ext", "-out",
            folder / "server.crt")


class Registry:
    """docker-registry; `tls` makes it HTTPS with a private CA, `user` is ("name", "password")."""

    def __init__(self, address="127.0.0.1", tls=False, user=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="coffer-registry-"))
        self.host = f"{address}:{free_port(address)}"
        self.tls, self.user = tls, user
        config = {"version": "0.1", "log": {"level": "error", "accesslog": {"disabled": True}},
                  "storage": {"filesystem": {"rootdirectory": str(self.dir / "data")}},
                  "http": {"addr": self.host}}
        if tls:
            make_certificate(self.dir, address)
            config["http"]["tls"] = {"certificate": str(self.dir / "server.crt"),
                                     "key": str(self.dir / "server.key")}
        if user:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import crypt
            secret = crypt.crypt(user[1], crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=1 << 5))
            (self.dir / "htpasswd").write_text(f"{user[0]}:{secret}\n")
            config["auth"] = {"htpasswd": {"realm": "r", "path": str(self.dir / "htpasswd")}}
        (self.dir / "config.json").write_text(json.dumps(config))
        self.process = subprocess.Popen(["docker-registry", "serve", self.dir / "config.json"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection((address, int(self.host.split(":")[1])), 1).close()
                return
            time.sleep(0.02)
        raise RuntimeError("docker-registry did not start")

    def push(self, layout, tag, name, *flags):
        """Copies layout:tag to name (repository:tag); gives the full name."""
        login = [f"--dest-creds={self.user[0]}:{self.user[1]}"] if self.user else []
        subprocess.run(["skopeo", "copy", "--all", "--quiet", "--dest-tls-verify=false", *login,
                        *flags, f"oci:{layout.dir}:{tag}", f"docker://{self.host}/{name}"],
                       check=True, capture_output=True, text=True)
        return f"{self.host}/{name}"

    def docker_config(self):
        login = base64.b64encode(":".join(self.user).encode()).decode()
        return {"auths": {self.host: {"auth": login}}}

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class LyingRegistry:
    """Serves the images of a layout, with answers replaced: {path: (status, headers, body)}. A
    body may be a function that writes; `seen` are the requests, `logins` their paths with the logins."""

    def __init__(self, layout, repository="r", host="127.0.0.1"):
        self.replies, self.seen, self.logins = {}, [], []
        seen, logins = self.seen, self.logins
        for blob in (layout.dir / "blobs/sha256").iterdir():
            data = blob.read_bytes()
            self.replies[f"/v2/{repository}/blobs/sha256:{blob.name}"] = (200, {}, data)
            with contextlib.suppress(ValueError):
                media_type = json.loads(data).get("mediaType")
                if media_type:
                    self.replies[f"/v2/{repository}/manifests/sha256:{blob.name}"] = (
                        200, {"Content-Type": media_type, "Docker-Content-Digest": f"sha256:{blob.name}"}, data)
        for entry in layout.entries:
            tag = entry["annotations"]["org.opencontainers.image.ref.name"]
            self.replies[f"/v2/{repository}/manifests/{tag}"] = self.replies[
                f"/v2/{repository}/manifests/{entry['digest']}"]
        replies = self.replies

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(f"{self.command} {self.path}")
                logins.append((self.path, self.headers.get("Authorization")))
                status, headers, body = replies.get(self.path, (404, {}, b"{}"))
                self.close_connection = True
                self.send_response(status)
                if headers is None:  # the writer is to write them too
                    self.flush_headers()
                    return body(self.wfile)
                known = {} if callable(body) else {"Content-Length": len(body)}
                for key, value in {**known, **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                if callable(body):
                    return body(self.wfile)
                if self.command != "HEAD":
                    with contextlib.suppress(OSError):
                        self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        self.host = f"{host}:{self.server.server_port}"
        self.name = f"{self.host}/{repository}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class ForwardProxy:
    """An HTTP proxy: plain requests and CONNECT; `seen` are the lines of the requests."""

    def __init__(self):
        proxy = self
        self.seen = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                head = b""
                while b"\r\n\r\n" not in head:
                    more = self.connection.recv(4096)
                    if not more:
                        return
                    head += more
                line = head.split(b"\r\n")[0].decode()
                proxy.seen.append(line)
                method, target, _ = line.split()
                host = target if method == "CONNECT" else urllib.parse.urlsplit(target).netloc
                name, port = host.rsplit(":", 1)
                with socket.create_connection((name, int(port))) as server:
                    if method == "CONNECT":
                        self.connection.sendall(b"HTTP/1.1 200 ok\r\n\r\n")
                    else:
                        path = target.split(host, 1)[1]
                        head = head.replace(target.encode(), path.encode(), 1)
                        server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                    self.shuttle(server)

            def shuttle(self, server):
                ends = {self.connection: server, server: self.connection}
                with contextlib.suppress(OSError):
                    while True:
                        for one in select.select(list(ends), [], [], 30)[0]:
                            data = one.recv(65536)
                            if not data:
                                return
                            ends[one].sendall(data)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
