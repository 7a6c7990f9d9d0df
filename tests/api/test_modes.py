"""Namespaces shared with another container or the host, and --init."""
import json
import os
import pathlib
import socket
import unittest

from support.engine import Connection, Engine, wait_until


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


class ModesTest(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()

    def out(self, *args):
        return engine.docker("run", "--rm", *args).stdout

    def start(self, name, *flags, command=("sleep", "1000")):
        engine.docker("run", "-d", "--name", name, *flags, "busybox", *command)
        return self.inspect(name)["State"]["Pid"]

    def inspect(self, name):
        return engine.json("GET", f"/containers/{name}/json")

    def failing(self, *args):
        run = engine.docker("run", "--rm", *args, check=False)
        self.assertNotEqual(run.returncode, 0, run.stdout)
        return run.stderr


class Processes(ModesTest):
    def test_of_the_host(self):
        text = self.out("--pid", "host", "busybox", "sh", "-c",
                        "readlink /proc/self/ns/pid; cat /proc/1/comm; "
                        f"cat /proc/{os.getpid()}/comm; cat /proc/{os.getpid()}/environ 2>&1; "
                        f"kill -9 {engine.process.pid} 2>&1; echo > /proc/sys/kernel/hostname; true")
        lines = text.splitlines()
        self.assertEqual(lines[0], namespace("self", "pid"))
        self.assertEqual(lines[1:3], [pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                                      for pid in (1, os.getpid())])
        self.assertIn("Permission denied", lines[3])
        self.assertIn("can't kill pid", lines[4])
        self.assertEqual(engine.api("GET", "/_ping")[0], 200)

    def test_exec_beside_the_host(self):
        self.start("host", "--pid", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "host")
        text = engine.docker("exec", "host", "sh", "-c", "id -u; readlink /proc/self/ns/pid; "
                             f"kill -0 {engine.process.pid} 2>&1 || echo refused").stdout
        self.assertEqual(text.splitlines()[:2], ["0", namespace("self", "pid")])
        self.assertEqual(text.splitlines()[-1], "refused")
        self.assertEqual(len(engine.json("GET", "/containers/host/top")["Processes"]), 1)

    def test_of_the_host_masks_stay(self):
        self.assertEqual(self.out("--pid", "host", "busybox", "sh", "-c",
                                  "wc -c < /proc/timer_list; wc -c < /proc/keys"), "0\n0\n")

    def test_all_end_with_their_container(self):
        pid = self.start("many", "--pid", "host",
                         command=("sh", "-c", "sleep 1000 & sleep 1000 & wait"))

        def processes():
            found = engine.json("GET", "/containers/many/top")["Processes"]
            return found if len(found) == 3 else None
        group = wait_until(processes)
        engine.docker("kill", "many")
        for process in group:
            wait_until(lambda: not os.path.exists(f"/proc/{process[1]}"))
        self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_of_another_container(self):
        owner = self.start("owner", command=("sh", "-c", "trap 'exit 9' USR1; while :; do sleep 0.1; done"))
        guest = self.start("guest", "--pid", "container:owner")
        for kind in ("pid", "user"):
            self.assertEqual(namespace(guest, kind), namespace(owner, kind))
        for kind in ("mnt", "ipc", "uts", "net", "cgroup"):
            self.assertNotEqual(namespace(guest, kind), namespace(owner, kind))
        view = self.inspect("guest")
        self.assertEqual(view["HostConfig"]["PidMode"], "container:" + self.inspect("owner")["Id"])
        # It sees, and may do to it what its user may: a debugger's container is of use.
        self.assertIn("while :", engine.docker("exec", "guest", "cat", "/proc/1/cmdline").stdout)
        # Its own network is its own: it has the rights that its owner has.
        self.assertIn("eth0", engine.docker("exec", "guest", "ip", "addr").stdout)
        engine.docker("exec", "guest", "kill", "-USR1", "1")
        self.assertEqual(engine.docker("wait", "owner").stdout, "9\n")
        # Who lives in its namespace ends with it.
        self.assertEqual(engine.docker("wait", "guest").stdout, "137\n")
        self.assertIn("cannot join PID of a non running container",
                      engine.docker("start", "guest", check=False).stderr)
        engine.docker("start", "owner")
        engine.docker("start", "guest")
        self.assertEqual(namespace(self.inspect("guest")["State"]["Pid"], "pid"),
                         namespace(self.inspect("owner")["State"]["Pid"], "pid"))

    def test_all_of_one_container(self):
        owner = self.start("owner", "--ipc", "shareable")
        guest = self.start("guest", "--pid", "container:owner", "--ipc", "container:owner",
                           "--network", "container:owner", "--cap-add", "SYS_PTRACE")
        for kind in ("pid", "user", "ipc", "net"):
            self.assertEqual(namespace(guest, kind), namespace(owner, kind))
        # A debugger's view of its files.
        self.assertIn("busybox", engine.docker("exec", "guest", "ls", "/proc/1/root/bin").stdout)

    def test_of_two_containers_that_share_nothing(self):
        self.start("one")
        self.start("two", "--ipc", "shareable")
        self.assertIn("do not share a user namespace",
                      self.failing("--pid", "container:one", "--ipc", "container:two", "busybox"))

    def test_after_a_restart_of_the_engine(self):
        self.start("owner")
        self.start("guest", "--pid", "container:owner")
        engine.stop()
        engine.start()
        self.assertEqual({self.inspect(name)["State"]["Status"] for name in ("owner", "guest")},
                         {"running"})
        another = self.start("another", "--pid", "container:owner")
        self.assertEqual(namespace(another, "user"),
                         namespace(self.inspect("owner")["State"]["Pid"], "user"))
        engine.docker("rm", "-f", "owner")
        self.assertEqual(engine.docker("wait", "guest").stdout, "137\n")

    def together(self):
        def shared():
            views = [self.inspect(name)["State"] for name in ("owner", "guest")]
            return (all(view["Status"] == "running" for view in views) and
                    len({namespace(view["Pid"], "pid") for view in views}) == 1)
        try:
            return shared()
        except FileNotFoundError:  # one of them has just ended
            return False

    def test_both_come_back(self):
        always = ("--restart", "always")
        pids = [self.start("owner", *always),
                self.start("guest", *always, "--pid", "container:owner")]
        self.assertTrue(self.together())
        os.kill(pids[0], 9)
        wait_until(lambda: self.inspect("guest")["RestartCount"] > 0 and self.together())
        # After a boot, too: whose namespace it is comes first.
        engine.stop()
        for _, pid in engine.shims():
            os.kill(pid, 9)
        engine.start()
        wait_until(self.together)

    def test_unknown(self):
        self.assertIn("No such container: nope",
                      self.failing("--pid", "container:nope", "busybox"))
        status, _, body = engine.api("POST", "/containers/create",
                                     {"Image": "busybox", "HostConfig": {"PidMode": "odd"}})
        self.assertEqual((status, json.loads(body)["message"]), (400, "invalid PID mode: odd"))


class Ipc(ModesTest):
    def test_shareable(self):
        self.start("donor", "--ipc", "shareable", "--shm-size", "3m",
                   command=("sh", "-c", "echo theirs > /dev/shm/file; sleep 1000"))
        wait_until(lambda: engine.docker("exec", "donor", "cat", "/dev/shm/file",
                                         check=False).stdout)
        text = self.out("--ipc", "container:donor", "busybox", "sh", "-c",
                        "cat /dev/shm/file; echo ours > /dev/shm/back; df /dev/shm | tail -1; "
                        "grep shm /proc/mounts; ls -d /dev/mqueue")
        self.assertTrue(text.startswith("theirs\n"), text)
        self.assertIn(" 3072 ", text)
        self.assertRegex(text, r"/dev/shm tmpfs rw,nosuid,nodev,noexec")
        self.assertEqual(engine.docker("exec", "donor", "cat", "/dev/shm/back").stdout, "ours\n")

    def test_private_is_not_shared(self):
        self.start("donor")
        self.assertIn("non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                      self.failing("--ipc", "container:donor", "busybox"))

    def test_none_has_no_shared_memory(self):
        self.assertEqual(self.out("--ipc", "none", "busybox", "sh", "-c",
                                  "ls /dev/shm 2>/dev/null; readlink /proc/self/ns/ipc | wc -l"),
                         "1\n")

    def test_of_the_host(self):
        mark = pathlib.Path("/dev/shm/coffer-modes-test")
        mark.write_text("host\n")
        mark.chmod(0o644)
        self.addCleanup(mark.unlink)
        text = self.out("--ipc", "host", "busybox", "sh", "-c",
                        f"readlink /proc/self/ns/ipc; cat {mark}; echo x > {mark}; ls -d /dev/shm")
        self.assertEqual(text.splitlines(), [namespace("self", "ipc"), "host", "/dev/shm"])
        self.assertEqual(mark.read_text(), "host\n")

    def test_guest_of_a_guest(self):
        self.start("donor", "--ipc", "shareable")
        self.start("second", "--ipc", "container:donor")
        engine.docker("exec", "donor", "sh", "-c", "echo first > /dev/shm/x")
        self.assertEqual(self.out("--ipc", "container:second", "busybox", "cat", "/dev/shm/x"),
                         "first\n")

    def test_a_mount_of_its_own_stays(self):
        self.start("donor", "--ipc", "shareable")
        text = self.out("--ipc", "container:donor", "--tmpfs", "/dev/shm:size=1m", "busybox", "df",
                        "/dev/shm")
        self.assertIn(" 1024 ", text)

    def test_files_of_a_stopped_guest_are_not_the_hosts(self):
        self.start("donor", "--ipc", "shareable")
        engine.docker("create", "--name", "guest", "--ipc", "container:donor", "busybox")
        engine.docker("cp", "-", "guest:/dev/", input=b"", check=False)
        run = engine.docker("cp", "/etc/hostname", "guest:/dev/shm/coffer-modes-leak", check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertFalse(os.path.exists("/dev/shm/coffer-modes-leak"))


class Others(ModesTest):
    def test_names_of_the_host(self):
        text = self.out("--uts", "host", "busybox", "sh", "-c",
                        "readlink /proc/self/ns/uts; hostname; cat /etc/hostname; echo $HOSTNAME; "
                        "hostname other 2>&1 || true")
        name = socket.gethostname()
        self.assertEqual(text.splitlines()[:4], [namespace("self", "uts"), name, name, name])
        self.assertEqual(socket.gethostname(), name)
        self.assertIn("conflicting options: hostname and the UTS mode",
                      self.failing("--uts", "host", "--hostname", "x", "busybox"))

    def test_control_groups_of_the_host(self):
        text = self.out("--cgroupns", "host", "busybox", "sh", "-c",
                        "readlink /proc/self/ns/cgroup; cat /proc/self/cgroup; "
                        "find /sys/fs/cgroup -name cgroup.procs | wc -l")
        self.assertEqual(text.splitlines()[0], namespace("self", "cgroup"))
        self.assertIn("/coffer-", text)

    def test_host_user_namespace_is_refused_by_name(self):
        self.assertIn("--userns host", self.failing("--userns", "host", "busybox"))

    def test_what_goes_with_the_network_of_another(self):
        self.start("owner")
        for flags, what in ((("--dns", "1.1.1.1"), "dns"), (("--hostname", "x"), "hostname"),
                            (("--add-host", "a:1.2.3.4"), "custom host-to-IP mapping")):
            self.assertIn(f"conflicting options: {what} and the network mode",
                          self.failing("--network", "container:owner", *flags, "busybox"))


class HostIsForRoot(unittest.TestCase):
    """A caller who is not root is given nothing of the host, not by way of another container."""

    def ask(self, body):
        # The peer's ids are those of the time when it connects.
        connection = Connection(engine.socket, 60)
        os.setegid(65534)
        os.seteuid(65534)
        try:
            connection.connect()
        finally:
            os.seteuid(0)
            os.setegid(0)
        connection.request("POST", "/containers/create", json.dumps({"Image": "busybox", **body}),
                           {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return f"{reply.status} {reply.read().decode()}"

    def test_host_modes(self):
        for path in (engine.dir.parent, engine.dir):
            path.chmod(0o711)
        engine.socket.chmod(0o666)
        engine.docker("run", "-d", "--name", "open", "--pid", "host", "--ipc", "host", "--network",
                      "host", "busybox", "sleep", "1000")
        self.assertTrue(self.ask({}).startswith("201"))
        devices = [{"Driver": "cdi", "DeviceIDs": ["acme.com/a=b"]}]
        self.assertRegex(self.ask({"HostConfig": {"DeviceRequests": devices}}), "^403 .*root")
        for field in ("PidMode", "IpcMode", "UTSMode", "CgroupnsMode", "NetworkMode"):
            self.assertRegex(self.ask({"HostConfig": {field: "host"}}), "^403 .*root", field)
        for field in ("PidMode", "IpcMode", "NetworkMode"):
            self.assertRegex(self.ask({"HostConfig": {field: "container:open"}}), "^403 .*root",
                             field)


class Init(ModesTest):
    def test_is_process_one_and_reaps(self):
        text = self.out("--init", "busybox", "sh", "-c",
                        "cat /proc/1/comm; echo $$; (sleep 0 &) ; sleep 0.3; "
                        "ps -o stat | grep -c Z; echo x > /sbin/docker-init || true")
        self.assertEqual(text.splitlines()[:1], ["docker-init"])
        self.assertNotEqual(text.splitlines()[1], "1")
        self.assertEqual(text.splitlines()[2], "0")

    def test_the_program_cannot_change_it(self):
        run = engine.docker("run", "--rm", "--init", "busybox", "sh", "-c",
                            "echo x > /sbin/docker-init; echo x > /proc/1/exe; rm /sbin/docker-init",
                            check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(self.out("--init", "busybox", "echo", "whole"), "whole\n")

    def test_exit_codes(self):
        for command, code in ((("sh", "-c", "exit 7"), 7), (("sh", "-c", "kill -9 $$"), 137),
                              (("nope",), 127), (("/tmp",), 126)):
            run = engine.docker("run", "--rm", "--init", "busybox", *command, check=False)
            self.assertEqual(run.returncode, code, run.stderr)
        self.assertIn("exec /tmp: Permission denied", run.stderr)

    def test_signals_are_handed_on(self):
        self.start("handed", "--init", command=(
            "sh", "-c", "trap 'echo usr1' USR1; trap 'exit 3' TERM; echo ready; "
            "while :; do sleep 0.05; done"))
        wait_until(lambda: "ready" in engine.docker("logs", "handed").stdout)
        engine.docker("kill", "-s", "USR1", "handed")
        wait_until(lambda: "usr1" in engine.docker("logs", "handed").stdout)
        engine.docker("stop", "handed")
        self.assertEqual(self.inspect("handed")["State"]["ExitCode"], 3)

    def test_stop_ends_a_program_that_handles_nothing(self):
        # As process 1 it would have to be killed; the engine says how it ended.
        self.start("plain", "--init")
        engine.docker("stop", "-t", "60", "plain")
        self.assertEqual(self.inspect("plain")["State"]["ExitCode"], 143)

    def test_terminal(self):
        text = self.out("-t", "--init", "busybox", "sh", "-c", "test -t 0 && ps -o pid,comm")
        self.assertIn("docker-init", text)

    def test_user_read_only_and_shown(self):
        engine.docker("run", "--name", "shown", "--init", "--user", "65534", "--read-only",
                      "busybox", "id", "-u")
        self.assertEqual(engine.docker("logs", "shown").stdout, "65534\n")
        view = self.inspect("shown")
        self.assertEqual((view["HostConfig"]["Init"], view["Path"], view["Args"]),
                         (True, "id", ["-u"]))

    def test_beside_the_processes_of_the_host(self):
        self.assertEqual(self.out("--init", "--pid", "host", "busybox", "echo", "x"), "x\n")


if __name__ == "__main__":
    unittest.main()
