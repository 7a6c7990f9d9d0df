"""coffer cp, diff, export and commit: the same results and the same words as docker's."""
import io
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tarfile
import tempfile
import threading
import unittest

from support.engine import BIN, DOCKER, Engine
from support.registry import busybox_rootfs


def image():
    out = io.BytesIO(busybox_rootfs())
    with tarfile.open(fileobj=out, mode="a") as tar:
        for name, content, mode in (("opt/d/one", b"1", 0o644), ("opt/d/two", b"22", 0o4755),
                                    ("opt/file", b"file", 0o600)):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime, info.uid, info.gid = len(content), mode, 1_500_000_000, 5, 6
            tar.addfile(info, io.BytesIO(content))
        for name, target in (("opt/to-d", "d"), ("opt/to-file", "/opt/file")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mtime = tarfile.SYMTYPE, target, 1_500_000_000
            tar.addfile(info)
    return out.getvalue()


def setUpModule():
    global engine
    engine = Engine()
    engine.docker("import", "-c", 'CMD ["sleep", "1000"]', "-c", "ENV PATH=/bin", "-", "box",
                  input=image())
    engine.docker("run", "-d", "--network", "none", "--name", "box", "box")


def tearDownModule():
    engine.close()


def tree(folder):
    """Every file below, with what it is."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = "-> " + os.readlink(path)
        elif path.is_dir():
            found[name] = f"folder {stat.S_IMODE(status.st_mode):o}"
        else:
            found[name] = f"{path.read_bytes()} {stat.S_IMODE(status.st_mode):o}"
    return found


class Run:
    def __init__(self, program, cwd, *args, **options):
        env = {**os.environ, "DOCKER_HOST": f"unix://{engine.socket}",
               "DOCKER_CONFIG": str(engine.dir / "docker")}
        run = subprocess.run([program, *args], cwd=cwd, env=env, capture_output=True, timeout=60,
                             **options)
        self.status, self.out = run.returncode, run.stdout
        self.err = run.stderr.decode().replace(str(cwd), "HERE")

    def words(self):
        """The error, without the program's name and what docker logs of its own pipes."""
        lines = [line for line in self.err.splitlines() if not line.startswith('time="')]
        return "\n".join(lines).strip().replace("coffer", "docker")


class CopyTest(unittest.TestCase):
    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="copy-"))
        self.addCleanup(shutil.rmtree, self.scratch)

    def both(self, prepare, *args, **options):
        """Runs docker and coffer in folders of their own; gives both outcomes."""
        outcomes = []
        for program in (DOCKER, BIN / "coffer"):
            folder = self.scratch / f"run{len(list(self.scratch.iterdir()))}"
            folder.mkdir()
            prepare(folder)
            run = Run(program, folder, *args, **options)
            outcomes.append((run.status, run.out, run.words(),
                             tree(folder)))
        return outcomes


class Out(CopyTest):
    def prepare(self, folder):
        (folder / "there").mkdir()
        (folder / "there/d").mkdir(mode=0o700)
        (folder / "file").write_text("old")
        (folder / "link").symlink_to("there")
        (folder / "flink").symlink_to("file")

    def test_every_kind_onto_every_kind(self):
        for source in ("/opt/d", "/opt/d/", "/opt/d/.", "/opt/file", "/opt/to-d", "/opt/to-d/",
                       "/opt/to-file", "opt/d/two"):
            for target in ("there", "there/", "new", "new/", "file", "link", "flink", ".",
                           "none/new", "there/d"):
                with self.subTest(source=source, target=target):
                    docker, coffer = self.both(self.prepare, "cp", f"box:{source}", target)
                    # What runs with its owner's rights does not come out as ours.
                    docker[3].update({k: v.replace(" 4755", " 755") for k, v in docker[3].items()})
                    self.assertEqual(docker[0], coffer[0], (docker[2], coffer[2]))
                    self.assertEqual(docker[3], coffer[3])
                    if docker[0] and "overwrite" not in docker[2]:
                        self.assertEqual(docker[2], coffer[2])

    def test_follow_link_archive_and_stream(self):
        for args in (["-L", "box:/opt/to-d", "new"], ["-L", "box:/opt/to-d", "there"],
                     ["-L", "box:/opt/to-file", "there"], ["-a", "box:/opt/d", "there"],
                     ["-L", "box:/opt/file", "new"], ["box:/nope", "new"], ["nobody:/x", "new"],
                     ["box:/x", "box:/y"], ["x", "y"], ["", "y"], ["box:/x", ""],
                     ["box:/opt/file", "/dev/null"]):
            with self.subTest(args=args):
                docker, coffer = self.both(self.prepare, "cp", *args)
                docker[3].update({k: v.replace(" 4755", " 755") for k, v in docker[3].items()})
                self.assertEqual(docker, coffer)
        docker, coffer = self.both(lambda folder: None, "cp", "box:/opt/d", "-")
        self.assertEqual(docker, coffer)


class In(CopyTest):
    def prepare(self, folder):
        (folder / "d/deep").mkdir(parents=True)
        (folder / "d/deep/file").write_text("deep")
        (folder / "file").write_text("content")
        (folder / "link").symlink_to("d")
        (folder / "flink").symlink_to("file")
        os.chown(folder / "file", 1234, 2345)
        for program in ("docker", "coffer"):
            engine.docker("exec", "box", "sh", "-c",
                          "rm -rf /t; mkdir -p /t/there/d; echo old >/t/file; ln -s there /t/link; "
                          "ln -s /t/file /t/flink")

    def remote(self):
        _, _, body = engine.api("GET", "/containers/box/archive?path=/t")
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {m.name: (m.type, m.mode, m.uid, m.gid, m.linkname,
                             tar.extractfile(m).read() if m.isreg() else b"") for m in tar}

    def test_every_kind_onto_every_kind(self):
        for source in ("d", "d/", "d/.", "file", "link", "link/", "flink", "none", "file/"):
            for target in ("/t/there", "/t/there/", "/t/new", "/t/new/", "/t/file", "/t/link",
                           "/t/flink", "/t/none/new", "t"):
                with self.subTest(source=source, target=target):
                    results = []
                    for program in (DOCKER, BIN / "coffer"):
                        folder = self.scratch / f"run{len(list(self.scratch.iterdir()))}"
                        folder.mkdir()
                        self.prepare(folder)
                        run = Run(program, folder, "cp", source, f"box:{target}")
                        results.append((run.status, run.words(),
                                        self.remote()))
                    self.assertEqual(results[0], results[1])

    def test_options_and_standard_input(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            info = tarfile.TarInfo("streamed")
            info.size = 3
            tar.addfile(info, io.BytesIO(b"tar"))
        for args, given in ((["-L", "link", "box:/t/new"], None), (["-L", "flink", "box:/t"], None),
                            (["-a", "file", "box:/t/there"], None),
                            (["-", "box:/t"], out.getvalue()), (["-", "box:/t/file"], b""),
                            (["./file", "nobody:/t"], None), (["-q", "file", "box:/t/q"], None)):
            with self.subTest(args=args):
                results = []
                for program in (DOCKER, BIN / "coffer"):
                    folder = self.scratch / f"run{len(list(self.scratch.iterdir()))}"
                    folder.mkdir()
                    self.prepare(folder)
                    run = Run(program, folder, "cp", *args, input=given or b"")
                    results.append((run.status, run.out, run.words(), self.remote()))
                self.assertEqual(results[0], results[1])

    def test_a_large_file_that_cannot_be_written(self):
        engine.docker("run", "-d", "--network", "none", "--name", "small", "--tmpfs",
                      "/small:size=1m", "box")
        self.addCleanup(engine.docker, "rm", "-f", "small")
        (self.scratch / "big").write_bytes(b"x" * (8 << 20))
        run = Run(BIN / "coffer", self.scratch, "cp", "big", "small:/small")
        self.assertEqual(run.status, 1)
        self.assertIn("no space left on device", run.err)


class HostileEngine(CopyTest):
    """Who answers is a container in the end: its names must not lead out of the destination."""

    def answer(self, tar, name="d", folder=True):
        import base64
        import json
        listener = socket.socket(socket.AF_UNIX)
        path = self.scratch / "hostile.sock"
        listener.bind(str(path))
        listener.listen(8)
        self.addCleanup(listener.close)
        header = base64.b64encode(json.dumps(
            {"name": name, "size": 0, "mode": 1 << 31 if folder else 0o644}).encode()).decode()

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    request = connection.recv(65536)
                    body = tar if request.startswith(b"GET") and b"/archive" in request else b""
                    connection.sendall(
                        f"HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: {header}\r\n"
                        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        threading.Thread(target=serve, daemon=True).start()
        return path

    def copy(self, *entries):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, kind, link in entries:
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, link
                info.size = 4 if kind == tarfile.REGTYPE else 0
                tar.addfile(info, io.BytesIO(b"evil"))
        path = self.answer(out.getvalue())
        (self.scratch / "outside").mkdir()
        (self.scratch / "outside/file").write_text("mine")
        (self.scratch / "here").mkdir()
        run = subprocess.run([BIN / "coffer", "-H", f"unix://{path}", "cp", "c:/d", "here"],
                             cwd=self.scratch, capture_output=True, text=True, timeout=60)
        self.assertEqual(tree(self.scratch / "outside"), {"file": "b'mine' 644"})
        return run

    def test_names_beside_the_source(self):  # CVE-2026-17106
        run = self.copy(("d", tarfile.DIRTYPE, ""), ("other", tarfile.REGTYPE, ""))
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(os.listdir(self.scratch / "here"), ["d"])

    def test_parents(self):
        run = self.copy(("d/../../outside/file", tarfile.REGTYPE, ""))
        self.assertNotEqual(run.returncode, 0)

    def test_links(self):
        outside = str(self.scratch / "outside")
        self.copy(("d", tarfile.DIRTYPE, ""), ("d/l", tarfile.SYMTYPE, outside),
                  ("d/l/file", tarfile.REGTYPE, ""), ("d/r", tarfile.SYMTYPE, "../../outside"),
                  ("d/r/file", tarfile.REGTYPE, ""), ("d/h", tarfile.LNKTYPE, f"d/l/file"))

    def test_hard_link_out(self):
        run = self.copy(("d", tarfile.DIRTYPE, ""), ("d/h", tarfile.LNKTYPE, "../outside/file"))
        self.assertNotEqual(run.returncode, 0)


class Others(CopyTest):
    def test_diff_export_commit(self):
        engine.docker("run", "-d", "--network", "none", "--name", "work", "box")
        self.addCleanup(engine.docker, "rm", "-f", "work")
        engine.docker("exec", "work", "sh", "-c", "echo 1 >/new; rm /opt/file; chmod 700 /opt/d")
        nothing = lambda folder: None
        for args in (["diff", "work"], ["export", "work"], ["diff", "nobody"], ["diff"],
                     ["export", "nobody"], ["commit", "nobody"], ["commit", "work", "UPPER"],
                     ["commit", "-c", "NONE x", "work"], ["container", "diff", "work"]):
            with self.subTest(args=args):
                docker, coffer = self.both(nothing, *args)
                self.assertEqual(docker, coffer)
        docker, coffer = self.both(nothing, "export", "-o", "tar", "work")
        self.assertEqual(docker, coffer)
        made = Run(BIN / "coffer", self.scratch, "commit", "-a", "me", "-m", "why", "-c",
                   "ENV A=b", "work", "made:1")
        self.addCleanup(engine.docker, "rmi", "made:1")
        self.assertEqual(made.status, 0, made.err)
        self.assertEqual(made.out.decode().strip(),
                         engine.json("GET", "/images/made:1/json")["Id"])
        shown = engine.docker("run", "--rm", "made:1", "sh", "-c", "cat /new; echo $A").stdout
        self.assertEqual(shown, "1\nb\n")


if __name__ == "__main__":
    unittest.main()
