"""Our own registry: the points of the OCI distribution specification one by one, and what a crash
leaves."""
import contextlib
import http.client
import json
import os
import signal
import socket
import unittest

from support.engine import Engine, wait_until
from support.own_registry import (EMPTY, artifact, ask, blobs_of_store, own, push_blob,
                                  put_manifest, sha512, skopeo_push)
from support.registry import INDEX, LAYER, MANIFEST, digest_of, free_port

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def setUpModule():
    own.start()


def tearDownModule():
    own.close()


class Base(unittest.TestCase):
    def test_version(self):
        reply = ask("GET", "/v2/")
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.headers["Docker-Distribution-Api-Version"], "registry/2.0")
        self.assertEqual(ask("GET", "/v3/").status, 404)
        self.assertEqual(ask("POST", "/v2/").code, "UNSUPPORTED")

    def test_names_that_are_none(self):
        for name in ("UPPER", "a//b", "a/../b", "-a", "a%00", "a:b", "a@b", "x" * 300):
            with self.subTest(name):
                reply = ask("GET", f"/v2/{name}/tags/list")
                self.assertIn(reply.status, (400, 404))
        self.assertEqual(ask("GET", "/v2/UPPER/tags/list").code, "NAME_INVALID")
        self.assertEqual(ask("GET", "/v2/a/blobs/sha256:12").code, "DIGEST_INVALID")
        self.assertEqual(ask("GET", "/v2/a/blobs/md5:00").code, "DIGEST_INVALID")
        self.assertEqual(ask("GET", "/v2/a/manifests/..%2f..").status, 404)


class Blobs(unittest.TestCase):
    def test_get_and_head(self):
        data = os.urandom(100_000)
        blob = push_blob("blobs/get", data)
        path = f"/v2/blobs/get/blobs/{blob['digest']}"
        reply = ask("GET", path)
        self.assertEqual((reply.status, reply.body), (200, data))
        self.assertEqual(reply.headers["Content-Length"], "100000")
        head = ask("HEAD", path)
        self.assertEqual((head.status, head.headers["Content-Length"], head.body),
                         (200, "100000", b""))
        self.assertEqual(head.headers["Docker-Content-Digest"], blob["digest"])
        missing = ask("GET", f"/v2/blobs/get/blobs/{digest_of(b'no')}")
        self.assertEqual((missing.status, missing.code), (404, "BLOB_UNKNOWN"))
        # What one repository has is not in another.
        self.assertEqual(ask("GET", f"/v2/blobs/elsewhere/blobs/{blob['digest']}").status, 404)

    def test_ranges(self):
        data = bytes(range(256)) * 4
        path = f"/v2/blobs/range/blobs/{push_blob('blobs/range', data)['digest']}"
        for text, expected in (("bytes=0-9", data[:10]), ("bytes=1000-", data[1000:]),
                               ("bytes=-24", data[-24:]), ("bytes=1020-9999", data[1020:])):
            reply = ask("GET", path, Range=text)
            self.assertEqual((reply.status, reply.body), (206, expected), text)
        self.assertEqual(ask("GET", path, Range="bytes=0-9").headers["Content-Range"],
                         "bytes 0-9/1024")
        reply = ask("GET", path, Range="bytes=1024-")
        self.assertEqual((reply.status, reply.headers["Content-Range"]), (416, "bytes */1024"))
        self.assertEqual(ask("GET", path, Range="lines=1-2").body, data)

    def test_delete(self):
        blob = push_blob("blobs/delete", b"to go")
        path = f"/v2/blobs/delete/blobs/{blob['digest']}"
        self.assertEqual(ask("DELETE", path).status, 202)
        self.assertEqual(ask("GET", path).status, 404)
        self.assertEqual(ask("DELETE", path).code, "BLOB_UNKNOWN")
        self.assertNotIn(blob["digest"][7:], blobs_of_store())
        put, _ = put_manifest("blobs/delete", "t", artifact("blobs/delete", b"used"))
        self.assertEqual(put.status, 201)
        self.assertEqual(ask("DELETE", f"/v2/blobs/delete/blobs/{digest_of(b'used')}").status, 409)

    def test_sha512(self):
        data = os.urandom(5000)
        blob = push_blob("blobs/sha512", data, sha512(data))
        self.assertEqual(ask("GET", f"/v2/blobs/sha512/blobs/{blob['digest']}").body, data)
        push_blob("blobs/sha512", b"{}")
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "a/b",
                    "config": EMPTY, "layers": [blob]}
        text = json.dumps(document).encode()
        reply = ask("PUT", f"/v2/blobs/sha512/manifests/{sha512(text)}", text,
                    Content_Type=MANIFEST)
        self.assertEqual((reply.status, reply.headers["Docker-Content-Digest"]),
                         (201, sha512(text)), reply.body)
        reply = ask("GET", f"/v2/blobs/sha512/manifests/{sha512(text)}")
        self.assertEqual((reply.body, reply.headers["Docker-Content-Digest"]), (text, sha512(text)))
        wrong = ask("POST", f"/v2/blobs/sha512/blobs/uploads/?digest={sha512(b'other')}", data)
        self.assertEqual((wrong.status, wrong.code), (400, "DIGEST_INVALID"))


class Uploads(unittest.TestCase):
    def begin(self, repository="uploads"):
        reply = ask("POST", f"/v2/{repository}/blobs/uploads/", Content_Length="0")
        self.assertEqual(reply.status, 202)
        return reply.headers["Location"]

    def test_post_then_put(self):
        data = os.urandom(70_000)
        place = self.begin()
        reply = ask("PUT", f"{place}?digest={digest_of(data)}", data)
        self.assertEqual(reply.status, 201)
        self.assertEqual(ask("GET", reply.headers["Location"]).body, data)
        self.assertEqual(ask("GET", place).code, "BLOB_UPLOAD_UNKNOWN")

    def test_chunks(self):
        parts = [b"a" * 1000, b"b" * 500, b"c" * 20]
        place = self.begin()
        reply = ask("PATCH", place, parts[0], Content_Range="0-999")
        self.assertEqual((reply.status, reply.headers["Range"]), (202, "0-999"))
        place = reply.headers["Location"]
        # Out of order, overlapping, of another length: refused, and nothing is lost.
        for text in ("2000-2499", "500-999", "1000-1001"):
            reply = ask("PATCH", place, parts[1], Content_Range=text)
            self.assertEqual((reply.status, reply.code), (416, "BLOB_UPLOAD_INVALID"), text)
            self.assertEqual(ask("GET", place).headers["Range"], "0-999")
        self.assertEqual(ask("PATCH", place, parts[1], Content_Range="1000-1499").status, 202)
        self.assertEqual(ask("GET", place).status, 204)
        data = b"".join(parts)
        reply = ask("PUT", f"{place}?digest={digest_of(data)}", parts[2],
                    Content_Range="1500-1519")
        self.assertEqual(reply.status, 201)
        self.assertEqual(ask("GET", f"/v2/uploads/blobs/{digest_of(data)}").body, data)

    def test_stream_without_length(self):
        place = self.begin()
        connection = http.client.HTTPConnection(own.host, timeout=60)
        connection.request("PATCH", place, iter([b"x" * 3000] * 50), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        reply = connection.getresponse()
        self.assertEqual((reply.status, reply.headers["Range"]), (202, "0-149999"))
        connection.close()
        self.assertEqual(ask("PUT", f"{place}?digest={digest_of(b'x' * 150000)}").status, 201)

    def test_wrong_digest(self):
        before = blobs_of_store()
        place = self.begin()
        reply = ask("PUT", f"{place}?digest={digest_of(b'right')}", b"wrong")
        self.assertEqual((reply.status, reply.code), (400, "DIGEST_INVALID"))
        self.assertEqual(ask("GET", f"/v2/uploads/blobs/{digest_of(b'right')}").status, 404)
        self.assertEqual(ask("PUT", f"{self.begin()}?digest=sha256:short", b"x").code,
                         "DIGEST_INVALID")
        self.assertEqual(ask("PUT", self.begin(), b"x").code, "DIGEST_INVALID")
        self.assertEqual(blobs_of_store(), before)

    def test_a_claimed_digest_opens_nothing(self):
        """Who names the digest of a blob of another's, with other bytes, may not read it then."""
        secret = push_blob("uploads/private", os.urandom(100))
        ask("PUT", f"{self.begin('uploads/thief')}?digest={secret['digest']}", b"guess")
        self.assertEqual(ask("GET", f"/v2/uploads/thief/blobs/{secret['digest']}").status, 404)

    def test_cancel(self):
        place = self.begin()
        ask("PATCH", place, b"some")
        self.assertEqual(ask("DELETE", place).status, 204)
        self.assertEqual(ask("PATCH", place, b"more").code, "BLOB_UPLOAD_UNKNOWN")

    def test_an_upload_belongs_to_its_repository(self):
        place = self.begin("uploads/own").replace("uploads/own", "uploads/foreign")
        self.assertEqual(ask("PATCH", place, b"x").code, "BLOB_UPLOAD_UNKNOWN")

    def test_a_body_that_breaks_off_is_resumed(self):
        data = os.urandom(200_000)
        place = self.begin()
        with socket.create_connection(own.host.split(":"), 60) as raw:
            raw.sendall(f"PATCH {place} HTTP/1.1\r\nHost: {own.host}\r\n"
                        "Content-Length: 200000\r\n\r\n"
                        .encode() + data[:150_000])
        size = wait_until(lambda: self.size_of(place))
        self.assertLessEqual(size, 150_000)
        rest = data[size:]
        reply = ask("PATCH", place, rest, Content_Range=f"{size}-{len(data) - 1}")
        self.assertEqual(reply.status, 202)
        self.assertEqual(ask("PUT", f"{place}?digest={digest_of(data)}").status, 201)

    @staticmethod
    def size_of(place):
        reply = ask("GET", place)
        if reply.status != 204:
            return 0  # it is still being written to
        last = int(reply.headers["Range"].split("-")[1])
        return last + 1 if last else 0

    def test_mount(self):
        data = os.urandom(3000)
        digest = push_blob("mount/from", data)["digest"]
        reply = ask("POST", f"/v2/mount/to/blobs/uploads/?mount={digest}&from=mount/from",
                    Content_Length="0")
        self.assertEqual(reply.status, 201)
        self.assertEqual(ask("GET", reply.headers["Location"]).body, data)
        reply = ask("POST", f"/v2/mount/to/blobs/uploads/?mount={digest_of(b'none')}"
                            "&from=mount/from", Content_Length="0")
        self.assertEqual(reply.status, 202)
        # From anywhere: of what a manifest refers to.
        put_manifest("mount/from", "t", artifact("mount/from", data))
        reply = ask("POST", f"/v2/mount/anon/blobs/uploads/?mount={digest}", Content_Length="0")
        self.assertEqual(reply.status, 201)

    def test_too_many(self):
        port = free_port()
        with contextlib.closing(Engine("--registry", f"127.0.0.1:{port}")):
            at = f"127.0.0.1:{port}"
            statuses = [ask("POST", "/v2/a/blobs/uploads/", at=at, Content_Length="0").status
                        for _ in range(257)]
            self.assertEqual(statuses, [202] * 256 + [429])


class Manifests(unittest.TestCase):
    def test_put_get_head_delete(self):
        document = artifact("manifests/life")
        put, descriptor = put_manifest("manifests/life", "v1", document)
        self.assertEqual(put.status, 201)
        self.assertEqual(put.headers["Docker-Content-Digest"], descriptor["digest"])
        for name in ("v1", descriptor["digest"]):
            reply = ask("GET", f"/v2/manifests/life/manifests/{name}")
            self.assertEqual(digest_of(reply.body), descriptor["digest"])
            self.assertEqual(reply.headers["Content-Type"], MANIFEST)
            head = ask("HEAD", f"/v2/manifests/life/manifests/{name}")
            self.assertEqual(head.headers["Content-Length"], str(descriptor["size"]))
            self.assertEqual(head.headers["Docker-Content-Digest"], descriptor["digest"])
        self.assertEqual(ask("GET", put.headers["Location"]).status, 200)
        self.assertEqual(ask("DELETE", "/v2/manifests/life/manifests/v1").status, 202)
        self.assertEqual(ask("GET", "/v2/manifests/life/manifests/v1").code, "MANIFEST_UNKNOWN")
        path = f"/v2/manifests/life/manifests/{descriptor['digest']}"
        self.assertEqual(ask("GET", path).status, 200)
        self.assertEqual(ask("DELETE", path).status, 202)
        self.assertEqual(ask("DELETE", path).status, 404)
        reply = ask("GET", "/v2/manifests/life/tags/list")
        self.assertEqual((reply.status, reply.code), (404, "NAME_UNKNOWN"))

    def test_what_it_names_must_be_here(self):
        document = artifact("manifests/missing")
        document["layers"].append({"mediaType": LAYER, "digest": digest_of(b"absent"), "size": 6})
        put, _ = put_manifest("manifests/missing", "t", document)
        self.assertEqual((put.status, put.code), (404, "MANIFEST_BLOB_UNKNOWN"))
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": MANIFEST, "digest": digest_of(b"absent"), "size": 6}]}
        put, _ = put_manifest("manifests/missing", "t", index)
        self.assertEqual((put.status, put.code), (404, "MANIFEST_BLOB_UNKNOWN"))
        document = artifact("manifests/missing")
        document["layers"][0]["size"] += 1
        put, _ = put_manifest("manifests/missing", "t", document)
        self.assertEqual((put.status, put.code), (400, "MANIFEST_INVALID"))

    def test_what_is_no_manifest(self):
        good = json.dumps(artifact("manifests/bad"))
        for text, kind in (("", MANIFEST), ("{", MANIFEST), ("[]", MANIFEST), ("{}", MANIFEST),
                           (good, INDEX), (good, "text/plain"),
                           (good[:-1] + ',"manifests":[]}', MANIFEST),
                           (good.replace('"schemaVersion": 2', '"schemaVersion": 1'), MANIFEST),
                           ('{"schemaVersion":1,"fsLayers":[]}',
                            "application/vnd.docker.distribution.manifest.v1+prettyjws"),
                           ("[" * 100_000, MANIFEST), (b"\xff\xfe{}", MANIFEST)):
            reply = ask("PUT", "/v2/manifests/bad/manifests/t", text, Content_Type=kind)
            self.assertEqual(reply.status, 400, (text[:60], kind))
            self.assertEqual(reply.code, "MANIFEST_INVALID", text[:60])
        reply = ask("PUT", f"/v2/manifests/bad/manifests/{digest_of(b'x')}", good,
                    Content_Type=MANIFEST)
        self.assertEqual((reply.status, reply.code), (400, "MANIFEST_INVALID"))
        reply = ask("PUT", "/v2/manifests/bad/manifests/t", " " * (4 << 20) + good,
                    Content_Type=MANIFEST)
        self.assertEqual((reply.status, reply.code), (413, "SIZE_INVALID"))

    def test_negotiation(self):
        skopeo_push("index", "negotiate:t")
        accept = {"Accept": f"{MANIFEST}, {INDEX};q=0.5"}
        self.assertEqual(ask("GET", "/v2/negotiate/manifests/t", **accept).headers["Content-Type"],
                         INDEX)
        reply = ask("GET", "/v2/negotiate/manifests/t", Accept=MANIFEST)
        self.assertEqual(reply.headers["Content-Type"], MANIFEST)
        self.assertEqual(digest_of(reply.body), reply.headers["Docker-Content-Digest"])
        reply = ask("GET", "/v2/negotiate/manifests/t", Accept=DOCKER_MANIFEST)
        self.assertEqual((reply.status, reply.code), (404, "MANIFEST_UNKNOWN"))
        etag = ask("GET", "/v2/negotiate/manifests/t").headers["ETag"]
        self.assertEqual(ask("GET", "/v2/negotiate/manifests/t", If_None_Match=etag).status, 304)


class Lists(unittest.TestCase):
    def test_tags_and_catalog(self):
        document = artifact("lists/tags")
        names = sorted(f"v{n}" for n in range(7))
        for name in names:
            put_manifest("lists/tags", name, document)
        reply = ask("GET", "/v2/lists/tags/tags/list")
        self.assertEqual(reply.json, {"name": "lists/tags", "tags": names})
        got, path = [], "/v2/lists/tags/tags/list?n=3"
        while path:
            reply = ask("GET", path)
            got.append(reply.json["tags"])
            link = reply.headers.get("Link")
            path = link[1:link.index(">")] if link else None
        self.assertEqual(got, [names[:3], names[3:6], names[6:]])
        self.assertEqual(ask("GET", "/v2/lists/tags/tags/list?n=0").json["tags"], [])
        self.assertEqual(ask("GET", "/v2/lists/tags/tags/list?last=v4").json["tags"], names[5:])
        self.assertEqual(ask("GET", "/v2/lists/tags/tags/list?n=x").status, 400)
        self.assertIn("lists/tags", ask("GET", "/v2/_catalog").json["repositories"])
        self.assertEqual(len(ask("GET", "/v2/_catalog?n=1").json["repositories"]), 1)

    def test_referrers(self):
        subject = artifact("lists/refs", b"subject")
        _, target = put_manifest("lists/refs", "image", subject)
        path = f"/v2/lists/refs/referrers/{target['digest']}"
        self.assertEqual(ask("GET", path).json["manifests"], [])
        for kind in ("a/one", "a/two"):
            put, one = put_manifest("lists/refs", digest_of(json.dumps(artifact(
                "lists/refs", b"sig", kind, subject=target, annotations={"k": kind})).encode()),
                artifact("lists/refs", b"sig", kind, subject=target, annotations={"k": kind}))
            self.assertEqual((put.status, put.headers["OCI-Subject"]), (201, target["digest"]))
        reply = ask("GET", path)
        self.assertEqual(reply.headers["Content-Type"], INDEX)
        found = {one["artifactType"]: one for one in reply.json["manifests"]}
        self.assertEqual(sorted(found), ["a/one", "a/two"])
        self.assertEqual(found["a/one"]["annotations"], {"k": "a/one"})
        reply = ask("GET", f"{path}?artifactType=a/two")
        self.assertEqual([one["artifactType"] for one in reply.json["manifests"]], ["a/two"])
        self.assertEqual(reply.headers["OCI-Filters-Applied"], "artifactType")
        # Long lists come in pages.
        kinds = [f"long/{n}" for n in range(3)]
        for kind in kinds:
            put_manifest("lists/refs", kind.replace("/", "-"), artifact(
                "lists/refs", kind=kind, subject=target, annotations={"k": "x" * 3_000_000}))
        got, place = [], path
        while place:
            reply = ask("GET", place)
            self.assertLess(len(reply.body), 4 << 20)
            got += [one["artifactType"] for one in reply.json["manifests"]]
            link = reply.headers.get("Link")
            place = link[1:link.index(">")] if link else None
        self.assertEqual(sorted(got), ["a/one", "a/two", *kinds])
        # A subject need not be there yet.
        absent = {"mediaType": MANIFEST, "digest": digest_of(b"later"), "size": 5}
        put, _ = put_manifest("lists/refs", "early", artifact("lists/refs", subject=absent))
        self.assertEqual(put.headers["OCI-Subject"], absent["digest"])
        got = ask("GET", f"/v2/lists/refs/referrers/{absent['digest']}").json
        self.assertEqual(len(got["manifests"]), 1)


class Crash(unittest.TestCase):
    def test_killed_in_the_middle_of_an_upload(self):
        at = f"127.0.0.1:{free_port()}"
        one = Engine("--registry", at)
        try:
            place = ask("POST", "/v2/crash/blobs/uploads/", at=at,
                        Content_Length="0").headers["Location"]
            with socket.create_connection(at.split(":"), 60) as raw:
                raw.sendall(f"PATCH {place} HTTP/1.1\r\nHost: localhost\r\n"
                            "Content-Length: 90000000\r\n\r\n".encode() + b"x" * 1_000_000)
                one.stop(signal.SIGKILL)
            one.start()
            push = push_blob("crash", b"waits for a manifest", at=at)
            one.stop(signal.SIGKILL)
            one.start()
            self.assertEqual(os.listdir(one.data_root / "blobs/sha256"), [])
            self.assertEqual(ask("GET", f"/v2/crash/blobs/{push['digest']}", at=at).status, 404)
            self.assertEqual(one.coffer("system", "check", "--deep").returncode, 0)
        finally:
            one.close()

    def test_untagged_manifests_go(self):
        at = f"127.0.0.1:{free_port()}"
        one = Engine("--registry", at, "--registry-keep-untagged", "1s")
        try:
            push_blob("expire", b"{}", at=at)
            document = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": EMPTY,
                                   "artifactType": "a/b", "layers": []})
            path = f"/v2/expire/manifests/{digest_of(document.encode())}"
            self.assertEqual(ask("PUT", "/v2/expire/manifests/t", document, at=at,
                                 Content_Type=MANIFEST).status, 201)
            ask("DELETE", "/v2/expire/manifests/t", at=at)
            wait_until(lambda: ask("GET", path, at=at).status == 404)
        finally:
            one.close()


if __name__ == "__main__":
    unittest.main()
