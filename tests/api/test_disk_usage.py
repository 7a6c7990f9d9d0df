"""system df: what it says is what lies on the disk."""
import pathlib
import stat
import unittest

from support.engine import Engine
from support.registry import busybox_rootfs


def size_of(folder):
    """Bytes of the regular files below, each once."""
    files = {}
    for path in pathlib.Path(folder).rglob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            files[status.st_ino] = status.st_size
    return sum(files.values())


def blocks_of(folder):
    """What du says: the blocks of all that is there, each once."""
    found = {}
    for path in [pathlib.Path(folder), *pathlib.Path(folder).rglob("*")]:
        status = path.lstat()
        found[status.st_ino] = status.st_blocks * 512
    return sum(found.values())


class DiskUsage(unittest.TestCase):
    def setUp(self):
        self.engine = Engine()
        self.addCleanup(self.engine.close)
        self.engine.docker("import", "-c", "ENV PATH=/bin", "-", "box", input=busybox_rootfs())

    def usage(self):
        df = self.engine.json("GET", "/system/df")
        root = self.engine.data_root
        self.assertEqual(df["LayersSize"], size_of(root / "layers") + size_of(root / "blobs"))
        for one in df["Containers"]:
            self.assertEqual(one.get("SizeRw", 0),
                             blocks_of(root / "containers" / one["Id"] / "diff"))
        for one in df["Volumes"]:
            self.assertEqual(one["UsageData"]["Size"], blocks_of(one["Mountpoint"]))
        return df

    def test_only_what_is_asked_for(self):
        everything = self.engine.json("GET", "/system/df")
        self.assertEqual({kind for kind, value in everything.items() if value is None}, set())
        asked = self.engine.json("GET", "/system/df?type=image&type=volume")
        self.assertEqual(asked, {**everything, "Containers": None, "BuildCache": None})
        asked = self.engine.json("GET", "/system/df?type=container")
        self.assertEqual((asked["LayersSize"], asked["Images"]), (0, None))
        self.assertEqual(self.engine.json("GET", "/v1.41/system/df?type=container"), everything)
        self.assertEqual(self.engine.api("GET", "/system/df?type=nosuch")[0], 400)

    def test_images_containers_and_volumes(self):
        empty = self.usage()
        self.engine.docker("run", "-d", "--network", "none", "--name", "one", "-v", "data:/data",
                           "box", "sh", "-c",
                           "head -c 700000 /dev/urandom >/new; ln /new /again; "
                           "head -c 300000 /dev/zero >/data/f; sleep 1000")
        self.engine.docker("exec", "one", "sh", "-c", "until [ -e /data/f ]; do sleep 0.1; done")
        grown = self.usage()
        self.assertEqual(grown["LayersSize"], empty["LayersSize"])
        self.assertGreaterEqual(grown["Containers"][0]["SizeRw"], 700_000)
        self.assertLess(grown["Containers"][0]["SizeRw"], 1_400_000)  # the hard link is no copy
        self.assertEqual(grown["Volumes"][0]["UsageData"]["RefCount"], 1)
        self.assertEqual(grown["Images"][0]["Containers"], 1)
        self.assertEqual(grown["Images"][0]["SharedSize"], 0)
        self.engine.docker("commit", "one", "made:1")
        committed = self.usage()
        self.assertGreater(committed["Images"][0]["SharedSize"], 0)  # of the one below
        self.assertGreater(committed["LayersSize"], grown["LayersSize"] + 1_400_000)
        self.engine.docker("rmi", "made:1")
        self.assertEqual(self.usage()["LayersSize"], empty["LayersSize"])


if __name__ == "__main__":
    unittest.main()
