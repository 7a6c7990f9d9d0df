"""Collection of images: what goes and what stays, dry runs, watermarks, events, last-used times."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from support.engine import Engine, wait_until
from support.registry import Layout, Registry, busybox_rootfs, free_port, tar_of

MEGA = 1_000_000


class Gc(unittest.TestCase):
    def start(self, *flags):
        self.engine = Engine("--gc-min-age", "0s", *flags)
        self.addCleanup(self.engine.close)

    def add(self, name, *changes, size=4 * MEGA):
        """An image of so much noise."""
        flags = [word for change in changes for word in ("-c", change)]
        return self.engine.docker("import", *flags, "-", name,
                                  input=tar_of({name.replace("/", "_"): os.urandom(size)})).stdout.strip()

    def images(self):
        return sorted(tag for image in self.engine.json("GET", "/images/json") for tag in image["RepoTags"])

    def gc(self, *flags):
        """The names that go, in order."""
        out = self.engine.coffer("system", "gc", "--format", "{{.Names}}", *flags)
        return out.stdout.split()

    def used(self, name):
        out = self.engine.coffer("images", "--format", "{{.Repository}} {{.LastUsedAt}}").stdout
        return dict(line.split(" ", 1) for line in out.splitlines())[name]

    def test_the_least_recently_used_goes_first(self):
        self.start()
        for name in ("a", "b", "c"):
            self.add(f"{name}:1")
        self.engine.docker("tag", "a:1", "a:2")  # a use
        usage = self.engine.json("GET", "/system/df")["LayersSize"]
        self.assertEqual(self.gc("--dry-run", "--to", f"{usage}"), [])
        one_less = f"{usage - MEGA}"
        self.assertEqual(self.gc("--dry-run", "--to", one_less), ["b:1"])
        self.assertEqual(self.images(), ["a:1", "a:2", "b:1", "c:1"])
        self.assertEqual(self.gc("--to", one_less), ["b:1"])
        self.assertEqual(self.images(), ["a:1", "a:2", "c:1"])
        self.assertLess(self.engine.json("GET", "/system/df")["LayersSize"], usage - 8 * MEGA + MEGA)
        shown = self.engine.coffer("system", "gc", "--dry-run", "--to", "0")
        self.assertRegex(shown.stdout, r"KIND +ID +NAMES +SIZE +LAST USED +REASON\n")
        self.assertRegex(shown.stdout, r"image +[0-9a-f]{12} +a:1, a:2 +8\.\d+MB +\S.* ago +not in use, and no rule")
        self.assertRegex(shown.stdout, r"Would reclaim: 16\.\d+MB\n$")
        self.assertEqual(self.gc("--to", "0"), ["c:1", "a:1,", "a:2"])
        self.assertEqual(self.images(), [])
        self.assertEqual(self.engine.left_of_images(), [])

    def test_what_stays(self):
        self.start("--gc-keep", "kept", "--gc-keep", "base/*:1", "--gc-keep", "label=keep=yes")
        self.engine.import_busybox("used")
        self.engine.docker("create", "used", "true")
        self.engine.docker("import", "-c", "ENV PATH=/bin", "-", "mounted", input=busybox_rootfs())
        self.engine.docker("create", "--mount", "type=image,source=mounted,target=/m", "used", "true")
        for name in ("kept:9", "base/x:1", "base/x:2", "other"):
            self.add(name)
        self.add("labelled", "LABEL keep=yes")
        self.add("unlabelled", "LABEL keep=no")
        ran = self.engine.coffer("system", "gc", "--to", "0")
        self.assertRegex(ran.stderr, r"MB more than 0B stay in use: ")
        self.assertEqual(self.images(), ["base/x:1", "kept:9", "labelled:latest", "mounted:latest", "used:latest"])
        self.engine.remove_containers()
        self.assertEqual(sorted(self.gc("--to", "0")), ["mounted:latest", "used:latest"])

    def test_what_is_mounted_on_the_host_stays(self):
        self.start()
        self.add("a")
        self.engine.coffer("image", "mount", "a")
        self.assertEqual(self.gc("--to", "0"), [])
        self.engine.coffer("image", "unmount", "a")
        self.assertEqual(self.gc("--to", "0"), ["a:latest"])

    def test_the_end_of_a_container_is_a_use(self):
        self.start()
        self.engine.import_busybox("old")
        self.engine.docker("create", "--name", "box", "old", "true")
        self.add("new")
        self.engine.docker("rm", "box")
        self.assertEqual(self.gc("--to", "0"), ["new:latest", "old:latest"])

    def test_an_image_of_two_indexes_stays_for_the_other(self):
        registry = Registry()
        self.addCleanup(registry.close)
        self.start("--gc-keep", "*/r:two")
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            layout = Layout(folder)
            arm = layout.manifest([tar_of({"arm": os.urandom(200_000)})], architecture="arm64")
            for tag in ("one", "two"):
                amd = layout.manifest([tar_of({tag: os.urandom(200_000)})])
                layout.tag(tag, layout.index({"linux/amd64": amd, "linux/arm64": arm}))
                registry.push(layout, tag, f"r:{tag}")
        for tag in ("one", "two"):
            for platform in ("linux/amd64", "linux/arm64"):
                self.engine.docker("pull", "--platform", platform, f"{registry.host}/r:{tag}")
        self.assertEqual(self.gc("--to", "0"), [f"{registry.host}/r:one"])
        self.engine.docker("image", "inspect", "--platform", "linux/arm64", f"{registry.host}/r:two")

    def test_what_is_young_stays(self):
        self.engine = Engine()
        self.addCleanup(self.engine.close)
        self.add("a")
        self.assertEqual(self.gc("--to", "0"), [])
        self.assertEqual(self.images(), ["a:latest"])

    def test_a_base_does_not_go_while_what_is_built_on_it_stays(self):
        self.start()
        self.engine.import_busybox("base")
        self.engine.docker("run", "--name", "box", "--network", "none", "base", "sh", "-c", "head -c 300000 /dev/zero > f")
        self.engine.docker("commit", "box", "child")
        self.engine.docker("rm", "box")
        self.engine.docker("create", "child", "true")
        self.assertEqual(self.gc("--to", "0"), [])
        self.assertEqual(self.images(), ["base:latest", "child:latest"])
        self.engine.remove_containers()
        self.assertEqual(sorted(self.gc("--to", "0")), ["base:latest", "child:latest"])

    def test_events_say_who_it_was(self):
        self.start()
        image = self.add("a", "LABEL x=y")
        since = time.time() - 1
        self.gc("--to", "0")
        _, _, text = self.engine.api("GET", f"/events?since={since:.3f}&until={time.time():.3f}")
        told = [json.loads(line) for line in text.splitlines()]
        self.assertEqual([(one["Action"], one["id"], one["Actor"]["Attributes"]) for one in told
                          if one["Action"] in ("untag", "delete")],
                         [(action, image, {"name": image, "x": "y", "collector": "gc"})
                          for action in ("untag", "delete")])

    def test_without_a_target(self):
        self.start()
        ran = self.engine.coffer("system", "gc", check=False)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("there is no low watermark: say what may stay in use", ran.stderr)
        ran = self.engine.coffer("system", "gc", "--to", "much", check=False)
        self.assertIn("invalid watermark 'much'", ran.stderr)

    def test_a_watermark_that_is_passed(self):
        self.start("--gc-high", "20000000", "--gc-low", "10000000")
        for name in ("a", "b"):
            self.add(name)
        time.sleep(0.5)  # nothing is to come
        self.assertEqual(self.images(), ["a:latest", "b:latest"])
        self.add("c")
        # A layer and its blob are 8 MB each.
        wait_until(lambda: self.images() == ["c:latest"])
        log = self.engine.log.read_text()
        self.assertIn("more than 20MB is in use: collects images down to 10MB", log)
        self.assertIn("(a:latest), last used ", log)

    def test_part_of_a_file_system(self):
        self.start("--gc-high", "0%")
        self.assertEqual(self.engine.json("GET", "/images/json"), [])
        self.add("a")
        wait_until(lambda: self.images() == [])
        # It cannot do more, and does not say so every time.
        wait_until(lambda: "by what no collection may take" in self.engine.log.read_text())

    def test_uses_are_remembered(self):
        self.start()
        self.engine.import_busybox("used")
        self.add("other")
        self.engine.docker("create", "--network", "none", "--name", "box", "used", "true")
        created = self.used("used")
        time.sleep(1.1)  # it is shown in seconds
        self.engine.docker("start", "-a", "box")
        started = self.used("used")
        self.assertGreater(started, created)
        self.engine.stop()
        self.engine.start()
        self.assertEqual(self.used("used"), started)
        self.engine.docker("rm", "box")
        self.assertEqual(self.gc("--dry-run", "--to", "0"), ["other:latest", "used:latest"])
        # docker's own fields are what they were.
        self.assertNotIn("LastUsed", self.engine.coffer("images", "--format", "json").stdout)
        self.assertNotIn("LastUsedAt", self.engine.json("GET", "/images/json")[0])

    def test_a_pull_is_a_use(self):
        self.start()
        registry = Registry()
        self.addCleanup(registry.close)
        self.add(f"{registry.host}/a:1")
        self.engine.docker("push", f"{registry.host}/a:1")
        self.add("b")
        self.assertEqual(self.gc("--dry-run", "--to", "0"), [f"{registry.host}/a:1", "b:latest"])
        self.engine.docker("pull", f"{registry.host}/a:1")
        self.assertEqual(self.gc("--dry-run", "--to", "0"), ["b:latest", f"{registry.host}/a:1"])

    def test_what_our_registry_serves_stays(self):
        self.start("--registry", f"127.0.0.1:{free_port()}", "--registry-name", "here:5000")
        self.add("here:5000/a/b:1")
        self.add("there:5000/a/b:1")
        self.assertEqual(self.gc("--to", "0"), ["there:5000/a/b:1"])

    def test_a_full_disk(self):
        """Nothing can be written any more: what is collected makes room."""
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-full-"))
        self.addCleanup(shutil.rmtree, scratch)
        disk = scratch / "disk"
        disk.mkdir()
        subprocess.run(["truncate", "-s", "64M", scratch / "image"], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", scratch / "image"], check=True)
        subprocess.run(["mount", "-o", "loop", scratch / "image", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        self.engine = Engine("--gc-min-age", "0s", data_root=disk / "data")
        self.addCleanup(self.engine.close)
        self.engine.import_busybox("used")
        self.engine.docker("create", "--network", "none", "--name", "box", "used", "echo", "hi")
        for name in ("a", "b", "c"):
            self.add(name)
        with open(disk / "rest", "wb", buffering=0) as rest:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while rest.write(b"x" * size):
                        pass
        self.assertEqual(os.statvfs(disk).f_bavail, 0)
        self.assertEqual(self.gc("--to", "0"), ["a:latest", "b:latest", "c:latest"])
        self.assertEqual(self.images(), ["used:latest"])
        self.assertGreater(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize, 24 * MEGA)
        self.assertEqual(self.engine.docker("start", "-a", "box").stdout, "hi\n")
        self.assertEqual(self.engine.coffer("system", "check", "--deep").stdout, "Nothing is wrong.\n")

    def test_pulls_and_runs_while_it_collects(self):
        """All of an image is there, or nothing of it."""
        self.start()
        registry = Registry()
        self.addCleanup(registry.close)
        layout = Layout(self.engine.dir / "layout")
        base = busybox_rootfs()
        for name in ("a", "b"):
            layout.tag(name, layout.manifest([base, tar_of({name: os.urandom(MEGA)})]))
            registry.push(layout, name, f"r/{name}:1")
        stop = threading.Event()
        failures = []

        def run(name):
            image = f"{registry.host}/r/{name}:1"
            while not stop.is_set():
                self.engine.docker("pull", image)
                ran = self.engine.docker("run", "--rm", "--network", "none", "--pull", "never", image, "ls", f"/{name}",
                                         check=False)
                # It may have gone after the pull, but not in the middle of the run.
                if ran.returncode != 0 and "No such image" not in ran.stderr:
                    failures.append(ran.stderr)

        threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        gone = 0
        for _ in range(150):
            gone += len(self.gc("--to", "0"))
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(gone, 0)
        self.assertEqual(self.engine.coffer("system", "check", "--deep").stdout, "Nothing is wrong.\n")
        self.gc("--to", "0")
        self.assertEqual(self.engine.left_of_images(), [])


if __name__ == "__main__":
    unittest.main()
