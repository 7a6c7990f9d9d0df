#!/usr/bin/python3
"""Throughput of attached streams: SIZE MiB through `docker run -i IMAGE cat`, at each engine.

    bench/attach.py [--mib 1024] [--runs 3] [--log-driver none] --image IMAGE unix:///run/coffer.sock [OTHER_SOCKET ...]

The engines take turns. Prints the time of each run and the median rate.
"""
import argparse
import statistics
import subprocess
import time


def once(host, image, mib, driver):
    feed = subprocess.Popen(["head", "-c", str(mib << 20), "/dev/zero"], stdout=subprocess.PIPE)
    started = time.monotonic()
    run = subprocess.run(["docker", "-H", host, "run", "-i", "--rm", "--network", "none",
                          "--log-driver", driver, image, "cat"], stdin=feed.stdout,
                         stdout=subprocess.DEVNULL)
    feed.stdout.close()
    if run.returncode or feed.wait():
        raise SystemExit(f"{host}: status {run.returncode}")
    return time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--image", required=True)
    parser.add_argument("--log-driver", default="none")
    parser.add_argument("hosts", nargs="+")
    args = parser.parse_args()
    times = {host: [] for host in args.hosts}
    for _ in range(args.runs):
        for host in args.hosts:
            times[host].append(once(host, args.image, args.mib, args.log_driver))
    for host, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{host}: {' '.join(f'{s:.2f}' for s in seconds)} s, "
              f"median {args.mib / middle:.0f} MiB/s")


if __name__ == "__main__":
    main()
