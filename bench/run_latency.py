#!/usr/bin/python3
"""run --rm of busybox true: cofferd beside dockerd and podman, in turn, in one run.

    sudo bench/run_latency.py [--build build/release] [--rounds 15]

Medians and ratios. dockerd runs in network and mount namespaces of its own with private roots; the
docker CLI is the client of both engines. Needs docker.io, podman and busybox-static.
"""
import argparse
import statistics
import subprocess

from engines import Engines, timed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    with Engines(args.build) as engines:
        podman = ["podman", "--root", f"{engines.folder}/podman", "--runroot",
                  f"{engines.folder}/podman-run", "--runtime", "runc", "--cgroup-manager",
                  "cgroupfs"]
        subprocess.run(podman + ["import", "-q", engines.tar, "localhost/busybox:latest"],
                       env=engines.plain, check=True, stdout=subprocess.DEVNULL)
        run = ["run", "--rm", "busybox", "true"]
        cases = {
            "coffer, its own client": ([f"{engines.programs}/coffer"] + run, engines.ours),
            "coffer, docker CLI": (["docker"] + run, engines.ours),
            "dockerd and runc, docker CLI": (["docker"] + run, engines.theirs),
            "podman and runc": (podman + ["run", "--rm", "--ulimit", "nofile=1024:1024", "--ulimit",
                                          "nproc=1024:1024", "--network", "none",
                                          "localhost/busybox", "true"], engines.plain),
        }
        times = {name: [] for name in cases}
        for _ in range(args.rounds):
            for name, (command, env) in cases.items():
                times[name].append(timed(command, env) * 1000)
        reference = statistics.median(times["dockerd and runc, docker CLI"])
        for name, values in times.items():
            median = statistics.median(values)
            print(f"{name:32} median {median:7.1f} ms  min {min(values):7.1f} ms  "
                  f"1/{reference / median:.1f} of dockerd")
        with open(f"/proc/{engines.processes[0].pid}/status") as status:
            print("cofferd", next(line for line in status if line.startswith("VmRSS")).strip())


if __name__ == "__main__":
    main()
