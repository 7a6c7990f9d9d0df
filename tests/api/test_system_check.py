"""coffer system check: nothing on a healthy engine; what was left behind, and its repair; damage."""
import glob
import os
import pathlib
import unittest

from support.engine import Engine
from support.registry import Registry

STRAY = "ab" * 32


class SystemCheck(unittest.TestCase):
    def setUp(self):
        self.engine = Engine()
        self.addCleanup(self.engine.close)
        self.engine.import_busybox()
        self.engine.docker("run", "-d", "--network", "none", "--name", "box", "-v", "data:/data", "busybox",
                           "sleep", "1000")

    def check(self, *flags):
        ran = self.engine.coffer("system", "check", *flags, check=False)
        self.assertEqual(ran.stderr, "")
        return ran.returncode, ran.stdout

    def test_a_healthy_engine(self):
        self.engine.docker("create", "busybox")
        self.assertEqual(self.check("--deep"), (0, "Nothing is wrong.\n"))
        self.assertEqual(self.check("--format", "json"), (0, ""))

    def test_what_was_left_behind_is_removed(self):
        blob = self.engine.data_root / "blobs/sha256" / ("0" * 64)
        blob.write_text("nobody's")
        group = pathlib.Path(self.engine.cgroups()[0]).parent / STRAY
        group.mkdir()
        bundle = self.engine.exec_root / "containers" / ("cd" * 32)
        bundle.mkdir()
        form = ("--format", "{{.Kind}} {{.Object}} {{.Repaired}}")
        left = [f"blob sha256:{'0' * 64}", f"run {STRAY}", f"run {'cd' * 32}"]
        self.assertEqual(self.check(*form), (1, "".join(f"{one} no\n" for one in left)))
        self.assertEqual(self.check("--repair", *form), (0, "".join(f"{one} yes\n" for one in left)))
        for path in (blob, group, bundle):
            self.assertFalse(path.exists(), path)
        self.assertEqual(self.check(), (0, "Nothing is wrong.\n"))
        self.assertEqual(self.engine.docker("exec", "box", "echo", "hi").stdout, "hi\n")

    def test_damage_is_found(self):
        blob = max(glob.glob(f"{self.engine.data_root}/blobs/sha256/*"), key=os.path.getsize)
        with open(blob, "r+b") as file:
            file.write(b"damaged")
        self.assertEqual(self.check(), (0, "Nothing is wrong.\n"))
        self.assertRegex(self.check("--deep")[1], r"blob +sha256:[0-9a-f]{64} +has another digest, which .* no\n")
        status, out = self.check("--deep", "--repair")
        self.assertEqual(status, 1)
        self.assertRegex(out, r"has another digest and was taken away: pull its images again +no\n")
        self.assertFalse(os.path.exists(blob))
        self.assertIn("is missing: pull its images again", self.check()[1])

    def test_damage_is_mended_by_a_pull(self):
        registry = Registry()
        self.addCleanup(registry.close)
        name = f"{registry.host}/box:1"
        self.engine.docker("tag", "busybox", name)
        self.engine.docker("push", name)
        self.engine.docker("rmi", name, "busybox", check=False)
        self.engine.docker("rm", "-f", "box")
        self.engine.docker("image", "prune", "-af")
        self.engine.docker("pull", name)
        self.engine.docker("run", "-d", "--network", "none", "--name", "box", name, "sleep", "1000")
        for blob in glob.glob(f"{self.engine.data_root}/blobs/sha256/*"):
            with open(blob, "r+b") as file:
                file.write(b"damaged")
        self.check("--deep", "--repair")
        self.assertEqual(os.listdir(self.engine.data_root / "blobs/sha256"), [])
        self.engine.docker("pull", name)
        self.assertEqual(self.check("--deep"), (0, "Nothing is wrong.\n"))
        self.assertEqual(self.engine.docker("exec", "box", "echo", "hi").stdout, "hi\n")
        self.engine.docker("push", name)


if __name__ == "__main__":
    unittest.main()
