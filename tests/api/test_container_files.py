"""The files of a container: archive (cp), changes (diff), export and commit."""
import base64
import io
import json
import os
import pathlib
import shutil
import tarfile
import tempfile
import time
import unittest
import urllib.parse

from support.engine import Engine
from support.registry import busybox_rootfs
from support.swapper import Swapper

FILE, FOLDER, LINK, HARD, DEVICE = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE,
                                    tarfile.LNKTYPE, tarfile.CHRTYPE)
CAPABILITY = "\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"  # net_raw, revision 2


def entry(tar, name, content=b"", kind=FILE, mode=0o644, uid=0, gid=0, link="", pax=None):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid, info.linkname = kind, mode, uid, gid, link
    info.mtime, info.size, info.pax_headers = 1_500_000_000, len(content), pax or {}
    if kind == DEVICE:
        info.devmajor, info.devminor = 1, 3
    tar.addfile(info, io.BytesIO(content))


def make_tar(*entries, **options):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, **options) as tar:
        for one in entries:
            entry(tar, **one) if isinstance(one, dict) else entry(tar, *one)
    return out.getvalue()


def image():
    out = io.BytesIO(busybox_rootfs())
    with tarfile.open(fileobj=out, mode="a", format=tarfile.PAX_FORMAT) as tar:
        for folder in ("etc", "opt", "opt/app", "data", "var", "var/lib", "var/lib/x", "tmp"):
            entry(tar, folder, kind=FOLDER, mode=0o755)
        entry(tar, "etc/passwd", b"root:x:0:0::/:/bin/sh\napp:x:1001:1002::/:/bin/sh\n")
        entry(tar, "etc/group", b"root:x:0:\napp:x:1002:\n")
        entry(tar, "opt/app/one", b"one")
        entry(tar, "opt/app/two", b"two", mode=0o4755, uid=5, gid=6)
        entry(tar, "opt/link", kind=LINK, link="/opt/app")
        entry(tar, "opt/far", kind=LINK, link="../../../../opt/link/one")
        entry(tar, "data/seed", b"seed")
        entry(tar, "var/lib/x/a", b"a")
        entry(tar, "var/lib/x/b", b"b")
    return out.getvalue()


def setUpModule():
    global engine, host
    engine = Engine()
    host = pathlib.Path(tempfile.mkdtemp(prefix="coffer-host-"))
    engine.docker("import", "-c", 'CMD ["sleep", "1000"]', "-c", "ENV PATH=/bin", "-", "box",
                  input=image())


def tearDownModule():
    engine.close()
    shutil.rmtree(host)


class FilesTest(unittest.TestCase):
    def setUp(self):
        self.addCleanup(self.clear)

    def clear(self):
        engine.remove_containers()

    def run_box(self, *args, command=()):
        return engine.docker("run", "-d", "--network", "none", "--name", "box", *args, "box",
                             *command).stdout.strip()

    def query(self, path, **more):
        return "/containers/box/archive?" + urllib.parse.urlencode({"path": path, **more})

    def head(self, path):
        status, headers, _ = engine.api("HEAD", self.query(path))
        if status != 200:
            return status
        return json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))

    def get(self, path):
        status, _, body = engine.api("GET", self.query(path))
        if status != 200:
            return status, json.loads(body)["message"]
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {m.name + ("/" if m.isdir() else ""): m for m in tar}

    def text(self, path):
        _, _, body = engine.api("GET", self.query(path))
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return tar.extractfile(tar.next()).read()

    def put(self, path, tar, **more):
        status, _, body = engine.api("PUT", self.query(path, **more), tar)
        return (status, json.loads(body)["message"]) if body else status

    def sh(self, script):
        return engine.docker("exec", "box", "sh", "-c", script).stdout


class Stat(FilesTest):
    def test_modes_are_those_of_go_and_links_tell_their_end(self):
        self.run_box()
        passwd = self.head("/etc/passwd")
        self.assertEqual((passwd["name"], passwd["mode"], passwd["linkTarget"]),
                         ("passwd", 0o644, ""))
        self.assertEqual(passwd["mtime"], "2017-07-14T02:40:00Z")
        self.assertEqual(self.head("opt/app/two")["mode"], 1 << 23 | 0o755)
        link = self.head("/opt/link")
        self.assertEqual((link["mode"], link["linkTarget"]), (1 << 27 | 0o777, "/opt/app"))
        self.assertEqual(self.head("/opt/far")["linkTarget"], "/opt/app/one")
        followed = self.head("/opt/link/")
        self.assertEqual((followed["name"], followed["mode"]), ("link", 1 << 31 | 0o755))
        self.assertEqual(self.head("/")["name"], "/")
        self.assertEqual(self.head("/etc/.")["name"], ".")
        self.assertEqual(self.head("/nope"), 404)
        self.assertEqual(self.head("/opt/far/"), 404)
        self.assertEqual(self.head(""), 400)


class Read(FilesTest):
    def test_names_are_those_of_docker(self):
        self.run_box()
        self.assertEqual(list(self.get("/opt/app")), ["app/", "app/one", "app/two"])
        self.assertEqual(list(self.get("/opt/app/.")), ["./", "./one", "./two"])
        self.assertEqual(list(self.get("/opt/link/")), ["link/", "link/one", "link/two"])
        link = self.get("/opt/link")["link"]
        self.assertEqual((link.type, link.linkname), (LINK, "/opt/app"))
        two = self.get("/opt/app/two")["two"]
        self.assertEqual((two.mode, two.uid, two.gid), (0o4755, 5, 6))
        self.assertEqual(self.get("/nope"),
                         (404, "Could not find the file /nope in container box"))
        self.assertEqual(engine.api("GET", "/containers/nobody/archive?path=/")[0], 404)

    def test_what_is_mounted_is_seen_as_by_the_container(self):
        (host / "bind").mkdir()
        (host / "bind/file").write_text("bound")
        self.run_box("-v", f"{host}/bind:/bind:ro", "-v", "/data", "--tmpfs", "/mem",
                     command=["sh", "-c", "echo 1 >/mem/x; echo 2 >/data/y; sleep 1000"])
        deadline = time.monotonic() + 10
        while self.head("/data/y") == 404 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.text("/bind/file"), b"bound")
        self.assertEqual(self.text("/mem/x"), b"1\n")
        self.assertEqual(sorted(self.get("/data")), ["data/", "data/seed", "data/y"])
        self.assertIn(b"localhost", self.text("/etc/hosts"))
        engine.docker("stop", "-t0", "box")
        self.assertEqual(self.text("/bind/file"), b"bound")
        self.assertEqual(sorted(self.get("/data")), ["data/", "data/seed", "data/y"])
        self.assertEqual(list(self.get("/mem")), ["mem/"])
        self.assertIn(b"localhost", self.text("/etc/hosts"))

    def test_hard_links_sockets_fifos_and_the_whole_root(self):
        self.run_box()
        self.sh("echo x >/tmp/a; ln /tmp/a /tmp/b; mkfifo /tmp/f; chown 7:8 /tmp/a")
        self.sh("nc -l -s 127.0.0.1 -p 9 & true")
        found = self.get("/tmp")
        self.assertEqual((found["tmp/b"].type, found["tmp/b"].linkname), (HARD, "tmp/a"))
        self.assertEqual((found["tmp/a"].uid, found["tmp/a"].gid), (7, 8))
        self.assertEqual(found["tmp/f"].type, tarfile.FIFOTYPE)
        whole = self.get("/")
        self.assertIn("/opt/app/one", whole)
        self.assertIn("/proc/", whole)
        self.assertNotIn("/proc/version", whole)


class Write(FilesTest):
    def test_owners_are_the_archives_or_the_users(self):
        self.run_box("--user", "app")
        tar = make_tar(dict(name="f", content=b"1", uid=1234, gid=2345, mode=0o4640),
                       dict(name="out-of-range", content=b"2", uid=70000, gid=70001))
        self.assertEqual(self.put("/tmp", tar), 200)
        found = self.get("/tmp")
        self.assertEqual((found["tmp/f"].uid, found["tmp/f"].gid, found["tmp/f"].mode),
                         (1234, 2345, 0o4640))
        self.assertEqual((found["tmp/out-of-range"].uid, found["tmp/out-of-range"].gid), (0, 0))
        self.assertEqual(self.put("/tmp", tar, copyUIDGID=1), 200)
        self.assertEqual({(m.uid, m.gid) for n, m in self.get("/tmp").items() if m.isfile()},
                         {(1001, 1002)})

    def test_docker_s_refusals(self):
        (host / "ro").mkdir()
        self.run_box("-v", f"{host}/ro:/ro:ro")
        tar = make_tar(("f", b"1"))
        self.assertEqual(self.put("/nope", tar),
                         (404, "Could not find the file /nope in container box"))
        self.assertEqual(self.put("/opt/app/one", tar),
                         (400, "extraction point is not a directory"))
        self.assertEqual(self.put("/ro", tar), (403, "mounted volume is marked read-only"))
        self.assertEqual(os.listdir(host / "ro"), [])
        folder, file = make_tar(("d", b"", FOLDER)), make_tar(("d", b"1"))
        self.assertEqual(self.put("/tmp", folder), 200)
        status, text = self.put("/tmp", file, noOverwriteDirNonDir="true")
        self.assertEqual(status, 400)
        self.assertIn('cannot overwrite directory "/tmp/d" with non-directory', text)
        self.assertEqual(self.put("/tmp", file), 200)
        status, text = self.put("/tmp", folder, noOverwriteDirNonDir="true")
        self.assertIn('cannot overwrite non-directory "/tmp/d" with directory', text)
        self.assertIn("resource busy", self.put("/etc", make_tar(("hosts", b"1")))[1])

    def test_a_read_only_root_but_not_its_volumes(self):
        self.run_box("--read-only", "-v", "/data")
        tar = make_tar(("f", b"1"))
        refused = (403, "container rootfs is marked read-only")
        self.assertEqual(self.put("/tmp", tar), refused)
        self.assertEqual(self.put("/data", tar), 200)
        engine.docker("stop", "-t0", "box")
        self.assertEqual(self.put("/tmp", tar), refused)
        self.assertEqual(self.put("/data", tar), 200)

    def test_through_links_and_compressed(self):
        self.run_box()
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            entry(tar, "new", b"through the link")
        self.assertEqual(self.put("/opt/link", out.getvalue()), 200)
        self.assertEqual(self.text("/opt/app/new"), b"through the link")
        # As any program in the container would: below the target, then along the link in it.
        self.assertEqual(self.put("/", make_tar(("opt/link/new", b"again"))), 200)
        self.assertEqual(self.text("/opt/app/new"), b"again")
        self.assertEqual(self.put("/tmp", make_tar((".wh.x", b"a file"))), 200)
        self.assertEqual(self.text("/tmp/.wh.x"), b"a file")

    def test_stopped_paused_and_never_started(self):
        tar = make_tar(("f", b"1"))
        self.run_box("-v", "/data")
        engine.docker("pause", "box")
        self.assertEqual(self.put("/tmp", tar), 200)
        self.assertEqual(self.text("/tmp/f"), b"1")
        engine.docker("unpause", "box")
        engine.docker("stop", "-t0", "box")
        self.assertEqual(self.put("/opt", tar), 200)
        self.assertEqual(self.put("/data", tar), 200)
        engine.docker("start", "box")
        self.assertEqual(self.sh("cat /opt/f /data/f; ls -ln /opt/f | cut -c1-20"),
                         "11-rw-r--r--    1 0   \n")
        self.clear()
        engine.docker("create", "--name", "box", "-v", "/data", "box")
        self.assertEqual(self.put("/data", tar), 200)
        self.assertEqual(sorted(self.get("/data")), ["data/", "data/f", "data/seed"])
        engine.docker("start", "box")
        self.assertEqual(self.sh("cat /data/seed /data/f"), "seed1")


class Hostile(FilesTest):
    """Rules G1, G6 and G7: nothing of the host is read or written, nothing of the image is run."""

    def setUp(self):
        super().setUp()
        self.canary = host / "canary"
        self.canary.mkdir(exist_ok=True)
        (self.canary / "secret").write_text("of the host")
        self.modes = self.state()
        self.addCleanup(lambda: self.assertEqual(self.state(), self.modes))

    def state(self):
        status = self.canary.stat()
        return (sorted(os.listdir(self.canary)), (self.canary / "secret").read_text(),
                status.st_mode, status.st_uid, status.st_ctime_ns)

    def test_archives_that_lead_out(self):
        self.run_box()
        up = "../" * 20
        for tar in (make_tar((f"{up}{self.canary}/new", b"1")),
                    make_tar(("h", b"", HARD, 0o644, 0, 0, f"{up}{self.canary}/secret")),
                    make_tar(("../../etc/new", b"1"))):
            status, text = self.put("/tmp", tar)
            self.assertEqual(status, 400)
            self.assertIn("leads out of the archive", text)
        for tar in (make_tar((f"{self.canary}/new", b"1")),
                    make_tar(("l", b"", LINK, 0o777, 0, 0, f"{up}{host}"),
                             ("l/canary/new", b"1"))):
            self.put("/tmp", tar)
        self.assertEqual(self.put("/tmp", make_tar(("null", b"", DEVICE), ("f", b"1"))), 200)
        self.assertEqual(self.head("/tmp/null"), 404)
        self.assertEqual(self.text("/tmp/f"), b"1")

    def test_no_archive_at_all(self):
        self.run_box()
        self.assertEqual(self.put("/tmp", b"garbage")[0], 400)
        self.assertEqual(self.put("/tmp", os.urandom(5000))[0], 400)
        huge = make_tar(dict(name="f", content=b"x", pax={"comment": "y" * (2 << 20)}))
        self.assertEqual(self.put("/tmp", huge)[0], 400)
        sparse = tarfile.TarInfo("sparse")
        sparse.size = 1 << 50
        status, text = self.put("/tmp", sparse.tobuf())
        self.assertEqual(status, 400)

    def race(self, attempt):
        """/x/a is a folder of the container and a link to one of the host, in turn."""
        self.run_box()
        self.sh(f"mkdir -p /x/a; echo inside >/x/a/secret; ln -s {self.canary} /x/b; "
                f"echo plain >/x/f; ln -s {self.canary}/secret /x/g")
        pid = engine.json("GET", "/containers/box/json")["State"]["Pid"]
        root = f"/proc/{pid}/root/x"
        outcomes = set()
        with Swapper(f"{root}/a", f"{root}/b"), Swapper(f"{root}/f", f"{root}/g"):
            for _ in range(120):
                outcomes.add(attempt())
        return outcomes

    def test_reading_while_names_are_swapped(self):  # CVE-2018-15664
        def attempt():
            status, _, body = engine.api("GET", self.query("/x/a/secret"))
            self.assertNotIn(b"of the host", body)
            engine.api("HEAD", self.query("/x/a/"))
            for path in ("/x", "/x/f"):
                self.assertNotIn(b"of the host", engine.api("GET", self.query(path))[2])
            return status
        self.assertEqual(self.race(attempt), {200, 404})

    def test_writing_while_names_are_swapped(self):  # CVE-2018-15664, 2021-41089
        tar = make_tar(("new", b"1"), ("secret", b"overwritten"), dict(name=".", kind=FOLDER))
        deep = make_tar(("a/new", b"1"), ("a/secret", b"overwritten"))

        def attempt():
            self.put("/x", deep)
            done = self.put("/x/a", tar)
            return done if done == 200 else done[0]
        self.assertIn(200, self.race(attempt))

    def test_stopped_with_links_instead_of_mount_points(self):  # moby CVE-2026-41568 and its like
        (host / "volume").mkdir(exist_ok=True)
        self.run_box("-v", f"{host}/volume:/mnt/deep/volume")
        engine.docker("stop", "-t0", "box")
        upper = engine.data_root / "containers" / engine.json(
            "GET", "/containers/box/json")["Id"] / "diff"
        shutil.rmtree(upper / "mnt")
        (upper / "mnt").symlink_to(f"../../../../..{self.canary}")
        self.put("/mnt/deep/volume", make_tar(("f", b"1")))
        self.head("/mnt/deep/volume/f")
        self.assertEqual(self.head(f"{self.canary}/secret"), 404)

    def test_nothing_of_the_container_is_loaded_or_run(self):  # CVE-2019-14271, 2026-41567
        self.run_box()
        fake = b"#!/bin/sh\ntouch /loaded\n"
        names = ["lib/x86_64-linux-gnu/libnss_files.so.2", "lib/x86_64-linux-gnu/libc.so.6",
                 "usr/lib/x86_64-linux-gnu/libgcc_s.so.1", "bin/xz", "bin/unpigz", "bin/gzip",
                 "etc/ld.so.preload", "etc/nsswitch.conf", "bin/tar"]
        self.assertEqual(self.put("/", make_tar(*[(n, fake, FILE, 0o755) for n in names])), 200)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            entry(tar, "f", b"1", uid=1001)
        self.assertEqual(self.put("/tmp", out.getvalue(), copyUIDGID=1), 200)
        self.assertEqual(self.text("/tmp/f"), b"1")
        self.assertEqual(self.head("/loaded"), 404)

    def test_a_passwd_that_blocks(self):
        self.run_box("--user", "app")
        engine.docker("exec", "-u", "0", "box", "sh", "-c", "rm /etc/passwd; mkfifo /etc/passwd")
        self.assertEqual(self.put("/tmp", make_tar(("f", b"1")), copyUIDGID=1)[0], 400)


class Changes(FilesTest):
    def changes(self):
        found = engine.json("GET", "/containers/box/changes")
        return sorted("CAD"[c["Kind"]] + " " + c["Path"] for c in found)

    def test_none_but_those_of_the_container(self):
        self.run_box()
        self.assertEqual(self.changes(), [])
        self.sh("rm -rf /var/lib/x; mkdir /var/lib/x; echo n >/var/lib/x/n; rm /opt/app/one; "
                "mkdir -p /new/d; touch /etc/passwd; echo x >/tmp/x; rm /tmp/x; chmod 700 /data; "
                "rm /opt/link; mkdir /opt/link; echo l >/opt/link/l")
        expected = ["A /new", "A /new/d", "A /opt/link/l", "A /var/lib/x/n", "C /data", "C /etc",
                    "C /etc/passwd", "C /opt", "C /opt/app", "C /opt/link", "C /tmp", "C /var",
                    "C /var/lib", "C /var/lib/x", "D /opt/app/one", "D /var/lib/x/a",
                    "D /var/lib/x/b"]
        self.assertEqual(self.changes(), expected)
        engine.docker("stop", "-t0", "box")
        self.assertEqual(self.changes(), expected)
        self.assertEqual(engine.docker("diff", "box").stdout.splitlines(),
                         sorted(expected, key=lambda line: line.split("/")[1:]))


class Export(FilesTest):
    def test_the_root_without_mounts(self):
        self.run_box("-v", "/data", "--tmpfs", "/mem")
        self.sh("echo v >/data/v; echo m >/mem/m; rm /opt/app/one; echo n >/opt/n; "
                "chown 1001:1002 /opt/n")
        for state in ("running", "stopped"):
            status, _, body = engine.api("GET", "/containers/box/export")
            self.assertEqual(status, 200)
            with tarfile.open(fileobj=io.BytesIO(body)) as tar:
                found = {m.name: m for m in tar}
            self.assertIn("data/seed", found, state)
            self.assertNotIn("data/v", found)
            self.assertNotIn("mem/m", found)
            self.assertNotIn("opt/app/one", found)
            self.assertEqual((found["opt/n"].uid, found["opt/n"].gid), (1001, 1002))
            self.assertEqual(found["opt/app/two"].mode, 0o4755)
            engine.docker("stop", "-t0", "box")


class Commit(FilesTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: engine.docker("rmi", "-f", "made:1", check=False))

    def commit(self, **query):
        body = query.pop("body", None)
        status, _, text = engine.api("POST", "/commit?" + urllib.parse.urlencode(
            {"container": "box", "repo": "made", "tag": "1", **query}, doseq=True), body)
        return json.loads(text)["Id"] if status == 201 else (status, json.loads(text)["message"])

    def test_the_changes_become_a_layer(self):
        self.run_box("-e", "OLD=1", "--label", "l=1")
        self.sh("rm -rf /var/lib/x; mkdir /var/lib/x; echo n >/var/lib/x/n; rm /opt/app/one; "
                "mkdir -p /new; echo f >/new/f; chown 1001:1002 /new/f; chmod 4750 /new/f; "
                "ln /new/f /new/g; mkfifo /new/p; echo w >/tmp/.wh.passwd; "
                "rm /opt/link; mkdir /opt/link; echo l >/opt/link/l; chmod 711 /opt")
        made = self.commit(author="me", comment="why", changes=["ENV NEW=2", 'CMD ["x", "y"]'])
        info = engine.json("GET", "/images/made:1/json")
        parent = engine.json("GET", "/images/box/json")
        self.assertEqual((info["Id"], info["Author"], info["Comment"], info["Parent"]),
                         (made, "me", "why", parent["Id"]))
        self.assertEqual(info["Config"]["Cmd"], ["x", "y"])
        self.assertEqual(sorted(info["Config"]["Env"]), ["NEW=2", "OLD=1", "PATH=/bin"])
        self.assertEqual(info["Config"]["Labels"], {"l": "1"})
        self.assertEqual(info["RootFS"]["Layers"][:-1], parent["RootFS"]["Layers"])
        history = engine.json("GET", "/images/made:1/history")
        self.assertEqual((history[0]["CreatedBy"], history[0]["Comment"]), ("sleep 1000", "why"))
        seen = engine.docker(
            "run", "--rm", "made:1", "sh", "-c",
            "ls /var/lib/x /opt /opt/app /opt/link /tmp; stat -c '%a %u:%g %h %F' /new/f /new/p "
            "/opt; cat /etc/passwd | wc -l").stdout
        self.assertEqual(seen.split("\n"), [
            "/opt:", "app", "far", "link", "", "/opt/app:", "two", "", "/opt/link:", "l", "",
            "/tmp:", "", "/var/lib/x:", "n", "4750 1001:1002 2 regular file", "644 0:0 1 fifo",
            "711 0:0 1 directory", "2", ""])
        with tarfile.open(fileobj=io.BytesIO(engine.api("GET", "/images/made:1/get")[2])) as tar:
            manifest = json.load(tar.extractfile("manifest.json"))[0]
            self.assertEqual(len(manifest["Layers"]), 2)

    def test_nothing_changed_is_no_layer(self):
        self.run_box()
        self.commit()
        info = engine.json("GET", "/images/made:1/json")
        self.assertEqual(info["RootFS"], engine.json("GET", "/images/box/json")["RootFS"])
        self.assertEqual(engine.json("GET", "/images/made:1/history")[0]["Size"], 0)

    def test_a_configuration_of_its_own(self):
        self.run_box("-e", "OLD=1")
        self.commit(body={"Env": ["OLD=2"], "User": "app", "Entrypoint": ["/bin/sh"]})
        config = engine.json("GET", "/images/made:1/json")["Config"]
        self.assertEqual((config["User"], config["Entrypoint"]), ("app", ["/bin/sh"]))
        self.assertEqual(sorted(config["Env"]), ["OLD=2", "PATH=/bin"])

    def test_it_is_paused_meanwhile_and_goes_on(self):
        self.run_box(command=["sh", "-c", "while :; do echo >>/tmp/ticks; sleep 0.01; done"])
        engine.docker("commit", "box", "made:1")
        first = self.head("/tmp/ticks")["size"]
        deadline = time.monotonic() + 10
        while self.head("/tmp/ticks")["size"] == first and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertGreater(self.head("/tmp/ticks")["size"], first)
        self.assertEqual(engine.json("GET", "/containers/box/json")["State"]["Status"], "running")

    def test_refusals(self):
        self.run_box()
        before = engine.json("GET", "/images/json?all=1")
        self.assertEqual(self.commit(container="nobody")[0], 404)
        self.assertEqual(self.commit(repo="UPPER")[0], 400)
        status, text = self.commit(changes="FROM x")
        self.assertEqual((status, text), (400, "FROM is not a valid change command"))
        self.assertEqual(engine.json("GET", "/images/json?all=1"), before)

    def test_file_capabilities_stay(self):
        self.run_box()
        tar = make_tar(dict(name="p", content=b"x", mode=0o755,
                            pax={"SCHILY.xattr.security.capability": CAPABILITY,
                                 "SCHILY.xattr.user.note": "kept"}))
        self.assertEqual(self.put("/opt", tar), 200)
        headers = self.get("/opt/p")["p"].pax_headers
        self.assertEqual(headers["SCHILY.xattr.security.capability"], CAPABILITY)
        self.commit()
        self.clear()
        engine.docker("run", "-d", "--network", "none", "--name", "box", "made:1", "sleep", "100")
        self.assertEqual(self.get("/opt/p")["p"].pax_headers, headers)


if __name__ == "__main__":
    unittest.main()
