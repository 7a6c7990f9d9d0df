"""Volumes through the real docker CLI: what the image has at their place comes into them."""
import concurrent.futures
import io
import json
import os
import pathlib
import stat
import subprocess
import tarfile
import unittest

from support.engine import Engine
from support.registry import busybox_rootfs

CANARY = pathlib.Path("/tmp/canary-of-the-host")


def entry(tar, name, kind=tarfile.REGTYPE, mode=0o644, uid=0, gid=0, content=b"", link="", pax=None):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid, info.linkname = kind, mode, uid, gid, link
    info.mtime, info.size, info.pax_headers = 1_500_000_000, len(content), pax or {}
    tar.addfile(info, io.BytesIO(content))


def image_with_data():
    """busybox with folders that volumes are to be mounted on."""
    out = io.BytesIO(busybox_rootfs())
    with tarfile.open(fileobj=out, mode="a", format=tarfile.PAX_FORMAT) as tar:
        entry(tar, "data", tarfile.DIRTYPE, 0o2750, 999, 998)
        entry(tar, "data/file", mode=0o640, uid=999, gid=998, content=b"from the image\n",
              pax={"SCHILY.xattr.user.note": "kept"})
        entry(tar, "data/program", mode=0o4755, content=b"#!/bin/sh\n")
        entry(tar, "data/deep", tarfile.DIRTYPE, 0o755, 1, 2)
        entry(tar, "data/deep/er", tarfile.DIRTYPE, 0o700, 5, 6)
        entry(tar, "data/deep/er/big", content=b"b" * 3_000_000)
        entry(tar, "data/link", tarfile.SYMTYPE, uid=7, gid=8, link="/etc/passwd")
        entry(tar, "data/host", tarfile.SYMTYPE, link="../../../../../tmp/canary-of-the-host")
        entry(tar, "data/pipe", tarfile.FIFOTYPE, 0o620, 3, 4)
        entry(tar, "owned", tarfile.DIRTYPE, 0o700, 999, 998)
        entry(tar, "lib", tarfile.SYMTYPE, link="data/deep")
        entry(tar, "escape", tarfile.SYMTYPE, link="../../../../../../tmp")
        entry(tar, "tmp/inside", content=b"inside\n")
        entry(tar, "plain", content=b"a file")
    return out.getvalue()


def image_with_many():
    out = io.BytesIO(image_with_data())
    with tarfile.open(fileobj=out, mode="a") as tar:
        for n in range(2000):
            entry(tar, f"many/{n}", content=b"x" * 1000)
    return out.getvalue()


def setUpModule():
    global engine
    CANARY.write_text("host")
    engine = Engine()
    engine.docker("import", "-c", 'CMD ["sh"]', "-c", "ENV PATH=/bin", "-", "box",
                  input=image_with_data())
    engine.docker("import", "-c", 'CMD ["sh"]', "-c", "ENV PATH=/bin", "-c", "VOLUME /data", "-",
                  "with-volume", input=image_with_data())
    engine.docker("import", "-c", "ENV PATH=/bin", "-", "many", input=image_with_many())


def tearDownModule():
    engine.close()
    CANARY.unlink()


def run(*args, **options):
    return engine.docker("run", "--rm", *args, **options).stdout


class VolumeTest(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()
        for one in engine.json("GET", "/volumes")["Volumes"] or []:
            self.assertEqual(engine.api("DELETE", f"/volumes/{one['Name']}")[0], 204)
        self.assertEqual(CANARY.read_text(), "host")

    def folder(self, name):
        return pathlib.Path(engine.json("GET", f"/volumes/{name}")["Mountpoint"])

    def names(self, name):
        return sorted(os.listdir(self.folder(name)))


class Filled(VolumeTest):
    def test_all_that_the_image_has(self):
        out = run("-v", "vol:/data", "box", "sh", "-c",
                  "stat -c '%n %A %u:%g %Y' /data /data/* /data/deep/er; cat /data/file;"
                  "wc -c </data/deep/er/big")
        self.assertEqual(out.splitlines(), [
            "/data drwxr-s--- 999:998 1500000000",
            "/data/deep drwxr-xr-x 1:2 1500000000",
            "/data/file -rw-r----- 999:998 1500000000",
            "/data/host lrwxrwxrwx 0:0 1500000000",
            "/data/link lrwxrwxrwx 7:8 1500000000",
            "/data/pipe prw--w---- 3:4 1500000000",
            "/data/program -rwsr-xr-x 0:0 1500000000",
            "/data/deep/er drwx------ 5:6 1500000000",
            "from the image", "3000000"])
        folder = self.folder("vol")
        self.assertEqual(os.stat(folder / "file").st_uid, 999)  # the disk has the image's ids
        self.assertEqual(os.getxattr(folder / "file", "user.note"), b"kept")
        self.assertEqual(os.readlink(folder / "host"), "../../../../../tmp/canary-of-the-host")

    def test_only_an_empty_one_and_only_once(self):
        run("-v", "vol:/data", "box", "sh", "-c", "rm -r /data/deep; echo mine >/data/file")
        self.assertEqual(run("-v", "vol:/data", "box", "cat", "/data/file"), "mine\n")
        self.assertNotIn("deep", self.names("vol"))
        engine.docker("run", "--name", "one", "-v", "new:/data", "box", "sh", "-c", "rm -rf /data/*")
        engine.docker("start", "-a", "one")
        self.assertEqual(self.names("new"), [])

    def test_anonymous(self):
        engine.docker("run", "-d", "--name", "one", "with-volume", "sleep", "100")
        self.assertEqual(engine.docker("exec", "one", "cat", "/data/file").stdout,
                         "from the image\n")
        mount = engine.json("GET", "/containers/one/json")["Mounts"][0]
        self.assertIn("file", self.names(mount["Name"]))
        self.assertEqual(run("-v", "/data", "box", "cat", "/data/file"), "from the image\n")

    def test_read_only(self):
        out = run("-v", "vol:/data:ro", "box", "sh", "-c", "cat /data/file; echo x >/data/file",
                  check=False)
        self.assertEqual(out, "from the image\n")
        self.assertEqual((self.folder("vol") / "file").read_text(), "from the image\n")

    def test_read_only_root(self):
        self.assertEqual(run("--read-only", "-v", "vol:/data", "box", "cat", "/data/file"),
                         "from the image\n")

    def test_many_at_once(self):
        """Each sees a whole copy when it starts, whoever made it."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for n in range(3):
                started = [pool.submit(run, "-v", f"vol{n}:/many", "many", "sh", "-c", "find /many | wc -l")
                           for _ in range(4)]
                self.assertEqual([one.result() for one in started], ["2001\n"] * 4)

    def test_more_volumes_than_one_in_any_order(self):
        ways = [("one:/data", "two:/many"), ("two:/many", "one:/data")] * 2
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            started = [pool.submit(run, "-v", one, "-v", two, "many", "sh", "-c", "ls /data /many | wc -l", timeout=60)
                       for one, two in ways]
            self.assertEqual([one.result() for one in started], ["2009\n"] * 4)

    def test_a_copy_that_was_cut_off_is_made_again(self):
        folder = self.half_filled("vol")
        self.assertEqual(run("-v", "vol:/data", "box", "cat", "/data/file", "/data/others"), "from the image\nothers\n")
        self.assertIn("deep", self.names("vol"))
        self.assertNotIn("user.coffer.filling", os.listxattr(folder))

    def test_half_a_copy_that_was_used_is_data(self):
        folder = self.half_filled("vol")
        run("-v", "vol:/data:nocopy", "box", "true")
        self.assertNotIn("user.coffer.filling", os.listxattr(folder))
        self.assertEqual(run("-v", "vol:/data", "box", "cat", "/data/file"), "from")

    def half_filled(self, name):
        """As the death of the machine leaves it."""
        folder = pathlib.Path(engine.json("POST", "/volumes/create", {"Name": name})["Mountpoint"])
        (folder / "file").write_text("from")
        (folder / "others").write_text("others\n")
        os.setxattr(folder, "user.coffer.filling", b"")
        return folder

    def test_without_copy(self):
        self.assertEqual(run("-v", "one:/data:nocopy", "box", "ls", "-A", "/data"), "")
        self.assertEqual(run("--mount", "type=volume,src=two,dst=/data,volume-nocopy", "box", "ls",
                             "-A", "/data"), "")
        self.assertEqual(self.names("one") + self.names("two"), [])

    def test_folder_of_a_user(self):
        run("-v", "vol:/owned", "-u", "999:998", "box", "sh", "-c", "echo 1 >/owned/f")
        self.assertEqual(run("-v", "vol:/x", "box", "stat", "-c", "%A %u:%g", "/x", "/x/f"),
                         "drwx------ 999:998\n-rw-r--r-- 999:998\n")

    def test_absent_folder(self):
        self.assertEqual(run("-v", "vol:/new/place", "-u", "5", "box", "stat", "-c", "%A %u:%g",
                             "/new", "/new/place"), "drwxr-xr-x 0:0\n" * 2)

    def test_binds_are_left_alone(self):
        folder = engine.dir / "bound"
        folder.mkdir()
        run("-v", f"{folder}:/data", "box", "true")
        self.assertEqual(os.listdir(folder), [])


class Links(VolumeTest):
    def test_target_is_a_link(self):
        run("-v", "vol:/lib", "box", "true")
        self.assertEqual(self.names("vol"), ["er"])

    def test_target_leads_out_of_the_image(self):
        run("-v", "vol:/escape", "box", "true")
        self.assertEqual(self.names("vol"), ["inside"])

    def test_planted_links_are_not_followed(self):
        folder = pathlib.Path(engine.json("POST", "/volumes/create", {"Name": "vol"})["Mountpoint"])
        (folder / "deep").symlink_to(CANARY.parent)
        run("-v", "vol:/data", "box", "true")
        self.assertEqual(self.names("vol"), ["deep"])
        self.assertFalse((CANARY.parent / "er").exists())

    def test_target_is_a_file(self):
        failed = engine.docker("run", "--rm", "-v", "vol:/plain", "box", "true", check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("a folder on a file", failed.stderr)


class FullDisk(unittest.TestCase):
    def test_half_a_copy_is_undone(self):
        disk = engine.dir / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=True)
        small = None
        try:
            small = Engine("--bridge", "none", data_root=disk / "data")
            small.docker("import", "-c", "ENV PATH=/bin", "-", "box", input=image_with_data())
            volume = pathlib.Path(small.json("POST", "/volumes/create",
                                             {"Name": "vol"})["Mountpoint"])
            free = os.statvfs(disk)
            with open(disk / "ballast", "wb") as ballast:
                ballast.write(bytes(free.f_bavail * free.f_bsize - 1_500_000))
            run = ["run", "--rm", "--network", "none", "-v", "vol:/data", "box", "cat", "/data/file"]
            failed = small.docker(*run, check=False)
            self.assertIn("fill volume", failed.stderr)
            self.assertIn("no space left on device", failed.stderr.lower())
            self.assertEqual(os.listdir(volume), [])
            os.truncate(disk / "ballast", 0)
            self.assertEqual(small.docker(*run).stdout, "from the image\n")
        finally:
            if small:
                small.close()
            subprocess.run(["umount", "--lazy", disk], check=True)


class Endpoints(VolumeTest):
    def test_life(self):
        self.assertEqual(engine.docker("volume", "create", "--label", "a=b", "vol").stdout, "vol\n")
        volume = json.loads(engine.docker("volume", "inspect", "vol").stdout)[0]
        self.assertEqual((volume["Driver"], volume["Scope"], volume["Labels"]),
                         ("local", "local", {"a": "b"}))
        self.assertEqual(stat.S_IMODE(os.stat(volume["Mountpoint"]).st_mode), 0o755)
        self.assertEqual(engine.docker("volume", "ls", "-q").stdout, "vol\n")
        engine.docker("create", "--name", "one", "-v", "vol:/data", "box", "true")
        self.assertEqual(engine.docker("volume", "ls", "-q", "-f", "dangling=true").stdout, "")
        self.assertIn("volume is in use",
                      engine.docker("volume", "rm", "vol", check=False).stderr)
        engine.docker("rm", "one")
        engine.docker("volume", "rm", "vol")
        self.assertIn("no such volume",
                      engine.docker("volume", "inspect", "vol", check=False).stderr)

    def test_one_that_is_held_stays_also_over_a_restart(self):
        engine.docker("create", "--name", "first", "-v", "shared:/data", "box")
        engine.docker("create", "--name", "second", "-v", "shared:/data", "box")
        engine.docker("rm", "first")
        engine.stop()
        engine.start()
        run = engine.docker("volume", "rm", "shared", check=False)
        self.assertRegex(run.stderr, r"remove shared: volume is in use - \[[0-9a-f]{64}\]")
        engine.docker("rm", "second")
        engine.docker("volume", "rm", "shared")

    def test_an_anonymous_one_that_another_container_has_survives_rm_of_its_maker(self):
        engine.docker("create", "--name", "maker", "with-volume")
        name = engine.docker("inspect", "-f", "{{(index .Mounts 0).Name}}", "maker").stdout.strip()
        engine.docker("create", "--name", "user", "-v", f"{name}:/x", "box")
        engine.docker("rm", "-v", "maker")
        self.assertEqual(engine.docker("volume", "ls", "-q").stdout.split(), [name])
        engine.docker("rm", "-v", "user")
        self.assertEqual(engine.docker("volume", "ls", "-q").stdout.split(), [])

    def test_prune(self):
        def prune(*args):
            return sorted(engine.docker("volume", "prune", "-f", *args).stdout.split("\n")[1:-2])
        engine.docker("volume", "create", "--label", "keep=1", "kept")
        engine.docker("volume", "create", "named")
        engine.docker("create", "--name", "user", "-v", "held:/x", "box")
        nameless = engine.docker("volume", "create").stdout.strip()
        self.assertEqual([line for line in prune() if line], [nameless])
        self.assertEqual([line for line in prune("-a", "--filter", "label!=keep") if line],
                         ["named"])
        self.assertEqual(sorted(engine.docker("volume", "ls", "-q").stdout.split()),
                         ["held", "kept"])
        engine.docker("rm", "user")
        self.assertEqual([line for line in prune("-a") if line], ["held", "kept"])

    def test_coffer_volume(self):
        def coffer(*args, check=True):
            return engine.coffer("volume", *args, check=check)
        self.assertEqual(coffer("create", "--label", "a=b", "one").stdout, "one\n")
        for args in (["ls"], ["ls", "--format", "{{.Name}} {{.Mountpoint}} {{.Labels}}"],
                     ["ls", "--format", "json"], ["inspect", "one"], ["ls", "-q"]):
            self.assertEqual(coffer(*args).stdout, engine.docker("volume", *args).stdout)
        missing = coffer("rm", "none", check=False)
        self.assertEqual((missing.returncode, missing.stderr),
                         (1, engine.docker("volume", "rm", "none", check=False).stderr))
        self.assertEqual(coffer("rm", "one").stdout, "one\n")
        self.assertEqual(coffer("prune", "-f").stdout, "Total reclaimed space: 0B\n")

    def test_anonymous_ones_go_with_rm(self):
        run("with-volume", "true")
        self.assertEqual(engine.json("GET", "/volumes")["Volumes"] or [], [])


if __name__ == "__main__":
    unittest.main()
