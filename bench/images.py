#!/usr/bin/python3
"""Pull, push, save and load of a Debian image of 8 layers at each engine, through the docker command
line, and for podman and skopeo by their own.

    sudo bench/images.py [--rounds 3] [--rootfs TAR] [BUILD]        default: build/release

All use one registry on loopback, in turn, in network and mount namespaces of their own. --rootfs is
the tar of a root file system (default: that of the system tests, made when it is missing).
Prints, with ratios to dockerd, medians of: seconds, CPU seconds of the engine with its children, and
the peak of their memory; then what the machine needs at least for a pull. Needs docker.io, pigz,
docker-registry, skopeo, podman and zstd.
"""
import argparse
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tarfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
from engines import Engines, enter_namespaces  # noqa: E402
from support import debian  # noqa: E402
from support.registry import CONFIG, MANIFEST, Layout, Registry, digest_of  # noqa: E402

LAYERS = 8
COMPRESSORS = {"gzip": ["gzip", "-6"], "zstd": ["zstd", "-3", "-q"]}


def split(rootfs, folder):
    """The root file system as LAYERS tars of about the same size."""
    paths = [folder / f"layer{n}.tar" for n in range(LAYERS)]
    limit = os.path.getsize(rootfs) // LAYERS + 1
    with contextlib.ExitStack() as opened:
        whole = opened.enter_context(tarfile.open(rootfs))
        parts = [opened.enter_context(tarfile.open(path, "w")) for path in paths]
        done, parts_of = 0, {}
        for entry in whole:
            # A hard link belongs to its file.
            part = parts_of[entry.linkname] if entry.islnk() else parts[done // limit]
            parts_of[entry.name] = part
            part.addfile(entry, whole.extractfile(entry) if entry.isreg() else None)
            done += entry.size + 512
    return paths


def make_image(tars, compressor, folder):
    """An OCI layout with the tag `x`."""
    layout = Layout(folder)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        blobs = list(pool.map(lambda tar: subprocess.run(
            [*COMPRESSORS[compressor], "-c", tar], check=True, capture_output=True).stdout, tars))
    layers = [layout.blob(blob, f"application/vnd.oci.image.layer.v1.tar+{compressor}")
              for blob in blobs]
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}, "rootfs": {
        "type": "layers", "diff_ids": [digest_of(tar.read_bytes()) for tar in tars]}}
    layout.tag("x", layout.document({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": layout.blob(json.dumps(config).encode(), CONFIG), "layers": layers}))
    return layout


class Watch:
    """CPU seconds and peak of memory (bytes of resident pages that are not a file's) of a process,
    which may be None, with all that descends from it."""

    def __init__(self, pid):
        self.pid, self.peak, self.cpu = pid, 0, 0.0
        self.done = threading.Event()

    def tree(self):
        children = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                fields = pathlib.Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(name))
        found = [self.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def used(self):
        ticks = 0
        for pid in self.tree():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def sample(self):
        while not self.done.wait(0.03):
            total = 0
            for pid in self.tree():
                try:
                    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                        if line.startswith("RssAnon:"):
                            total += int(line.split()[1]) << 10
                except OSError:
                    pass
            self.peak = max(self.peak, total)

    def __enter__(self):
        if self.pid:
            self.before = self.used()
            self.thread = threading.Thread(target=self.sample)
            self.thread.start()
        self.times = os.times()
        self.begun = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.begun
        times = os.times()
        self.cpu = times.children_user + times.children_system - (
            self.times.children_user + self.times.children_system)
        if self.pid:
            self.cpu = self.used() - self.before
            self.done.set()
            self.thread.join()


def run(command, env):
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)


class Docker:
    """An engine behind the docker command line."""

    def __init__(self, env, pid, folder):
        self.env, self.pid, self.archive = env, pid, folder / "image.tar"
        self.saved = folder / "saved.tar"

    def docker(self, *args):
        run(["docker", *args], self.env)

    def pull(self, image):
        self.docker("pull", "-q", image)

    again = pull

    def push(self, image):
        self.docker("push", "-q", image)

    def save(self, image):
        self.docker("save", "-o", str(self.saved), image)

    def load(self, _):
        self.docker("load", "-q", "-i", str(self.archive))

    def drop(self, image):
        self.docker("rmi", "-f", image)
        self.saved.unlink(missing_ok=True)


class Podman(Docker):
    def docker(self, *args):
        if args[0] in ("pull", "push"):
            args = (args[0], "--tls-verify=false", *args[1:])
        folder = self.archive.parent
        run(["podman", "--root", f"{folder}/podman", "--runroot", f"{folder}/podman-run", *args],
            self.env)


class Skopeo(Docker):
    """Copies without unpacking."""

    def pull(self, image):
        run(["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{image}",
             f"oci:{self.archive.parent}/skopeo:x"], self.env)

    def drop(self, _):
        shutil.rmtree(self.archive.parent / "skopeo", ignore_errors=True)


STEPS = ["pull", "again", "push", "save", "drop", "load", "drop"]


def floor(layout, folder):
    """Seconds that one thread needs for the parts of a pull."""
    blobs = [layout.dir / "blobs/sha256" / layer["digest"][7:]
             for layer in json.loads((layout.dir / "blobs/sha256" / layout.entries[0]["digest"][7:])
                                     .read_text())["layers"]]
    def timed(work):
        begun = time.monotonic()
        for blob in blobs:
            work(blob)
        return time.monotonic() - begun
    out = folder / "floor"
    out.mkdir()
    sizes = sum(blob.stat().st_size for blob in blobs)
    inflate = timed(lambda blob: subprocess.run(["unpigz", "-p1", "-c", blob], check=True,
                                                stdout=subprocess.DEVNULL))
    digest = timed(lambda blob: hashlib.file_digest(open(blob, "rb"), "sha256"))
    tars = [pathlib.Path(f"{folder}/layer{n}.tar") for n in range(LAYERS)]
    begun = time.monotonic()
    for tar in tars:
        hashlib.file_digest(open(tar, "rb"), "sha256")
    digest_tar = time.monotonic() - begun
    begun = time.monotonic()
    for tar in tars:
        subprocess.run(["tar", "-C", out, "-xf", tar], check=True)
    return sizes, {"inflate (zlib)": inflate, "SHA-256 of the blobs": digest,
                   "SHA-256 of the tars": digest_tar, "files (tar)": time.monotonic() - begun}


def measure(args, engines, folder):
    tars = split(args.rootfs, folder)
    layouts = {name: make_image(tars, name, folder / name) for name in COMPRESSORS}
    registry = Registry()
    try:
        images = {name: registry.push(layout, "x", f"bench/{name}:1")
                  for name, layout in layouts.items()}
        # What all load: as `docker save` writes it, with layers that are not compressed.
        run(["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{images['gzip']}",
             f"docker-archive:{folder}/image.tar:{images['gzip']}"], engines.plain)
        ours, theirs = (process.pid for process in engines.processes)
        podman = dict(engines.plain, XDG_RUNTIME_DIR=engines.folder)
        peers = {"cofferd": Docker(engines.ours, ours, folder),
                 "dockerd": Docker(engines.theirs, theirs, folder),
                 "podman": Podman(podman, None, folder), "skopeo": Skopeo(podman, None, folder)}
        figures = {}
        for _ in range(args.rounds):
            for who, peer in peers.items():
                steps = STEPS if who != "skopeo" else ["pull", "drop"]
                for step in steps:
                    os.sync()
                    with Watch(peer.pid) as watch:
                        getattr(peer, step)(images["gzip"])
                    figures.setdefault((step, who), []).append(watch)
                if who == "dockerd":
                    continue  # 20.10 knows no zstd
                os.sync()
                with Watch(peer.pid) as watch:
                    peer.pull(images["zstd"])
                figures.setdefault(("pull, zstd", who), []).append(watch)
                peer.drop(images["zstd"])
        print(f"{'':12}{'':10}{'seconds':>9}{'of dockerd':>12}{'CPU s':>8}{'peak MB':>9}")
        for step in ("pull", "pull, zstd", "again", "push", "save", "load", "drop"):
            base = figures.get((step, "dockerd"))
            for who in peers:
                if (step, who) not in figures:
                    continue
                runs = figures[step, who]
                seconds, cpu, peak = (statistics.median(getattr(run, what) for run in runs)
                                      for what in ("seconds", "cpu", "peak"))
                ratio = base and seconds / statistics.median(run.seconds for run in base)
                print(f"{step:12}{who:10}{seconds:9.2f}"
                      f"{f'{ratio:.2f}' if ratio else '':>12}{cpu:8.2f}"
                      f"{f'{peak / 1e6:.0f}' if peak else '':>9}")
        size, parts = floor(layouts["gzip"], folder)
        print(f"floor, one thread: {size / 1e6:.0f} MB gzip, "
              f"{sum(tar.stat().st_size for tar in tars) / 1e6:.0f} MB of tar: " +
              ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items()))
    finally:
        registry.close()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rootfs")
    parser.add_argument("build", nargs="?", default=str(HERE.parent / "build/release"))
    args = parser.parse_args()
    if not args.rootfs:  # before it is cut off from the mirrors
        missing = debian.prepare()
        if missing:
            raise SystemExit(missing)
        args.rootfs = str(debian.root_archive())
    enter_namespaces()
    with Engines(args.build, networks=False) as engines:
        folder = pathlib.Path(engines.folder)
        measure(args, engines, folder)


if __name__ == "__main__":
    main()
