"""coffer system prune beside docker's."""
import re
import subprocess
import unittest

from support.engine import BIN, DOCKER, Engine


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


class SystemPrune(unittest.TestCase):
    maxDiff = None

    def litter(self):
        engine.docker("create", "--name", "stopped", "-v", "/data", "busybox")
        engine.docker("network", "create", "unused")
        engine.docker("volume", "create", "kept")
        engine.docker("volume", "create")
        engine.docker("commit", "stopped")

    def prune(self, program, *args, answer=""):
        """What it says, with ids by their kind alone."""
        run = subprocess.run([program, "-H", f"unix://{engine.socket}", "system", "prune", *args],
                             input=answer, capture_output=True, text=True, timeout=120)
        text = re.sub(r"\b[0-9a-f]{64}\b", "ID", run.stdout)
        # Neither engine has a builder here; docker's client asks all the same.
        text = re.sub("  - (unused|all) build cache\n", "", text)
        return run.returncode, text, run.stderr

    def test_same_as_docker(self):
        for args, answer in ((["-f"], ""), (["--volumes"], "y\n"), (["-a"], "n\n"),
                             (["--filter", "label=x"], "y\n"), (["-f"], "")):
            with self.subTest(args=args):
                told = []
                for program in (DOCKER, BIN / "coffer"):
                    engine.docker("rm", "stopped", check=False)
                    engine.docker("network", "rm", "unused", check=False)
                    engine.docker("volume", "prune", "-f")
                    engine.docker("image", "prune", "-f")
                    self.litter()
                    told.append(self.prune(program, *args, answer=answer))
                self.assertEqual(told[0], told[1])

    def test_what_goes(self):
        self.litter()
        status, text, _ = self.prune(BIN / "coffer", "-f", "--volumes")
        self.assertEqual(status, 0)
        self.assertIn("Deleted Networks:\nunused\n\n", text)
        self.assertEqual(engine.json("GET", "/containers/json?all=1"), [])
        self.assertEqual([one["Name"] for one in engine.json("GET", "/volumes")["Volumes"]], ["kept"])
        self.assertEqual(engine.docker("images", "-q", "--filter", "dangling=true").stdout, "")
        self.assertEqual(self.prune(BIN / "coffer", "-f", "--volumes", "--filter", "until=1h")[2],
                         'ERROR: The "until" filter is not supported with "--volumes"\n')


if __name__ == "__main__":
    unittest.main()
