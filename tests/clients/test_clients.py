"""The same scenarios through the same clients against cofferd and against Debian's dockerd: what
the clients see is the same but for what docs/compatibility.md lists, and all of that list is still
true."""
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

import transcript
from support.engine import DOCKER, Engine
from support.peers import UNPACKED, Dockerd
from support.registry import busybox_rootfs

HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE.parents[1] / "docs/compatibility.md"
NODE_MODULES = UNPACKED.parent / "node/node_modules"
COMMANDS = {
    "cli": [sys.executable, HERE / "cli_scenario.py"],
    "docker-py": [sys.executable, HERE / "docker_py_scenario.py", "{host}"],
    "dockerode": ["node", HERE / "dockerode_scenario.js", "{socket}"],
    "compose": [sys.executable, HERE / "compose_scenario.py"],
}
# What tools/install-deps.sh --test could not get is all that may be missing.
NEEDS = {"dockerode": NODE_MODULES / "dockerode"}


class OwnDockerd(Dockerd):
    """As users have it: a bridge, firewall rules, its own runtime."""

    def command(self):
        flags = [flag for flag in super().command() if flag != "--iptables=false"]
        at = flags.index("--bridge")
        return flags[:at] + flags[at + 2:]

    def load_image(self):
        self.socket = self.dir / "sock"
        (self.dir / "rootfs.tar").write_bytes(busybox_rootfs())
        self.client("import", "-c", "ENV PATH=/bin", self.dir / "rootfs.tar", "busybox")


def listed(client):
    """The patterns of a client's differences in the tables of the document."""
    rows = re.findall(r"^\| `([a-z-]+) ([^`]+)` \| .+ \|$", LIST.read_text(), re.MULTILINE)
    return [pattern for name, pattern in rows if name == client]


def matches(key, pattern):
    """Only * is special in a pattern: the paths have brackets of their own."""
    return fnmatch.fnmatchcase(key, pattern.replace("[", "[[]").replace("?", "[?]"))


def play(clients, address):
    """What each client saw of the engine at the socket `address`."""
    env = dict(os.environ, DOCKER_HOST=f"unix://{address}", DOCKER_API_VERSION="1.41",
               DOCKER_CLI=DOCKER, DOCKER_CONFIG="/nonexistent", NODE_PATH=str(NODE_MODULES))
    seen = {}
    for client in clients:
        words = [str(word).format(host=f"unix://{address}", socket=address)
                 for word in COMMANDS[client]]
        run = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, timeout=120)
        if run.returncode != 0:
            raise AssertionError(f"{client} against {address}:\n{run.stderr[-4000:]}")
        seen[client] = json.loads(run.stdout)
    return seen


class Clients(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        clients = [name for name in COMMANDS if name not in NEEDS or NEEDS[name].exists()]
        engine = Engine("--security-level", "compat")
        try:
            engine.docker("import", "-c", "ENV PATH=/bin", "-", "busybox", input=busybox_rootfs())
            cls.ours = play(clients, engine.socket)
        finally:
            engine.close()
        peer = OwnDockerd()
        try:
            cls.theirs = play(clients, peer.socket)
        finally:
            peer.close()

    def compare(self, client, step, seen):
        """That both engines were seen alike but for what is listed, and that one step, of which we
        know what it must be, is so."""
        if client not in self.ours:
            self.skipTest(f"{NEEDS[client]} is missing: tools/install-deps.sh --test installs it")
        self.assertEqual(dict(self.ours[client])[step], seen)
        found = transcript.differences(self.ours[client], self.theirs[client])
        patterns = listed(client)
        unlisted = [f"{key}: ours {ours}, docker's {theirs}"
                    for key, (ours, theirs) in found.items()
                    if not any(matches(key, pattern) for pattern in patterns)]
        self.assertEqual(unlisted, [], "differences that are not listed")
        stale = [pattern for pattern in patterns
                 if not any(matches(key, pattern) for key in found)]
        self.assertEqual(stale, [], "listed differences that are not there")

    def test_cli(self):
        self.compare("cli", "run-echo", {"status": 0, "stdout": "hi\n", "stderr": ""})

    def test_docker_py(self):
        self.compare("docker-py", "run", "hi\n")

    def test_dockerode(self):
        self.compare("dockerode", "attach", "got words\n")

    def test_compose(self):
        steps = dict(self.ours["compose"])
        for step in ("by-alias", "by-project", "run"):
            self.assertEqual(steps[step]["stdout"], "data\n", step)
        self.compare("compose", "by-name", {"status": 0, "stdout": "data\n", "stderr": []})


if __name__ == "__main__":
    unittest.main()
