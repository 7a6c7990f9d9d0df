"""The engine's socket in a container: it may ask for containers, but for no part of the host."""
import os
import subprocess
import unittest

from support.engine import DOCKER, Engine


class SocketInContainer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = Engine()
        cls.engine.import_busybox()
        cls.given = ["run", "--rm", "-v", f"{cls.engine.socket}:/var/run/docker.sock", "-v",
                     f"{DOCKER}:/bin/docker:ro", "busybox", "docker"]

    @classmethod
    def tearDownClass(cls):
        cls.engine.close()

    def inside(self, *args):
        return self.engine.docker(*self.given, *args, check=False)

    def test_containers_are_made_and_removed(self):
        self.assertEqual(self.inside("run", "--rm", "busybox", "echo", "hi").stdout, "hi\n")
        self.engine.docker("run", "-d", "--name", "left", "busybox", "sleep", "1000")
        self.assertIn("left", self.inside("ps", "--format", "{{.Names}}").stdout)
        self.assertEqual(self.inside("rm", "-f", "left").stdout, "left\n")

    def test_no_part_of_the_host(self):
        for flags in (["--network", "host"], ["--pid", "host"], ["--device", "/dev/null"]):
            with self.subTest(flags=flags):
                refused = self.inside("run", "--rm", *flags, "busybox", "true")
                self.assertEqual(refused.returncode, 125)
                self.assertRegex(refused.stderr, "of the host need root|host's .* needs? root")
        for command in (["cat", "/h/shadow"], ["touch", "/h/made"]):
            with self.subTest(command=command):
                refused = self.inside("run", "--rm", "-v", "/etc:/h", "busybox", *command)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("Permission denied", refused.stderr)
        # Nor is a second container given the socket.
        handed_on = self.inside("run", "--rm", "-v", f"{self.engine.socket}:/var/run/docker.sock",
                                "-v", f"{DOCKER}:/bin/docker:ro", "busybox", "docker", "ps")
        self.assertIn("permission denied", handed_on.stderr)

    def test_who_is_not_root_cannot_give_it(self):
        group = 1000
        os.chown(self.engine.socket, 0, group)
        for folder in (self.engine.dir, self.engine.dir.parent):
            folder.chmod(folder.stat().st_mode | 0o055)
        self.addCleanup(os.chown, self.engine.socket, 0, 0)
        user = ["setpriv", "--reuid", "1000", "--regid", str(group), "--clear-groups", DOCKER]
        env = {**os.environ, "DOCKER_HOST": f"unix://{self.engine.socket}",
               "DOCKER_CONFIG": "/nonexistent"}
        for args, status in ((["ps"], 0), ([*self.given, "ps"], 1)):
            run = subprocess.run([*user, *args], env=env, capture_output=True, text=True,
                                 timeout=60)
            self.assertEqual(run.returncode, status, run.stderr)
        self.assertIn("permission denied", run.stderr)


if __name__ == "__main__":
    unittest.main()
