"""Progress of transfers: bars on a terminal as wide as it is, plain lines elsewhere, the same as docker's."""
import fcntl
import gzip
import os
import pathlib
import pty
import shutil
import struct
import subprocess
import tempfile
import termios
import threading
import unittest

from support.engine import BIN, DOCKER, Engine
from support.registry import Layout, LyingRegistry, digest_of, tar_of

CONTENT = os.urandom(3_000_000)


def setUpModule():
    global engine, scratch, layout, layer
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-progress-"))
    engine = Engine("--bridge", "none")
    layout = Layout(scratch / "layout")
    tar = tar_of({"content": CONTENT})
    layer = gzip.compress(tar, 1, mtime=0)
    layout.tag("1", layout.manifest([tar]))


def tearDownModule():
    engine.close()
    shutil.rmtree(scratch)


class Terminal:
    """A program on a terminal; `shown` is what it wrote."""

    def __init__(self, *command, columns=150):
        self.fd, theirs = pty.openpty()
        self.resize(columns)
        self.shown = b""
        self.run = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                                    env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}",
                                         "DOCKER_CONFIG": str(engine.dir / "docker")})
        os.close(theirs)

    def resize(self, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def read_until(self, text):
        """What came before it."""
        start = len(self.shown)
        while text not in self.shown[start:]:
            self.shown += os.read(self.fd, 4096)
        return self.shown[start:]

    def read_all(self):
        start = len(self.shown)
        try:
            while more := os.read(self.fd, 4096):
                self.shown += more
        except OSError:
            pass
        os.close(self.fd)
        return self.shown[start:], self.run.wait(60)


class Progress(unittest.TestCase):
    def setUp(self):
        self.go_on = threading.Event()
        self.registry = LyingRegistry(layout)
        self.addCleanup(self.registry.close)
        self.addCleanup(engine.remove_images)
        self.name = f"{self.registry.name}:1"

    def hold(self):
        """The layer comes half before go_on, then in small pieces."""
        def body(out):
            half = len(layer) // 2
            out.write(layer[:half])
            out.flush()
            self.go_on.wait(60)
            for at in range(half, len(layer), 50_000):
                out.write(layer[at:at + 50_000])
                out.flush()
                threading.Event().wait(0.02)
        path = f"/v2/r/blobs/{digest_of(layer)}"
        self.registry.replies[path] = (200, {"Content-Length": len(layer)}, body)

    def coffer(self, *args, **options):
        return Terminal(BIN / "coffer", "-H", f"unix://{engine.socket}", *args, **options)

    def test_bars_as_wide_as_the_terminal(self):
        self.hold()
        one = self.coffer("pull", self.name)
        self.assertIn(b"\x1b[2K\r", one.read_until(b"/3"))
        self.assertIn(b"Downloading [", one.shown)
        one.resize(60)
        self.go_on.set()
        rest, status = one.read_all()
        self.assertEqual(status, 0)
        self.assertIn(b"Downloading", rest)
        self.assertNotIn(b"Downloading [", rest.split(b"Downloading", 3)[-1])
        self.assertIn(b"Pull complete", rest)

    def test_layers_that_wait_for_their_turn(self):
        many = Layout(scratch / "many")
        many.tag("1", many.manifest([tar_of({f"{n}": os.urandom(1000)}) for n in range(5)]))
        registry = LyingRegistry(many)
        self.addCleanup(registry.close)
        lines = engine.coffer("pull", f"{registry.name}:1").stdout.splitlines()
        layers = [line.split(":")[0] for line in lines if line.endswith("Pulling fs layer")]
        self.assertEqual([line.split(":")[0] for line in lines if line.endswith("Waiting")], layers[3:])

    def test_plain_lines_elsewhere(self):
        self.hold()
        self.go_on.set()
        run = engine.coffer("pull", self.name)
        self.assertNotIn("\x1b", run.stdout)
        self.assertNotIn("[", run.stdout)
        lines = run.stdout.splitlines()
        self.assertEqual(lines[0], "1: Pulling from r")
        self.assertIn(f"{digest_of(layer)[7:19]}: Pull complete", lines)
        engine.remove_images()
        self.assertEqual(engine.docker("pull", self.name).stdout, run.stdout)

    def test_quiet(self):
        one = self.coffer("pull", "--quiet", self.name)
        shown, status = one.read_all()
        self.assertEqual((shown, status), (self.name.encode() + b"\r\n", 0))

    def test_load(self):
        engine.docker("pull", self.name)
        engine.docker("save", "-o", scratch / "saved.tar", self.name)
        engine.remove_images()
        one = self.coffer("load", "-i", scratch / "saved.tar")
        shown, status = one.read_all()
        self.assertEqual(status, 0)
        self.assertIn(b"Loading layer [==", shown)
        self.assertIn(b"Loaded image: " + self.name.encode(), shown)
        engine.remove_images()
        run = engine.coffer("load", "-i", scratch / "saved.tar")
        self.assertEqual(run.stdout, f"Loaded image: {self.name}\n")

    def test_save_that_fails_leaves_what_was_there(self):
        engine.docker("pull", self.name)
        full = scratch / "full"
        full.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", full], check=True)
        self.addCleanup(subprocess.run, ["umount", full], check=True)
        (full / "saved.tar").write_text("before")
        for tool in ("save", "export"):
            what = self.name
            if tool == "export":
                what = engine.docker("create", "--network", "none", self.name, "x").stdout.strip()
                self.addCleanup(engine.remove_containers)
            run = engine.coffer(tool, "-o", full / "saved.tar", what, check=False)
            self.assertNotEqual(run.returncode, 0)
            self.assertIn("no space left on device", run.stderr.lower())
            self.assertEqual([one.name for one in full.iterdir()], ["saved.tar"])
            self.assertEqual((full / "saved.tar").read_text(), "before")
        run = engine.coffer("save", "-o", "/dev/full", self.name, check=False)
        self.assertIn("no space left on device", run.stderr.lower())
        self.assertTrue(pathlib.Path("/dev/full").is_char_device())

    def test_save(self):
        engine.docker("pull", self.name)
        one = self.coffer("save", "-o", scratch / "counted.tar", self.name)
        shown, status = one.read_all()
        self.assertEqual(status, 0)
        self.assertIn(b"Saving ", shown)
        self.assertTrue(shown.endswith(b"\x1b[2K\r"))
        run = engine.coffer("save", "-o", scratch / "quiet.tar", self.name)
        self.assertEqual((run.stdout, run.stderr), ("", ""))
        self.assertEqual((scratch / "counted.tar").read_bytes(), (scratch / "quiet.tar").read_bytes())

    def test_a_terminal_shows_what_docker_shows(self):
        shown = []
        for program in (BIN / "coffer", DOCKER):
            one = Terminal(program, "pull", self.name)
            text, status = one.read_all()
            self.assertEqual(status, 0)
            # Of what is drawn over, only that it is there.
            shown.append([line for line in text.split(b"\r\n") if b"\x1b" not in line])
            engine.remove_images()
        self.assertEqual(shown[0], shown[1])


if __name__ == "__main__":
    unittest.main()
