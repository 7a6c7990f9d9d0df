"""--security-opt in all its forms, by docker's client and by our own, as the container feels it."""
import json
import os
import pathlib
import tempfile
import unittest

from support.engine import Engine, wait_until

V2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
APPARMOR = os.path.exists("/sys/kernel/security/apparmor")


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


class SecurityOpt(unittest.TestCase):
    def both(self, *flags, command, check=True):
        """What docker's client and ours give, which is the same."""
        words = ("run", "--rm", *flags, "busybox", "sh", "-c", command)
        theirs = engine.docker(*words, check=check)
        ours = engine.coffer(*words, check=check)
        self.assertEqual((theirs.stdout, theirs.returncode), (ours.stdout, ours.returncode))
        return theirs

    def out(self, *options, command, flags=()):
        words = [word for option in options for word in ("--security-opt", option)]
        return self.both(*words, *flags, command=command).stdout

    def refused(self, option, text):
        run = self.both("--security-opt", option, command="true", check=False)
        self.assertEqual(run.returncode, 125)
        self.assertIn(text, run.stderr)

    def test_no_new_privileges(self):
        command = "grep NoNewPrivs /proc/self/status"
        for option, value in (("no-new-privileges", 1), ("no-new-privileges=true", 1),
                              ("no-new-privileges:true", 1), ("no-new-privileges=false", 0),
                              ("no-new-privileges:false", 0)):
            self.assertEqual(self.out(option, command=command).split()[1], str(value), option)
        self.refused("no-new-privileges=maybe", "invalid --security-opt")

    def test_seccomp(self):
        command = "grep Seccomp: /proc/self/status"
        self.assertEqual(self.out("seccomp=unconfined", command=command).split()[1], "0")
        for option in ("seccomp=builtin", "no-new-privileges"):
            self.assertEqual(self.out(option, command=command).split()[1], "2")
        with tempfile.TemporaryDirectory() as folder:
            profile = pathlib.Path(folder, "profile.json")
            profile.write_text(json.dumps({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}))
            self.assertEqual(self.out(f"seccomp={profile}",
                                      command="mkdir /tmp/x 2>/dev/null || echo refused"),
                             "refused\n")
            profile.write_text('{"defaultAction": "SCMP_ACT_NOPE"}')
            self.refused(f"seccomp={profile}", "SCMP_ACT_NOPE")

    def test_system_paths(self):
        command = "grep -c ' /proc/' /proc/mounts"
        self.assertEqual(self.both("--security-opt", "systempaths=unconfined",
                                   command=command, check=False).stdout, "0\n")
        self.assertGreater(int(self.out("no-new-privileges", command=command)), 3)

    def test_level(self):
        command = "grep CapBnd /proc/self/status"
        sets = [int(self.out(f"level={level}", command=command, flags=("-m", "64m")).split()[1], 16)
                for level in ("strict", "standard", "compat")]
        self.assertEqual([bin(one).count("1") for one in sets], [0, 8, 14])
        self.refused("level=none", "invalid --security-opt level")

    def test_apparmor(self):
        self.assertEqual(self.out("apparmor=unconfined", command="echo ran"), "ran\n")
        self.refused("apparmor=no-such-profile", "pparmor" if APPARMOR else "AppArmor")

    def test_labels(self):
        self.assertEqual(self.out("label=disable", command="echo ran"), "ran\n")
        self.assertEqual(self.out("label:disable", command="echo ran"), "ran\n")
        self.refused("label=type:container_t", "SELinux")

    def test_writable_control_groups(self):
        self.assertEqual(self.out("writable-cgroups=false", command="echo ran"), "ran\n")
        write = "mkdir /sys/fs/cgroup/sub 2>/dev/null && echo made || echo refused"
        self.assertEqual(self.out(command=write), "refused\n")
        self.refused("writable-cgroups=maybe", "invalid --security-opt")
        if not V2:
            return self.refused("writable-cgroups=true", "needs cgroup v2")
        self.assertEqual(self.out("writable-cgroups=true", command=write), "made\n")
        self.assertEqual(self.both("--privileged", command=write).stdout, "made\n")
        limits = "for f in /sys/fs/cgroup/*.max; do echo max >$f && echo $f; done 2>/dev/null; :"
        self.assertEqual(self.out("writable-cgroups=true", command=limits, flags=("-m", "64m")), "")

    @unittest.skipUnless(V2, "needs cgroup v2")
    def test_groups_of_its_own(self):
        engine.docker("run", "-d", "--name", "manager", "--security-opt", "writable-cgroups=true",
                      "-m", "64m", "busybox", "sh", "-c", """
            cd /sys/fs/cgroup && mkdir init jobs && echo 1 >init/cgroup.procs &&
            echo +memory +pids >cgroup.subtree_control && echo 5 >jobs/pids.max && touch /ready
            exec sleep 1000""")
        wait_until(lambda: engine.docker("exec", "manager", "ls", "/ready", check=False).returncode == 0)
        # Its own group takes no process any more.
        self.assertEqual(engine.docker("exec", "manager", "cat", "/proc/self/cgroup").stdout,
                         "0::/init\n")
        self.assertIn("sleep 1000", engine.docker("top", "manager").stdout)
        self.assertEqual(engine.docker("exec", "manager", "cat", "/sys/fs/cgroup/jobs/pids.max").stdout,
                         "5\n")
        engine.docker("pause", "manager")
        engine.docker("unpause", "manager")
        engine.docker("rm", "-f", "manager")
        self.assertEqual(engine.cgroups(), [])

    def test_unknown(self):
        self.refused("odd=1", "invalid --security-opt")

    def test_exec_has_no_more(self):
        engine.docker("run", "-d", "--name", "tight", "--cap-drop", "ALL", "busybox", "sleep", "100")
        self.addCleanup(engine.docker, "rm", "-f", "tight")
        text = engine.docker("exec", "--privileged", "tight", "grep", "CapBnd\\|NoNew",
                             "/proc/self/status").stdout
        self.assertEqual(text.split(), ["CapBnd:", "0" * 16, "NoNewPrivs:", "1"])


if __name__ == "__main__":
    unittest.main()
