"""What a process of a container is: ids, capabilities, limits, filter, environment, terminal."""
import os
import pathlib
import pty
import subprocess
import sys
import termios
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from bundle import RuntimeTest, capabilities, user_namespace  # noqa: E402

CHOWN, KILL, NET_RAW = 1 << 0, 1 << 5, 1 << 13


def cap_sets(text):
    return {line.split(":")[0][3:]: int(line.split()[1], 16) for line in text.splitlines()
            if line.startswith("Cap")}


class Process(RuntimeTest):
    def process(self, script, check=True, **changes):
        return self.sh(script, lambda config: config["process"].update(changes), check=check)

    def test_user_groups_and_umask(self):
        user = {"uid": 1000, "gid": 1001, "additionalGids": [7, 8], "umask": 0o27}
        bundle = self.bundle("sh", "-c", "id -u; id -g; grep Groups /proc/self/status; umask; "
                             "touch /tmp/f; stat -c %a /tmp/f",
                             change=lambda config: config["process"].update(user=user))
        (bundle.rootfs / "tmp").chmod(0o1777)
        out = self.run_in(bundle).out
        self.assertEqual(out.split(), ["1000", "1001", "Groups:", "7", "8", "0027", "640"])

    def test_no_groups_of_the_caller(self):
        ran = self.run_in(self.bundle("grep", "Groups", "/proc/self/status"),
                          prefix=["setpriv", "--groups", "5,6"])
        self.assertEqual(ran.out.split(), ["Groups:"])

    def test_home_is_of_the_user(self):
        for uid, home in ((0, "/root"), (1000, "/home/user"), (7, "/")):
            self.assertEqual(self.process("echo $HOME", user={"uid": uid, "gid": 0}), home + "\n")
        self.assertEqual(self.process("echo $HOME", env=["PATH=/bin", "HOME=/given"]), "/given\n")

    def test_environment_is_what_is_given(self):
        self.assertEqual(sorted(self.process("env", env=["PATH=/bin", "A=b=c", "HOME=/", "D="])
                                .split("\n")[:-1]),
                         ["A=b=c", "D=", "HOME=/", "PATH=/bin", "PWD=/", "SHLVL=1"])
        for entry in ("A", "=b", "A=b\0C=d"):
            ran = self.process("env", env=["PATH=/bin", entry], check=False)
            self.assertEqual((ran.status, ran.out), (1, ""))
            self.assertIn("environment entry", ran.err)

    def test_working_folder(self):
        self.assertEqual(self.process("pwd", cwd="/new/folder"), "/new/folder\n")
        for cwd in ("relative", "", "/etc/passwd"):
            self.assertEqual(self.process("pwd", cwd=cwd, check=False).status, 1)

    def test_capabilities(self):
        def change(config):
            config["process"]["capabilities"] = {
                "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
                "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"],
                "inheritable": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN"]}
            config["process"]["user"]["uid"] = 1000
        # An executed program keeps what is ambient, when it is not root.
        sets = cap_sets(self.sh("cat /proc/self/status", change))
        self.assertEqual(sets, {"Bnd": CHOWN | KILL | NET_RAW, "Prm": CHOWN, "Eff": CHOWN, "Inh": CHOWN,
                                "Amb": CHOWN})

    def test_no_capabilities(self):
        def change(config):
            del config["process"]["capabilities"]
        self.assertEqual(set(cap_sets(self.sh("cat /proc/self/status", change)).values()), {0})

    def test_capabilities_in_a_user_namespace(self):
        def change(config):
            user_namespace(config)
            capabilities(config, ["CAP_CHOWN"])
        sets = cap_sets(self.sh("cat /proc/self/status", change))
        self.assertEqual(sets, {"Bnd": CHOWN, "Prm": CHOWN, "Eff": CHOWN, "Inh": 0, "Amb": 0})

    def test_capabilities_that_are_no_set(self):
        self.refused(lambda config: capabilities(config, ["CAP_KILL"], ("bounding", "effective")),
                     "effective capabilities that are not permitted")

    def test_no_new_privileges(self):
        for wanted in (True, False):
            out = self.process("grep NoNewPrivs /proc/self/status", noNewPrivileges=wanted)
            self.assertEqual(out.split()[1], str(int(wanted)))

    def test_exec_may_add_no_new_privileges(self):
        self.start(self.bundle("sleep", "100", change=lambda config:
                               config["process"].update(noNewPrivileges=False)), "one")
        for flags, value in (([], "0"), (["--no-new-privs"], "1")):
            out = self.oci("exec", *flags, "one", "grep", "NoNewPrivs", "/proc/self/status").out
            self.assertEqual(out.split()[1], value)

    def test_rlimits(self):
        limits = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                  {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                  {"type": "RLIMIT_NPROC", "soft": 300, "hard": 300}]
        out = self.process("cat /proc/self/limits", rlimits=limits)
        rows = {line[:26].strip(): line[26:].split()[:2] for line in out.splitlines()}
        self.assertEqual(rows["Max open files"], ["100", "200"])
        self.assertEqual(rows["Max core file size"], ["0", "0"])
        self.assertEqual(rows["Max processes"], ["300", "300"])
        self.start(self.bundle("sleep", "100", change=lambda config:
                               config["process"].update(rlimits=limits)), "one")
        self.assertEqual(self.oci("exec", "one", "sh", "-c", "ulimit -n; ulimit -Hn").out, "100\n200\n")

    def test_rlimits_that_are_none(self):
        for limits, words in (([{"type": "RLIMIT_X", "soft": 1, "hard": 1}], "is not known"),
                              ([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}], "is above hard"),
                              ([{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}] * 2, "given twice")):
            self.refused(lambda config: config["process"].update(rlimits=limits), words)

    def test_oom_score(self):
        for change in (None, user_namespace):
            def with_score(config):
                config["process"]["oomScoreAdj"] = 321
                if change:
                    change(config)
            self.assertEqual(self.sh("cat /proc/self/oom_score_adj", with_score), "321\n")
        self.refused(lambda config: config["process"].update(oomScoreAdj=1001), "out of range")

    def test_process_1_without_descriptors_and_signals(self):
        script = "grep -E '^(SigIgn|SigBlk)' /proc/self/status; ls /proc/1/fd; true"
        bundle = self.bundle("sh", "-c", script)
        # As python starts programs: SIGPIPE ignored; and blocked signals besides.
        ran = self.run_in(bundle, restore_signals=False,
                          prefix=["sh", "-c", "trap '' USR1 PIPE; exec \"$@\"", "sh"])
        self.assertEqual(ran.out.split(), ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16, "0", "1", "2"])

    def test_session_and_process_group_of_its_own(self):
        out = self.process("cat /proc/1/stat")
        fields = out.split(") ")[1].split()
        self.assertEqual(fields[2:4], ["1", "1"])

    def seccomp(self, rules, default="SCMP_ACT_ALLOW", **more):
        profile = {"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
                   "syscalls": rules, **more}
        return lambda config: config["linux"].update(seccomp=profile)

    def test_seccomp(self):
        change = self.seccomp([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
                               {"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}])
        for nnp in (True, False):
            def both(config):
                change(config)
                config["process"]["noNewPrivileges"] = nnp
            ran = self.sh("grep Seccomp: /proc/self/status; mkdir /tmp/x; echo $?", both, check=False)
            self.assertEqual(ran.out.split(), ["Seccomp:", "2", "1"])
            self.assertIn("Operation not supported", ran.err)

    def test_seccomp_holds_for_exec(self):
        change = self.seccomp([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}])
        self.start(self.bundle("sleep", "100", change=change), "one")
        ran = self.oci("exec", "one", "mkdir", "/tmp/x", check=False)
        self.assertEqual(ran.status, 1)
        self.assertIn("Operation not permitted", ran.err)

    def test_seccomp_by_argument(self):
        kill_nine = {"names": ["kill"], "action": "SCMP_ACT_ERRNO",
                     "args": [{"index": 1, "value": 9, "op": "SCMP_CMP_EQ"}]}
        ran = self.sh("sleep 100 & kill -9 $! || kill -15 $!; wait $!; echo $?",
                      self.seccomp([kill_nine]), check=False)
        self.assertEqual(ran.out, "143\n")

    def test_seccomp_that_is_none(self):
        rule = {"names": ["kill"], "action": "SCMP_ACT_ERRNO"}
        for change in (self.seccomp([], default="SCMP_ACT_SOME"),
                       self.seccomp([{**rule, "action": "SCMP_ACT_NOTIFY"}]),
                       self.seccomp([{**rule, "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]),
                       self.seccomp([{**rule, "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_X"}]}]),
                       self.seccomp([], architectures=["SCMP_ARCH_NONE"]),
                       self.seccomp([{**rule, "errnoRet": 5000}]),
                       self.seccomp([], flags=["SECCOMP_FILTER_FLAG_SOME"])):
            self.refused(change, "seccomp")
        self.refused(self.seccomp([], listenerMetadata="x"), "listenerMetadata is given without listenerPath")

    def test_damaged_filter_in_the_store_is_made_anew(self):
        change = self.seccomp([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}])
        self.sh("true", change)
        (file,) = (self.state / "seccomp").iterdir()
        whole = file.read_bytes()
        for damaged in (b"", whole[:-8], whole[:-1] + bytes([whole[-1] ^ 1]), b"x" + whole):
            file.write_bytes(damaged)
            ran = self.sh("mkdir /tmp/x", change, check=False)
            self.assertIn("Operation not permitted", ran.err)
            self.assertEqual(file.read_bytes(), whole)


class Terminal(RuntimeTest):
    def with_terminal(self, *args, size=None):
        def change(config):
            config["process"]["terminal"] = True
            if size:
                config["process"]["consoleSize"] = {"height": size[0], "width": size[1]}
        return self.bundle(*args, change=change)

    def test_console_socket(self):
        bundle = self.with_terminal("sh", "-c", "tty; stty size; readlink /proc/self/fd/0; sleep 100",
                                    size=(12, 34))
        with self.console("create", "-b", bundle.path, "one") as master:
            self.oci("start", "one")
            words = "/dev/pts/0\r\n12 34\r\n/dev/pts/0\r\n"
            self.assertEqual(self.read_until(master, words), words)

    def test_console_is_the_terminal(self):
        bundle = self.with_terminal("sh", "-c", "echo through > /dev/console; ls -l /dev/console; sleep 100")
        with self.console("create", "-b", bundle.path, "one") as master:
            self.oci("start", "one")
            text = self.read_until(master, "console\r\n")
            self.assertTrue(text.startswith("through\r\nc"), text)

    def test_exec_with_a_terminal(self):
        for name, change in (("plain", None), ("mapped", user_namespace)):
            self.start(self.bundle("sleep", "100", change=change), name)
            with self.console("exec", "-t", "-d", name, "sh", "-c", "tty; exec sleep 100") as master:
                self.assertEqual(self.read_until(master, "\n"), "/dev/pts/0\r\n")

    def test_run_in_front_of_a_terminal(self):
        bundle = self.with_terminal("sh", "-c", "stty size; read line; echo got $line; exit 6")
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(ours, (20, 50))
        process = subprocess.Popen([self.program, "--root", self.state, "run", "-b", bundle.path, "one"],
                                   stdin=theirs, stdout=theirs, stderr=theirs)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.close(theirs)
        self.assertIn("20 50", self.read_until(ours, "20 50\r\n"))
        os.write(ours, b"hello\n")
        self.assertIn("got hello", self.read_until(ours, "got hello\r\n"))
        self.assertEqual(process.wait(10), 6)
        os.close(ours)

    def test_terminal_needs_somebody_who_holds_it(self):
        ran = self.oci("create", "-b", self.with_terminal("true").path, "one", check=False)
        self.assertIn("without setting console socket", ran.err)
        ran = self.oci("create", "-b", self.bundle("true").path, "--console-socket", "/x", "one",
                       check=False)
        self.assertIn("cannot use console socket without a terminal", ran.err)

    def test_terminal_belongs_to_the_user(self):
        bundle = self.with_terminal("sh", "-c", "stat -c %u:%g $(tty); sleep 100")
        bundle.config["process"]["user"] = {"uid": 1000, "gid": 1000}
        bundle.write()
        with self.console("create", "-b", bundle.path, "one") as master:
            self.oci("start", "one")
            self.assertEqual(self.read_until(master, "\n"), "1000:5\r\n")


if __name__ == "__main__":
    unittest.main()
