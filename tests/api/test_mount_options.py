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


class IdMap(MountTest):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(subprocess.run, ["rm", "-rf", self.dir], check=True)
        os.chown(self.dir, 1000, 1000)
        (self.dir / "file").write_text("")
        os.chown(self.dir / "file", 1005, 1006)

    def run_with(self, mode, script, check=True):
        return engine.docker("run", "--rm", "-v", f"{self.dir}:/v:{mode}", "busybox", "sh", "-c",
                             script, check=check)

    def test_whose_files_are_whose(self):
        out = self.run_with("idmap=uids=1000-0-1#1005-50-2;gids=@1000-0-10",
                            "stat -c '%u %g' /v /v/file; touch /v/made").stdout
        self.assertEqual(out, "0 0\n50 6\n")
        made = os.stat(self.dir / "made")
        self.assertEqual((made.st_uid, made.st_gid), (1000, 1000))
        self.assertEqual(self.run_with("idmap", "stat -c '%u %g' /v").stdout, "1000 1000\n")

    def test_ids_that_are_not_mapped_are_nobodys(self):
        self.assertEqual(self.run_with("idmap=uids=1000-0-1", "stat -c '%u %g' /v/file").stdout,
                         "65534 65534\n")

    def test_of_a_mount(self):
        ids = "idmap=uids=1000-0-1#1005-50-2;gids=1000-0-10"
        out = engine.coffer("run", "--rm", "--mount", f"type=bind,source={self.dir},target=/v,{ids}",
                            "busybox", "sh", "-c", "stat -c '%u %g' /v /v/file; touch /v/made").stdout
        self.assertEqual(out, "0 0\n50 6\n")
        made = os.stat(self.dir / "made")
        self.assertEqual((made.st_uid, made.st_gid), (1000, 1000))

    def test_of_a_volume(self):
        self.addCleanup(engine.docker, "volume", "rm", "-f", "mapped")
        engine.docker("run", "--rm", "-v", "mapped:/v", "busybox", "sh", "-c",
                      "touch /v/file; chown 7:7 /v/file")
        out = engine.coffer("run", "--rm", "--mount",
                            "type=volume,source=mapped,target=/v,idmap=uids=7-0-1", "busybox",
                            "stat", "-c", "%u %g", "/v/file").stdout
        self.assertEqual(out, "0 0\n")

    def test_of_a_mount_that_cannot(self):
        run = engine.coffer("run", "--rm", "--mount", "type=tmpfs,target=/v,idmap=uids=7-0-1",
                            "busybox", "true", check=False)
        self.assertEqual(run.returncode, 125)
        self.assertIn("field IdMap must not be specified", run.stderr)
        run = engine.coffer("run", "--rm", "--mount",
                            "type=bind,source=/sys/kernel,target=/v,idmap=uids=0-7-1", "busybox",
                            "true", check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("cannot map the ids of the file system", run.stderr)
        run = engine.coffer("run", "--rm", "--mount",
                            f"type=bind,source={self.dir},target=/v,idmap=uids=1", "busybox", "true",
                            check=False)
        self.assertIn("invalid idmap", run.stderr)

    def test_mistakes(self):
        for mode in ("idmap=uids=1", "idmap=what=0-0-1", "idmap=uids=0-65535-2", "idmap=uids=0-0-0"):
            run = self.run_with(mode, "true", check=False)
            self.assertEqual(run.returncode, 125)
            self.assertIn("invalid idmap", run.stderr)


class Versions(MountTest):
    """What a version of the API does not know is ignored, or refused where somebody counts on it."""

    def try_create(self, version, mount, **host):
        status, _, text = engine.api("POST", f"/v{version}/containers/create", {
            "Image": "busybox", "HostConfig": {"Mounts": [mount] if mount else [], **host},
            "Healthcheck": {"Test": ["CMD", "true"], "StartInterval": 5000000000}})
        answer = json.loads(text)
        if status != 201:
            self.assertEqual(status, 400, answer)
            return answer["message"]
        return engine.json("GET", f"/containers/{answer['Id']}/json")

    def test_refused_before(self):
        for mount, name, version in (
                ({"Type": "bind", "Source": "/etc", "ReadOnly": True,
                  "BindOptions": {"ReadOnlyForceRecursive": True}},
                 "BindOptions.ReadOnlyForceRecursive", 44),
                ({"Type": "volume", "Source": "vol", "VolumeOptions": {"Subpath": "a"}},
                 "VolumeOptions.Subpath", 45),
                ({"Type": "image", "Source": "tools"}, "mount type image", 48)):
            mount["Target"] = "/b"
            self.assertEqual(self.try_create(f"1.{version - 1}", mount),
                             f"{name} needs API v1.{version} or newer")
            self.assertEqual(self.try_create(f"1.{version}", mount)["HostConfig"]["Mounts"][0]["Target"],
                             "/b")

    def test_ignored_before(self):
        absent = {"Type": "bind", "Source": "/none/here", "Target": "/b",
                  "BindOptions": {"CreateMountpoint": True}}
        self.assertIn("does not exist", self.try_create("1.41", absent))
        bind = {"Type": "bind", "Source": "/etc", "Target": "/b", "TmpfsOptions": {}}
        self.assertIn("TmpfsOptions", self.try_create("1.42", bind))
        bind["BindOptions"] = {"NonRecursive": True}
        for version, kept in (("1.39", False), ("1.40", True)):
            options = self.try_create(version, bind)["HostConfig"]["Mounts"][0]["BindOptions"]
            self.assertEqual(options.get("NonRecursive", False), kept, version)

    def test_beside_mounts(self):
        for version, host, kept in (
                ("1.24", {"AutoRemove": True}, (False, [0, 0], None)),
                ("1.25", {"AutoRemove": True}, (True, [0, 0], None)),
                ("1.41", {"ConsoleSize": [20, 30]}, (False, [0, 0], None)),
                ("1.42", {"ConsoleSize": [20, 30], "Annotations": {"a": "b"}}, (False, [20, 30], None)),
                ("1.43", {"Annotations": {"a": "b"}}, (False, [0, 0], "b"))):
            view = self.try_create(version, None, **host)["HostConfig"]
            self.assertEqual((view["AutoRemove"], view["ConsoleSize"],
                              (view["Annotations"] or {}).get("a")), kept, version)
        for version, kept in (("1.43", 0), ("1.44", 5000000000)):
            health = self.try_create(version, None)["Config"]["Healthcheck"]
            self.assertEqual(health.get("StartInterval", 0), kept)


class Volume(MountTest):
    def test_labels(self):
        self.create({"Type": "volume", "Source": "marked", "Target": "/v",
                     "VolumeOptions": {"Labels": {"a": "b"}}})
        self.assertEqual(engine.json("GET", "/volumes/marked")["Labels"], {"a": "b"})

    def test_drivers(self):
        for mount, status, words in (({"Name": "odd"}, 404, 'plugin "odd" not found'),
                                     ({"Name": "local", "Options": {"kind": "nfs"}}, 400,
                                      'create v1: invalid option: "kind"')):
            message = self.create({"Type": "volume", "Source": "v1", "Target": "/v",
                                   "VolumeOptions": {"DriverConfig": mount}}, status=status)["message"]
            self.assertIn(words, message)
        self.assertEqual(engine.api("GET", "/volumes/v1")[0], 404)
        status, _, body = engine.api("POST", "/containers/create", {
            "Image": "busybox", "HostConfig": {"VolumeDriver": "odd", "Binds": ["v1:/v"]}})
        self.assertEqual(status, 404)
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
