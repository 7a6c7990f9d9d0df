#!/usr/bin/python3
"""Many containers that sleep: cofferd beside dockerd, one after the other, in one run.

    sudo bench/density.py [--build build/release] [--containers 300] [--clients 4] [--network none]

Prints, with the ratios: the time to create and start them all over as many connections as there are
clients; the memory (PSS) of the engine and all that it keeps running besides the containers; the
time of `docker ps`, of `coffer ps` beside it, and of the API call under both, medians of 5; and for
cofferd, killed and started again: the time until the API answers, and until all containers are
listed as running, their logs whole. Needs docker.io and busybox-static.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import time

from engines import Engines, timed


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None, wanted=200):
        self.request(method, "/v1.41" + path, json.dumps(body) if body else None,
                     {"Content-Type": "application/json"})
        reply = self.getresponse()
        text = reply.read()
        if reply.status != wanted:
            raise SystemExit(f"{method} {path}: {reply.status} {text.decode()}")
        return text


def for_all(path, count, clients, act):
    """act(connection, number) for each container; the seconds."""
    def some(first):
        connection = Connection(path)
        for n in range(first, count, clients):
            act(connection, n)
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        list(pool.map(some, range(clients)))
    return time.monotonic() - begun


def start(connection, n, network):
    connection.ask("POST", f"/containers/create?name=c{n}", {
        "Image": "busybox", "Cmd": ["sh", "-c", f"echo {n}; exec sleep 100000"],
        "HostConfig": {"NetworkMode": network}}, 201)
    connection.ask("POST", f"/containers/c{n}/start", None, 204)


def remove(connection, n):
    connection.ask("DELETE", f"/containers/c{n}?force=1", None, 204)


def memory_of(engine, folder):
    """PSS in MiB of an engine, and of what it keeps running: its children, and who is told a path
    below its folder."""
    total = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if (parent == engine or int(process.name) == engine or
                    os.fsencode(folder) in (process / "cmdline").read_bytes()):
                rollup = (process / "smaps_rollup").read_text()
                total += int(rollup.split("Pss:")[1].split()[0])
        except (OSError, IndexError):
            continue
    return total / 1024


def timed_list(path):
    connection = Connection(path)
    connection.connect()
    begun = time.monotonic()
    connection.ask("GET", "/containers/json")
    return time.monotonic() - begun


def restart(engines, count):
    """Seconds until the API answers, and until all are running."""
    engine = engines.processes[0]
    path = engines.ours["DOCKER_HOST"].removeprefix("unix://")
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    os.unlink(path)
    begun = time.monotonic()
    engines.processes[0] = subprocess.Popen(engine.args, stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL)
    answers = None
    while time.monotonic() - begun < 60:
        try:
            listed = json.loads(Connection(path).ask("GET", "/containers/json"))
        except OSError:
            time.sleep(0.002)
            continue
        answers = answers or time.monotonic() - begun
        if len(listed) == count:
            break
    running = time.monotonic() - begun
    for n in range(count):
        log = Connection(path).ask("GET", f"/containers/c{n}/logs?stdout=1")[8:].decode()
        if log != f"{n}\n":
            raise SystemExit(f"log of container {n}: {log!r}")
    return answers, running, len(listed)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--containers", type=int, default=300)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--network", default="bridge")
    args = parser.parse_args()
    figures = {}
    with Engines(args.build) as engines:
        for n, (who, env) in enumerate((("ours", engines.ours), ("theirs", engines.theirs))):
            path = env["DOCKER_HOST"].removeprefix("unix://")
            started = for_all(path, args.containers, args.clients,
                              lambda connection, n: start(connection, n, args.network))
            listing = statistics.median(timed(["docker", "ps"], env) for _ in range(5))
            client = f"{engines.programs}/coffer" if who == "ours" else "docker"
            own = statistics.median(timed([client, "ps"], env) for _ in range(5))
            asking = statistics.median(timed_list(path) for _ in range(5))
            figures[who] = {"start all, s": started,
                            "memory, MiB": memory_of(engines.processes[n].pid,
                                                     path.removesuffix(".sock")),
                            "docker ps, s": listing, "ps of its client, s": own,
                            "list by API, s": asking}
            if who == "ours":
                answers, running, count = restart(engines, args.containers)
            figures[who]["remove all, s"] = for_all(path, args.containers, args.clients, remove)
    print(f"{args.containers} containers{'':12} cofferd     dockerd")
    for name, ours in figures["ours"].items():
        theirs = figures["theirs"][name]
        print(f"{name:24} {ours:10.3f}  {theirs:10.3f}   1/{theirs / ours:.1f}")
    print(f"cofferd again: the API answers after {answers * 1000:.0f} ms, {count} run after "
          f"{running * 1000:.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
