"""Images in our own registry: pushed, pulled and run, by us and by other engines' clients."""
import json
import os
import shutil
import threading
import unittest

from support.engine import Engine, wait_until
from support.own_registry import artifact, ask, own, push_blob, put_manifest, run, skopeo_push
from support.registry import (CONFIG, INDEX, LAYER, MANIFEST, Layout, busybox_rootfs, digest_of,
                              tar_of)


def setUpModule():
    own.start()


def tearDownModule():
    own.close()


class Images(unittest.TestCase):
    def test_a_pushed_image_runs_and_is_pulled_again(self):
        skopeo_push("one", "team/app:v1")
        ran = own.engine.docker("run", "--rm", "--network", "none", f"{own.host}/team/app:v1", "ls",
                                "/second")
        self.assertEqual(ran.stdout.strip(), "/second")
        raw = run("skopeo", "inspect", "--raw", "--tls-verify=false",
                  f"docker://{own.host}/team/app:v1").stdout
        self.assertEqual(digest_of(raw.encode()), own.layout.entries[0]["digest"])
        other = Engine()
        try:
            other.coffer("pull", f"{own.host}/team/app:v1")
            ids = [one.json("GET", f"/images/{own.host}/team/app:v1/json")["Id"]
                   for one in (own.engine, other)]
            self.assertEqual(ids[0], ids[1])
        finally:
            other.close()

    def test_an_index_is_kept_whole(self):
        skopeo_push("index", "team/multi:v1")
        raw = run("skopeo", "inspect", "--raw", "--tls-verify=false",
                  f"docker://{own.host}/team/multi:v1").stdout
        self.assertEqual(digest_of(raw.encode()), own.layout.entries[2]["digest"])
        own.engine.docker("run", "--rm", "--network", "none", f"{own.host}/team/multi:v1", "true")
        run("skopeo", "copy", "--quiet", "--all", "--src-tls-verify=false",
            f"docker://{own.host}/team/multi:v1", f"dir:{own.scratch}/multi")
        self.assertEqual(digest_of((own.scratch / "multi/manifest.json").read_bytes()),
                         own.layout.entries[2]["digest"])
        # Pulled from itself it stays what it is.
        own.engine.docker("pull", f"{own.host}/team/multi:v1")
        self.assertEqual(ask("GET", "/v2/team/multi/manifests/v1").headers["Content-Type"], INDEX)

    def test_an_image_of_another_platform_is_kept(self):
        skopeo_push("other", "team/other:v1")
        self.assertEqual(ask("GET", "/v2/team/other/tags/list").json["tags"], ["v1"])
        listed = own.engine.docker("images", "-q", f"{own.host}/team/other").stdout
        self.assertEqual(listed, "")

    def test_an_image_that_does_not_unpack_is_kept_and_said_to_be(self):
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": [digest_of(b"y")]}}).encode()
        document = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {**push_blob("team/odd", config), "mediaType": CONFIG},
                    "layers": [{**push_blob("team/odd", b"no tar"), "mediaType": LAYER}]}
        put, _ = put_manifest("team/odd", "t", document)
        self.assertEqual(put.status, 201)
        self.assertIn("does not run here", put.headers["Warning"])
        self.assertEqual(ask("GET", "/v2/team/odd/manifests/t").status, 200)

    def test_an_image_with_a_name_of_the_registry_is_in_it(self):
        own.engine.import_busybox("plain")
        own.engine.docker("tag", "plain", f"{own.host}/named/here:1")
        self.assertEqual(ask("GET", "/v2/named/here/tags/list").json["tags"], ["1"])
        self.assertIn("named/here", ask("GET", "/v2/_catalog").json["repositories"])
        run("skopeo", "copy", "--quiet", "--src-tls-verify=false",
            f"docker://{own.host}/named/here:1", f"dir:{own.scratch}/named")
        # Others of the store are not.
        self.assertEqual(ask("GET", "/v2/library/plain/tags/list").status, 404)
        own.engine.docker("rmi", f"{own.host}/named/here:1")
        self.assertEqual(ask("GET", "/v2/named/here/manifests/1").status, 404)

    def test_a_tag_moves(self):
        skopeo_push("one", "team/moves:t")
        first = ask("GET", "/v2/team/moves/manifests/t").headers["Docker-Content-Digest"]
        skopeo_push("other", "team/moves:t")
        self.assertEqual(own.engine.docker("images", "-q", f"{own.host}/team/moves").stdout, "")
        skopeo_push("one", "team/moves:t")
        self.assertEqual(ask("GET", "/v2/team/moves/manifests/t").headers["Docker-Content-Digest"],
                         first)

    def test_what_lost_its_tag_stays_for_a_time(self):
        """Who pulls it, or names its digest, has it until --registry-keep-untagged."""
        digests = []
        for n in range(3):
            skopeo_push("one", f"team/keeps:{n}")
            own.layout.tag(f"keeps-{n}", own.layout.manifest([tar_of({"keeps": b"%d" % n})]))
            digests.append(own.layout.entries[-1]["digest"])
        skopeo_push("keeps-0", "team/keeps:t")
        skopeo_push("keeps-1", "team/keeps:t")  # an image in place of an image
        put_manifest("team/keeps", "t", artifact("team/keeps"))  # no image in place of one
        skopeo_push("keeps-2", "team/keeps:gone")
        ask("DELETE", "/v2/team/keeps/manifests/gone")
        # What is removed here goes at once, by the same sweep.
        skopeo_push("one", "team/keeps-not:t")
        own.engine.docker("rmi", f"{own.host}/team/keeps-not:t")
        wait_until(lambda: ask("GET", "/v2/team/keeps-not/manifests/"
                               + own.layout.entries[0]["digest"]).status == 404)
        for digest in digests:
            reply = ask("GET", f"/v2/team/keeps/manifests/{digest}")
            self.assertEqual(reply.status, 200)
            for layer in reply.json["layers"]:
                self.assertEqual(
                    ask("HEAD", f"/v2/team/keeps/blobs/{layer['digest']}").status, 200)

    def test_a_push_takes_no_image_from_a_container(self):
        skopeo_push("one", "team/used:t")
        image = own.engine.json("GET", f"/images/{own.host}/team/used:t/json")["Id"]
        name = own.engine.docker("create", "--network", "none", f"{own.host}/team/used:t",
                             "true").stdout.strip()
        for tag in own.engine.json("GET", f"/images/{image}/json")["RepoTags"]:
            if "/team/used:" not in tag:
                own.engine.docker("rmi", tag)
        put, _ = put_manifest("team/used", "t", artifact("team/used"))
        self.assertEqual(put.status, 201)
        self.assertEqual(own.engine.docker("images", "-q", f"{own.host}/team/used").stdout, "")
        own.engine.docker("inspect", image)
        own.engine.docker("start", "-a", name)
        own.engine.docker("rm", name)

    def test_delete_of_a_tag_removes_the_image(self):
        skopeo_push("one", "team/gone:t")
        self.assertEqual(ask("DELETE", "/v2/team/gone/manifests/t").status, 202)
        self.assertEqual(own.engine.docker("images", "-q", f"{own.host}/team/gone").stdout, "")

    def test_two_clients_at_once(self):
        folders = []
        for n in range(2):
            one = Layout(own.scratch / f"at-once-{n}")
            one.tag("t", one.manifest([busybox_rootfs(), tar_of({"f": os.urandom(2_000_000)})]))
            folders.append(one)
        errors = []

        def push(n, name):
            try:
                run("skopeo", "copy", "--quiet", "--dest-tls-verify=false",
                    f"oci:{folders[n].dir}:t", f"docker://{own.host}/{name}")
            except AssertionError as error:
                errors.append(error)
        threads = [threading.Thread(target=push, args=(n, "at/once:t")) for n in (0, 1, 0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        digest = ask("GET", "/v2/at/once/manifests/t").headers["Docker-Content-Digest"]
        self.assertIn(digest, [one.entries[0]["digest"] for one in folders])
        own.engine.docker("run", "--rm", "--network", "none", f"{own.host}/at/once:t", "true")


class Clients(unittest.TestCase):
    """Each pushes, and gets back what it pushed."""

    def test_podman(self):
        if not shutil.which("podman"):
            self.skipTest("no podman")
        root = ("podman", "--root", own.scratch / "podman", "--runroot", own.scratch / "podman-run",
                "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs")
        run(*root, "load", "-i", self.archive())
        run(*root, "tag", "localhost/sample:1", f"{own.host}/podman/app:1")
        run(*root, "push", "--tls-verify=false", f"{own.host}/podman/app:1")
        run(*root, "rmi", "-a", "-f")
        run(*root, "pull", "--tls-verify=false", f"{own.host}/podman/app:1")
        own.engine.docker("run", "--rm", "--network", "none", f"{own.host}/podman/app:1", "true")

    def test_buildah(self):
        if not shutil.which("buildah"):
            self.skipTest("no buildah")
        root = ("buildah", "--root", own.scratch / "buildah",
                "--runroot", own.scratch / "buildah-run",
                "--storage-driver", "vfs")
        skopeo_push("one", "buildah/base:1")
        made = run(*root, "from", "--tls-verify=false", f"{own.host}/buildah/base:1").stdout.strip()
        run(*root, "config", "--label", "by=buildah", made)
        run(*root, "commit", "--quiet", made, f"{own.host}/buildah/app:1")
        run(*root, "push", "--tls-verify=false", f"{own.host}/buildah/app:1")
        label = own.engine.json("GET", f"/images/{own.host}/buildah/app:1/json")["Config"]["Labels"]
        self.assertEqual(label["by"], "buildah")
        own.engine.docker("run", "--rm", "--network", "none", f"{own.host}/buildah/app:1", "true")

    def test_umoci(self):
        skopeo_push("one", "umoci/base:1")
        folder = own.scratch / "umoci"
        run("skopeo", "copy", "--quiet", "--src-tls-verify=false",
            f"docker://{own.host}/umoci/base:1", f"oci:{folder}:base")
        run("umoci", "config", "--image", f"{folder}:base", "--tag", "changed",
            "--config.label", "by=umoci")
        run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{folder}:changed",
            f"docker://{own.host}/umoci/app:1")
        label = own.engine.json("GET", f"/images/{own.host}/umoci/app:1/json")["Config"]["Labels"]
        self.assertEqual(label["by"], "umoci")

    def test_docker_of_ours(self):
        other = Engine()
        try:
            other.import_busybox("mine")
            other.docker("tag", "mine", f"{own.host}/docker/mine:1")
            other.docker("push", f"{own.host}/docker/mine:1")
            again = other.docker("push", f"{own.host}/docker/mine:1").stdout
            self.assertIn("Layer already exists", again)
            other.docker("rmi", "-f", "mine", f"{own.host}/docker/mine:1")
            other.docker("pull", f"{own.host}/docker/mine:1")
        finally:
            other.close()

    def test_docker_against_dockerd(self):
        from support.peers import IMAGE, Dockerd
        dockerd = Dockerd()
        try:
            dockerd.client("tag", IMAGE, f"{own.host}/dockerd/app:1")
            dockerd.client("push", f"{own.host}/dockerd/app:1")
            dockerd.client("rmi", "-f", f"{own.host}/dockerd/app:1", IMAGE)
            dockerd.client("pull", f"{own.host}/dockerd/app:1")
            own.engine.docker("run", "--rm", "--network", "none", f"{own.host}/dockerd/app:1",
                          "/bin/busybox", "true")
        finally:
            dockerd.close()

    def archive(self):
        path = own.scratch / "sample.tar"
        if not path.exists():
            run("skopeo", "copy", "--quiet", f"oci:{own.layout.dir}:one",
                f"docker-archive:{path}:localhost/sample:1")
        return path


if __name__ == "__main__":
    unittest.main()
