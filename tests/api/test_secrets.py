"""Secrets and configs without a swarm: what containers are given in memory, and nobody else sees."""
import base64
import json
import os
import pathlib
import subprocess
import unittest

from support.engine import BIN, Engine

SECRET = "the-canary-of-secrets-0815"


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


def holds(folder, *words):
    """The files below it that have one of the words in them."""
    found = []
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            found += [str(path) for word in words if word in data]
    return found


class SecretTest(unittest.TestCase):
    def setUp(self):
        self.file = engine.dir / "plain"
        self.file.write_text(SECRET)
        self.id = engine.docker("secret", "create", "--label", "a=b", "pass", self.file).stdout.strip()
        self.file.unlink()

    def tearDown(self):
        engine.remove_containers()
        for kind in ("secrets", "configs"):
            for one in engine.json("GET", f"/{kind}"):
                self.assertEqual(engine.api("DELETE", f"/{kind}/{one['ID']}")[0], 204)


class Endpoints(SecretTest):
    def test_life(self):
        self.assertEqual(engine.docker("secret", "ls", "-q").stdout.strip(), self.id)
        one = json.loads(engine.docker("secret", "inspect", "pass").stdout)[0]
        self.assertEqual(one["Spec"], {"Name": "pass", "Labels": {"a": "b"}})
        self.assertEqual((one["ID"], one["Version"]["Index"]), (self.id, 1))
        for filters, count in (({"name": ["pa"]}, 1), ({"names": ["pa"]}, 0), ({"label": ["a=b"]}, 1),
                               ({"label": ["c"]}, 0), ({"id": [self.id[:4]]}, 1)):
            path = "/secrets?filters=" + json.dumps(filters).replace('"', "%22").replace(" ", "")
            self.assertEqual(len(engine.json("GET", path)), count, filters)
        spec = {"Name": "pass", "Labels": {"c": "d"}}
        self.assertEqual(engine.api("POST", f"/secrets/{self.id}/update?version=7", spec)[0], 400)
        self.assertEqual(engine.api("POST", f"/secrets/{self.id}/update?version=1", spec)[0], 200)
        self.assertEqual(engine.json("GET", "/secrets/pass")["Spec"]["Labels"], {"c": "d"})
        status, _, body = engine.api("POST", "/secrets/pass/update?version=2",
                                     {**spec, "Data": base64.b64encode(b"x").decode()})
        self.assertEqual((status, json.loads(body)["message"]), (400, "only updates to Labels are allowed"))
        engine.stop()
        engine.start()
        self.assertEqual(engine.json("GET", f"/secrets/{self.id}")["Version"]["Index"], 2)
        engine.docker("secret", "rm", "pass")
        self.assertEqual(engine.api("GET", "/secrets/pass")[0], 404)

    def test_mistakes(self):
        data = base64.b64encode(b"x").decode()
        for spec, status in (({"Name": "pass", "Data": data}, 409), ({"Name": "", "Data": data}, 400),
                             ({"Name": "../x", "Data": data}, 400), ({"Name": "empty"}, 400),
                             ({"Name": "odd", "Data": "%%"}, 400),
                             ({"Name": "big", "Data": base64.b64encode(bytes(512000)).decode()}, 400),
                             ({"Name": "far", "Data": data, "Driver": {"Name": "x"}}, 400)):
            self.assertEqual(engine.api("POST", "/secrets/create", spec)[0], status, spec["Name"])
        self.assertEqual(len(engine.json("GET", "/secrets")), 1)

    def test_configs(self):
        run = subprocess.run([BIN / "coffer", "-H", f"unix://{engine.socket}", "config", "create", "conf", "-"],
                             input=b"listen 80\n", capture_output=True, check=True)
        self.assertEqual(len(run.stdout.strip()), 25)
        one = json.loads(engine.docker("config", "inspect", "conf").stdout)[0]
        self.assertEqual(base64.b64decode(one["Spec"]["Data"]), b"listen 80\n")
        for args in (["config", "ls", "-q"], ["secret", "ls", "-q"], ["secret", "inspect", "pass"]):
            self.assertEqual(engine.coffer(*args).stdout, engine.docker(*args).stdout)
        self.assertEqual(engine.coffer("run", "--rm", "--config", "conf", "busybox", "sh", "-c",
                                       "stat -c '%a %u %g' /conf; cat /conf").stdout, "444 0 0\nlisten 80\n")


class InContainers(SecretTest):
    def test_where_and_whose(self):
        out = engine.coffer("run", "--rm", "--secret", "pass", "--secret",
                            "pass,target=/etc/app/key,uid=7,gid=8,mode=0440", "busybox", "sh", "-c",
                            "for f in /run/secrets/pass /etc/app/key; do stat -c '%a %u %g' $f; cat $f; echo; done;"
                            "grep -c 'ramfs ro,nosuid,nodev,noexec' /proc/mounts; echo x >/run/secrets/pass",
                            check=False)
        self.assertEqual(out.stdout, f"400 0 0\n{SECRET}\n440 7 8\n{SECRET}\n2\n")
        self.assertIn("Read-only", out.stderr)

    def test_by_docker(self):
        out = engine.docker("run", "--rm", "--annotation", "coffer.secrets=pass,mode=0444;pass,target=two",
                            "-u", "5", "busybox", "sh", "-c", "cat /run/secrets/pass; cat /run/secrets/two", check=False)
        self.assertEqual(out.stdout, SECRET)
        self.assertIn("Permission denied", out.stderr)

    def test_nowhere_else(self):
        engine.coffer("run", "-d", "--name", "one", "--secret", "pass", "busybox", "sh", "-c",
                      "cat /run/secrets/pass >/dev/null; exec sleep 1000")
        words = (SECRET.encode(), base64.b64encode(SECRET.encode()))
        for folder in (engine.data_root, engine.exec_root):
            self.assertEqual(holds(folder, *words), [])
        self.assertNotIn("/secrets ", pathlib.Path("/proc/self/mountinfo").read_text())
        seen = engine.docker("inspect", "one").stdout + engine.docker("logs", "one").stdout
        engine.docker("commit", "one", "made")
        seen += engine.docker("inspect", "made").stdout + engine.docker("events", "--since", "1", "--until", "0s").stdout
        for archive in (engine.api("GET", "/containers/one/export")[2], engine.api("GET", "/images/made/get")[2]):
            self.assertNotIn(SECRET.encode(), archive)
        self.assertNotIn(SECRET, seen + engine.log.read_text())
        self.assertEqual(os.stat(engine.data_root / "secrets.key").st_mode & 0o777, 0o600)
        engine.docker("rmi", "made")

    def test_while_it_is_used(self):
        engine.coffer("create", "--name", "one", "--secret", "pass", "busybox")
        for name in ("pass", self.id):
            status, _, body = engine.api("DELETE", f"/secrets/{name}")
            self.assertEqual((status, json.loads(body)["message"]),
                             (409, "secret 'pass' is in use by the following container: one"))
        engine.docker("rm", "one")
        engine.docker("secret", "rm", "pass")

    def test_again_at_each_start(self):
        engine.coffer("run", "--name", "one", "--secret", "pass", "busybox", "cat", "/run/secrets/pass")
        engine.stop()
        engine.start()
        self.assertEqual(engine.docker("start", "-a", "one").stdout, SECRET)

    def test_mistakes(self):
        for use, status, words in (("none", 404, "secret none not found"), ("pass,mode=9", 400, "mode=9"),
                                   ("pass,uid=70000", 400, "uid=70000"), ("pass,odd=1", 400, "unknown option 'odd'"),
                                   ("pass;pass", 400, "Duplicate mount point: /run/secrets/pass"),
                                   ("pass,target=/", 400, "target is the root")):
            code, _, body = engine.api("POST", "/containers/create", {
                "Image": "busybox", "HostConfig": {"Annotations": {"coffer.secrets": use}}})
            self.assertEqual(code, status, body)
            self.assertIn(words, json.loads(body)["message"])


class Keys(unittest.TestCase):
    def test_of_the_machine(self):
        folder = engine.dir / "credentials"
        folder.mkdir()
        (folder / "coffer.secrets.key").write_text("a key of the machine")
        other = Engine("--bridge", "none", start=False)
        try:
            other.env["CREDENTIALS_DIRECTORY"] = str(folder)
            other.start()
            data = base64.b64encode(SECRET.encode()).decode()
            other.api("POST", "/configs/create", {"Name": "conf", "Data": data})
            self.assertFalse((other.data_root / "secrets.key").exists())
            self.assertEqual(other.json("GET", "/configs/conf")["Spec"]["Data"], data)
            other.stop()
            (folder / "coffer.secrets.key").write_text("another key")
            other.start()
            status, _, body = other.api("GET", "/configs/conf")
            self.assertEqual(status, 500)
            self.assertIn("sealed with another key", json.loads(body)["message"])
        finally:
            other.close()


if __name__ == "__main__":
    unittest.main()
