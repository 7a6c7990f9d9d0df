#!/usr/bin/python3
"""run --rm of busybox true: cofferd beside dockerd and podman, in turn, in one run.

    sudo bench/run_latency.py [--build build/release] [--rounds 15]

Medians and ratios. dockerd runs in network and mount namespaces of its own with private roots; the
docker CLI is the client of both engines. Needs docker.io, podman and busybox-static.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time

BUSYBOX = "/bin/busybox"


def wait_for(path):
    for _ in range(300):
        if os.path.exists(path):
            return
        time.sleep(0.1)
    raise SystemExit(f"{path} did not appear")


def rootfs_tar(folder):
    root = os.path.join(folder, "rootfs")
    os.makedirs(os.path.join(root, "bin"))
    shutil.copy(BUSYBOX, os.path.join(root, "bin/busybox"))
    for name in ("true", "sh"):
        os.symlink("busybox", os.path.join(root, "bin", name))
    path = os.path.join(folder, "rootfs.tar")
    subprocess.run(["tar", "-C", root, "-cf", path, "."], check=True)
    return path


def timed(command, env):
    start = time.monotonic()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - start) * 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    programs = os.path.join(args.build, "bin")
    folder = tempfile.mkdtemp(prefix="coffer-bench-")
    plain = {"PATH": os.environ["PATH"], "HOME": folder}
    ours = dict(plain, DOCKER_HOST=f"unix://{folder}/coffer.sock")
    theirs = dict(plain, DOCKER_HOST=f"unix://{folder}/docker.sock")
    podman = ["podman", "--root", f"{folder}/podman", "--runroot", f"{folder}/podman-run",
              "--runtime", "runc", "--cgroup-manager", "cgroupfs"]
    processes = []
    try:
        tar = rootfs_tar(folder)
        with open(f"{folder}/coffer.log", "w") as log:
            processes.append(subprocess.Popen(
                [f"{programs}/cofferd", "--data-root", f"{folder}/coffer", "--exec-root",
                 f"{folder}/coffer-run", "-H", f"unix://{folder}/coffer.sock", "--bridge",
                 "cofbench0"], stderr=log))
        with open(f"{folder}/docker.log", "w") as log:
            processes.append(subprocess.Popen(
                ["unshare", "-n", "-m", "dockerd", "--data-root", f"{folder}/docker",
                 "--exec-root", f"{folder}/docker-run", "-H", f"unix://{folder}/docker.sock",
                 "--pidfile", f"{folder}/docker.pid"], stderr=log, stdout=log))
        wait_for(f"{folder}/coffer.sock")
        wait_for(f"{folder}/docker.sock")
        for env in (ours, theirs):
            subprocess.run(["docker", "import", tar, "busybox:latest"], env=env, check=True,
                           stdout=subprocess.DEVNULL)
        subprocess.run(podman + ["import", "-q", tar, "localhost/busybox:latest"], env=plain,
                       check=True, stdout=subprocess.DEVNULL)
        run = ["run", "--rm", "busybox", "true"]
        cases = {
            "coffer, its own client": ([f"{programs}/coffer"] + run, ours),
            "coffer, docker CLI": (["docker"] + run, ours),
            "dockerd and runc, docker CLI": (["docker"] + run, theirs),
            "podman and runc": (podman + ["run", "--rm", "--ulimit", "nofile=1024:1024", "--ulimit",
                                          "nproc=1024:1024", "--network", "none",
                                          "localhost/busybox", "true"], plain),
        }
        times = {name: [] for name in cases}
        for _ in range(args.rounds):
            for name, (command, env) in cases.items():
                times[name].append(timed(command, env))
        reference = statistics.median(times["dockerd and runc, docker CLI"])
        for name, values in times.items():
            median = statistics.median(values)
            print(f"{name:32} median {median:7.1f} ms  min {min(values):7.1f} ms  "
                  f"1/{reference / median:.1f} of dockerd")
        with open(f"/proc/{processes[0].pid}/status") as status:
            print("cofferd", next(line for line in status if line.startswith("VmRSS")).strip())
    finally:
        for process in processes:
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
