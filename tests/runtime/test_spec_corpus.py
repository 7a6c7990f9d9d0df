"""Mutations of a config.json that uses every field: none may crash coffer-oci, and the error of each
names the field.

The corpus is made here, the same at every run: each value of the document becomes each wrong type,
and values that are of the right type but mean nothing are listed below.
"""
import copy
import json
import unittest

from support.bundle import RuntimeTest, namespaces

HUGE = 10 ** 30
WHOLE = {
    "process": {
        "terminal": False, "consoleSize": {"height": 1, "width": 1}, "noNewPrivileges": True,
        "user": {"uid": 0, "gid": 0, "umask": 18, "additionalGids": [1]},
        "rlimits": [{"type": "RLIMIT_CORE", "hard": 0, "soft": 0}],
        "oomScoreAdj": 10, "apparmorProfile": "unconfined",
        "scheduler": {"policy": "SCHED_OTHER", "nice": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 1},
        "execCPUAffinity": {"initial": "0", "final": "0"},
    },
    "root": {"path": "rootfs", "readonly": True},
    "domainname": "dom",
    "annotations": {"a": "b"},
    "hooks": {kind: [{"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 5}] for kind in
              ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")},
    "linux": {
        "sysctl": {"net.ipv4.ip_forward": "1"},
        "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}],
        "rootfsPropagation": "private", "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
        "personality": {"domain": "LINUX", "flags": []},
        "timeOffsets": {"monotonic": {"secs": 1, "nanosecs": 2}},
        "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1, "flags": [],
                    "architectures": ["SCMP_ARCH_X86_64"],
                    "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                                  "args": [{"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]}]},
        "resources": {
            "devices": [{"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}],
            "memory": {"limit": 1 << 28, "reservation": 1 << 27, "checkBeforeUpdate": True},
            "cpu": {"shares": 100, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 100},
            "blockIO": {"throttleReadBpsDevice": []},
        },
    },
}

# Path, value, and what of the message tells the field.
MEANINGLESS = [
    ("ociVersion", "2.0.0"), ("ociVersion", ""), ("ociVersion", "1.x"), ("ociVersion", "1."),
    ("process.args", []), ("process.args", ["a\0b"]), ("process.cwd", "relative"), ("process.cwd", ""),
    ("process.cwd", "/a\0b"), ("process.env", ["NOVALUE"]), ("process.env", ["=x"]), ("process.env", ["A=\0"]),
    ("process.user.umask", 0o1000), ("process.user.username", "root"),
    ("process.capabilities.effective", ["CAP_SYS_BOOT"], "effective capabilities"),
    ("process.rlimits.0.type", "RLIMIT_NONE", "process.rlimits"), ("process.rlimits.0.soft", 5, "process.rlimits"),
    ("process.rlimits", [{"type": "RLIMIT_CORE", "hard": 1, "soft": 1}] * 2),
    ("process.oomScoreAdj", 1001), ("process.oomScoreAdj", -1001),
    ("process.scheduler.policy", "SCHED_NONE"), ("process.scheduler.nice", 20), ("process.scheduler.nice", -21),
    ("process.scheduler.priority", 5), ("process.scheduler.flags", ["NONE"]), ("process.scheduler.runtime", 5),
    ("process.ioPriority.class", ""), ("process.ioPriority.priority", 8), ("process.ioPriority.priority", -1),
    ("process.execCPUAffinity.initial", "x"), ("process.execCPUAffinity.final", "3-1"),
    ("process.execCPUAffinity.final", "99999999999"),
    ("root.path", "", "root file system"), ("root.path", "absent", "root file system"),
    ("linux.namespaces", [], "linux.namespaces"), ("linux.namespaces.0.type", "none", "linux.namespaces"),
    ("linux.namespaces.0.path", "/absent", "/absent"), ("linux.namespaces.0.path", "/dev/null", "/dev/null"),
    ("linux.uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}]),
    ("linux.gidMappings", [{"containerID": 0, "hostID": 0, "size": 1}]),
    ("linux.sysctl", {"kernel.core_pattern": "|/x"}, "kernel.core_pattern"),
    ("linux.sysctl", {"net.ipv4.ip_forward": "1+x=|/y"}, "net.ipv4.ip_forward"),
    ("linux.sysctl", {"net/../kernel/core_pattern": "1"}, "net/../kernel/core_pattern"),
    ("linux.devices.0.type", "z", "/dev/x"),
    ("linux.devices.0.path", "", "linux.devices[0].path"), ("linux.devices.0.major", -5, "/dev/x"),
    ("linux.devices.0.minor", 1 << 40, "/dev/x"), ("linux.devices.0.fileMode", 1 << 20, "/dev/x"),
    ("linux.rootfsPropagation", "none"), ("linux.maskedPaths", ["x"]), ("linux.readonlyPaths", [""]),
    ("linux.maskedPaths", ["/a\0b"]), ("linux.personality.domain", "BSD"), ("linux.personality.flags", ["X"]),
    ("linux.memoryPolicy", {"mode": "NONE"}), ("linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "-"}),
    ("linux.intelRdt", {}), ("linux.mountLabel", "system_u:object_r:x"),
    ("linux.timeOffsets", {"realtime": {"secs": 1, "nanosecs": 1}}),
    ("linux.timeOffsets.monotonic.nanosecs", 10 ** 9),
    ("linux.seccomp.defaultAction", "NONE", "linux.seccomp"), ("linux.seccomp.flags", ["NONE"]),
    ("linux.seccomp.architectures", ["NONE"], "linux.seccomp"), ("linux.seccomp.defaultErrnoRet", 5000, "linux.seccomp"),
    ("linux.seccomp.syscalls.0.names", [], "linux.seccomp.syscalls"),
    ("linux.seccomp.syscalls.0.action", "NONE", "linux.seccomp"),
    ("linux.seccomp.syscalls.0.args.0.index", 6, "linux.seccomp"),
    ("linux.seccomp.syscalls.0.args.0.op", "NONE", "linux.seccomp"),
    ("linux.seccomp.listenerMetadata", "x"),
    ("linux.cgroupsPath", "a:b:c"), ("linux.cgroupsPath", "/../x", "cgroup path"), ("linux.cgroupsPath", "/", "cgroup path"),
    ("linux.resources.memory.kernel", 5), ("linux.resources.memory.kernelTCP", 5),
    ("linux.resources.memory.useHierarchy", False), ("linux.resources.memory.limit", 1, "memory.max memory.limit_in_bytes linux.resources.memory.limit"),
    ("linux.resources.cpu.cpus", "x", "cpuset.cpus"), ("linux.resources.cpu.mems", "77", "cpuset.mems"),
    ("linux.resources.cpu.shares", 1, "cpu shares"), ("linux.resources.cpu.quota", 1, "cpu.cfs_quota_us cpu.max"),
    ("linux.resources.cpu.period", 1, "cpu.cfs_period_us cpu.max"),
    ("linux.resources.pids.limit", 1 << 50, "pids.max"),
    ("linux.resources.blockIO.leafWeight", 10), ("linux.resources.blockIO.weight", 5, "blkio weight"),
    ("linux.resources.blockIO.throttleReadBpsDevice", [{"major": -1, "minor": 0, "rate": 1}], "device number"),
    ("linux.resources.devices.0.type", "char", "device type"), ("linux.resources.devices.0.access", "x", "device rule"),
    ("linux.resources.hugepageLimits", [{"pageSize": "3MB", "limit": 1}], "hugetlb.3MB"),
    ("linux.resources.rdma", {"a b": {"hcaHandles": 1}}), ("linux.resources.rdma", {"dev": {}}),
    ("linux.resources.unified", {"a/b": "1"}, "a/b"),
    ("mounts.0.destination", "relative", "mount destination 'relative'"), ("mounts.0.destination", "/", "mount destination '/'"),
    ("mounts.0.type", "none", "mount '/proc'"), ("mounts.0.destination", "/a\0b", "mounts"),
    ("mounts.0.options", ["nonsense"], "nonsense"), ("mounts.0.options", ["idmap"], "mount '/proc'"),
    ("mounts.0.uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}], "mount '/proc'"),
    ("mounts.1.options", ["size=many"], "size"),
] + [(f"hooks.{kind}.0.{field}", value, f"hooks.{kind}[0].{field}")
     for kind in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
     for field, value in (("path", "relative"), ("timeout", 0), ("timeout", -3), ("env", ["X"]), ("args", ["\0"]))]

# Texts that are no document at all.
BROKEN = ["", "{", "[]", "null", "1", '"x"', "{}", '{"ociVersion": "1.3.0"}', "\0", "{" * 1000,
          '{"a": ' * 300 + "1" + "}" * 300, '{"ociVersion": "1.3.0", }', '{"ociVersion": "\\ud800"}', "\ufeff{}",
          '{"ociVersion": "1.3.0", "linux": {}}', "[" * 100000]


def merged(base, more):
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged(base[key], value)
        else:
            base[key] = copy.deepcopy(value)
    return base


def paths(value, prefix=()):
    """Every value of the document, with where it is."""
    yield prefix, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield from paths(child, prefix + (key,))


def changed(cfg, path, value):
    cfg = copy.deepcopy(cfg)
    place = cfg
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return cfg


def wrong_types(value):
    if isinstance(value, bool):
        return ["true", 1]
    if isinstance(value, int):
        return ["1", True, 1.5, HUGE, [], {}]
    if isinstance(value, str):
        return [1, True, [], {}]
    if isinstance(value, list):
        return ["x", 1, {}]
    return ["x", 1, []]


def spelled(path):
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


class Corpus(RuntimeTest):
    def setUp(self):
        super().setUp()
        self.victim = self.bundle("true")

    def whole(self):
        namespaces(self.victim.config, time="")
        return merged(self.victim.config, WHOLE)

    def attempt(self, text):
        (self.victim.path / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        return self.oci("create", "-b", self.victim.path, "victim", check=False)

    def check(self, cfg, words, what):
        done = self.attempt(cfg if isinstance(cfg, str) else json.dumps(cfg))
        with self.subTest(what):
            self.assertEqual(done.status, 1, f"{what}: {done.err}")
            if words:
                self.assertTrue(any(word in done.err for word in words), f"{what}: {done.err}")
        return done

    def test_the_document_itself_is_good(self):
        self.whole()
        self.run_in(self.victim)

    def test_wrong_types(self):
        cfg = self.whole()
        count = 0
        for path, value in list(paths(cfg)):
            if not path:
                continue
            for wrong in wrong_types(value):
                count += 1
                self.check(changed(cfg, path, wrong), [spelled(path)], f"{spelled(path)} = {wrong!r}"[:100])
        self.assertGreaterEqual(count, 400)

    def test_values_without_meaning(self):
        cfg = self.whole()
        for path, value, *word in MEANINGLESS:
            keys = [int(key) if key.isdigit() else key for key in path.split(".")]
            if word and word[0].startswith(("mem", "cpu.")) and " " in word[0]:
                words = word[0].split()  # one file a version of control groups
            else:
                words = word or [path]
            done = self.check(changed(cfg, keys, value), words, f"{path} = {value!r}")
            self.assertFalse((self.state / "victim").exists(), done.err)
        self.assertGreaterEqual(len(MEANINGLESS), 100)

    def test_no_document(self):
        for text in BROKEN:
            self.check(text, [], f"{text[:40]!r}")


if __name__ == "__main__":
    unittest.main()
