"""config.json and the state against the published JSON schema of the specification."""
import copy
import json
import os
import pathlib
import unittest

from support.bundle import RuntimeTest

try:
    import jsonschema
except ImportError:
    jsonschema = None

SCHEMA = pathlib.Path("/usr/share/gocode/src/github.com/opencontainers/runtime-spec/schema")


def validator(name):
    schema = json.loads((SCHEMA / name).read_text())
    resolver = jsonschema.RefResolver(f"{SCHEMA.as_uri()}/", schema)
    return jsonschema.Draft4Validator(schema, resolver=resolver)


def leaves(value, path=()):
    """Every path in a document, with its value."""
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from leaves(child, (*path, key))


def of_another_type(value):
    if isinstance(value, str):
        return 7
    return [] if isinstance(value, dict) else "text"


@unittest.skipUnless(jsonschema and SCHEMA.is_dir(), "no JSON schema of the specification here")
class Schema(RuntimeTest):
    def written(self, *flags):
        folder = self.dir / f"written{len(flags)}"
        folder.mkdir()
        self.oci("spec", "-b", folder, *flags)
        return json.loads((folder / "config.json").read_text())

    def test_what_spec_writes_is_good(self):
        for flags in ((), ("--rootless",)):
            self.assertEqual(list(validator("config-schema.json").iter_errors(self.written(*flags))), [])

    def test_the_state_is_good(self):
        self.oci("create", "-b", self.bundle("true").path, "box")
        self.assertEqual(list(validator("state-schema.json").iter_errors(self.inspect("box"))), [])
        self.oci("delete", "--force", "box")

    def test_a_config_for_start_is_enough(self):
        def minimal(config):
            config["linux"] = {"namespaces": [{"type": "mount"}, {"type": "pid"}],
                               "cgroupsPath": config["linux"]["cgroupsPath"]}
            config["process"] = {"args": ["/bin/true"], "cwd": "/", "user": {"uid": 0, "gid": 0}}
            config.pop("mounts")
            config.pop("hostname")
        bundle = self.bundle(change=minimal)
        self.assertEqual(list(validator("config-schema.json").iter_errors(bundle.config)), [])
        self.run_in(bundle)

    def test_what_the_schema_refuses_is_refused(self):
        check = validator("config-schema.json")
        good = self.written()
        good["process"]["terminal"] = False
        folder = self.dir / "bad"
        os.makedirs(folder / "rootfs")
        refused = 0
        for path, value in list(leaves(good))[1:]:
            bad = copy.deepcopy(good)
            at = bad
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = of_another_type(value)
            if check.is_valid(bad):
                continue
            refused += 1
            (folder / "config.json").write_text(json.dumps(bad))
            with self.subTest(path=path):
                done = self.oci("create", "-b", folder, "bad", check=False)
                self.assertNotEqual(done.status, 0)
                self.assertNotIn("rootfs", done.err)
        self.assertGreater(refused, 100)


if __name__ == "__main__":
    unittest.main()
