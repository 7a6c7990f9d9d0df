"""checkpoint and restore by CRIU. Where CRIU itself cannot work, that must be said and harm nobody."""
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

from support.bundle import RuntimeTest, cgroup_folders, mount, namespaces, user_namespace, wait_until

COUNT = "i=0; while :; do i=$((i+1)); echo $i > /run/count; sleep 0.05; done"

# Takes one request as `criu swrk` does, leaves it in REQUEST and gives ANSWER.
FAKE = """#!{python}
import os, socket, sys
ours = socket.socket(fileno=int(sys.argv[2]))
with open({request!r}, "wb") as out:
    out.write(ours.recv(65536))
ours.send(bytes.fromhex({answer!r}))
"""


@functools.cache
def criu_works():
    return shutil.which("criu") is not None and subprocess.run(
        ["criu", "check"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def with_criu(test):
    """Without CRIU the container goes on, and the error names it."""
    def without(self):
        self.counting("one")
        ran = self.oci("checkpoint", "--image-path", self.images, "one", check=False)
        self.assertEqual(ran.status, 1)
        self.assertIn("'criu'", ran.err)
        self.assertEqual(self.inspect("one")["status"], "running")

    def run(self):
        return test(self) if criu_works() else without(self)
    return functools.wraps(test)(run)


class CheckpointTest(RuntimeTest):
    def setUp(self):
        super().setUp()
        self.images = self.dir / "images"

    def counter(self, change=None):
        """A bundle that counts in /run/count, which is memory."""
        def prepare(config):
            config["mounts"].append(mount("/run", "run", "nosuid", type="tmpfs"))
            if change:
                change(config)
        return self.bundle("sh", "-c", COUNT, change=prepare)

    def counting(self, name, change=None):
        bundle = self.counter(change)
        self.in_background(bundle, name)
        self.count_of(name)
        return bundle

    def in_background(self, bundle, name):
        # No file of ours: CRIU knows none that is not the container's.
        nothing = {stream: subprocess.DEVNULL for stream in ("stdin", "stdout", "stderr")}
        subprocess.run([self.program, "--root", self.state, "run", "-d", "-b", bundle.path, name], check=True,
                       **nothing)

    def count_of(self, name):
        text = wait_until(lambda: self.oci("exec", name, "cat", "/run/count", check=False).out)
        return int(text)

    def mounts_of(self, name):
        """Mount points, with what is mounted and its flags."""
        lines = self.oci("exec", name, "cat", "/proc/self/mountinfo").out.splitlines()
        return sorted(" ".join(line.split()[3:6]) for line in lines)

    def refused(self, words, change=None):
        self.in_background(self.counter(change), "no")
        ran = self.oci("checkpoint", "--image-path", self.images, "no", check=False)
        self.assertEqual((ran.status, ran.err), (1, f"checkpoint and restore of {words} is not supported\n"))
        self.assertEqual(self.inspect("no")["status"], "running")
        self.oci("delete", "--force", "no")


class Checkpoints(CheckpointTest):
    @with_criu
    def test_a_container_goes_on_where_it_was(self):
        (self.dir / "file").write_text("of the host")
        bundle = self.counting("one", lambda config: config["mounts"].append(
            mount("/etc/file", self.dir / "file", "rbind", "ro", "nosuid")))
        mounts = self.mounts_of("one")
        self.oci("checkpoint", "--image-path", self.images, "one")
        self.assertEqual(self.oci("list", "-q").out, "")
        self.oci("restore", "-d", "--image-path", self.images, "-b", bundle.path,
                 "--pid-file", self.dir / "pid", "one")
        self.assertEqual(int((self.dir / "pid").read_text()), self.pid("one"))
        before = self.count_of("one")
        self.assertGreater(before, 1)
        self.assertTrue(wait_until(lambda: self.count_of("one") > before))
        self.assertEqual(self.mounts_of("one"), mounts)
        # It can be masked by nothing but us, and the bind still cannot be written to.
        self.assertEqual(self.oci("exec", "one", "cat", "/proc/timer_list", "/etc/file").out, "of the host")
        self.assertNotEqual(self.oci("exec", "one", "sh", "-c", "echo x > /etc/file", check=False).status, 0)
        self.oci("pause", "one")
        self.assertEqual(self.inspect("one")["status"], "paused")

    @with_criu
    def test_one_that_is_left_running_and_its_twin(self):
        bundle = self.counting("one")
        self.oci("checkpoint", "--leave-running", "--image-path", self.images, "one")
        self.assertEqual(self.inspect("one")["status"], "running")
        bundle.config["linux"]["cgroupsPath"] = f"/{self.group}/twin"
        bundle.config["root"]["readonly"] = True
        bundle.write()
        self.oci("restore", "-d", "--image-path", self.images, "-b", bundle.path, "two")
        self.assertGreater(self.count_of("two"), 0)
        self.assertNotEqual(self.pid("one"), self.pid("two"))
        groups = open(f"/proc/{self.pid('two')}/cgroup").read()
        self.assertIn(f"/{self.group}/twin\n", groups)
        self.assertTrue(cgroup_folders(f"{self.group}/twin"))
        self.assertIn("Read-only", self.oci("exec", "two", "touch", "/root/x", check=False).err)
        self.assertEqual(self.oci("exec", "one", "touch", "/root/x").status, 0)

    @with_criu
    def test_memory_in_advance(self):
        bundle = self.counting("one")
        self.images.mkdir()
        self.oci("checkpoint", "--pre-dump", "--image-path", self.images / "first", "one")
        self.assertEqual(self.inspect("one")["status"], "running")
        self.oci("checkpoint", "--image-path", self.images / "last", "--parent-path", "../first",
                 "one")
        self.assertTrue((self.images / "last/parent").is_symlink())
        self.oci("restore", "-d", "--image-path", self.images / "last", "-b", bundle.path, "one")
        self.assertGreater(self.count_of("one"), 0)

    @with_criu
    def test_in_front(self):
        bundle = self.bundle("sh", "-c", "trap 'echo bye; exit 7' TERM; echo hi; while :; do sleep 0.05; done")
        command = [self.program, "--root", self.state]
        with subprocess.Popen([*command, "run", "-b", bundle.path, "one"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as first:
            self.assertEqual(first.stdout.readline(), "hi\n")
            self.oci("checkpoint", "--image-path", self.images, "one")
            self.assertEqual(first.wait(), 128 + signal.SIGKILL)
        with subprocess.Popen([*command, "restore", "--image-path", self.images, "-b", bundle.path, "one"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as second:
            self.assertTrue(wait_until(lambda: self.oci("state", "one", check=False).status == 0, 30))
            wait_until(lambda: self.inspect("one")["status"] == "running", 30)
            second.terminate()
            self.assertEqual(second.stdout.read(), "bye\n")
            self.assertEqual(second.wait(), 7)
        self.assertEqual(self.oci("list", "-q").out, "")

    @with_criu
    def test_a_terminal(self):
        def change(config):
            config["process"]["terminal"] = True
        bundle = self.bundle("sh", "-c", "echo ready; while read word; do echo got $word; done", change=change)
        with self.console("create", "-b", bundle.path, "one") as master:
            self.oci("start", "one")
            self.assertIn("ready", self.read_until(master, "ready"))
            mounts = self.mounts_of("one")
            self.oci("checkpoint", "--image-path", self.images, "one")
        refused = self.oci("restore", "-d", "--image-path", self.images, "-b", bundle.path, "one", check=False)
        self.assertIn("console socket", refused.err)
        with self.console("restore", "-d", "--image-path", self.images, "-b", bundle.path, "one") as master:
            os.write(master, b"again\n")
            self.assertIn("got again", self.read_until(master, "got again"))
            self.assertEqual(self.mounts_of("one"), mounts)
            self.oci("exec", "one", "sh", "-c", "echo from console > /dev/console")
            self.assertIn("from console", self.read_until(master, "from console"))

    @with_criu
    def test_a_given_network(self):
        with self.unshared("--net") as first, self.unshared("--net") as second:
            bundle = self.counting("one", lambda config: namespaces(config, network=first / "ns/net"))
            self.oci("checkpoint", "--image-path", self.images, "one")
            namespaces(bundle.config, network=second / "ns/net")
            bundle.write()
            self.oci("restore", "-d", "--image-path", self.images, "-b", bundle.path, "one")
            self.assertGreater(self.count_of("one"), 0)
            self.assertEqual(os.readlink(f"/proc/{self.pid('one')}/ns/net"), os.readlink(second / "ns/net"))
            self.oci("delete", "--force", "one")

    @with_criu
    def test_images_that_are_broken(self):
        bundle = self.counting("one")
        self.oci("checkpoint", "--image-path", self.images, "one")
        (self.images / "pstree.img").write_bytes(b"nothing of the kind")
        ran = self.oci("restore", "-d", "--image-path", self.images, "-b", bundle.path, "one", check=False)
        self.assertEqual(ran.status, 1)
        self.assertIn(f"(log: {self.images}/restore.log)", ran.err)
        self.assertEqual(self.oci("list", "-q").out, "")


class Refusals(CheckpointTest):
    def test_a_program_that_is_not_there(self):
        self.counting("one")
        for program, why in (("/nowhere/criu", "no such file"), ("no-such-criu", "not in $PATH"),
                             ("/bin/false", "ended without an answer")):
            ran = self.oci("--criu", program, "checkpoint", "--image-path", self.images, "one", check=False)
            self.assertEqual(ran.status, 1)
            self.assertIn(f"checkpoint container 'one' with '{program}'", ran.err)
            self.assertIn(why, ran.err)
        self.assertEqual(self.inspect("one")["status"], "running")

    def test_of_the_configuration(self):
        self.refused("linux.namespaces 'user'", user_namespace)
        self.refused("linux.namespaces 'ipc' by path",
                     lambda config: namespaces(config, ipc="/proc/self/ns/ipc"))
        self.refused("the mount '/mnt' of a part or of layers", lambda config: config["mounts"].append(
            mount("/mnt", "/usr", "bind", "subpath=bin")))
        self.refused("a container without pid and mount namespaces",
                     lambda config: namespaces(config, pid=None))

    def test_of_options(self):
        for option in ("--lazy-pages", "--page-server=x:1", "--lsm-profile=x", "--lsm-mount-context=x"):
            for command in ("checkpoint", "restore"):
                ran = self.oci(command, option, "one", check=False)
                name = option.split("=")[0]
                self.assertEqual((ran.status, ran.err), (1, f"{name} is not supported\n"))
        for option, words in ((("--manage-cgroups-mode", "none"), "is not soft, full, strict or ignore"),
                              (("--empty-ns", "pid"), "is not network"), (("--status-fd", "x"), "no descriptor"),
                              (("--parent-path", "/x"), "must be relative")):
            ran = self.oci("checkpoint", *option, "one", check=False)
            self.assertEqual(ran.status, 1)
            self.assertIn(words, ran.err)

    def test_of_a_container_that_does_not_run(self):
        self.oci("create", "-b", self.counter().path, "one")
        ran = self.oci("checkpoint", "one", check=False)
        self.assertEqual((ran.status, ran.err), (1, "cannot checkpoint a created container\n"))


class Protocol(CheckpointTest):
    """What is said to CRIU, with one that only listens."""

    def ask(self, answer, *options):
        program = self.dir / "criu"
        program.write_text(FAKE.format(python=sys.executable, request=str(self.dir / "request"),
                                       answer=answer.hex()))
        program.chmod(0o755)
        return self.oci("--criu", program, "checkpoint", "--image-path", self.images, *options, "one",
                        check=False)

    def test_options_reach_it(self):
        self.counting("one")
        pid = self.pid("one")
        ran = self.ask(b"\x08\x01\x10\x01", "--leave-running", "--file-locks", "--manage-cgroups-mode", "strict")
        self.assertEqual(ran.status, 0, ran.err)
        fields = decode((self.dir / "request").read_bytes())
        self.assertEqual(fields[1], [1])
        options = decode(fields[2][0])
        self.assertEqual((options[2], options[3], options[8], options[34]), ([pid], [1], [1], [5]))
        self.assertNotIn(5, options)
        self.assertEqual(options[10], [b"dump.log"])
        masked = [decode(pair) for pair in options[23]]
        self.assertIn({1: [b"/proc/timer_list"], 2: [b"mask-file"]}, masked)
        self.assertEqual(json.loads((self.images / "descriptors.json").read_text()), ["/dev/null"] * 3)

    def test_its_errors_are_ours(self):
        self.counting("one")
        for answer, words in ((b"\x08\x01\x10\x00\x4a\x05words", "words"),
                              (b"\x08\x01\x10\x00\x38\x26", "function not implemented"),
                              (b"\x08\x01\x10\x00", "no reason"), (b"\xff\xff\xff", "no reason")):
            ran = self.ask(answer)
            self.assertEqual(ran.status, 1)
            self.assertIn(words, ran.err)
        self.assertEqual(self.inspect("one")["status"], "running")

    def test_a_container_that_is_saved_is_gone(self):
        self.counting("one")
        ran = self.ask(b"\x08\x01\x10\x01")
        self.assertEqual(ran.status, 0, ran.err)
        self.assertEqual(self.oci("list", "-q").out, "")


def decode(message):
    """field -> values of a message of protocol buffers."""
    def varint():
        nonlocal message
        value = shift = 0
        while True:
            byte, message = message[0], message[1:]
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value
    fields = {}
    while message:
        key, value = varint(), varint()
        if key & 7 == 2:
            value, message = message[:value], message[value:]
        fields.setdefault(key >> 3, []).append(value)
    return fields


if __name__ == "__main__":
    unittest.main()
