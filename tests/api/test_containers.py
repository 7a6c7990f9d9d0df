"""Containers through the real docker CLI, from create to rm."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from support.engine import DOCKER, Engine, wait_until


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


class ContainerTest(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()
        self.assertEqual(engine.json("GET", "/containers/json?all=1"), [])

    def docker(self, *args, **options):
        return engine.docker(*args, **options)

    def out(self, *args, **options):
        return engine.docker(*args, **options).stdout

    def failing(self, *args, **options):
        run = engine.docker(*args, check=False, **options)
        self.assertNotEqual(run.returncode, 0, run.stdout)
        return run

    def inspect(self, name):
        return engine.json("GET", f"/containers/{name}/json")


class Run(ContainerTest):
    def test_streams_and_status(self):
        run = self.failing("run", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((run.stdout, run.stderr, run.returncode), ("out\n", "err\n", 7))

    def test_rm_leaves_nothing(self):
        self.assertEqual(self.out("run", "--rm", "busybox", "echo", "hi"), "hi\n")
        self.assertEqual(self.out("ps", "-aq"), "")

    def test_much_output(self):
        run = self.docker("run", "--rm", "busybox", "sh", "-c",
                          "yes 0123456789abcde | head -c 5000000")
        self.assertEqual(len(run.stdout), 5_000_000)

    def test_standard_input(self):
        self.assertEqual(self.out("run", "--rm", "-i", "busybox", "cat", input="one\ntwo\n"),
                         "one\ntwo\n")
        self.assertEqual(self.out("run", "--rm", "-i", "busybox", "wc", "-c",
                                  input="x" * 3_000_000).strip(), "3000000")
        self.assertEqual(self.out("run", "--rm", "-i", "busybox", "cat", input=""), "")
        # Without -i there is none.
        self.assertEqual(self.out("run", "--rm", "busybox", "cat", input="x"), "")

    def test_status_of_the_program(self):
        run = self.failing("run", "--rm", "busybox", "no-such-program")
        self.assertEqual(run.returncode, 127)
        self.assertIn("executable file not found in $PATH", run.stderr)
        run = self.failing("run", "--rm", "busybox", "/no/such")
        self.assertEqual(run.returncode, 127)
        self.assertIn("no such file or directory", run.stderr)
        run = self.failing("run", "--rm", "busybox", "/etc/hostname")
        self.assertEqual(run.returncode, 126)
        self.assertIn("permission denied", run.stderr)
        self.assertEqual(self.failing("run", "--network", "nope", "busybox").returncode, 125)
        self.assertEqual(self.out("ps", "-q"), "")

    def test_detached(self):
        name = self.out("run", "-d", "busybox", "sh", "-c", "echo a; sleep 0.2; exit 3").strip()
        self.assertRegex(name, r"^[0-9a-f]{64}$")
        self.assertEqual(self.out("wait", name), "3\n")
        self.assertEqual(self.out("logs", name), "a\n")
        state = self.inspect(name)["State"]
        self.assertEqual((state["Status"], state["ExitCode"], state["Running"]),
                         ("exited", 3, False))

    def test_environment(self):
        out = self.out("run", "--rm", "-e", "A=b c", "-w", "/tmp", "-h", "box", "--user", "65534",
                       "busybox", "sh", "-c", "echo $A; pwd; hostname; id -u")
        self.assertEqual(out, "b c\n/tmp\nbox\n65534\n")

    def test_files_that_every_user_reads(self):
        files = ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"]
        out = self.out("run", "--rm", "--user", "65534", "busybox", "stat", "-c", "%a %u", *files)
        self.assertEqual(out, "644 0\n" * 3)
        # Folders that the engine makes are open to the user who is to be in them.
        out = self.out("run", "--rm", "--user", "65534", "-w", "/srv/app", "busybox", "pwd")
        self.assertEqual(out, "/srv/app\n")

    def test_names(self):
        self.docker("create", "--name", "cx", "busybox")
        run = self.failing("create", "--name", "cx", "busybox")
        self.assertRegex(run.stderr, r'Conflict. The container name "/cx" is already in use by '
                                     r'container "[0-9a-f]{64}". You have to remove \(or rename\) '
                                     r'that container to be able to reuse that name.')
        self.assertIn("Invalid container name (-x)",
                      self.failing("create", "--name=-x", "busybox").stderr)

    def test_many_at_once(self):
        runs = [subprocess.Popen([DOCKER, "run", "--rm", "busybox", "echo", str(n)],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"})
                for n in range(30)]
        for n, run in enumerate(runs):
            out, err = run.communicate(timeout=120)
            self.assertEqual((out, run.returncode), (f"{n}\n", 0), err)


class Terminal(ContainerTest):
    def start(self, *args, size=(24, 80)):
        self.master, slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        self.resize(*size)
        process = subprocess.Popen(
            [DOCKER, *args], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}", "TERM": "xterm"},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def expect(self, pattern, seconds=60):
        text = ""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, text):
            if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"{pattern!r} did not come: {text!r}")
            try:
                text += os.read(self.master, 4096).decode(errors="replace")
            except OSError:
                raise AssertionError(f"{pattern!r} did not come before the end: {text!r}")
        return text

    def send(self, text):
        os.write(self.master, text.encode())

    def test_shell(self):
        process = self.start("run", "-it", "--rm", "busybox", "sh", size=(31, 97))
        # Older clients tell the size after the start.
        self.send("until stty size 2>/dev/null | grep .; do sleep 0.1; done; tty\n")
        self.expect(r"31 97\r\n/dev/(pts/0|console)")
        self.resize(40, 120)
        for _ in range(50):
            os.kill(process.pid, signal.SIGWINCH)  # the client may not listen yet
            time.sleep(0.1)
            self.send("stty size\n")
            if "40 120" in self.expect("stty size\r\n[0-9]+ [0-9]+"):
                break
        else:
            self.fail("the new size did not arrive")
        self.send("exit 5\n")
        self.assertEqual(process.wait(10), 5)

    def test_control_c(self):
        process = self.start("run", "-it", "--rm", "busybox", "sh", "-c",
                             "trap 'echo got it; exit 9' INT; echo ready; while :; do sleep 0.1; done")
        self.expect("ready")
        self.send("\x03")
        self.expect("got it")
        self.assertEqual(process.wait(10), 9)

    def test_detach_and_attach(self):
        process = self.start("run", "-it", "--name", "cx", "busybox", "sh")
        self.send("echo $((40+2))\n")
        self.expect("42")
        self.send("\x10\x11")
        self.assertEqual(process.wait(10), 0)
        self.assertTrue(self.inspect("cx")["State"]["Running"])
        process = self.start("attach", "cx")
        time.sleep(0.3)
        self.send("echo $((50+2))\n")
        self.expect("52")
        self.send("exit 4\n")
        self.assertEqual(process.wait(10), 4)

    def test_exec(self):
        self.docker("run", "-d", "--name", "cx", "busybox", "sleep", "100")
        process = self.start("exec", "-it", "cx", "sh", size=(33, 99))
        self.send("stty size\n")
        self.expect("33 99")
        self.send("exit 6\n")
        self.assertEqual(process.wait(10), 6)


class Life(ContainerTest):
    def test_create_and_start(self):
        self.docker("create", "--name", "cx", "-i", "busybox", "cat")
        self.assertEqual(self.inspect("cx")["State"]["Status"], "created")
        self.assertEqual(self.out("start", "-ai", "cx", input="abc"), "abc")
        self.assertEqual(self.out("start", "-ai", "cx", input="again"), "again")
        self.docker("create", "--name", "cy", "busybox", "sh", "-c", "echo y; exit 2")
        run = self.failing("start", "-a", "cy")
        self.assertEqual((run.stdout, run.returncode), ("y\n", 2))

    def test_writable_layer_is_kept(self):
        self.docker("run", "--name", "cx", "busybox", "sh", "-c", "cat /f; echo 1 >>/f", check=False)
        self.assertEqual(self.out("start", "-a", "cx", check=False), "1\n")

    def test_stop(self):
        self.docker("run", "-d", "--name", "cx", "busybox", "sh", "-c",
                    "trap 'exit 3' TERM; while :; do sleep 0.1; done")
        self.assertEqual(self.out("stop", "cx"), "cx\n")
        self.assertEqual(self.inspect("cx")["State"]["ExitCode"], 3)
        self.assertEqual(engine.api("POST", "/containers/cx/stop")[0], 304)
        self.docker("start", "cx")
        self.assertEqual(engine.api("POST", "/containers/cx/start")[0], 304)
        self.docker("run", "-d", "--name", "cy", "--stop-timeout", "600", "busybox", "sh", "-c",
                    "trap '' TERM; while :; do sleep 0.1; done")
        self.docker("stop", "-t", "1", "cy")  # the client's limit is far below the container's
        self.assertEqual(self.inspect("cy")["State"]["ExitCode"], 137)

    def test_kill_and_restart(self):
        self.docker("run", "-d", "--name", "cx", "busybox", "sh", "-c",
                    "trap 'echo hup' HUP; echo up; while :; do sleep 0.1; done")
        wait_until(lambda: self.out("logs", "cx"))
        self.docker("kill", "-s", "HUP", "cx")
        wait_until(lambda: self.out("logs", "cx") == "up\nhup\n")
        first = self.inspect("cx")["State"]["Pid"]
        self.docker("restart", "-t", "0", "cx")
        self.assertNotEqual(self.inspect("cx")["State"]["Pid"], first)
        self.docker("kill", "cx")
        wait_until(lambda: not self.inspect("cx")["State"]["Running"])
        self.assertEqual(self.inspect("cx")["State"]["ExitCode"], 137)
        self.assertIn("is not running", self.failing("kill", "cx").stderr)
        self.assertIn("nvalid signal", self.failing("kill", "-s", "NOPE", "cx").stderr)

    def test_pause(self):
        self.docker("run", "-d", "--name", "cx", "busybox", "sh", "-c",
                    "while :; do echo x; sleep 0.05; done")
        self.docker("pause", "cx")
        self.assertEqual(self.inspect("cx")["State"]["Status"], "paused")
        count = len(self.out("logs", "cx"))
        time.sleep(0.3)
        self.assertLessEqual(len(self.out("logs", "cx")) - count, 4)
        self.assertIn("is paused", self.failing("exec", "cx", "true").stderr)
        self.docker("unpause", "cx")
        wait_until(lambda: len(self.out("logs", "cx")) > count + 4)

    def test_rm(self):
        self.docker("run", "-d", "--name", "cx", "busybox", "sleep", "100")
        run = self.failing("rm", "cx")
        self.assertIn("container is running: stop the container before removing or force remove",
                      run.stderr)
        self.assertEqual(self.out("rm", "-f", "cx"), "cx\n")
        self.assertIn("No such container: cx", self.failing("rm", "cx").stderr)
        self.assertEqual(engine.api("DELETE", "/containers/cx")[0], 404)

    def test_rename(self):
        self.docker("create", "--name", "cx", "busybox")
        self.docker("rename", "cx", "cy")
        self.assertEqual(self.inspect("cy")["Name"], "/cy")
        self.failing("inspect", "cx")

    def test_wait_for_removal(self):
        self.docker("run", "-d", "--rm", "--name", "cx", "busybox", "sleep", "0.3")
        status, _, text = engine.api("POST", "/containers/cx/wait?condition=removed")
        self.assertEqual((status, json.loads(text)["StatusCode"]), (200, 0))
        self.assertEqual(engine.api("GET", "/containers/cx/json")[0], 404)


class Exec(ContainerTest):
    def setUp(self):
        self.docker("run", "-d", "--name", "cx", "-e", "A=b", "busybox", "sleep", "100")

    def test_output_and_status(self):
        run = self.failing("exec", "cx", "sh", "-c", "echo $A; echo err >&2; exit 4")
        self.assertEqual((run.stdout, run.stderr, run.returncode), ("b\n", "err\n", 4))

    def test_options(self):
        self.assertEqual(self.out("exec", "-e", "C=d", "-w", "/tmp", "-u", "65534", "cx", "sh", "-c",
                                  "echo $C; pwd; id -u"), "d\n/tmp\n65534\n")

    def test_standard_input(self):
        self.assertEqual(self.out("exec", "-i", "cx", "cat", input="x" * 500_000), "x" * 500_000)

    def test_detached(self):
        self.docker("exec", "-d", "cx", "sh", "-c", "echo 1 >/done")
        wait_until(lambda: self.out("exec", "cx", "sh", "-c", "cat /done || true") == "1\n")

    def test_errors(self):
        run = self.failing("exec", "cx", "no-such-program")
        self.assertEqual(run.returncode, 127, run.stderr)
        self.assertIn("executable file not found in $PATH", run.stdout + run.stderr)
        self.assertEqual(self.failing("exec", "cx", "/etc/passwd").returncode, 126)
        self.docker("kill", "cx")
        wait_until(lambda: not self.inspect("cx")["State"]["Running"])
        self.assertIn("is not running", self.failing("exec", "cx", "true").stderr)
        self.assertEqual(engine.api("GET", "/exec/nope/json")[0], 404)


class Logs(ContainerTest):
    def test_selection(self):
        self.docker("run", "--name", "cx", "busybox", "sh", "-c",
                    "echo 1; sleep 0.1; echo 2 >&2; sleep 0.1; echo 3")
        run = self.docker("logs", "cx")
        self.assertEqual((run.stdout, run.stderr), ("1\n3\n", "2\n"))
        self.assertEqual(self.out("logs", "--tail", "1", "cx"), "3\n")
        self.assertEqual(self.out("logs", "--tail", "0", "cx"), "")
        stamped = self.out("logs", "-t", "cx").splitlines()
        self.assertRegex(stamped[0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z 1$")
        second = stamped[1].split()[0]
        self.assertEqual(self.out("logs", "--since", second, "cx"), "3\n")
        self.assertEqual(self.out("logs", "--until", second[:-4] + "Z", "cx"), "1\n")
        self.assertEqual(engine.api("GET", "/containers/cx/logs")[0], 400)
        # Older clients inspect first, and word the 404 themselves.
        self.assertRegex(self.failing("logs", "nope").stderr,
                         r"^Error( response from daemon)?: No such container: nope\n$")

    def test_follow(self):
        self.docker("run", "-d", "--name", "cx", "busybox", "sh", "-c",
                    "for i in 1 2 3; do echo $i; sleep 0.2; done")
        self.assertEqual(self.out("logs", "-f", "cx", timeout=15), "1\n2\n3\n")
        self.assertEqual(self.out("logs", "-f", "cx", timeout=15), "1\n2\n3\n")

    def test_terminal_is_raw(self):
        self.docker("run", "-d", "-t", "--name", "cx", "busybox", "echo", "hi")
        self.docker("wait", "cx")
        self.assertEqual(self.out("logs", "cx").encode(), b"hi\n")
        _, headers, _ = engine.api("GET", "/containers/cx/logs?stdout=1")
        self.assertEqual(headers["Content-Type"], "application/vnd.docker.raw-stream")


class Show(ContainerTest):
    def test_ps(self):
        self.docker("run", "-d", "--name", "one", "--label", "k=v", "busybox", "sleep", "100")
        self.docker("create", "--name", "two", "busybox", "true")
        self.assertEqual(self.out("ps", "--format", "{{.Names}}"), "one\n")
        self.assertEqual(self.out("ps", "-a", "--format", "{{.Names}}"), "two\none\n")
        self.assertEqual(self.out("ps", "-n", "1", "--format", "{{.Names}}"), "two\n")
        for wanted, names in [("status=created", "two\n"), ("label=k=v", "one\n"),
                              ("name=tw", "two\n"), ("label=nope", "")]:
            self.assertEqual(self.out("ps", "-a", "-f", wanted, "--format", "{{.Names}}"), names)
        row = self.out("ps", "-a", "-f", "name=one").splitlines()[1]
        self.assertRegex(row, r'^[0-9a-f]{12}   busybox   "sleep 100"   .* ago   Up .*   one$')
        self.assertIn("invalid filter 'nope'", self.failing("ps", "-f", "nope=1").stderr)

    def test_inspect(self):
        name = self.out("run", "-d", "--name", "cx", "-m", "64m", "busybox", "sleep", "100").strip()
        view = json.loads(self.out("inspect", name[:12]))[0]
        self.assertEqual((view["Id"], view["Name"], view["Path"], view["Args"]),
                         (name, "/cx", "sleep", ["100"]))
        self.assertEqual(view["HostConfig"]["Memory"], 64 << 20)
        self.assertTrue(view["State"]["Running"])
        self.assertRegex(view["NetworkSettings"]["IPAddress"], r"^172\.")
        self.assertEqual(self.out("inspect", "-f", "{{.State.Status}}", "cx"), "running\n")

    def test_top(self):
        self.docker("run", "-d", "--name", "cx", "busybox", "sleep", "100")
        lines = self.out("top", "cx").splitlines()
        self.assertEqual(lines[0].split()[:2], ["UID", "PID"])
        self.assertTrue(lines[1].endswith("sleep 100"), lines)
        self.assertEqual(self.out("top", "cx", "-o", "pid,comm").splitlines()[0].split(),
                         ["PID", "COMMAND"])

    def test_events(self):
        seen = subprocess.Popen([DOCKER, "events", "--format", "{{.Type}} {{.Action}}", "--filter",
                                 "container=cx"], stdout=subprocess.PIPE, text=True,
                                env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"})
        time.sleep(0.3)
        self.docker("run", "--rm", "--name", "cx", "busybox", "true")
        time.sleep(0.3)
        seen.terminate()
        actions = [line.split()[1] for line in seen.communicate()[0].splitlines()]
        self.assertEqual(actions, ["create", "attach", "start", "die", "destroy"])

    def test_limits(self):
        self.docker("run", "-d", "--name", "cx", "-m", "64m", "--pids-limit", "50", "--cpus", "0.5",
                    "busybox", "sleep", "100")
        pid = self.inspect("cx")["State"]["Pid"]
        groups = dict(line.split(":")[1:] for line in
                      open(f"/proc/{pid}/cgroup").read().splitlines())

        def read(controller, file):
            folder = next((f"/sys/fs/cgroup/{name}{path}" for name, path in groups.items()
                           if controller in name.split(",")), f"/sys/fs/cgroup{groups.get('')}")
            return open(f"{folder}/{file}").read().strip()
        if "memory" in groups:
            self.assertEqual(read("memory", "memory.limit_in_bytes"), str(64 << 20))
            self.assertEqual(read("pids", "pids.max"), "50")
            self.assertEqual(read("cpu", "cpu.cfs_quota_us"), "50000")
        else:
            self.assertEqual(read("", "memory.max"), str(64 << 20))
            self.assertEqual(read("", "cpu.max"), "50000 100000")


class Network(ContainerTest):
    def test_modes(self):
        self.assertEqual(self.out("run", "--rm", "--network", "none", "busybox", "ip", "-o", "link"
                                  ).count("\n"), 1)
        self.docker("run", "-d", "--name", "cx", "busybox", "sleep", "100")
        address = self.inspect("cx")["NetworkSettings"]["IPAddress"]
        self.assertIn(f"{address}/", self.out("run", "--rm", "--network", "container:cx", "busybox",
                                             "ip", "-o", "addr"))
        self.assertIn("cftest0", self.out("run", "--rm", "--network", "host", "busybox", "ip", "-o",
                                          "link"))

    def test_published_port(self):
        self.docker("run", "-d", "--name", "cx", "-p", "28080:80", "busybox", "sh", "-c",
                    "while :; do echo hello | nc -l -p 80; done")
        self.assertIn("80/tcp -> 127.0.0.1:28080", self.out("port", "cx"))

        def answer():
            run = subprocess.run(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/28080; cat <&3"],
                                 capture_output=True, text=True, timeout=5)
            return run.stdout == "hello\n"
        wait_until(answer)
        self.assertIn("port is already allocated", self.failing(
            "run", "--rm", "-p", "28080:80", "busybox", "true").stderr)


class Survival(ContainerTest):
    def test_containers_outlive_the_engine(self):
        self.docker("run", "-d", "--name", "cx", "busybox", "sh", "-c",
                    "echo before; until [ -e /end ]; do sleep 0.1; done; echo after; exit 6")
        for how in (signal.SIGTERM, signal.SIGKILL):
            engine.stop(how)
            engine.start()
            self.assertTrue(self.inspect("cx")["State"]["Running"])
        self.docker("exec", "cx", "touch", "/end")
        self.assertEqual(self.out("wait", "cx"), "6\n")
        self.assertEqual(self.out("logs", "cx"), "before\nafter\n")

    def test_end_while_the_engine_is_away(self):
        self.docker("run", "-d", "--name", "cx", "busybox", "sh", "-c", "sleep 0.5; exit 8")
        engine.stop(signal.SIGKILL)
        time.sleep(1)
        engine.start()
        wait_until(lambda: self.inspect("cx")["State"]["Status"] == "exited")
        self.assertEqual(self.inspect("cx")["State"]["ExitCode"], 8)

    def test_attached_client_outlives_the_engine(self):
        self.docker("create", "-i", "--name", "cx", "busybox", "cat")
        client = subprocess.Popen([DOCKER, "start", "-ai", "cx"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, bufsize=0,
                                  env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"})
        client.stdin.write("one\n")
        self.assertEqual(client.stdout.readline(), "one\n")
        engine.stop()
        client.stdin.write("two\n")
        self.assertEqual(client.stdout.readline(), "two\n")
        engine.start()
        client.stdin.close()
        client.wait(10)
        client.stdout.close()


if __name__ == "__main__":
    unittest.main()
