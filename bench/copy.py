#!/usr/bin/python3
"""docker cp of 1 GB into a running container and out of it, and commit of it: cofferd beside
dockerd, in turn, in one run.

    sudo bench/copy.py [--build build/release] [--size 1000] [--rounds 3]

Medians in MB/s. dockerd runs in network and mount namespaces of its own with private roots; the
docker CLI is the client of both engines, coffer of its own besides. Needs docker.io and
busybox-static.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from run_latency import rootfs_tar, wait_for


def timed(command, env):
    start = time.monotonic()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--size", type=int, default=1000, help="megabytes")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    programs = os.path.join(args.build, "bin")
    folder = tempfile.mkdtemp(prefix="coffer-bench-")
    plain = {"PATH": os.environ["PATH"], "HOME": folder}
    ours = dict(plain, DOCKER_HOST=f"unix://{folder}/coffer.sock")
    theirs = dict(plain, DOCKER_HOST=f"unix://{folder}/docker.sock")
    processes = []
    try:
        tar = rootfs_tar(folder)
        with open(f"{folder}/big", "wb") as big:
            for _ in range(args.size):
                big.write(os.urandom(1_000_000))
        with open(f"{folder}/coffer.log", "w") as log:
            processes.append(subprocess.Popen(
                ["unshare", "-n", "-m", f"{programs}/cofferd", "--data-root", f"{folder}/coffer",
                 "--exec-root", f"{folder}/coffer-run", "-H", f"unix://{folder}/coffer.sock",
                 "--bridge", "cofbench0"], stderr=log))
        with open(f"{folder}/docker.log", "w") as log:
            processes.append(subprocess.Popen(
                ["unshare", "-n", "-m", "dockerd", "--data-root", f"{folder}/docker",
                 "--exec-root", f"{folder}/docker-run", "-H", f"unix://{folder}/docker.sock",
                 "--pidfile", f"{folder}/docker.pid", "--bridge", "none", "--iptables=false"],
                stderr=log, stdout=log))
        wait_for(f"{folder}/coffer.sock")
        wait_for(f"{folder}/docker.sock")
        for env in (ours, theirs):
            subprocess.run(["docker", "import", "-c", "ENV PATH=/bin", tar, "busybox:latest"],
                           env=env, check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["docker", "run", "-d", "--network", "none", "--name", "box", "busybox",
                            "busybox", "sleep", "100000"], env=env, check=True,
                           stdout=subprocess.DEVNULL)
        clients = {"coffer, its own client": (f"{programs}/coffer", ours),
                   "coffer, docker CLI": ("docker", ours), "dockerd, docker CLI": ("docker", theirs)}
        actions = {"in": ["cp", f"{folder}/big", "box:/big"],
                   "out": ["cp", "box:/big", f"{folder}/out"],
                   "to stdout": ["cp", "box:/big", "-"],
                   "export": ["export", "box"],
                   "commit": ["commit", "box", "made"]}
        for name, action in actions.items():
            times = {client: [] for client in clients}
            for _ in range(args.rounds):
                for client, (program, env) in clients.items():
                    os.sync()
                    times[client].append(timed([program, *action], env))
                    if os.path.exists(f"{folder}/out"):
                        os.unlink(f"{folder}/out")
            for client, values in times.items():
                median = statistics.median(values)
                print(f"{name:10} {client:24} {args.size / median:7.0f} MB/s  "
                      f"(median of {len(values)}: {median:.2f} s)", flush=True)
        for env in (ours, theirs):
            subprocess.run(["docker", "rm", "-f", "box"], env=env, check=True,
                           stdout=subprocess.DEVNULL)
    finally:
        for process in processes:
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
