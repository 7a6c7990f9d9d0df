"""system df: what it says is what lies on the disk."""
import os
import pathlib
import subprocess
import unittest

from support.engine import Engine
from support.registry import Layout, Registry, busybox_rootfs, tar_of


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
        images = sum(map(blocks_of, [*(root / "layers").iterdir(), root / "blobs/sha256"]))
        self.assertEqual(df["LayersSize"], images)
        for one in df["Containers"]:
            self.assertEqual(one.get("SizeRw", 0), blocks_of(root / "containers" / one["Id"]))
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
        self.assertEqual(self.engine.json("GET", "/containers/json?size=1")[0]["SizeRw"],
                         blocks_of(self.engine.data_root / "containers" / grown["Containers"][0]["Id"] / "diff"))
        self.assertGreater(committed["Images"][0]["SharedSize"], 0)  # of the one below
        self.assertGreater(committed["LayersSize"], grown["LayersSize"] + 1_400_000)
        self.engine.docker("rmi", "made:1")
        self.assertEqual(self.usage()["LayersSize"], empty["LayersSize"])

    def test_it_adds_up_to_what_du_says(self):
        """Images that share layers, containers with layers and logs, volumes, what a pull left."""
        registry = Registry()
        self.addCleanup(registry.close)
        layout = Layout(self.engine.dir / "layout")
        shared = [busybox_rootfs(), tar_of({f"small{n}": b"x" for n in range(2000)})]
        for name in ("a", "b"):
            layout.tag(name, layout.manifest([*shared, tar_of({name: os.urandom(30_000_000)})]))
            self.engine.docker("pull", registry.push(layout, name, f"r/{name}:1"))
        for number in range(3):
            self.engine.docker("run", "--network", "none", "-v", f"data{number}:/data", f"{registry.host}/r/a:1", "sh", "-c",
                               "head -c 3000000 /dev/urandom >/new; head -c 2000000 /dev/urandom >/data/f;"
                               "seq 300000")
        (self.engine.data_root / "partial" / ("0" * 64)).write_bytes(os.urandom(5_000_000))
        df = self.engine.json("GET", "/system/df")
        said = (df["LayersSize"] + sum(one["SizeRw"] for one in df["Containers"]) +
                sum(one["UsageData"]["Size"] for one in df["Volumes"]))
        du = subprocess.run(["du", "-s", "-B1", self.engine.data_root], stdout=subprocess.PIPE, text=True, check=True)
        self.assertAlmostEqual(said / int(du.stdout.split()[0]), 1, delta=0.01)


if __name__ == "__main__":
    unittest.main()
