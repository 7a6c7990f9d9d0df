"""Two engines side by side: own roots, sockets, bridges and addresses; neither sees the other."""
import subprocess
import unittest

from support.engine import Engine
from support.registry import busybox_rootfs


class TwoEngines(unittest.TestCase):
    def setUp(self):
        self.engines = []
        for number in (1, 2):
            engine = Engine("--bridge", f"cftwo{number}")
            self.addCleanup(engine.close)
            self.engines.append(engine)
            engine.docker("import", "-c", "ENV PATH=/bin", "-", "busybox", input=busybox_rootfs())

    def address(self, engine, name):
        return engine.json("GET", f"/containers/{name}/json")["NetworkSettings"]["Networks"][
            "bridge"]["IPAddress"]

    def test_same_names_and_ports_of_their_own(self):
        for engine, port in zip(self.engines, (28081, 28082)):
            engine.docker("run", "-d", "--name", "web", "-p", f"{port}:80", "busybox", "sh", "-c",
                          f"while :; do echo {port} | nc -l -p 80; done")
        one, two = self.engines
        self.assertNotEqual(self.address(one, "web"), self.address(two, "web"))
        for port in (28081, 28082):
            answer = subprocess.run(
                ["bash", "-c", f"for i in $(seq 50); do exec 3<>/dev/tcp/127.0.0.1/{port} && "
                               "cat <&3 && exit; sleep 0.1; done"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=20)
            self.assertEqual(answer.stdout, f"{port}\n")

    def test_the_end_of_one_is_nothing_to_the_other(self):
        one, two = self.engines
        for engine in self.engines:
            engine.docker("run", "-d", "--name", "stays", "busybox", "sleep", "100")
        one.docker("rm", "-f", "stays")
        one.stop()
        self.assertEqual(two.docker("exec", "stays", "echo", "here").stdout, "here\n")
        one.start()
        self.assertEqual(one.json("GET", "/containers/json?all=1"), [])
        self.assertEqual(len(two.json("GET", "/containers/json")), 1)


if __name__ == "__main__":
    unittest.main()
