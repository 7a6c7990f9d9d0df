#!/usr/bin/python3
"""Whether what is there makes what comes slower: networks, and containers on them, one by one.

    sudo bench/growth.py [--count 500] [BUILD]        default: build/release

Creates that many networks, starts a container on each, and removes all again. Prints the median of
every tenth as a bar, and the ratio of the last to the first.
"""
import argparse
import pathlib
import statistics

from engines import Engines, enter_namespaces, timed

HERE = pathlib.Path(__file__).resolve().parent
WIDTH = 50


def plot(what, seconds):
    size = max(1, len(seconds) // 10)
    tenths = [statistics.median(seconds[at:at + size]) for at in range(0, size * 10, size)
              if seconds[at:at + size]]
    print(f"{what}: last tenth / first {tenths[-1] / tenths[0]:.2f}")
    for n, value in enumerate(tenths):
        print(f"  {n * size + 1:5}- {1000 * value:7.1f} ms "
              f"{'#' * max(1, round(WIDTH * value / max(tenths)))}", flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("build", nargs="?", default=HERE.parent / "build/release")
    args = parser.parse_args()
    enter_namespaces()
    with Engines(str(args.build), peer=False) as engines:
        def each(*command):
            return [timed(["docker", *(word.format(n) for word in command)], engines.ours)
                    for n in range(args.count)]
        plot("network create", each("network", "create", "n{}"))
        plot("run", each("run", "-d", "-i", "--network", "n{}", "--name", "c{}", "busybox", "cat"))
        plot("rm -f", each("rm", "-f", "c{}"))
        plot("network rm", each("network", "rm", "n{}"))


if __name__ == "__main__":
    main()
