#!/usr/bin/python3
"""Throughput of attached streams: SIZE MiB through `docker run -i busybox cat`, at cofferd and dockerd.

    sudo bench/attach.py [--mib 1024] [--runs 3] [--log-driver none] [BUILD]        default: build/release

The engines take turns. Prints the time of each run, and the median rate.
"""
import argparse
import pathlib
import statistics
import subprocess
import time

from engines import Engines

HERE = pathlib.Path(__file__).resolve().parent


def once(env, mib, driver):
    feed = subprocess.Popen(["head", "-c", str(mib << 20), "/dev/zero"], stdout=subprocess.PIPE)
    started = time.monotonic()
    run = subprocess.run(["docker", "run", "-i", "--rm", "--network", "none", "--log-driver", driver,
                          "busybox", "cat"], stdin=feed.stdout, stdout=subprocess.DEVNULL, env=env)
    feed.stdout.close()
    if run.returncode or feed.wait():
        raise SystemExit(f"{env['DOCKER_HOST']}: status {run.returncode}")
    return time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--log-driver", default="none")
    parser.add_argument("build", nargs="?", default=HERE.parent / "build/release")
    args = parser.parse_args()
    with Engines(str(args.build)) as engines:
        times = {"cofferd": [], "dockerd": []}
        for _ in range(args.runs):
            for name, env in (("cofferd", engines.ours), ("dockerd", engines.theirs)):
                times[name].append(once(env, args.mib, args.log_driver))
    for name, seconds in times.items():
        print(f"{name:8}  {' '.join(f'{one:6.2f}' for one in seconds)} s  "
              f"{args.mib / statistics.median(seconds):7.0f} MiB/s")


if __name__ == "__main__":
    main()
