"""kill -9 of cofferd in the middle of commits, and a disk that is full: no half image, nothing left
over, and the container goes on."""
import io
import os
import pathlib
import random
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest

from support.engine import Engine, wait_until
from support.registry import busybox_rootfs

KILLS = 12


def left_on_disk(engine):
    return {folder: sorted(os.listdir(engine.data_root / folder))
            for folder in ("blobs/sha256", "layers", "trash")}


class CommitKilled(unittest.TestCase):
    def start(self, *flags, **options):
        engine = Engine(*flags, **options)
        self.addCleanup(engine.close)
        engine.docker("import", "-c", "ENV PATH=/bin", "-", "box", input=busybox_rootfs())
        return engine

    def check_left(self, engine, before):
        """What is removed goes from the disk a little later."""
        wait_until(lambda: not os.listdir(engine.data_root / "trash"))
        self.assertEqual(left_on_disk(engine), before)

    def test_killed_at_any_time(self):
        mounts = pathlib.Path("/proc/self/mounts").read_text()
        engine = self.start()
        engine.docker("run", "-d", "--network", "none", "--name", "box", "box", "sh", "-c",
                      "head -c 24000000 /dev/urandom >/big; for i in $(seq 500); do echo $i >/f$i; "
                      "done; >/ready; while :; do echo >>/ticks; sleep 0.01; done")
        deadline = time.monotonic() + 20
        while (engine.docker("exec", "box", "test", "-e", "/ready", check=False).returncode and
               time.monotonic() < deadline):
            time.sleep(0.1)
        before = left_on_disk(engine)
        started = time.monotonic()
        engine.docker("commit", "box", "whole:1")
        takes = time.monotonic() - started
        engine.docker("rmi", "whole:1")
        self.check_left(engine, before)
        for _ in range(KILLS):
            client = threading.Thread(target=lambda: engine.docker("commit", "box", check=False))
            client.start()
            time.sleep(random.uniform(0, takes * 1.1))
            engine.stop(signal.SIGKILL)
            client.join()
            engine.start()
            # Whole or not there at all.
            for one in engine.json("GET", "/images/json?all=1"):
                if one["RepoTags"] == ["box:latest"]:
                    continue
                shown = engine.docker("run", "--rm", "--network", "none", one["Id"], "sh", "-c",
                                      "wc -c </big; ls /f* | wc -l").stdout
                self.assertEqual(shown.split(), ["24000000", "500"])
                engine.docker("rmi", "-f", one["Id"])
            self.check_left(engine, before)
            state = engine.json("GET", "/containers/box/json")["State"]
            self.assertEqual(state["Status"], "running")
            first = engine.docker("exec", "box", "wc", "-c", "/ticks").stdout
            time.sleep(0.1)
            self.assertNotEqual(engine.docker("exec", "box", "wc", "-c", "/ticks").stdout, first)
        engine.docker("commit", "box", "whole:1")
        engine.docker("run", "--rm", "--network", "none", "whole:1", "test", "-e", "/f500")
        self.assertEqual(pathlib.Path("/proc/self/mounts").read_text(), mounts)

    def test_copies_end_with_the_engine(self):
        engine = self.start()
        engine.docker("run", "-d", "--network", "none", "--name", "box", "box", "sleep", "1000")
        reader, writer = os.pipe()
        client = subprocess.Popen(["docker", "cp", "-", "box:/tmp"], stdin=reader,
                                  env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"},
                                  stderr=subprocess.DEVNULL)
        os.close(reader)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo("f")
            info.size = 1 << 20
            tar.addfile(info, io.BytesIO(bytes(1 << 20)))
        os.write(writer, out.getvalue()[:40000])

        def helpers():
            return [path for path in pathlib.Path("/proc").glob("[0-9]*/comm")
                    if path.read_text().strip() == "coffer-files"]
        deadline = time.monotonic() + 10
        while not helpers() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(len(helpers()), 1)
        engine.stop(signal.SIGKILL)
        os.close(writer)
        client.wait(20)
        deadline = time.monotonic() + 10
        while helpers() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(helpers(), [])
        engine.start()

    def test_a_client_that_hangs_up_frees_the_container(self):
        engine = self.start()
        engine.docker("create", "--network", "none", "--name", "box", "box", "sleep", "1000")
        reader, writer = os.pipe()
        client = subprocess.Popen(["docker", "cp", "-", "box:/tmp"], stdin=reader,
                                  env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"},
                                  stderr=subprocess.DEVNULL)
        os.close(reader)
        os.write(writer, bytes(100))
        time.sleep(0.5)
        client.kill()
        client.wait()
        os.close(writer)
        engine.docker("start", "box", timeout=20)
        engine.docker("cp", "box:/etc/passwd", "-")

    def test_full_disk(self):
        folder = tempfile.mkdtemp(prefix="coffer-full-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", folder])
        engine = self.start(data_root=f"{folder}/data")
        engine.docker("run", "-d", "--network", "none", "--name", "box", "box", "sleep", "1000")
        engine.docker("exec", "box", "sh", "-c", "head -c 30000000 /dev/urandom >/big")
        before = left_on_disk(engine)
        run = engine.docker("commit", "box", "made:1", check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("no space left on device", run.stderr)
        self.check_left(engine, before)
        self.assertEqual(len(engine.json("GET", "/images/json?all=1")), 1)
        (engine.dir / "big").write_bytes(os.urandom(40_000_000))
        run = engine.docker("cp", engine.dir / "big", "box:/big2", check=False)
        self.assertIn("no space left on device", run.stderr)
        engine.docker("exec", "box", "rm", "/big", "/big2")
        engine.docker("commit", "box", "made:1")
        self.assertEqual(engine.json("GET", "/containers/box/json")["State"]["Status"], "running")


if __name__ == "__main__":
    unittest.main()
