"""A registry of ours for tests, with an engine behind it and images to push, and its requests, which
another registry (`at`) takes, too."""
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from support.engine import Engine
from support.registry import MANIFEST, Layout, busybox_rootfs, digest_of, free_port, tar_of

EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
         "digest": digest_of(b"{}")}


class OwnRegistry:
    """`engine` serves it at `host`. `layout` has the images one, other (of another architecture)
    and index (of both); `scratch` is a folder to use."""

    def start(self):
        # podman wants a short path.
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-own-", dir="/tmp"))
        self.host = f"127.0.0.1:{free_port()}"
        self.engine = Engine("--registry", self.host)
        self.layout = Layout(self.scratch / "layout")
        one = self.layout.manifest([busybox_rootfs(), tar_of({"second": os.urandom(300_000)})])
        other = self.layout.manifest([tar_of({"other": b"1"})], architecture="s390x")
        self.layout.tag("one", one)
        self.layout.tag("other", other)
        self.layout.tag("index", self.layout.index({"linux/amd64": one, "linux/s390x": other}))

    def close(self):
        self.engine.close()
        shutil.rmtree(self.scratch)


own = OwnRegistry()


def sha512(data):
    return "sha512:" + hashlib.sha512(data).hexdigest()


class Answer:
    def __init__(self, reply):
        self.status, self.headers, self.body = reply.status, reply.headers, reply.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["errors"][0]["code"]


def ask(method, path, body=None, at=None, **headers):
    """One request; the names of headers have _ for -."""
    connection = http.client.HTTPConnection(at or own.host, timeout=60)
    try:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, fields)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def fetch(path, at=None, accept=f"{MANIFEST}, */*"):
    reply = ask("GET", f"/v2/{path}", at=at, Accept=accept)
    assert reply.status == 200, (path, reply.body)
    return reply


def push_blob(repository, data, digest=None, at=None):
    digest = digest or digest_of(data)
    reply = ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data, at=at,
                Content_Type="application/octet-stream")
    assert reply.status == 201, reply.body
    return {"mediaType": "application/octet-stream", "digest": digest, "size": len(data)}


def put_manifest(repository, name, document, media_type=None, at=None):
    text = json.dumps(document).encode()
    reply = ask("PUT", f"/v2/{repository}/manifests/{name}", text, at=at,
                Content_Type=media_type or document["mediaType"])
    return reply, {"mediaType": document["mediaType"], "digest": digest_of(text),
                   "size": len(text)}


def artifact(repository, content=b"content", kind="application/x.test", **fields):
    push_blob(repository, b"{}")
    return {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": EMPTY,
            "layers": [push_blob(repository, content)], **fields}


def run(*command, env=None, check=True):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120,
                          env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def skopeo_push(tag, name, *flags):
    run("skopeo", "copy", "--all", "--quiet", "--dest-tls-verify=false", *flags,
        f"oci:{own.layout.dir}:{tag}", f"docker://{own.host}/{name}")


def blobs_of_store():
    return sorted(os.listdir(own.engine.data_root / "blobs/sha256"))
