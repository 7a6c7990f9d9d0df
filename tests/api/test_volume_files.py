"""What volumes have beyond docker: archives, copies, other names, and how much is in them."""
import io
import json
import os
import subprocess
import tarfile
import unittest

from support.engine import BIN, Engine, wait_until


def setUpModule():
    global engine, canary
    engine = Engine()
    canary = engine.dir / "canary"
    canary.write_text("host")
    engine.import_busybox()


def tearDownModule():
    engine.close()


def volume(*args, check=True):
    return engine.coffer("volume", *args, check=check)


class VolumeFiles(unittest.TestCase):
    def setUp(self):
        engine.docker("run", "--rm", "-v", "data:/v", "busybox", "sh", "-c",
                      "cd /v; mkdir -m 2750 dir; echo text >dir/file; chown 7:8 dir/file; ln dir/file hard;"
                      "ln -s /etc/passwd link; mkfifo pipe; dd if=/dev/zero of=sparse bs=1 count=1 seek=8M")

    def tearDown(self):
        engine.remove_containers()
        for one in engine.json("GET", "/volumes")["Volumes"] or []:
            self.assertEqual(engine.api("DELETE", f"/volumes/{one['Name']}")[0], 204)
        self.assertEqual(canary.read_text(), "host")

    def names(self):
        return engine.docker("volume", "ls", "-q").stdout.split()

    def look(self, name):
        return engine.docker("run", "--rm", "-v", f"{name}:/v", "busybox", "sh", "-c",
                             "cd /v; stat -c '%n %A %u %g %h %s' * dir/file; cat hard; readlink link").stdout

    def test_out_and_in_again(self):
        archive = engine.dir / "data.tar"
        volume("export", "-o", archive, "data")
        with tarfile.open(archive) as tar:
            entry = tar.getmember("dir/file")
            self.assertEqual((entry.uid, entry.gid), (7, 8))
            self.assertIn("link", tar.getnames())
        volume("import", "-i", archive, "new")
        self.assertEqual(self.look("new"), self.look("data"))
        again = volume("import", "-i", archive, "new", check=False)
        self.assertIn("import new: volume is not empty", again.stderr)

    def test_an_archive_that_lies_stays_inside(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, link in (("up", f"../../../../../..{canary.parent}"), ("abs", str(canary.parent))):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, link
                tar.addfile(info)
            for name in ("up/canary", "abs/canary", f"../../../../..{canary}"):
                info = tarfile.TarInfo(name)
                info.size = 4
                tar.addfile(info, io.BytesIO(b"evil"))
        status, _, body = engine.api("POST", "/coffer/volumes/evil/import", out.getvalue())
        self.assertIn(status, (204, 400), body)
        self.assertEqual(canary.read_text(), "host")

    def test_half_an_archive_leaves_nothing(self):
        archive = subprocess.run(["tar", "c", "-C", "/etc", "passwd", "hostname"], capture_output=True, check=True).stdout
        engine.docker("volume", "create", "there")
        for name in ("there", "absent"):
            status, _, body = engine.api("POST", f"/coffer/volumes/{name}/import", archive[:700])
            self.assertEqual(status, 400, body)
        self.assertEqual(os.listdir(engine.data_root / "volumes/there/_data"), [])
        self.assertEqual(self.names(), ["data", "there"])

    def test_nobody_joins_an_import(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo("large")
            info.size = 4 << 20
            tar.addfile(info, io.BytesIO(bytes(info.size)))
        archive = out.getvalue()
        half = len(archive) // 2
        importing = subprocess.Popen([BIN / "coffer", "-H", f"unix://{engine.socket}", "volume",
                                      "import", "filled"], stdin=subprocess.PIPE)
        importing.stdin.write(archive[:half])
        importing.stdin.flush()
        data = engine.data_root / "volumes/filled/_data"
        wait_until(lambda: data.exists() and os.listdir(data))
        run = engine.docker("run", "--rm", "-v", "filled:/v", "busybox", "true", check=False)
        self.assertIn("use filled: volume is in use - [import-", run.stderr)
        other = engine.api("POST", "/coffer/volumes/filled/import", archive)
        self.assertEqual(other[0], 409, other)
        importing.stdin.write(archive[half:])
        importing.stdin.close()
        self.assertEqual(importing.wait(60), 0)
        self.assertEqual(os.listdir(data), ["large"])
        engine.docker("run", "--rm", "-v", "filled:/v", "busybox", "true")

    def test_clone(self):
        engine.docker("volume", "create", "--label", "a=b", "-o", "size=16m", "small")
        self.assertEqual(volume("clone", "data", "copy").stdout, "copy\n")
        self.assertEqual(self.look("copy"), self.look("data"))
        data = engine.data_root / "volumes/copy/_data"
        self.assertLess(os.stat(data / "sparse").st_blocks * 512, 1 << 20)
        self.assertIn("there is a volume 'copy'", volume("clone", "data", "copy", check=False).stderr)
        engine.docker("run", "--rm", "-v", "small:/v", "busybox", "sh", "-c", "echo x >/v/file")
        volume("clone", "small", "other")
        copy = engine.json("GET", "/volumes/other")
        self.assertEqual((copy["Labels"], copy["Options"]), ({"a": "b"}, {"size": "16m"}))
        self.assertEqual(engine.docker("run", "--rm", "-v", "other:/v", "busybox", "cat", "/v/file").stdout, "x\n")

    def test_snapshot(self):
        self.assertEqual(volume("snapshot", "--label", "one", "data").stdout, "data.one\n")
        self.assertRegex(volume("snapshot", "data").stdout, r"^data\.\d{8}T\d{6}")
        labels = engine.json("GET", "/volumes/data.one")["Labels"]
        self.assertEqual(labels["coffer.snapshot.of"], "data")
        self.assertEqual(self.look("data.one"), self.look("data"))
        engine.docker("run", "-d", "--name", "one", "-v", "data:/v", "busybox", "sleep", "1000")
        self.assertIn("in use by one while it was copied", volume("snapshot", "data").stderr)

    def test_rename(self):
        engine.docker("create", "--name", "one", "-v", "data:/v", "busybox")
        self.assertIn("volume is in use - [one]", volume("rename", "data", "moved", check=False).stderr)
        engine.docker("rm", "one")
        before = self.look("data")
        volume("rename", "data", "moved")
        self.assertEqual(self.names(), ["moved"])
        engine.stop()
        engine.start()
        self.assertEqual(self.look("moved"), before)
        self.assertIn("includes invalid characters", volume("rename", "moved", "../x", check=False).stderr)
        self.assertIn("no such volume", volume("rename", "data", "other", check=False).stderr)

    def test_a_killed_rename(self):
        engine.stop()
        folder = engine.data_root / "volumes"
        (folder / "data").rename(folder / "moved")  # what comes before the record
        engine.start()
        self.assertEqual(self.names(), ["moved"])
        self.assertIn("text", self.look("moved"))

    def test_in_use(self):
        engine.docker("run", "-d", "--name", "one", "-v", "data:/v", "busybox", "sleep", "1000")
        archive = engine.dir / "used.tar"
        volume("export", "-o", archive, "data")
        self.assertIn("volume is in use - [one]",
                      volume("import", "-i", archive, "data", check=False).stderr)

    def test_how_much(self):
        engine.docker("create", "--name", "one", "-v", "data:/v", "busybox")
        engine.docker("volume", "create", "-o", "size=16m", "small")
        engine.docker("volume", "create", "-o", "type=none", "-o", "device=/etc", "-o", "o=bind", "far")
        lines = volume("du", "--format", "{{.Name}} {{.Limit}} {{.Containers}} {{.Files}}").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["data", "one", "6"])
        self.assertEqual(lines[1].split(), ["far", "N/A"])
        self.assertEqual(lines[2].split()[:2], ["small", "16.78MB"])
        rows = [json.loads(line) for line in volume("du", "--format", "json").stdout.splitlines()]
        self.assertEqual([row["Name"] for row in rows], ["data", "far", "small"])


if __name__ == "__main__":
    unittest.main()
