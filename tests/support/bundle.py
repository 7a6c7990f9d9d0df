"""OCI bundles of busybox, and coffer-oci with a state folder of its own, for tests/runtime.

    class Some(RuntimeTest):
        def test_it(self):
            self.assertEqual(self.sh("echo hi"), "hi\n")

        def test_more(self):
            bundle = self.bundle("sleep", "100", change=lambda config: ...)
            self.oci("create", "-b", bundle.path, "one")

After each test all containers are gone, and so must be their mounts, processes and control groups.
"""
import atexit
import contextlib
import copy
import functools
import glob
import hashlib
import json
import os
import pathlib
import secrets
import select
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

BIN = pathlib.Path(os.environ.get("COFFER_BIN", pathlib.Path(__file__).parents[2] / "build/dev/bin"))
PAYLOADS = pathlib.Path(__file__).parents[1] / "payloads"
BUSYBOX = pathlib.Path("/bin/busybox")
APPLETS = """cat chmod chown dd echo env false grep head hostname id ip kill ln ls mkdir mknod mount
    mv nice nproc od ping ps pwd readlink rm sed seq sh sleep sort stat stty sync tail
    taskset test touch true tty umount uname wc"""
TIMEOUT = 60


@functools.cache
def scratch():
    """A folder for what all tests of a process share."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-bundle-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def base_rootfs():
    root = scratch() / "rootfs"
    for name in ("bin", "proc", "sys", "dev", "etc", "tmp", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    for name in APPLETS.split():
        os.symlink("busybox", root / "bin" / name)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:\n")
    (root / "etc/group").write_text("root:x:0:\nuser:x:1000:\n")
    return root


@functools.cache
def payload(name):
    """tests/payloads/<name>.c as a static program."""
    program = scratch() / name
    subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program,
                    PAYLOADS / f"{name}.c"], check=True)
    return program


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def mount(destination, source, *options, type="bind"):
    return {"destination": destination, "type": type, "source": str(source),
            "options": list(options) or ["rbind"]}


def namespaces(config, **changes):
    """namespaces(config, pid=None, network="/proc/1/ns/net", user="")"""
    kept = [ns for ns in config["linux"]["namespaces"] if ns["type"] not in changes]
    for kind, path in changes.items():
        if path is not None:
            kept.append({"type": kind, **({"path": str(path)} if path else {})})
    config["linux"]["namespaces"] = kept


def user_namespace(config, base=1_000_000, count=65536):
    namespaces(config, user="")
    for kind in ("uidMappings", "gidMappings"):
        config["linux"][kind] = [{"containerID": 0, "hostID": base, "size": count}]


def capabilities(config, names, sets=("bounding", "effective", "permitted")):
    config["process"]["capabilities"] = {kind: list(names) for kind in sets}


def all_capabilities():
    """Those that we have ourselves."""
    features = json.loads(subprocess.run([BIN / "coffer-oci", "features"], stdout=subprocess.PIPE,
                                         check=True).stdout)
    status = pathlib.Path("/proc/self/status").read_text()
    ours = int(status.split("CapBnd:")[1].split()[0], 16)
    return [name for n, name in enumerate(features["linux"]["capabilities"]) if ours >> n & 1]


class Bundle:
    def __init__(self, folder, config):
        self.path = folder
        self.rootfs = folder / "rootfs"
        self.config = config
        shutil.copytree(base_rootfs(), self.rootfs, symlinks=True, copy_function=os.link)

    def add(self, program, name=None):
        """A program into /bin."""
        shutil.copy(program, self.rootfs / "bin" / (name or pathlib.Path(program).name))

    def write(self):
        (self.path / "config.json").write_text(json.dumps(self.config))
        return self


class Ran:
    """A finished command; what it or its container writes later is in the files all the same."""

    def __init__(self, status, out_file, err_file):
        self.status = status
        self.out_file = out_file
        self.err_file = err_file

    @property
    def out(self):
        return self.out_file.read_text(errors="replace")

    @property
    def err(self):
        return self.err_file.read_text(errors="replace")


def cgroup_folders(path):
    """Version 1, hybrid, or version 2."""
    return sorted(glob.glob(f"/sys/fs/cgroup/{path}/") + glob.glob(f"/sys/fs/cgroup/*/{path}/"))


def process_ids():
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def mounts():
    return pathlib.Path("/proc/self/mountinfo").read_text()


def wait_until(condition, seconds=10):
    """What `condition` gave when it was true, or gave last."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(0.005)


class RuntimeTest(unittest.TestCase):
    program = BIN / "coffer-oci"
    spec_flags = ()  # of the `spec` that the bundles' configurations begin with

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="coffer-runtime-"))
        self.state = self.dir / "state"
        self.group = f"coffer-runtime-{secrets.token_hex(4)}"
        self.count = 0
        self.mounts_before = mounts()
        self.processes_before = process_ids()
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.addCleanup(self.check_nothing_is_left)
        self.addCleanup(self.remove_all)

    def remove_all(self):
        for name in self.oci("list", "-q").out.split():
            self.oci("delete", "--force", name)

    def check_nothing_is_left(self):
        left = cgroup_folders(f"{self.group}/*")
        for folder in cgroup_folders(self.group):
            os.rmdir(folder)
        self.assertEqual(left, [])
        self.assertEqual(mounts(), self.mounts_before)
        gone = wait_until(lambda: not process_ids() - self.processes_before, 3)
        self.assertTrue(gone, "processes left behind")
        self.assertEqual([p.name for p in self.state.iterdir() if p.name != "seccomp"]
                         if self.state.exists() else [], [])

    def config(self):
        return copy.deepcopy(self.base_config())

    @classmethod
    @functools.cache
    def base_config(cls):
        folder = scratch() / "spec"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").unlink(missing_ok=True)
        subprocess.run([cls.program, "spec", *cls.spec_flags, "-b", folder], check=True)
        config = json.loads((folder / "config.json").read_text())
        config["process"]["terminal"] = False
        config["process"]["env"] = ["PATH=/bin"]
        config["root"]["readonly"] = False
        return config

    def bundle(self, *args, change=None):
        """A bundle of busybox that runs `args`, its config.json changed by `change(config)`."""
        self.count += 1
        folder = self.dir / f"bundle{self.count}"
        folder.mkdir()
        config = self.config()
        config["process"]["args"] = [str(arg) for arg in args]
        config["linux"]["cgroupsPath"] = f"/{self.group}/{self.count}"
        if change:
            change(config)
        return Bundle(folder, config).write()

    def oci(self, *args, check=True, program=None, prefix=(), flags=(), **options):
        self.count += 1
        out, err = self.dir / f"{self.count}.out", self.dir / f"{self.count}.err"
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("text", True)
        with open(out, "w") as out_file, open(err, "w") as err_file:
            status = subprocess.run([*prefix, program or self.program, "--root", self.state, *flags,
                                     *map(str, args)], stdout=out_file, stderr=err_file,
                                    timeout=TIMEOUT, **options).returncode
        ran = Ran(status, out, err)
        if check:
            self.assertEqual(status, 0, f"{' '.join(map(str, args))}: {ran.err}")
        return ran

    def run_in(self, bundle, check=True, **options):
        """Runs a bundle, as its configuration is by now, to its end."""
        self.count += 1
        return self.oci("run", "-b", bundle.write().path, f"run{self.count}", check=check, **options)

    def created(self, *args, change=None, name="box"):
        """The bundle of a new container that runs `args`, or else sleeps."""
        bundle = self.bundle(*(args or ("sleep", "1000")), change=change)
        self.oci("create", "-b", bundle.path, name)
        return bundle

    def running(self, *args, change=None, name="box"):
        bundle = self.created(*args, change=change, name=name)
        self.oci("start", name)
        return bundle

    @contextlib.contextmanager
    def background(self, *args, **options):
        """A command that goes on meanwhile, and is killed after it."""
        with subprocess.Popen([self.program, "--root", self.state, *map(str, args)], stdin=subprocess.DEVNULL,
                              text=True, **options) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextlib.contextmanager
    def console(self, *args):
        """The terminal's master, which a command sends to its console socket."""
        path = self.dir / "console.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(TIMEOUT)
            listener.bind(str(path))
            listener.listen()
            self.oci(args[0], "--console-socket", path, *args[1:])
            connection, _ = listener.accept()
            with connection:
                _, (master,), _, _ = socket.recv_fds(connection, 4096, 1)
        path.unlink()
        try:
            yield master
        finally:
            os.close(master)

    def read_until(self, master, words):
        """What comes from a terminal, up to these words or its end."""
        text = ""
        while words not in text and select.select([master], [], [], TIMEOUT)[0]:
            try:
                text += os.read(master, 4096).decode()
            except OSError:
                break
        return text

    @contextlib.contextmanager
    def unshared(self, *flags, script="true"):
        """The /proc folder of a process in namespaces of its own, in which the script has run."""
        with subprocess.Popen(["unshare", *flags, "sh", "-c", f"{script} && echo && exec sleep 1000"],
                              stdout=subprocess.PIPE) as process:
            try:
                process.stdout.readline()
                yield pathlib.Path(f"/proc/{process.pid}")
            finally:
                process.kill()

    def start(self, bundle, name):
        """A container in the background; gives the finished command, whose files get its output."""
        ran = self.oci("create", "-b", bundle.path, name)
        self.oci("start", name)
        return ran

    def sh(self, script, change=None, check=True):
        """What a shell script prints in a new container."""
        ran = self.run_in(self.bundle("sh", "-c", script, change=change), check=check)
        return ran.out if check else ran

    def refused(self, change, *words):
        """A change of the configuration that makes create fail with these words."""
        ran = self.sh("echo must not run", change, check=False)
        self.assertEqual((ran.status, ran.out), (1, ""))
        for some in words:
            self.assertIn(some, ran.err)

    def inspect(self, name="box"):
        return json.loads(self.oci("state", name).out)

    def pid(self, name="box"):
        return self.inspect(name)["pid"]

    def wait_for(self, condition, what):
        self.assertTrue(wait_until(condition, TIMEOUT), f"waiting for {what}")

    def until_output(self, ran, words):
        self.assertTrue(wait_until(lambda: words in ran.out), f"no '{words}' in: {ran.out}{ran.err}")
