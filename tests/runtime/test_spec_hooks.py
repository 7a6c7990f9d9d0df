"""Hooks: where and when they run, what they are told, and what their failure does."""
import json
import os
import unittest

from support.bundle import RuntimeTest

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


class Hooks(RuntimeTest):
    def hook(self, script, **more):
        return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"], **more}

    def with_hooks(self, **hooks):
        return lambda cfg: cfg.update(hooks={kind: [self.hook(s)] if isinstance(s, str) else s
                                             for kind, s in hooks.items()})

    def test_all_six_in_order_with_the_state(self):
        log = self.dir / "log"
        log.touch()
        seen = self.dir / "states"
        seen.mkdir()
        hooks = {kind: f"cat > {seen}/{kind}; echo {kind} >> {log}" for kind in KINDS}
        hooks["startContainer"] = "cat > /tmp/state; echo startContainer >> /tmp/log"

        def change(cfg):
            cfg["annotations"] = {"a": "b"}
            self.with_hooks(**hooks)(cfg)
        bundle = self.bundle("sh", "-c", "echo program >> /tmp/log; exec sleep 1000", change=change)
        os.link(log, bundle.rootfs / "tmp/log")
        self.oci("create", "-b", bundle.path, "box")
        self.assertEqual(log.read_text().split(), KINDS[:3])
        pid = self.inspect()["pid"]
        self.oci("start", "box")
        self.wait_for(lambda: "program" in log.read_text(), "the program")
        self.assertEqual(set(log.read_text().split()[3:]), {"startContainer", "program", "poststart"})
        self.assertEqual(log.read_text().split()[3], "startContainer")
        self.oci("delete", "--force", "box")
        self.assertEqual(log.read_text().split()[-1], "poststop")
        want = {"prestart": "creating", "createRuntime": "creating", "createContainer": "creating",
                "startContainer": "created", "poststart": "running", "poststop": "stopped"}
        for kind, status in want.items():
            place = bundle.rootfs / "tmp/state" if kind == "startContainer" else seen / kind
            state = json.loads(place.read_text())
            self.assertEqual((state["id"], state["status"], state["bundle"], state["annotations"]),
                             ("box", status, str(bundle.path), {"a": "b"}), kind)
            if kind != "poststop":
                self.assertEqual(state["pid"], pid, kind)

    def test_namespaces_of_the_hooks(self):
        out = self.dir / "out"
        out.mkdir()
        look = "readlink /proc/self/ns/mnt /proc/self/ns/uts"
        hooks = {"createRuntime": f"{look} > {out}/runtime",
                 # The container's namespaces, the host's files: the new root is not the root yet.
                 "createContainer": f"{look} > {out}/container; hostname >> {out}/container; "
                                    f"test -e {self.dir}/bundle1/rootfs/proc/self/status"}
        self.sh("true", self.with_hooks(**hooks))
        ours = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "uts")]
        self.assertEqual((out / "runtime").read_text().split(), ours)
        theirs = (out / "container").read_text().split()
        self.assertNotIn(theirs[0], ours)
        self.assertNotIn(theirs[1], ours)
        self.assertEqual(theirs[2], self.config()["hostname"])

    def test_start_container_hooks_have_no_more_rights_than_the_process(self):
        def change(cfg):
            self.with_hooks(startContainer="grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status > /tmp/rights;"
                                           "id -u >> /tmp/rights")(cfg)
            cfg["process"]["user"] = {"uid": 7, "gid": 7}
            cfg["process"]["noNewPrivileges"] = True
            cfg["process"]["capabilities"] = {"bounding": ["CAP_KILL"], "effective": [], "permitted": []}
            cfg["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "t",
                                  "options": ["mode=1777"]})
        words = self.sh("cat /tmp/rights", change).split()
        self.assertEqual(words, ["CapEff:", "0" * 16, "CapBnd:", "0" * 14 + "20", "NoNewPrivs:", "1", "7"])

    def test_failures(self):
        for kind in KINDS[:3]:
            bundle = self.bundle("true")
            mark = self.dir / f"stopped-{kind}"
            self.with_hooks(**{kind: "echo for this reason >&2; exit 9", "poststop": f"echo > {mark}"})(bundle.config)
            bundle.write()
            done = self.oci("create", "-b", bundle.path, kind, check=False)
            self.assertEqual(done.status, 1)
            self.assertIn(f"hook {kind}[0] '/bin/sh': exit status 9: for this reason", done.err)
            self.assertEqual(self.oci("state", kind, check=False).status, 1, "it is destroyed")
            self.assertTrue(mark.exists(), "poststop hooks have run")
        for kind in ("startContainer", "poststart"):
            self.created(change=self.with_hooks(**{kind: "exit 9"}), name=kind)
            done = self.oci("start", kind, check=False)
            self.assertEqual(done.status, 1)
            self.assertIn(f"hook {kind}[0] '/bin/sh': exit status 9", done.err)
            self.wait_for(lambda k=kind: self.inspect(k)["status"] == "stopped", "its end")
            self.oci("delete", kind)

    def test_a_failed_poststop_hook_is_a_warning(self):
        mark = self.dir / "second"
        self.running(change=self.with_hooks(poststop=[self.hook("exit 9"), self.hook(f"echo > {mark}")]))
        done = self.oci("delete", "--force", "box")
        self.assertIn("hook poststop[0]", done.err)
        self.assertTrue(mark.exists())

    def test_timeout(self):
        bundle = self.bundle("true")
        self.with_hooks(createRuntime=[self.hook("exec sleep 1000", timeout=1)])(bundle.config)
        done = self.run_in(bundle, check=False)
        self.assertEqual(done.status, 1)
        self.assertIn("did not end within 1000 ms", done.err)

    def test_malformed_hooks_are_refused_by_name(self):
        for kind in KINDS:
            self.refused(self.with_hooks(**{kind: [{"path": "sh"}]}), f"hooks.{kind}[0].path")
            self.refused(self.with_hooks(**{kind: [{"path": "/bin/sh", "timeout": 0}]}),
                         f"hooks.{kind}[0].timeout")
            self.refused(self.with_hooks(**{kind: [{"path": "/bin/sh", "env": ["X"]}]}), f"hooks.{kind}[0].env")


if __name__ == "__main__":
    unittest.main()
