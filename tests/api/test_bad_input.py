"""Hostile requests and hostile images: a clear error or a safe result, nothing hangs, nothing
outside of the root file system changes, the engine stays usable and small."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import socket
import tarfile
import unittest

from support.engine import BIN, Engine
from support.registry import busybox_rootfs, tar_of

MiB = 1 << 20
# More than the engine may ever take for one of these; AddressSanitizer keeps what is freed.
SMALL = (768 if "asan" in str(BIN) else 96) * MiB
CANARY = pathlib.Path("/tmp/canary-of-the-host")
JSON = {"Content-Type": "application/json"}


def setUpModule():
    global engine
    CANARY.write_text("host")
    CANARY.chmod(0o640)
    engine = Engine()


def tearDownModule():
    engine.close()
    CANARY.unlink()


def entry(name, kind=tarfile.REGTYPE, content=b"", link="", mode=0o755, device=(0, 0)):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(content)
    info.devmajor, info.devminor = device
    return info, content


def layer_of(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def archive_of(layers, config=None, name="bad:1", diff_ids=None, raw_config=None):
    """As `docker save` writes it; nothing in it needs to fit together."""
    digests = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    document = {"architecture": "amd64", "os": "linux",
                "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], **(config or {})},
                "rootfs": {"type": "layers", "diff_ids": diff_ids or digests}}
    files = {"config.json": json.dumps(document).encode() if raw_config is None else raw_config}
    for number, layer in enumerate(layers):
        files[f"{number}.tar"] = layer
    files["manifest.json"] = json.dumps([{
        "Config": "config.json", "RepoTags": [name],
        "Layers": [f"{number}.tar" for number in range(len(layers))]}]).encode()
    return tar_of(files)


class BadInput(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()
        for image in engine.json("GET", "/images/json"):
            if "busybox:latest" not in (image["RepoTags"] or []):
                engine.api("DELETE", f"/images/{image['Id']}?force=1")
        self.assertEqual((CANARY.read_text(), CANARY.stat().st_mode & 0o777), ("host", 0o640))
        self.assertEqual(engine.api("GET", "/_ping")[0], 200)
        status = pathlib.Path(f"/proc/{engine.process.pid}/status").read_text()
        self.assertLess(int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10, SMALL)

    def load(self, *layers, config=None, **options):
        run = engine.docker("load", input=archive_of(layers, config, **options), check=False)
        return run

    def loaded(self, *layers, config=None):
        run = self.load(busybox_rootfs(), *layers, config=config)
        self.assertEqual(run.returncode, 0, run.stderr)

    def refused(self, run, *words):
        self.assertNotEqual(run.returncode, 0, run.stdout)
        for word in words:
            self.assertIn(word, run.stderr + run.stdout)
        self.assertNotIn("EOF", run.stderr)  # the engine said what is wrong

    def run_it(self, *command, options=(), check=False):
        return engine.docker("run", "--rm", "--network", "none", *options, "bad:1", *command,
                             check=check, timeout=60)


class Requests(BadInput):
    def post(self, path, body, headers=JSON):
        status, _, text = engine.api("POST", path, body, headers)
        return status, json.loads(text)["message"]

    def test_deep_documents(self):
        deep = b'{"a":' * 100_000
        for path in ("/containers/create", "/volumes/create", "/networks/create"):
            for body in (deep, b"[" * 100_000, b'{"Labels":' + b"[" * 100_000 + b"]" * 100_000 +
                         b"}"):
                status, message = self.post(path, body)
                self.assertEqual(status, 400, message)
                self.assertLess(len(message), 500)
        deep_filter = "[" * 20_000
        self.assertEqual(engine.api("GET", f"/containers/json?filters={deep_filter}")[0], 400)

    def test_huge_document(self):
        body = b'{"Image":"' + b"x" * (64 * MiB) + b'"}'
        try:
            status, message = self.post("/containers/create", body)
            self.assertIn(status, (400, 413), message)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was sent

    def test_many_headers(self):
        headers = {f"X-{number}": "y" for number in range(5000)}
        self.assertIn(engine.api("GET", "/info", headers=headers)[0], (400, 431))

    def test_repeated_keys(self):
        # The last one counts, as with docker; there is one parser, so for every check as well.
        for body in (b'{"Image":"busybox","Image":"other"}', b'{"Image":"busybox","image":"other"}'):
            self.assertEqual(self.post("/containers/create", body),
                             (404, "No such image: other:latest"))
        self.loaded()
        status, message = self.post("/containers/create", b'{"Image":"bad:1","HostConfig":'
                                    b'{"RestartPolicy":{"Name":"no"},"restartpolicy":{"Name":"x"}}}')
        self.assertEqual(status, 400)
        self.assertIn("invalid restart policy", message)

    def test_lengths(self):
        for length in (b"99999999999999999999999", b"0x10", b"-1", b"1 1", b"", b"+5"):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(20)
                peer.connect(str(engine.socket))
                peer.sendall(b"POST /containers/create HTTP/1.1\r\nHost: x\r\n"
                             b"Content-Type: application/json\r\nContent-Length: " + length +
                             b"\r\n\r\n{}")
                self.assertTrue(peer.recv(4096).startswith(b"HTTP/1.1 400"), length)

    def test_bodies_that_end_early(self):
        for path in (b"/images/load", b"/images/create?fromSrc=-&repo=x", b"/containers/create"):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(20)
                peer.connect(str(engine.socket))
                peer.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: "
                             b"application/json\r\nContent-Length: 100000\r\n\r\n{\"a\":")
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass
        self.assertEqual(engine.json("GET", "/images/json"), [])

    def test_bombs(self):
        # 2 GiB of nothing. As a layer it is no more than gzip can do, and never in memory.
        bomb = io.BytesIO()
        with gzip.GzipFile(fileobj=bomb, mode="w", compresslevel=9) as packed:
            info = tarfile.TarInfo("zeros")
            info.size = 2 << 30
            packed.write(info.tobuf())
            for _ in range(2048):
                packed.write(bytes(MiB))
            packed.write(bytes(1024))
        engine.docker("import", "-", "bad:1", input=bomb.getvalue())
        self.assertEqual(self.run_it("true").returncode, 127)
        self.refused(engine.docker("load", input=bomb.getvalue(), check=False))

    def test_names(self):
        for name in ("../../etc", "a/../b", "A" * 300, "x\n", "%2e%2e", "-x"):
            status, _, text = engine.api("POST", "/volumes/create", {"Name": name})
            self.assertEqual(status, 400, (name, text))
            self.assertIn(engine.api("GET", f"/containers/{name.strip()}/json")[0], (400, 404))


class Settings(BadInput):
    def started(self, **config):
        self.loaded(config=config)
        return self.run_it("sh", "-c", "id -u; pwd; env")

    def test_users(self):
        for user in ("4294967296", "4294967295", "2147483648", "-1", "99999999999999999999", "0x0",
                     "nobody:4294967296", "nobody:-1", "no-such", ":no-such", "root\n", "0 "):
            with self.subTest(user=user):
                self.refused(self.started(User=user))
        for user, uid in (("65534", "65534"), ("nobody", "65534"), ("", "0"), ("00", "0")):
            self.assertEqual(self.started(User=user).stdout.splitlines()[0], uid)

    def test_working_folders(self):
        for folder in ("/proc/self/fd/7", "/proc/self/fd/3", "/proc/1/root", "/proc/self/cwd/..",
                       "/dev/null", "relative"):
            with self.subTest(folder=folder):
                run = self.started(WorkingDir=folder)
                if run.returncode == 0:  # a place inside: the root, or the init's own of procfs
                    self.assertIn(run.stdout.splitlines()[1], ("/", "/proc/1"))
        for number in range(20):
            run = self.started(WorkingDir=f"/proc/self/fd/{number}")
            self.assertNotEqual(run.returncode, 0, run.stdout)
        self.assertEqual(self.started(WorkingDir="/../../tmp").stdout.splitlines()[1], "/tmp")

    def test_environment(self):
        for env in ("A=\0b", "=b", "", "\0"):
            with self.subTest(env=env):
                self.refused(self.started(Env=["PATH=/bin", env]), "invalid environment variable")
        out = self.started(Env=["PATH=/bin", "A=one\ntwo=2", "HOME=/x\nroot::0:0:::"]).stdout
        self.assertIn("A=one\ntwo=2\n", out)
        self.assertEqual(self.run_it("sh", "-c", "grep -c . /etc/passwd /etc/hosts; env -0 | "
                                     "tr '\\0' '|'").returncode, 0)

    def test_commands(self):
        for config in ({"Cmd": ["a\0b"]}, {"Cmd": [""]}, {"Entrypoint": ["/"]}, {"Cmd": []},
                       {"Cmd": ["x" * 200_000]}):
            with self.subTest(config=str(config)[:40]):
                self.loaded(config=config)
                self.refused(engine.docker("run", "--rm", "--network", "none", "bad:1",
                                           check=False))

    def test_volumes_and_ports(self):
        for volume in ("../../../tmp", "/", "relative", "/a\0b"):
            with self.subTest(volume=volume):
                self.loaded(config={"Volumes": {volume: {}}})
                self.refused(self.run_it("true"))
        for port in ("99999/tcp", "80/nope", "x", "-1/tcp"):
            with self.subTest(port=port):
                self.loaded(config={"ExposedPorts": {port: {}}})
                self.refused(self.run_it("true", options=["-P"]))

    def test_labels_do_nothing(self):
        self.loaded(config={"Labels": {"org.systemd.property.ExecStart": "/bin/x", "a\nb": "c\0d",
                                       "io.container.device": "/dev/sda"}})
        self.run_it("true")

    def test_config_is_no_config(self):
        for raw in (b"", b"[]", b"{", b'{"os":1}', b"[" * 100_000, b'{"rootfs":{"diff_ids":["x"]}}',
                    b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":'
                    b'["sha256:../../../../etc/passwd"]}}'):
            with self.subTest(raw=raw[:30]):
                self.refused(self.load(busybox_rootfs(), raw_config=raw))


class Accounts(BadInput):
    """/etc/passwd of an image is anything."""

    def user(self, *entries):
        self.loaded(layer_of(*entries))
        return self.run_it("id", "-u", options=["-u", "nobody"])

    def test_fifo(self):
        self.refused(self.user(entry("etc/passwd", tarfile.FIFOTYPE)), "unable to find user nobody")
        self.assertEqual(self.run_it("true").returncode, 0)  # numbers need no file

    def test_folder(self):
        self.refused(self.user(entry("etc/.wh.passwd"), entry("etc/passwd/x")),
                     "unable to find user nobody")

    def test_link_to_the_host(self):
        run = self.user(entry("etc/passwd", tarfile.SYMTYPE, link="../../../../etc/shadow"))
        self.refused(run, "unable to find user nobody")
        run = self.user(entry("etc/passwd", tarfile.SYMTYPE, link="/proc/self/root/etc/passwd"))
        self.refused(run, "unable to find user nobody")
        self.refused(self.user(entry("etc", tarfile.SYMTYPE, link="/proc/1/root/etc")))

    def test_link_to_itself(self):
        self.refused(self.user(entry("etc/passwd", tarfile.SYMTYPE, link="passwd")),
                     "unable to find user nobody")

    def test_huge(self):
        line = b"nobody:x:65534:65534::/:/bin/sh\n"
        huge = entry("etc/passwd", content=b"#" * (64 * MiB) + b"\n" + line)
        self.refused(self.user(huge), "unable to find user nobody")

    def test_lies(self):
        for uid in (b"4294967296", b"-1", b"", b"0x0", b"65534 "):
            self.refused(self.user(entry("etc/passwd", content=b"nobody:x:" + uid + b":0::/:\n")),
                         "unable to find user nobody")
        # A number is a number, whoever is called that.
        self.loaded(layer_of(entry("etc/passwd", content=b"1000:x:0:0::/:/bin/sh\n")))
        self.assertEqual(self.run_it("id", "-u", options=["-u", "1000"]).stdout, "1000\n")


class Layers(BadInput):
    def outcome(self, *entries):
        """Loads the layer; when that is taken, runs what is in it."""
        run = self.load(busybox_rootfs(), layer_of(*entries))
        if run.returncode == 0:
            self.assertEqual(self.run_it("true").returncode, 0)
        else:
            self.refused(run)
        self.assertFalse(pathlib.Path("/tmp/evil").exists())
        return run

    def test_names_that_climb(self):
        for name in ("../../../../../../tmp/evil", "a/../../../../../../../tmp/evil", "/../tmp/evil"):
            self.refused(self.outcome(entry(name, content=b"x")), "leads out of the archive")
        self.outcome(entry("/tmp/evil", content=b"x"))
        self.assertEqual(self.run_it("ls", "/tmp").stdout, "evil\n")

    def test_links(self):
        far = "../../../../../../../../tmp"
        for link in ("/tmp", far):
            self.outcome(entry("l", tarfile.SYMTYPE, link=link), entry("l/evil", content=b"x"))
            self.assertEqual(self.run_it("ls", "/tmp").stdout, "evil\n")  # as in a chroot
            self.outcome(entry("l", tarfile.SYMTYPE, link=link + "/canary-of-the-host"),
                         entry("l", content=b"x", mode=0o777))
        self.outcome(entry("l", tarfile.SYMTYPE, link="/tmp"), entry("l", tarfile.DIRTYPE),
                     entry("l/evil", content=b"x"))
        self.outcome(entry("l", tarfile.SYMTYPE, link="/proc/self/cwd"),
                     entry("l/../../tmp/evil", content=b"x"))
        # Over two layers: the link below, the file above.
        self.loaded(layer_of(entry("l", tarfile.SYMTYPE, link=far)),
                    layer_of(entry("l/evil", content=b"x")))
        self.assertFalse(pathlib.Path("/tmp/evil").exists())

    def test_hard_links(self):
        for target in ("/etc/shadow", "../../../../../../../etc/shadow", "/tmp/canary-of-the-host",
                       "/absent", ""):
            self.outcome(entry("h", tarfile.LNKTYPE, link=target),
                         entry("h", content=b"overwritten", mode=0o777))
        self.outcome(entry("s", tarfile.SYMTYPE, link="/tmp/canary-of-the-host"),
                     entry("h", tarfile.LNKTYPE, link="s"), entry("h", content=b"x", mode=0o777))

    def test_devices(self):
        run = self.outcome(entry("disk", tarfile.BLKTYPE, device=(254, 0), mode=0o666),
                           entry("mem", tarfile.CHRTYPE, device=(1, 1), mode=0o666))
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.run_it("ls", "/disk", "/mem").returncode, 1)

    def test_places_of_the_runtime(self):
        for place in ("proc", "sys", "dev"):
            for kind, link in ((tarfile.SYMTYPE, "/tmp"), (tarfile.REGTYPE, ""),
                               (tarfile.FIFOTYPE, "")):
                with self.subTest(place=place, kind=kind):
                    self.loaded(layer_of(entry(place, kind, link=link)))
                    run = self.run_it("cat", "/proc/sys/kernel/ostype")
                    self.assertNotEqual((run.returncode, run.stdout), (0, ""))
        for place in ("etc/hosts", "etc/resolv.conf", "etc/hostname"):
            self.loaded(layer_of(entry(place, tarfile.SYMTYPE, link="../../../../tmp/evil")))
            self.run_it("true")
            self.assertFalse(pathlib.Path("/tmp/evil").exists())

    def test_wrong_digests(self):
        wrong = "sha256:" + "0" * 64
        self.refused(self.load(busybox_rootfs(), diff_ids=[wrong]), "not the expected")
        self.refused(self.load(busybox_rootfs(), diff_ids=[wrong, wrong]))
        self.assertEqual(engine.json("GET", "/images/json"), [])

    def test_truncated(self):
        whole = busybox_rootfs()
        for size in (0, 1, 511, 513, len(whole) // 2):
            with self.subTest(size=size):
                run = engine.docker("import", "-", "bad:1", input=whole[:size], check=False)
                if size > 513:
                    self.refused(run)
        packed = gzip.compress(whole, 1)
        self.refused(engine.docker("import", "-", "bad:1", input=packed[:len(packed) // 2],
                                   check=False))
        archive = archive_of([whole])
        self.refused(engine.docker("load", input=archive[:len(archive) // 2], check=False))

    def test_extended_headers(self):
        for key, value in (("path", "../../../../tmp/evil"), ("size", "-1"), ("size", "1e9"),
                           ("mtime", "nan"), ("uid", "99999999999999"), ("path", "x" * 100_000),
                           ("SCHILY.xattr.trusted.overlay.redirect", "/etc"),
                           ("SCHILY.xattr.user.overlay.opaque", "y"),
                           ("SCHILY.xattr.security.selinux", "x")):
            with self.subTest(key=key, value=value[:20]):
                info, content = entry("f", content=b"x")
                info.pax_headers = {key: value}
                out = io.BytesIO()
                with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                    tar.addfile(info, io.BytesIO(content))
                self.load(busybox_rootfs(), out.getvalue())
                self.assertFalse(pathlib.Path("/tmp/evil").exists())

    def test_many_entries_and_deep_folders(self):
        self.refused(self.load(layer_of(entry("d/" * 2000 + "f"))))
        self.loaded(layer_of(*[entry(f"many/{n}") for n in range(20_000)]))
        self.assertEqual(self.run_it("sh", "-c", "ls /many | wc -l").stdout, "20000\n")


class Zero(unittest.TestCase):
    """What is left after all of the above: nothing. The name makes it the last."""

    def test_nothing_is_left(self):
        self.assertEqual(engine.json("GET", "/containers/json?all=1"), [])
        self.assertEqual(engine.json("GET", "/images/json"), [])
        self.assertEqual(os.listdir(engine.data_root / "layers"), [])
        self.assertEqual(os.listdir(engine.data_root / "trash"), [])
        self.assertEqual(os.listdir(engine.data_root / "blobs/sha256"), [])


if __name__ == "__main__":
    unittest.main()
