"""The options of --mount: parts of volumes and images, and how a bind shows what is below it."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from support.engine import Engine
from support.registry import tar_of
from support.swapper import Swapper


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()
    engine.docker("import", "-", "tools",
                  input=tar_of({"opt/": None, "opt/one": b"one\n", "top": b"top\n",
                                "out": "/etc", "opt/up": "../top"}))


def tearDownModule():
    engine.close()


class MountTest(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()
        engine.docker("volume", "prune", "-af")

    def sh(self, script, *mounts, check=True):
        flags = [word for mount in mounts for word in ("--mount", mount)]
        return engine.docker("run", "--rm", *flags, "busybox", "sh", "-c", script, check=check)

    def failing(self, *mounts):
        run = self.sh("true", *mounts, check=False)
        self.assertNotEqual(run.returncode, 0)
        return run.stderr

    def create(self, mount, status=201):
        answer = engine.api("POST", "/containers/create",
                            {"Image": "busybox", "HostConfig": {"Mounts": [mount]}})
        self.assertEqual(answer[0], status, answer[2])
        return json.loads(answer[2])


class Subpath(MountTest):
    def setUp(self):
        self.sh("mkdir -p /v/a/b; echo deep > /v/a/b/file; echo top > /v/file; ln -s /etc /v/abs; "
                "ln -s ../../../../etc /v/up; ln -s a/b /v/short",
                "src=vol,dst=/v")

    def test_of_a_volume(self):
        part = "src=vol,dst=/p,volume-subpath=a/b"
        self.assertEqual(self.sh("ls /p; cat /p/file; echo new > /p/made", part).stdout,
                         "file\ndeep\n")
        self.assertEqual(self.sh("cat /v/a/b/made", "src=vol,dst=/v").stdout, "new\n")
        self.assertEqual(self.sh("cat /p; cat /s/file", "src=vol,dst=/p,volume-subpath=file",
                                 "src=vol,dst=/s,volume-subpath=short").stdout, "top\ndeep\n")

    def test_read_only(self):
        self.assertIn("Read-only", self.sh("echo x > /p/file",
                                           "src=vol,dst=/p,volume-subpath=a,readonly",
                                           check=False).stderr)

    def test_cannot_leave_the_volume(self):
        for path in ("../x", "a/../../x", "/etc", ".."):
            self.assertIn("Subpath", self.create(
                {"Type": "volume", "Source": "vol", "Target": "/p",
                 "VolumeOptions": {"Subpath": path}}, status=400)["message"])
        for path in ("abs", "up", "none"):
            self.assertIn(f"'{path}'", self.failing(f"src=vol,dst=/p,volume-subpath={path}"))

    def test_a_volume_without_a_name_has_no_parts(self):
        self.assertIn("Subpath", self.create(
            {"Type": "volume", "Target": "/p", "VolumeOptions": {"Subpath": "a"}},
            status=400)["message"])

    def test_swapped_while_containers_start(self):
        secret = pathlib.Path(tempfile.mkdtemp())
        (secret / "host").write_text("secret")
        self.addCleanup(subprocess.run, ["rm", "-rf", secret], check=True)
        data = engine.data_root / "volumes/vol/_data"
        (data / "x").mkdir()
        (data / "y").symlink_to(secret)
        with Swapper(data / "x", data / "y"):
            seen = [self.sh("ls /p; echo ran", "src=vol,dst=/p,volume-subpath=x", check=False)
                    for _ in range(30)]
        self.assertEqual({run.stdout for run in seen} - {"", "ran\n"}, set())

    def test_of_a_stopped_container(self):
        engine.docker("create", "--name", "c1", "--mount", "src=vol,dst=/p,volume-subpath=a/b",
                      "busybox")
        out = subprocess.run(["tar", "xO"], capture_output=True, check=True, input=engine.api(
            "GET", "/containers/c1/archive?path=/p/file")[2]).stdout
        self.assertEqual(out, b"deep\n")


class Image(MountTest):
    def test_read_only(self):
        run = self.sh("cat /t/top /t/opt/one; echo x > /t/top; stat -c %u /t/top; id -u",
                      "type=image,src=tools,dst=/t")
        self.assertEqual(run.stdout, "top\none\n0\n0\n")
        self.assertIn("Read-only", run.stderr)

    def test_part(self):
        run = self.sh("ls /t; cat /t/one; cat /u", "type=image,src=tools,dst=/t,image-subpath=opt",
                      "type=image,src=tools,dst=/u,image-subpath=opt/up")
        self.assertEqual(run.stdout, "one\nup\none\ntop\n")
        self.assertIn("'out'", self.failing("type=image,src=tools,dst=/t,image-subpath=out"))

    def test_of_many_layers(self):
        engine.docker("create", "--name", "c1", "tools", "x")
        engine.docker("cp", "/etc/hostname", "c1:/added")
        engine.docker("commit", "c1", "tools:2")
        run = self.sh("cat /t/added /t/top; ls /u", "type=image,src=tools:2,dst=/t",
                      "type=image,src=tools:2,dst=/u,image-subpath=opt")
        self.assertEqual(run.stdout, pathlib.Path("/etc/hostname").read_text() + "top\none\nup\n")

    def test_is_in_use(self):
        engine.docker("tag", "tools", "once")
        engine.docker("run", "-d", "--name", "c1", "--mount", "type=image,src=tools,dst=/t",
                      "busybox", "sleep", "1000")
        image = engine.json("GET", "/images/tools/json")["Id"]
        self.assertEqual(engine.api("DELETE", f"/images/{image}?force=1")[0], 409)
        self.assertEqual(engine.docker("exec", "c1", "cat", "/t/top").stdout, "top\n")

    def test_unknown(self):
        self.assertIn("nope", self.create({"Type": "image", "Source": "nope", "Target": "/t"},
                                          status=400)["message"])

    def test_of_a_stopped_container(self):
        engine.docker("create", "--name", "c1", "--mount", "type=image,src=tools,dst=/t", "busybox")
        out = subprocess.run(["tar", "xO"], capture_output=True, check=True, input=engine.api(
            "GET", "/containers/c1/archive?path=/t/top")[2]).stdout
        self.assertEqual(out, b"top\n")


class Bind(MountTest):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp())
        (self.dir / "below").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.dir / "below"], check=True)
        (self.dir / "below/file").write_text("below\n")
        os.chmod(self.dir / "below", 0o777)
        os.chmod(self.dir / "below/file", 0o666)
        self.addCleanup(subprocess.run, ["rm", "-rf", self.dir])
        self.addCleanup(subprocess.run, ["umount", self.dir / "below"], check=True)

    def test_recursive_and_not(self):
        source = f"type=bind,src={self.dir},dst=/b"
        self.assertEqual(self.sh("cat /b/below/file", source).stdout, "below\n")
        self.assertEqual(self.sh("ls /b/below", source + ",bind-recursive=disabled").stdout, "")

    def test_read_only_down_to_where(self):
        source = f"type=bind,src={self.dir},dst=/b,readonly"
        script = "echo x > /b/below/file"
        self.assertIn("Read-only", self.sh(script, source, check=False).stderr)
        self.assertIn("Read-only", self.sh(
            script, source + ",bind-recursive=readonly,bind-propagation=rprivate",
            check=False).stderr)
        self.assertEqual(self.sh(script, source + ",bind-recursive=writable").returncode, 0)
        self.assertEqual((self.dir / "below/file").read_text(), "x\n")

    def test_made_when_asked(self):
        absent = self.dir / "made/here"
        mount = {"Type": "bind", "Source": str(absent), "Target": "/b"}
        self.assertIn("does not exist", self.create(mount, status=400)["message"])
        self.create({**mount, "BindOptions": {"CreateMountpoint": True}})
        self.assertTrue(absent.is_dir())

    def test_mistakes(self):
        bind = {"Type": "bind", "Source": "/etc", "Target": "/b"}
        for more, text in (({"VolumeOptions": {}}, "VolumeOptions"),
                           ({"TmpfsOptions": {}}, "TmpfsOptions"),
                           ({"ImageOptions": {}}, "ImageOptions"),
                           ({"BindOptions": {"Propagation": "odd"}}, "odd"),
                           ({"BindOptions": {"ReadOnlyNonRecursive": True}},
                            "ReadOnlyNonRecursive")):
            self.assertIn(text, self.create({**bind, **more}, status=400)["message"])
        self.assertIn("Source", self.create({"Type": "tmpfs", "Source": "/x", "Target": "/b"},
                                            status=400)["message"])
        self.assertIn("BindOptions", self.create({"Type": "tmpfs", "Target": "/b",
                                                  "BindOptions": {}}, status=400)["message"])


class Volume(MountTest):
    def test_labels(self):
        self.create({"Type": "volume", "Source": "marked", "Target": "/v",
                     "VolumeOptions": {"Labels": {"a": "b"}}})
        self.assertEqual(engine.json("GET", "/volumes/marked")["Labels"], {"a": "b"})

    def test_drivers(self):
        for mount in ({"DriverConfig": {"Name": "odd"}},
                      {"DriverConfig": {"Name": "local", "Options": {"type": "nfs"}}}):
            message = self.create({"Type": "volume", "Source": "v1", "Target": "/v",
                                   "VolumeOptions": mount}, status=400)["message"]
            self.assertRegex(message, "odd|'type'")
        self.assertEqual(engine.api("GET", "/volumes/v1")[0], 404)
        status, _, body = engine.api("POST", "/containers/create", {
            "Image": "busybox", "HostConfig": {"VolumeDriver": "odd"}})
        self.assertEqual(status, 400)
        self.assertIn(b"odd", body)


class Tmpfs(MountTest):
    def test_options(self):
        status, _, body = engine.api("POST", "/containers/create", {
            "Image": "busybox", "Cmd": ["sh", "-c", "grep ' /t ' /proc/mounts; df -i /t | tail -1"],
            "HostConfig": {"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {
                "SizeBytes": 1 << 20, "Mode": 0o711, "Options": [["exec"], ["nr_inodes", "64"]]}}]}})
        name = json.loads(body)["Id"]
        engine.docker("start", "-a", name)
        text = engine.docker("logs", name).stdout
        for part in ("size=1024k", "mode=711", " 64 "):
            self.assertIn(part, text)
        self.assertNotIn("noexec", text)


if __name__ == "__main__":
    unittest.main()
