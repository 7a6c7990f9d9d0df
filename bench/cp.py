#!/usr/bin/python3
"""docker cp of 1 GB into a running container and out of it, and commit of it: cofferd beside
dockerd, in turn, in one run.

    sudo bench/cp.py [--build build/release] [--size 1000] [--rounds 3]

Medians in MB/s. dockerd runs in network and mount namespaces of its own with private roots; the
docker CLI is the client of both engines, coffer of its own besides. Needs docker.io and
busybox-static.
"""
import argparse
import os
import statistics

from engines import Engines, timed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--size", type=int, default=1000, help="megabytes")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with Engines(args.build) as engines:
        folder, ours, theirs = engines.folder, engines.ours, engines.theirs
        with open(f"{folder}/big", "wb") as big:
            for _ in range(args.size):
                big.write(os.urandom(1_000_000))
        for env in (ours, theirs):
            engines.docker(env, "run", "-d", "--network", "none", "--name", "box", "busybox",
                           "busybox", "sleep", "100000")
        clients = {"coffer, its own client": (f"{engines.programs}/coffer", ours),
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
            engines.docker(env, "rm", "-f", "box")


if __name__ == "__main__":
    main()
