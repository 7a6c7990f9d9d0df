"""--storage-opt size: a limit on what a container writes, where the file system can set one."""
import pathlib
import subprocess
import tempfile
import unittest

from support.engine import Engine


def mounted_ext4(make_options, mount_options):
    """A folder with a small ext4 in data/; the error of the mount where the kernel cannot."""
    folder = pathlib.Path(tempfile.mkdtemp())
    with open(folder / "disk", "wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.ext4", "-q", *make_options, folder / "disk"], check=True)
    (folder / "data").mkdir()
    run = subprocess.run(["mount", "-o", mount_options, folder / "disk", folder / "data"],
                         capture_output=True, text=True)
    if run.returncode != 0:
        subprocess.run(["rm", "-rf", folder], check=True)
        return None, run.stderr
    return folder, ""


def unmount(folder):
    subprocess.run(["umount", folder / "data"], check=True)
    subprocess.run(["rm", "-rf", folder], check=True)


class OnAnExt4WithProjectQuotas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir, error = mounted_ext4(["-O", "quota,project", "-E", "quotatype=prjquota"],
                                      "loop,prjquota")
        if cls.dir is None:
            raise unittest.SkipTest(f"this kernel has no quotas on ext4: {error}")
        cls.engine = Engine(data_root=cls.dir / "data/root")
        cls.engine.import_busybox()

    @classmethod
    def tearDownClass(cls):
        cls.engine.close()
        unmount(cls.dir)

    def write(self, *flags, megabytes=20):
        return self.engine.docker(
            "run", "--rm", *flags, "busybox", "sh", "-c",
            f"dd if=/dev/zero of=/file bs=1M count={megabytes}", check=False)

    def test_limit(self):
        self.assertEqual(self.write("--storage-opt", "size=40m").returncode, 0)
        run = self.write("--storage-opt", "size=10m")
        self.assertRegex(run.stderr, "No space left on device|Disk quota exceeded")
        # Of others, and after it, nothing is limited.
        self.assertEqual(self.write().returncode, 0)

    def test_each_has_its_own(self):
        names = ("one", "two")
        for name in names:
            self.engine.docker("create", "--name", name, "--storage-opt", "size=30m", "busybox", "sh",
                               "-c", "dd if=/dev/zero of=/file bs=1M count=20")
            self.addCleanup(self.engine.docker, "rm", "-f", name)
        for name in names:
            self.assertEqual(self.engine.docker("start", "-a", name, check=False).returncode, 0)
        # Kept over a restart of the engine, which counts on.
        self.engine.stop()
        self.engine.start()
        self.assertEqual(self.write("--storage-opt", "size=40m").returncode, 0)
        view = self.engine.json("GET", "/containers/one/json")
        self.assertEqual(view["HostConfig"]["StorageOpt"], {"size": "30m"})

    def test_mistakes(self):
        for option, text in (("size=x", "invalid size: 'x'"), ("size=0", "invalid size: '0'"),
                             ("odd=1", "Unknown option odd")):
            self.assertIn(text, self.write("--storage-opt", option).stderr)


class Elsewhere(unittest.TestCase):
    def test_is_refused(self):
        folder, error = mounted_ext4([], "loop")
        self.assertIsNotNone(folder, error)
        engine = Engine(data_root=folder / "data/root")
        try:
            engine.import_busybox()
            run = engine.docker("run", "--rm", "--storage-opt", "size=1g", "busybox", check=False)
            self.assertIn("--storage-opt is supported only for overlay over xfs", run.stderr)
            self.assertEqual(engine.json("GET", "/containers/json?all=1"), [])
        finally:
            engine.close()
            unmount(folder)


if __name__ == "__main__":
    unittest.main()
