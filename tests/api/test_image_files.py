"""Images without a container: the layers they share, what changes between them, and mounts on the
host."""
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import tempfile
import unittest

from support.engine import Engine
from support.registry import Layout, digest_of


def tar_of(*entries):
    """Entries are (name, content, {attribute of TarInfo}); no content is a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, *more in entries:
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = 1_600_000_000, 0o644
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            else:
                info.size = len(content)
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content) if content else None)
    return out.getvalue()


BASE = tar_of(("etc", None), ("etc/keep", b"keep"), ("etc/same-size", b"one"), ("etc/gone", b"x"),
              ("etc/rights", b"r"), ("dir", None), ("dir/a", b"a"), ("dir/sub", None),
              ("dir/sub/b", b"b"), ("opaque", None), ("opaque/old", b"o"), ("turns", b"file"),
              ("run", b"#!", {"mode": 0o4755}), ("caps", b"c"), ("link", None,
              {"type": tarfile.SYMTYPE, "linkname": "etc/keep"}))
TOP = tar_of(("etc", None), ("etc/same-size", b"two"), ("etc/.wh.gone", b""),
             ("etc/rights", b"r", {"mode": 0o600}), ("dir", None), ("dir/new", None),
             ("dir/new/c", b"c"), ("opaque", None), ("opaque/.wh..wh..opq", b""),
             ("opaque/young", b"y"), ("turns", None), ("turns/inner", b"i"),
             ("caps", b"c", {"pax_headers": {
                 "SCHILY.xattr.security.capability":
                     b"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0".decode("latin-1")}}),
             ("link", None, {"type": tarfile.SYMTYPE, "linkname": "etc/gone"}))
OTHER = tar_of(("other", b"1"))
CHANGES = {"C /etc", "C /etc/same-size", "D /etc/gone", "C /etc/rights", "C /dir", "A /dir/new",
           "A /dir/new/c", "C /opaque", "D /opaque/old", "A /opaque/young", "C /turns",
           "A /turns/inner", "C /caps", "C /link"}
BACK = {"C /etc", "C /etc/same-size", "A /etc/gone", "C /etc/rights", "C /dir", "D /dir/new",
        "C /opaque", "A /opaque/old", "D /opaque/young", "C /turns", "C /caps", "C /link"}


def load(name, layers):
    """Loads an image of these uncompressed tars."""
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        layout = Layout(folder / "layout")
        layout.tag(name, layout.manifest(layers))
        archive = folder / "image.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(layout.dir, ".")
        engine.docker("load", "-i", archive)
    finally:
        shutil.rmtree(folder)


def setUpModule():
    global engine
    engine = Engine()
    load("base:1", [BASE])
    load("app:1", [BASE, TOP])
    load("other:1", [BASE, OTHER])


def tearDownModule():
    engine.coffer("image", "unmount", "--all")
    engine.close()


def diff_ids(name):
    return engine.json("GET", f"/images/{name}/json")["RootFS"]["Layers"]


def id_of(name):
    return engine.json("GET", f"/images/{name}/json")["Id"]


class Tree(unittest.TestCase):
    def test_shared_layers_are_shown_once(self):
        lines = engine.coffer("image", "tree").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["LAYER", "SIZE", "IMAGES"])
        self.assertEqual(lines[1].split()[0], digest_of(BASE)[7:19])
        self.assertEqual(lines[1].split()[-1], "base:1")
        self.assertEqual([line.split()[0] for line in lines[2:]], ["├─", "└─"])
        self.assertEqual({(line.split()[1], line.split()[-1]) for line in lines[2:]},
                         {(digest_of(TOP)[7:19], "app:1"), (digest_of(OTHER)[7:19], "other:1")})

    def test_of_one_image(self):
        lines = engine.coffer("image", "tree", "app:1").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines[1:]],
                         [digest[7:19] for digest in diff_ids("app:1")])

    def test_format(self):
        rows = [json.loads(line) for line in engine.coffer(
            "image", "tree", "--no-trunc", "--format", "json", "app:1").stdout.splitlines()]
        self.assertEqual([row["DiffID"] for row in rows], diff_ids("app:1"))
        self.assertEqual(rows[1]["Parent"], rows[0]["ID"])

    def test_of_none(self):
        run = engine.coffer("image", "tree", "nothing:1", check=False)
        self.assertEqual((run.returncode, run.stderr.strip()),
                         (1, "Error response from daemon: No such image: nothing:1"))


class Diff(unittest.TestCase):
    def diff(self, *names):
        lines = engine.coffer("image", "diff", *names).stdout.splitlines()
        self.assertEqual(len(lines), len(set(lines)))
        return set(lines)

    def test_against_the_layers_below(self):
        self.assertEqual(self.diff("app:1"), CHANGES)

    def test_against_another_image(self):
        self.assertEqual(self.diff("app:1", "base:1"), CHANGES)
        self.assertEqual(self.diff("base:1", "app:1"), BACK)
        self.assertEqual(self.diff("app:1", "app:1"), set())
        self.assertEqual(self.diff("app:1", "other:1"), CHANGES | {"D /other"})

    def test_the_same_files_in_other_layers_are_no_change(self):
        load("copy:1", [BASE + tar_of(), OTHER])
        self.assertEqual(self.diff("copy:1", "other:1"), set())
        engine.docker("rmi", "copy:1")

    def test_against_nothing(self):
        every = self.diff("base:1")
        self.assertIn("A /dir/sub/b", every)
        self.assertEqual({line[0] for line in every}, {"A"})

    def test_folders_come_before_what_is_in_them(self):
        lines = engine.coffer("image", "diff", "app:1").stdout.splitlines()
        self.assertLess(lines.index("C /dir"), lines.index("A /dir/new"))
        self.assertLess(lines.index("A /dir/new"), lines.index("A /dir/new/c"))

    def test_format(self):
        self.assertIn('{"Kind":"D","Path":"/etc/gone"}', engine.coffer(
            "image", "diff", "--format", "json", "app:1").stdout.splitlines())
        self.assertEqual(engine.coffer("image", "diff", "--format", "table", "app:1")
                         .stdout.split()[:2], ["KIND", "PATH"])

    def test_deep_folders_in_many_layers(self):
        path = "1/2/3/4/5/6/7/8/9"
        folders = [("/".join(path.split("/")[:n + 1]), None) for n in range(9)]
        layers = [tar_of(*folders, (f"{path}/{n}", str(n).encode())) for n in range(127)]
        load("deep:1", layers)
        load("deep:2", layers[:-1] + [tar_of(*folders, (f"{path}/last", b""))])
        self.assertEqual(self.diff("deep:2", "deep:1") - {f"C /{name}" for name, _ in folders},
                         {f"A /{path}/last", f"D /{path}/126"})
        engine.docker("rmi", "deep:1", "deep:2")


class Mount(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())

    def tearDown(self):
        engine.coffer("image", "unmount", "--all")
        self.assertEqual(self.points(), [])
        self.folder.rmdir()

    def points(self):
        return [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text()
                .splitlines() if "-image:sha256:" in line]

    def mount(self, *args):
        return pathlib.Path(engine.coffer("image", "mount", *args).stdout.strip())

    def test_files_are_there_and_safe(self):
        path = self.mount("app:1")
        self.assertEqual((path / "etc/same-size").read_bytes(), b"two")
        self.assertFalse((path / "etc/gone").exists())
        self.assertEqual(os.listdir(path / "opaque"), ["young"])
        flags = os.statvfs(path).f_flag
        for flag in (os.ST_RDONLY, os.ST_NOSUID, os.ST_NODEV):
            self.assertTrue(flags & flag)
        with self.assertRaises(OSError):
            (path / "etc/new").write_text("x")
        # On the way there nobody but root gets in.
        self.assertEqual(engine.exec_root.stat().st_mode & 0o777, 0o700)
        self.assertEqual(self.mount("app:1"), path)
        self.assertEqual(len(self.points()), 1)

    def test_image_of_one_layer(self):
        self.assertEqual((self.mount("base:1") / "turns").read_bytes(), b"file")

    def test_list(self):
        path = self.mount("app:1")
        lines = engine.coffer("image", "mount").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["IMAGE", "ID", "NAMES", "PATH"])
        self.assertEqual(lines[1].split(), [id_of("app:1")[7:19], "app:1", str(path)])
        self.assertEqual(engine.coffer("image", "mount", "--format", "{{.Path}}").stdout.split(),
                         [str(path)])

    def test_in_a_folder_of_ones_own(self):
        self.assertEqual(self.mount("app:1", self.folder), self.folder)
        self.assertTrue((self.folder / "dir/new/c").exists())
        run = engine.coffer("image", "mount", "base:1", self.folder, check=False)
        self.assertIn("is mounted at", run.stderr)
        self.assertEqual(len(self.points()), 1)
        engine.coffer("image", "unmount", self.folder)
        self.assertEqual(os.listdir(self.folder), [])
        self.assertIn("no such file", engine.coffer(
            "image", "mount", "app:1", self.folder / "absent", check=False).stderr.lower())

    def test_unmount_by_name(self):
        path = self.mount("app:1")
        self.mount("app:1", self.folder)
        self.assertEqual(set(engine.coffer("image", "unmount", "app:1").stdout.split()),
                         {str(path), str(self.folder)})
        self.assertFalse(path.exists())
        run = engine.coffer("image", "unmount", "app:1", check=False)
        self.assertEqual((run.returncode, run.stderr.strip()),
                         (1, "Error response from daemon: image app:1 is not mounted"))
        self.assertEqual(engine.coffer("image", "unmount", check=False).returncode, 1)

    def test_only_what_was_mounted_is_unmounted(self):
        self.mount("app:1", self.folder)
        subprocess.run(["mount", "-t", "tmpfs", "none", self.folder], check=True)
        try:
            run = engine.coffer("image", "unmount", self.folder, check=False)
            self.assertIn("something else is mounted", run.stderr)
        finally:
            subprocess.run(["umount", self.folder], check=True)

    def test_a_mounted_image_is_not_removed(self):
        engine.docker("tag", "app:1", "again:1")
        path = self.mount("app:1")
        engine.docker("rmi", "again:1")
        for command in (["rmi", "app:1"], ["rmi", id_of("app:1")], ["rmi", "-f", id_of("app:1")]):
            run = engine.docker(*command, check=False)
            self.assertIn(f"is mounted at {path}", run.stderr)
        engine.docker("image", "prune", "--all", "--force", "--filter", "label!=none")
        self.assertTrue((path / "etc/keep").exists())
        self.assertEqual(id_of("app:1"), [m["Image"] for m in engine.json(
            "GET", "/coffer/images/mounts")][0])
        load("base:1", [BASE])
        load("other:1", [BASE, OTHER])

    def test_it_outlives_the_engine(self):
        path = self.mount("app:1")
        empty = path.parent / ("0" * 64)
        empty.mkdir()
        engine.stop(signal.SIGKILL)
        self.assertTrue((path / "etc/keep").exists())
        engine.start()
        self.assertFalse(empty.exists())
        self.assertIn(str(path), engine.coffer("image", "mount").stdout)
        self.assertNotEqual(engine.docker("rmi", "app:1", check=False).returncode, 0)
        self.assertEqual(engine.coffer("system", "check").stdout, "Nothing is wrong.\n")
        engine.coffer("image", "unmount", "app:1")
        self.assertFalse(path.exists())

    def test_check_finds_one_without_its_image(self):
        self.mount("app:1", self.folder)
        engine.stop()
        kept = engine.data_root.with_name("kept")
        engine.data_root.rename(kept)
        engine.start()
        run = engine.coffer("system", "check", "--format", "{{.Kind}} {{.Object}}", check=False)
        self.assertEqual((run.returncode, run.stdout), (1, f"mount {self.folder}\n"))
        engine.coffer("system", "check", "--repair")
        self.assertEqual(self.points(), [])
        engine.stop()
        shutil.rmtree(engine.data_root)
        kept.rename(engine.data_root)
        engine.start()

    def test_root_alone_may(self):
        for path in (engine.socket, engine.dir, engine.dir.parent):
            self.addCleanup(os.chmod, path, path.stat().st_mode)
            os.chmod(path, 0o777)

        def ask(path):
            code = ("import os,socket,sys; os.setgid(65534); os.setuid(65534);"
                    "s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
                    "s.sendall(b'POST '+sys.argv[2].encode()+b' HTTP/1.0\\r\\n\\r\\n');"
                    "print(s.recv(65536).decode())")
            return subprocess.run(["python3", "-c", code, engine.socket, path],
                                  capture_output=True, text=True, check=True).stdout
        self.assertIn("403", ask("/coffer/images/app:1/mount").splitlines()[0])
        self.assertIn("403", ask("/coffer/images/unmount?target=app:1").splitlines()[0])
