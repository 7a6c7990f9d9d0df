"""kill -9 of the engine, and of a shim, at the steps of create, start, exec, commit and rm: soon after
(the engine is started again) the state is right, a status is kept, and nothing is left over."""
import http.client
import json
import os
import pathlib
import random
import socket
import unittest

from support.bundle import payload
from support.engine import Engine, links, wait_until

SOON = 5  # seconds: what is asked for is one, on a machine that has nothing else to do


class Killable(Engine):
    """An engine that dies, or whose shim does, at a step that is named beforehand."""

    def __init__(self, who):
        super().__init__(start=False)
        self.who = who
        self.control = None
        self.start()

    def start(self):
        self.hang_up()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.prefix = [payload("kill_at"), str(theirs.fileno()), self.who]
        self.pass_fds = [theirs.fileno()]
        super().start()
        theirs.close()

    def hang_up(self):
        if self.control:
            self.control.close()
        self.control = None

    def close(self):
        super().close()
        self.hang_up()

    def die_at(self, step):
        """Gives how many steps there were since the last call. 0: at none."""
        self.control.send(str(step).encode())
        return int(self.control.recv(32))


class StepsKilled(unittest.TestCase):
    def world(self):
        """What the machine has that containers add to."""
        engine = self.engine
        return {
            "mounts": pathlib.Path("/proc/self/mounts").read_text().splitlines(),
            "links": links(), "shims": sorted(name for name, _ in engine.shims()),
            "cgroups": engine.cgroups(),
            "run": sorted(os.listdir(engine.exec_root / "containers")),
            **{folder: sorted(os.listdir(engine.data_root / folder))
               for folder in ("containers", "layers", "trash", "volumes", "blobs/sha256")}}

    def check_settled(self, what):
        def rest():
            now = self.world()
            return {key: (now[key], kept) for key, kept in self.before.items() if now[key] != kept}
        try:
            wait_until(lambda: not rest(), SOON)
        except AssertionError:
            self.fail(f"{what}: {rest()}")

    def call(self, method, path, body=None):
        """Gives the status and the body, or nothing when the engine died."""
        try:
            status, _, text = self.engine.api(method, path, body)
            return status, text
        except (OSError, EOFError, ValueError, AssertionError, http.client.HTTPException) as error:
            return None, str(error)

    def state(self):
        return self.engine.json("GET", "/containers/one/json")["State"]

    def create(self, *command):
        return self.call("POST", "/containers/create?name=one", {
            "Image": "box", "Cmd": list(command), "Volumes": {"/data": {}}})

    def sweep(self, who, stride, prepare, operate, check):
        """Runs `operate` once for every step of it that is tried, and dies there; `check` is told
        the step and what `operate` gave, and leaves a container that can be removed, or none."""
        self.engine = Killable(who)
        self.addCleanup(self.engine.close)
        self.engine.import_busybox("box")
        prepare()
        operate()  # what is made once, is
        self.call("DELETE", "/containers/one?force=1&v=1")
        wait_until(lambda: (now := self.world()) and not now["trash"] and not now["links"])
        self.before = self.world()
        step, tried, count = random.randint(1, stride), 0, 0
        while count >= step - stride:
            prepare()
            self.engine.die_at(step)
            given = operate()
            if who == "engine":
                try:
                    count = self.engine.die_at(0)
                except OSError:
                    count = step
                if count >= step:  # it is dead
                    self.engine.process.wait(10)
                    self.engine.start()
            else:
                count = self.engine.die_at(0)
            self.killed = count >= step
            check(f"step {step} of {count}", given)
            self.call("DELETE", "/containers/one?force=1&v=1")
            self.check_settled(f"removed, step {step} of {count}")
            step += stride
            tried += 1
        return tried

    # Of create.

    def test_engine_killed_at_create(self):
        def check(step, given):
            status, text = self.call("GET", "/containers/one/json")
            if given[0] == 201:
                self.assertEqual(status, 200, step)
            if status == 404:
                return self.check_settled(step)
            self.assertEqual(status, 200, (step, text))
            self.assertEqual(self.state()["Status"], "created", step)
            self.assertEqual(self.call("POST", "/containers/one/start")[0], 204, step)
            self.assertEqual(self.engine.docker("wait", "one").stdout, "7\n", step)
        tried = self.sweep("engine", 2, lambda: None, lambda: self.create("sh", "-c", "exit 7"), check)
        self.assertGreater(tried, 5)

    # Of start.

    def start_killed(self, who, stride):
        def check(step, given):
            try:
                state = wait_until(lambda: (now := self.state())["Status"] != "running" and now, SOON)
            except AssertionError:
                self.fail(f"{step}, {given}: {self.state()}\n{self.engine.log.read_text()[-2000:]}")
            if state["Status"] == "exited":
                if who == "engine":
                    self.assertEqual(state["ExitCode"], 7, step)
                    self.assertEqual(self.engine.docker("logs", "one").stdout, "hi\n", step)
                else:
                    self.assertIn(state["ExitCode"], (7, 127, 128, 137, 255), step)
            else:
                self.assertEqual(state["Status"], "created", step)
                self.assertNotEqual(given[0], 204, step)
            self.assertEqual(self.call("POST", "/containers/one/start"), (204, b""), step)
            self.assertEqual(self.engine.docker("wait", "one").stdout, "7\n", step)

        def operate():
            return self.call("POST", "/containers/one/start")
        tried = self.sweep(who, stride, lambda: self.create("sh", "-c", "echo hi; exit 7"), operate, check)
        self.assertGreater(tried, 5)

    def test_engine_killed_at_start(self):
        self.start_killed("engine", 5)

    def test_shim_killed_at_start(self):
        self.start_killed("shim", 8)

    # Of exec.

    def run_exec(self):
        status, text = self.call("POST", "/containers/one/exec", {"Cmd": ["true"], "AttachStdout": True})
        if status != 201:
            return status, text
        return self.call("POST", f"/exec/{json.loads(text)['Id']}/start", {})

    def prepare_running(self):
        self.create("sleep", "1000")
        self.assertEqual(self.call("POST", "/containers/one/start"), (204, b""))

    def test_engine_killed_at_exec(self):
        def check(step, _):
            self.assertEqual(self.state()["Status"], "running", step)
            self.assertEqual(self.engine.docker("exec", "one", "echo", "hi").stdout, "hi\n", step)
            wait_until(lambda: len(self.engine.docker("top", "one").stdout.splitlines()) == 2, SOON)
        tried = self.sweep("engine", 3, self.prepare_running, self.run_exec, check)
        self.assertGreater(tried, 2)

    def test_shim_killed_at_exec(self):
        def check(step, _):
            # Without its shim a container is killed.
            if self.killed:
                state = wait_until(lambda: (now := self.state())["Status"] == "exited" and now, SOON)
                self.assertEqual(state["ExitCode"], 137, step)
                self.assertEqual(self.call("POST", "/containers/one/start"), (204, b""), step)
            self.assertEqual(self.engine.docker("exec", "one", "echo", "hi").stdout, "hi\n", step)
        tried = self.sweep("shim", 3, self.prepare_running, self.run_exec, check)
        self.assertGreater(tried, 2)

    # Of a change of mounts.

    def mounts_killed(self, who, stride):
        old, new = {"/old"}, {"/t", "/n"}

        def update(add, remove):
            return self.call("POST", "/containers/one/update", {"MountAdd": add, "MountRemove": remove})

        def prepare():
            self.prepare_running()
            self.assertEqual(update([{"Type": "volume", "Source": "old", "Target": "/old"}], [])[0], 200)

        def operate():
            return update([{"Type": "tmpfs", "Target": "/t"},
                           {"Type": "volume", "Source": "new", "Target": "/n"}], ["/old"])

        def check(step, given):
            if who == "shim" and self.killed:  # and with it its container
                wait_until(lambda: self.state()["Status"] == "exited", SOON)
                self.assertEqual(self.call("POST", "/containers/one/start"), (204, b""), step)
            shown = self.engine.json("GET", "/containers/one/json")["Mounts"]
            shown = {mount["Destination"] for mount in shown} & (old | new)
            self.assertIn(shown, [new] if given[0] == 200 else [old, new], step)
            table = self.engine.docker("exec", "one", "cat", "/proc/self/mounts").stdout
            self.assertEqual({line.split()[1] for line in table.splitlines()} & (old | new), shown, step)
            for name, target in (("old", "/old"), ("new", "/n")):
                gone, text = self.call("DELETE", f"/volumes/{name}")
                self.assertEqual(gone, 409 if target in shown else 204, (step, name, text))
                if gone == 204:
                    self.call("POST", "/volumes/create", {"Name": name})
        tried = self.sweep(who, stride, prepare, operate, check)
        self.assertGreater(tried, 3)

    def test_engine_killed_at_change_of_mounts(self):
        self.mounts_killed("engine", 2)

    def test_shim_killed_at_change_of_mounts(self):
        self.mounts_killed("shim", 5)

    # Of commit.

    def test_engine_killed_at_commit(self):
        def check(step, given):
            self.assertEqual(self.state()["Status"], "running", step)
            images = [one for one in self.engine.json("GET", "/images/json")
                      if one["RepoTags"] != ["box:latest"]]
            if given[0] == 201:
                self.assertEqual([one["RepoTags"] for one in images], [["made:1"]], step)
            for one in images:  # whole, or not there
                shown = self.engine.docker("run", "--rm", "--network", "none", one["Id"], "cat", "/made")
                self.assertEqual(shown.stdout, "made\n", step)
                self.engine.docker("rmi", "-f", one["Id"])

        def prepare():
            self.create("sh", "-c", "echo made >/made; exec sleep 1000")
            self.assertEqual(self.call("POST", "/containers/one/start"), (204, b""))
            wait_until(lambda: self.engine.docker("diff", "one").stdout == "A /data\nA /made\n")

        def operate():
            given = self.call("POST", "/commit?container=one&repo=made&tag=1")
            if not hasattr(self, "before"):
                self.engine.docker("rmi", "made:1")
            return given
        tried = self.sweep("engine", 3, prepare, operate, check)
        self.assertGreater(tried, 5)

    # Of rm.

    def rm_killed(self, who, stride):
        def check(step, given):
            status, _ = self.call("GET", "/containers/one/json")
            if given[0] == 204:
                self.assertEqual(status, 404, step)
            if status == 404:
                return self.check_settled(step)
            self.assertEqual(status, 200, step)
            state = self.state()
            if state["Status"] != "running":
                self.assertEqual((state["Status"], state["ExitCode"]), ("exited", 137), step)
                self.assertEqual(self.call("POST", "/containers/one/start"), (204, b""), step)
            self.assertEqual(self.engine.docker("exec", "one", "echo", "hi").stdout, "hi\n", step)

        def operate():
            return self.call("DELETE", "/containers/one?force=1&v=1")
        tried = self.sweep(who, stride, self.prepare_running, operate, check)
        self.assertGreater(tried, 3)

    def test_engine_killed_at_rm(self):
        self.rm_killed("engine", 2)

    def test_shim_killed_at_rm(self):
        self.rm_killed("shim", 2)


if __name__ == "__main__":
    unittest.main()
