#!/usr/bin/python3
"""What the network of a container costs: throughput, and the commands that change networks.

    sudo bench/network.py [--runs 3] [--seconds 3] [BUILD]        default: build/release

Each engine has a network namespace of its own, with a client behind a link as the LAN. Throughput is
TCP by iperf3, one stream, in turn: a container to the host, a container to another, the LAN to a
published port, and the host to that port through loopback. Then medians of `docker network create`,
`connect` to a running container, `disconnect`, and `rm`. Needs iperf3 and docker.io.
"""
import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import time

from engines import Engines, enter_namespaces, timed

HERE = pathlib.Path(__file__).resolve().parent
# The programs of this machine and a place for their files, which the image lacks.
TOOLS = [f"-v={where}:{there}:ro" for where, there in
         (("/usr", "/usr"), ("/usr/lib", "/lib"), ("/usr/lib64", "/lib64"))] + ["--tmpfs=/tmp"]


class Side:
    """An engine in its network namespace, seen by its clients."""

    def __init__(self, name, env, inside):
        self.name, self.env = name, env
        self.inside = inside  # what goes before a command that runs beside the engine
        self.processes = []

    def docker(self, *args):
        return subprocess.run(["docker", *args], env=self.env, check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()

    def start(self, *command, stdout=subprocess.DEVNULL):
        process = subprocess.Popen(command, stdout=stdout)
        self.processes.append(process)
        return process

    def prepare(self):
        lan = self.start("unshare", "--net", "sh", "-c", "echo; exec sleep infinity",
                         stdout=subprocess.PIPE)
        lan.stdout.readline()  # it is in its namespace
        self.lan = ["nsenter", f"--net=/proc/{lan.pid}/ns/net"]
        for command in (["ip", "link", "set", "lo", "up"],
                        ["ip", "link", "add", "lan", "type", "veth", "peer", "wan", "netns",
                         str(lan.pid)],
                        ["ip", "addr", "add", "10.99.0.1/24", "dev", "lan"],
                        ["ip", "link", "set", "lan", "up"]):
            subprocess.run([*self.inside, *command], check=True)
        for command in (["ip", "addr", "add", "10.99.0.2/24", "dev", "wan"],
                        ["ip", "link", "set", "wan", "up"]):
            subprocess.run([*self.lan, *command], check=True)
        self.start(*self.inside, "iperf3", "-s")
        self.docker("network", "create", "bench")
        common = ("run", "-d", "--network", "bench", *TOOLS)
        self.docker(*common, "--name", "server", "-p", "0.0.0.0:15201:5201", "busybox",
                    "/usr/bin/iperf3", "-s")
        self.docker(*common, "-i", "--name", "client", "busybox", "cat")
        network = json.loads(self.docker("network", "inspect", "bench"))[0]
        self.gateway = network["IPAM"]["Config"][0]["Gateway"]
        client = self.docker("inspect", "-f", "{{.State.Pid}}", "client")
        self.container = ["nsenter", f"--net=/proc/{client}/ns/net"]
        server = json.loads(self.docker("inspect", "server"))[0]
        self.server = server["NetworkSettings"]["Networks"]["bench"]["IPAddress"]

    def paths(self):
        return {"container to host": (self.container, self.gateway, 5201),
                "container to container": (self.container, self.server, 5201),
                "LAN to published port": (self.lan, "10.99.0.1", 15201),
                "host to published port": (self.inside, "127.0.0.1", 15201)}

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


def throughput(where, address, port, seconds):
    """Gbit/s that arrive."""
    told = subprocess.run([*where, "iperf3", "-J", "-c", address, "-p", str(port), "-t",
                           str(seconds)], stdout=subprocess.PIPE, text=True).stdout
    result = json.loads(told)
    if "error" in result:
        raise SystemExit(f"iperf3 to {address} port {port}: {result['error']}")
    return result["end"]["sum_received"]["bits_per_second"] / 1e9


def commands(side):
    """Milliseconds of each command."""
    return {what: 1000 * timed(["docker", "network", *args], side.env) for what, args in (
        ("network create", ("create", "more")),
        ("network connect", ("connect", "more", "client")),
        ("network disconnect", ("disconnect", "more", "client")),
        ("network rm", ("rm", "more")))}


def measure(args, peer, flags):
    with contextlib.ExitStack() as stack:
        engines = stack.enter_context(Engines(str(args.build), dockerd_flags=flags))
        dockerd = engines.processes[1].pid
        sides = [Side("cofferd", engines.ours, []),
                 Side(peer, engines.theirs, ["nsenter", f"--net=/proc/{dockerd}/ns/net"])]
        figures = {}
        for side in sides:
            stack.callback(side.close)
            side.prepare()
        time.sleep(1)
        for _ in range(args.runs):
            for side in sides:
                for path, route in side.paths().items():
                    figures.setdefault((path, "Gbit/s"), {}).setdefault(side.name, []).append(
                        throughput(*route, args.seconds))
                for what, taken in commands(side).items():
                    figures.setdefault((what, "ms"), {}).setdefault(side.name, []).append(taken)
        for side in sides:
            for name in ("server", "client"):
                side.docker("rm", "-f", name)
    for (what, unit), by_engine in figures.items():
        ours, theirs = (statistics.median(by_engine[side.name]) for side in sides)
        print(f"{what:24} cofferd {ours:8.1f} {unit:7} {peer} {theirs:8.1f} {unit:7}"
              f" ratio {ours / theirs:.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("build", nargs="?", default=HERE.parent / "build/release")
    args = parser.parse_args()
    enter_namespaces()
    measure(args, "dockerd", [])
    measure(args, "dockerd without proxy", ["--userland-proxy=false"])


if __name__ == "__main__":
    main()
