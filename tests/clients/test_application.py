"""A real application of three tiers: docker-compose gives the same with cofferd as with dockerd."""
import json
import os
import subprocess
import sys
import unittest

from support import debian
from support.engine import DOCKER, Engine
from test_clients import HERE, OwnDockerd


class DebianDockerd(OwnDockerd):
    def load_image(self):
        self.socket = self.dir / "sock"
        self.client("import", debian.root_archive(), "debian")


def play(socket):
    env = dict(os.environ, DOCKER_HOST=f"unix://{socket}", DOCKER_CONFIG="/nonexistent",
               DOCKER_CLI=DOCKER)
    run = subprocess.run([sys.executable, HERE / "application_scenario.py"], env=env, timeout=600,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
    if run.returncode != 0 or not run.stdout:
        raise AssertionError(f"against {socket}:\n{run.stderr[-4000:]}")
    return [tuple(step) for step in json.loads(run.stdout)], run.stderr


class Application(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if not debian.root_archive().exists():
            raise unittest.SkipTest("no mirror of Debian was in reach")
        engine = Engine()
        try:
            engine.docker("import", debian.root_archive(), "debian")
            cls.ours, cls.said = play(engine.socket)
        finally:
            engine.close()
        peer = DebianDockerd()
        try:
            cls.theirs, _ = play(peer.socket)
        finally:
            peer.close()

    def test_works(self):
        seen = dict(self.ours)
        self.assertEqual([step for step, what in self.ours
                          if isinstance(what, dict) and what["status"] != 0], [], self.said)
        for step, what in (("first visits", 0), ("visits", 3), ("scaled", 3),
                           ("addresses of app", 3), ("scaled back", 1),
                           ("visits after restart", 3), ("visits after the kill", 4),
                           ("down", None), ("visits kept", 4), ("visits gone", 0)):
            self.assertEqual(seen[step], what, step)
        self.assertEqual(seen["database is not reached from the web"]["stdout"], "none\n")
        self.assertEqual(seen["after"]["stdout"], "")

    def test_as_with_docker(self):
        self.assertEqual(self.ours, self.theirs)


if __name__ == "__main__":
    unittest.main()
