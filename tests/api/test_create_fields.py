"""Every field that a create request may have, as docs/create-fields.md lists them: it is honoured
(seen in inspect, and in effect), refused by name, or only recorded. None is silently dropped."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from create_fields import DEPENDS, FOREVER, HONOURED, RECORDED, REFUSED, Case
from support.engine import Engine, wait_until

ROOT = pathlib.Path(__file__).parents[2]


def table():
    rows = {}
    for line in (ROOT / "docs/create-fields.md").read_text().splitlines():
        if match := re.match(r"\| `([\w.]+)` \| (honoured|refused|recorded|answer) \|", line):
            rows[match[1]] = match[2]
    return rows


def nest(path, value):
    """{"A": {"B": value}} of "A.B"."""
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


def merge(one, two):
    for key, value in two.items():
        one[key] = merge(one[key], value) if isinstance(one.get(key), dict) else value
    return one


class Fields(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.specs = pathlib.Path(tempfile.mkdtemp())
        (cls.specs / "gpu.json").write_text(json.dumps({
            "cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": [
                {"name": name, "containerEdits": {"env": [f"GPU={name}"]}} for name in "01"]}))
        cls.engine = Engine("--default-address-pool", "base=10.86.0.0/16,size=24",
                            "--cdi-spec-dir", cls.specs)
        cls.engine.import_busybox()
        for index, name in enumerate(("fields", "second"), 1):
            cls.engine.docker("network", "create", "--ipv6", "--subnet", f"10.87.{index}.0/24",
                              "--subnet", f"fd87:{index}::/64", name)
        cls.engine.docker("run", "-d", "--name", "target", "--network", "fields", "-v",
                          "fields:/tv", "busybox", "sh", "-c",
                          "mkdir -p /tv/part; echo deep > /tv/part/file; sleep 10000")
        wait_until(lambda: cls.engine.docker("exec", "target", "cat", "/tv/part/file",
                                             check=False).stdout)
        # Binds of the disk: not every kernel maps the ids of a tmpfs.
        cls.dir, other = (pathlib.Path(tempfile.mkdtemp()) for _ in range(2))
        for folder in (cls.dir, other):
            folder.chmod(0o777)
        subprocess.run(["mount", "--bind", cls.dir, cls.dir], check=True)
        subprocess.run(["mount", "--make-shared", cls.dir], check=True)
        for name in ("below", "late"):
            (cls.dir / name).mkdir()
        subprocess.run(["mount", "--bind", other, cls.dir / "below"], check=True)
        (cls.dir / "below/file").write_text("below\n")
        (cls.dir / "below/file").chmod(0o666)

    @classmethod
    def tearDownClass(cls):
        cls.engine.close()
        subprocess.run(["umount", "-R", cls.dir], check=True)
        shutil.rmtree(cls.dir)
        shutil.rmtree(cls.specs)
        for folder in pathlib.Path("/sys/fs/cgroup").glob("**/coffer-fields-parent"):
            folder.rmdir()

    def inspect(self, name):
        return self.engine.json("GET", f"/containers/{name}/json")

    def body_of(self, field, case):
        """The request with the field in its place."""
        last = field.split(".")[-1]
        if case.path in ("mount", "bind", "tmpfs", "volume"):
            mount = {"Type": "volume", "Source": "fields", "Target": "/m"}
            if case.path == "bind":
                mount = {"Type": "bind", "Source": "DIR", "Target": "/m"}
            elif case.path == "tmpfs":
                mount = {"Type": "tmpfs", "Target": "/m"}
            elif case.path == "volume":
                mount["VolumeOptions"] = {}
            mount.update(case.more)
            merge(mount, nest(field.removeprefix("HostConfig.Mounts."), case.value))
            mount = json.loads(json.dumps(mount).replace("DIR", str(self.dir)))
            return {"HostConfig": {"Mounts": [mount]}}
        if case.path == "ulimit":
            limit = {"Name": "nofile", "Soft": 99, "Hard": 200, last: case.value}
            return {"HostConfig": {"Ulimits": [limit]}}
        if case.path == "endpoint":
            inner = nest(field.split("EndpointsConfig.")[1], case.value)
            return {"HostConfig": {"NetworkMode": "fields"},
                    "NetworkingConfig": {"EndpointsConfig": {"fields": inner}}}
        if case.path == "second":
            return {"HostConfig": {"NetworkMode": "fields"}, "NetworkingConfig": {
                "EndpointsConfig": {"fields": {}, "second": {last: case.value}}}}
        if case.path:
            return nest(case.path, [{**case.more, last: case.value}])
        return merge(json.loads(json.dumps(case.more)), nest(field, case.value))

    def create(self, body):
        status, _, text = self.engine.api("POST", "/containers/create", {"Image": "busybox", **body})
        answer = json.loads(text)
        if "Id" in answer:
            self.addCleanup(self.engine.api, "DELETE", f"/containers/{answer['Id']}?force=1&v=1")
        return status, answer

    def contains(self, whole, part, where):
        """What was asked for is in what inspect shows."""
        if isinstance(part, dict):
            for key, value in part.items():
                self.contains((whole or {}).get(key), value, f"{where}.{key}")
        elif isinstance(part, list) and part and isinstance(part[0], dict):
            self.assertEqual(len(whole), len(part), where)
            for one, other in zip(whole, part):
                self.contains(one, other, where)
        elif isinstance(part, list) and isinstance(whole, list) and part:
            self.assertLessEqual({str(p) for p in part}, {str(w) for w in whole}, where)
        else:
            self.assertEqual(whole, part, where)

    def shows(self, field, body, name):
        view = self.inspect(name)
        where = {key: value for key, value in body.items() if key == field.split(".")[0]}
        if "NetworkingConfig" in where:
            self.contains(view["NetworkSettings"]["Networks"],
                          body["NetworkingConfig"]["EndpointsConfig"], field)
        elif "HostConfig" in where:
            self.contains(view["HostConfig"], body["HostConfig"], field)
        else:
            self.contains(view["Config"], where, field)

    def honour(self, field, case):
        body = self.body_of(field, case)
        body.setdefault("Cmd", case.cmd or ["sh", "-c", case.script])
        status, answer = self.create(body)
        self.assertEqual(status, 201, answer)
        name = answer["Id"]
        if case.shown:
            self.assertTrue(case.shown(self.inspect(name)))
        else:
            self.shows(field, body, name)
        status, _, text = self.engine.api("POST", f"/containers/{name}/start")
        self.assertEqual(status, 204, text)
        if case.check:
            case.check(self, name)
            return
        self.engine.api("POST", f"/containers/{name}/wait")
        run = self.engine.docker("logs", name)
        if callable(case.want):
            self.assertTrue(case.want(run.stdout), run.stdout)
        else:
            self.assertRegex(run.stdout.rstrip("\n"), re.compile(case.want, re.M),
                             run.stdout + run.stderr)

    def test_honoured(self):
        for field, case in HONOURED.items():
            with self.subTest(field):
                self.honour(field, case)

    def test_depends_on_the_kernel(self):
        for field, (value, script, want, more, name) in DEPENDS.items():
            with self.subTest(field):
                if isinstance(more, list):
                    body = nest(field.rsplit(".", 1)[0], more)
                else:
                    body = merge(json.loads(json.dumps(more)), nest(field, value))
                status, answer = self.create({"Cmd": ["sh", "-c", script], **body})
                if status != 201 or any(re.search(name, w) for w in answer["Warnings"] or []):
                    self.assertRegex(json.dumps(answer), name)
                    if status != 201:
                        self.assertIn(status, (400, 501))
                        continue
                    if "discarded" in json.dumps(answer):
                        self.assertEqual(
                            self.engine.api("POST", f"/containers/{answer['Id']}/start")[0], 204)
                        continue
                self.shows(field, body, answer["Id"])
                status, _, text = self.engine.api("POST", f"/containers/{answer['Id']}/start")
                if status != 204:
                    self.assertRegex(text.decode(), name)
                    continue
                self.engine.api("POST", f"/containers/{answer['Id']}/wait")
                self.assertRegex(self.engine.docker("logs", answer["Id"]).stdout,
                                 re.compile(want, re.M))

    def test_refused(self):
        for field, (value, text) in REFUSED.items():
            with self.subTest(field):
                last = field.split(".")[-1]
                if ".DeviceRequests." in field:
                    body = {"HostConfig": {"DeviceRequests": [{last: value}]}}
                elif ".EndpointsConfig." in field:
                    body = self.body_of(field, Case(value, path="endpoint"))
                elif ".Mounts." in field:
                    body = self.body_of(field, Case(value, path="volume"))
                else:
                    body = nest(field, value)
                status, answer = self.create({"Cmd": ["true"], **body})
                if status == 201:  # what depends on the machine is said at the start
                    status, _, said = self.engine.api("POST", f"/containers/{answer['Id']}/start")
                    answer = json.loads(said or b"{}")
                self.assertIn(status, (400, 403, 501), answer)
                self.assertRegex(answer["message"], text)

    def test_recorded(self):
        for field, value in RECORDED.items():
            with self.subTest(field):
                case = Case(value, path="mount" if ".Mounts." in field else None)
                body = self.body_of(field, case)
                status, answer = self.create({"Cmd": ["true"], **body})
                self.assertEqual(status, 201, answer)
                self.shows(field, body, answer["Id"])

    def test_of_the_answer(self):
        """What the engine fills in is not taken from a request."""
        body = {"HostConfig": {"NetworkMode": "fields"}, "NetworkingConfig": {"EndpointsConfig": {
            "fields": {"NetworkID": "x", "EndpointID": "y", "Gateway": "1.2.3.4",
                       "IPAddress": "1.2.3.5", "IPPrefixLen": 3, "IPv6Gateway": "z",
                       "GlobalIPv6Address": "z", "GlobalIPv6PrefixLen": 3, "DNSNames": ["z"]}}}}
        status, answer = self.create({"Cmd": FOREVER, **body})
        self.assertEqual(status, 201, answer)
        self.assertEqual(self.engine.api("POST", f"/containers/{answer['Id']}/start")[0], 204)
        shown = self.inspect(answer["Id"])["NetworkSettings"]["Networks"]["fields"]
        self.assertEqual((shown["Gateway"], shown["IPPrefixLen"]), ("10.87.1.1", 24))
        self.assertNotEqual((shown["NetworkID"], shown["EndpointID"]), ("x", "y"))
        self.assertNotIn("z", shown["DNSNames"])

    def test_the_page_has_every_field_once(self):
        classes = {field: "honoured" for field in (*HONOURED, *DEPENDS)}
        classes |= {field: "refused" for field in REFUSED}
        classes |= {field: "recorded" for field in RECORDED}
        classes |= {field: "answer" for field in table() if table()[field] == "answer"}
        self.assertEqual(table(), classes)

    def test_the_page_knows_what_is_decoded(self):
        """Names in src/api/config.cpp that the page does not know."""
        known = {part for field in table() for part in field.split(".")}
        text = (ROOT / "src/api/config.cpp").read_text()
        names = set(re.findall(r'f(?:\.words)?\("(\w+)"', text))
        self.assertEqual(names - known, set())


if __name__ == "__main__":
    unittest.main()
