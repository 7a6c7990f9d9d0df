"""AppArmor profiles that are really in force; that they are refused where the kernel has no AppArmor is
in test_spec_commands.py."""
import pathlib
import secrets
import subprocess
import unittest

from support.bundle import RuntimeTest

ENABLED = pathlib.Path("/sys/module/apparmor/parameters/enabled")
# All but one file.
PROFILE = """profile {name} flags=(attach_disconnected,mediate_deleted) {{
  file, capability, network, mount, umount, pivot_root, ptrace, signal, unix, dbus,
  deny /etc/group r,
}}
"""


@unittest.skipUnless(ENABLED.exists() and ENABLED.read_text().startswith("Y"), "the kernel runs no AppArmor")
class AppArmor(RuntimeTest):
    def setUp(self):
        super().setUp()
        self.profile = self.load()

    def load(self):
        name = f"coffer-test-{secrets.token_hex(4)}"
        file = self.dir / name
        file.write_text(PROFILE.format(name=name))
        subprocess.run(["apparmor_parser", "--add", "--skip-cache", file], check=True)
        self.addCleanup(subprocess.run, ["apparmor_parser", "--remove", file], check=True)
        return name

    def confined(self, config):
        config["process"]["apparmorProfile"] = self.profile

    def test_of_the_container(self):
        out = self.sh("cat /proc/self/attr/current; cat /etc/group 2>&1; head -c 4 /etc/passwd", self.confined)
        self.assertEqual(out, f"{self.profile} (enforce)\ncat: can't open '/etc/group': Permission denied\nroot")

    def test_of_exec(self):
        self.start(self.bundle("sleep", "1000", change=self.confined), "box")
        current = ("cat", "/proc/self/attr/current")
        self.assertEqual(self.oci("exec", "box", *current).out, f"{self.profile} (enforce)\n")
        other = self.load()
        self.assertEqual(self.oci("exec", "--apparmor", other, "box", *current).out, f"{other} (enforce)\n")
        ran = self.oci("exec", "--apparmor", "no-such-profile", "box", *current, check=False)
        self.assertEqual((ran.status, ran.out), (255, ""))
        self.assertIn("process.apparmorProfile 'no-such-profile'", ran.err)

    def test_one_that_is_not_loaded(self):
        self.refused(lambda config: config["process"].update(apparmorProfile="no-such-profile"),
                     "process.apparmorProfile 'no-such-profile'")


if __name__ == "__main__":
    unittest.main()
