#!/usr/bin/python3
"""What published ports cost: a container with one port and one with a range of them.

    sudo bench/ports.py [--ports 10001] [--shift 0] [--runs 5] [--peer off|on|none] [BUILD]   default: build/release

`--peer on` is dockerd with its process a port, `off` with --userland-proxy=false. The engines take
turns. For each: median time of `docker run -d` with one port, with the range, and of `docker rm -f`
of the latter; and by how much the memory of the engine and its proxies has grown when the last is
there.
"""
import argparse
import glob
import pathlib
import statistics
import subprocess
import time

from engines import Engines, timed

HERE = pathlib.Path(__file__).resolve().parent


def milliseconds(env, *args):
    return 1000 * timed(["docker", *args], env)


def memory_of(root):
    """Private memory in MB of a process and of all below it, without shims."""
    parents, total = {}, 0
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            pid, rest = pathlib.Path(path).read_text().split(" (", 1)
            parents[int(pid)] = int(rest.rsplit(")", 1)[1].split()[1])
        except OSError:
            pass
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    for pid in family:
        try:
            name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            if pid != root and name not in ("docker-proxy", "dockerd"):
                continue
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))
    return total / 1024


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--ports", type=int, default=10001)
    parser.add_argument("--shift", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", choices=("off", "on", "none"), default="off")
    parser.add_argument("build", nargs="?", default=HERE.parent / "build/release")
    args = parser.parse_args()
    first, last = 10000, 10000 + args.ports - 1
    spec = f"{first + args.shift}-{last + args.shift}:{first}-{last}/udp"
    run = ("run", "-d", "-i", "--name", "one", "-p")
    command = ("busybox", "cat")
    flags = ["--userland-proxy=false"] if args.peer == "off" else []
    with Engines(str(args.build), dockerd_flags=flags) as engines:
        names = {"cofferd": engines.ours}
        if args.peer != "none":
            names["dockerd"] = engines.theirs
        results = {name: ([], [], []) for name in names}
        grown = {}
        for name, env in names.items():
            process = engines.processes[list(names).index(name)]
            milliseconds(env, *run, "9000:80/udp", *command)
            milliseconds(env, "rm", "-f", "one")
            before = memory_of(process.pid)
            for turn in range(args.runs):
                one, many, gone = results[name]
                one.append(milliseconds(env, *run, "9000:80/udp", *command))
                milliseconds(env, "rm", "-f", "one")
                many.append(milliseconds(env, *run, spec, *command))
                if turn == args.runs - 1:
                    time.sleep(2)
                    grown[name] = memory_of(process.pid) - before
                gone.append(milliseconds(env, "rm", "-f", "one"))
    for name, (one, many, gone) in results.items():
        one, many, gone = (statistics.median(values) for values in (one, many, gone))
        print(f"{name:8} one port {one:7.0f} ms  {args.ports} ports {many:8.0f} ms ({many - one:+.0f})  "
              f"rm {gone:8.0f} ms  memory {grown[name]:+.1f} MB")


if __name__ == "__main__":
    main()
