"""Devices by name: specifications of the Container Device Interface, and --gpus."""
import json
import pathlib
import tempfile
import unittest

from support.engine import Engine


def setUpModule():
    global engine, folder
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "lib").write_text("library\n")
    specs = folder / "cdi"
    specs.mkdir()
    (specs / "acme.json").write_text(json.dumps({
        "cdiVersion": "0.6.0", "kind": "acme.com/tape",
        "containerEdits": {"env": ["TAPES=yes"]},
        "devices": [
            {"name": "0", "containerEdits": {
                "env": ["TAPE=0"], "additionalGids": [4242],
                "deviceNodes": [{"path": "/dev/tape0", "hostPath": "/dev/loop0",
                                 "permissions": "r", "fileMode": 0o640, "gid": 4242}],
                "mounts": [{"hostPath": str(folder / "lib"), "containerPath": "/usr/lib/tape",
                            "options": ["ro", "nosuid", "bind"]}]}},
            {"name": "1", "containerEdits": {"env": ["TAPE1=1"]}},
            {"name": "hooked", "containerEdits": {"hooks": [
                {"hookName": "createRuntime", "path": "/bin/sh", "env": ["WHO=runtime"],
                 "args": ["sh", "-c", f"cat >{folder}/state; echo $WHO >{folder}/ran"]},
                {"hookName": "createContainer", "path": "/bin/sh",
                 "args": ["sh", "-c", "cat >/dev/null"]},
                {"hookName": "startContainer", "path": "/bin/touch",
                 "args": ["touch", "/from-the-hook"]}]}},
            {"name": "failing", "containerEdits": {"hooks": [
                {"hookName": "createRuntime", "path": "/bin/false"}]}},
            {"name": "late", "containerEdits": {"hooks": [
                {"hookName": "poststop", "path": "/bin/true"}]}},
        ]}))
    (specs / "gpu.json").write_text(json.dumps({
        "cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": [
            {"name": name, "containerEdits": {"env": [f"GPU{name}=here"]}}
            for name in ("0", "1", "all")]}))
    (specs / "broken.json").write_text("{")
    # As nvidia-ctk writes it.
    (specs / "other.yaml").write_text("""---
cdiVersion: 0.5.0
kind: other.com/tape
containerEdits:
  env:
  - ALL=1
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/tape0
      hostPath: /dev/loop0
      fileMode: 0640
    hooks:
    - hookName: startContainer
      path: /bin/touch
      args: [touch, /from-yaml]
""")
    (specs / "odd.yml").write_text("a: 1\na: 2\n")
    loose = folder / "loose"
    loose.mkdir()
    loose.chmod(0o777)
    (loose / "loose.json").write_text(json.dumps({
        "cdiVersion": "0.6.0", "kind": "loose.com/tape", "devices": [
            {"name": "0", "containerEdits": {"hooks": [
                {"hookName": "createRuntime", "path": "/bin/touch",
                 "args": ["touch", f"{folder}/loose-ran"]}]}}]}))
    engine = Engine("--cdi-spec-dir", specs, "--cdi-spec-dir", loose)
    engine.import_busybox()


def tearDownModule():
    engine.close()


class CdiTest(unittest.TestCase):
    def out(self, *args):
        return engine.docker("run", "--rm", *args).stdout

    def failing(self, *args):
        run = engine.docker("run", "--rm", *args, check=False)
        self.assertNotEqual(run.returncode, 0, run.stdout)
        return run.stderr

    def test_edits(self):
        text = self.out("--device", "acme.com/tape=0", "busybox", "sh", "-c",
                        "env | grep TAPE; id -G; stat -c '%a %u %g %t:%T' /dev/tape0; "
                        "cat /usr/lib/tape; (echo x > /usr/lib/tape); (: >> /dev/tape0); true")
        for part in ("TAPES=yes", "TAPE=0", "4242", "640 0 4242 7:0", "library"):
            self.assertIn(part, text)
        self.assertEqual((folder / "lib").read_text(), "library\n")

    def test_two_of_a_kind(self):
        text = self.out("--device", "acme.com/tape=0", "--device", "acme.com/tape=1", "busybox",
                        "env")
        for part in ("TAPE=0", "TAPE1=1", "TAPES=yes"):
            self.assertIn(part, text)

    def test_own_client(self):
        run = engine.coffer("run", "--rm", "--device", "acme.com/tape=1", "busybox", "env")
        self.assertIn("TAPE1=1", run.stdout)

    def test_refused(self):
        for device, text in (("acme.com/tape=9", "unresolvable CDI devices acme.com/tape=9"),
                             ("acme.com/tape=late", "asks for a poststop hook"),
                             ("acme.com/tape=failing", "createRuntime"),
                             ("loose.com/tape=0", "only if")):
            self.assertIn(text, self.failing("--device", device, "busybox"))
        self.assertFalse((folder / "loose-ran").exists())
        self.assertEqual(engine.docker("ps", "-aq").stdout, "")

    def test_hooks(self):
        text = self.out("--device", "acme.com/tape=hooked", "busybox", "ls", "/")
        self.assertIn("from-the-hook", text)
        self.assertEqual((folder / "ran").read_text(), "runtime\n")
        state = json.loads((folder / "state").read_text())
        self.assertEqual(state["status"], "creating")
        self.assertTrue(pathlib.Path(state["bundle"]).is_absolute())

    def test_yaml(self):
        text = self.out("--device", "other.com/tape=0", "busybox", "sh", "-c",
                        "env | grep ALL; ls /; stat -c %a /dev/tape0")
        for part in ("ALL=1", "from-yaml", "640"):
            self.assertIn(part, text)

    def test_gpus(self):
        self.assertEqual(self.out("--gpus", "all", "busybox", "sh", "-c", "env | grep GPU | sort"),
                         "GPU0=here\nGPU1=here\n")
        self.assertEqual(self.out("--gpus", "1", "busybox", "sh", "-c", "env | grep GPU"),
                         "GPU0=here\n")
        self.assertEqual(self.out("--gpus", "device=1", "busybox", "sh", "-c", "env | grep GPU"),
                         "GPU1=here\n")
        self.assertIn("5 devices of nvidia.com/gpu are asked for, there are 2",
                      self.failing("--gpus", "5", "busybox"))
        self.assertIn('could not select device driver "odd" with capabilities: [[gpu]]',
                      self.failing("--gpus", "driver=odd,count=1", "busybox"))

    def test_info(self):
        info = engine.json("GET", "/info")
        self.assertEqual(info["CDISpecDirs"], [str(folder / "cdi"), str(folder / "loose")])
        self.assertIn({"Source": "cdi", "ID": "acme.com/tape=0"}, info["DiscoveredDevices"])


if __name__ == "__main__":
    unittest.main()
