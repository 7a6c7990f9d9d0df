"""A bundle of busybox and coffer-oci on it, for tests/runtime/test_spec_*.py."""
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

OCI = os.path.join(os.environ["COFFER_BIN"], "coffer-oci")
BUSYBOX = shutil.which("busybox")
TIMEOUT = 30
MOUNTS = [
    ("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]),
    ("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
]
CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SYS_ADMIN",
        "CAP_NET_ADMIN"]


def config(args):
    return {
        "ociVersion": "1.3.0",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/",
            "env": ["PATH=/bin:/usr/bin", "HOME=/root"],
            "capabilities": {kind: list(CAPS) for kind in ("bounding", "effective", "permitted")},
        },
        "root": {"path": "rootfs"},
        "hostname": "spec",
        "mounts": [dict(zip(("destination", "type", "source", "options"), m)) for m in MOUNTS],
        "linux": {
            "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")],
            "cgroupsPath": f"/coffer/spec-{secrets.token_hex(6)}",
        },
    }


class SpecTest(unittest.TestCase):
    """Every container and process that a test leaves is removed after it."""

    maxDiff = None

    def setUp(self):
        # A test that waits for what never comes ends with where it waits.
        signal.signal(signal.SIGALRM, lambda *_: self.fail("the test does not end"))
        signal.alarm(10 * TIMEOUT)
        self.addCleanup(signal.alarm, 0)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="spec-"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.root = self.scratch / "state"
        self.addCleanup(self.remove_all)

    def remove_all(self):
        for name in self.oci("list", "-q").stdout.split():
            self.oci("delete", "--force", name)

    def bundle(self, *args, name="bundle"):
        """A folder with a busybox root and config.json; returns (folder, config)."""
        folder = self.scratch / name
        for part in ("bin", "proc", "dev", "sys", "tmp", "etc", "root"):
            (folder / "rootfs" / part).mkdir(parents=True)
        shutil.copy(BUSYBOX, folder / "rootfs/bin/busybox")
        for applet in ("sh", "cat", "echo", "sleep", "ls", "id", "true", "false", "stat", "mount", "nice",
                       "uname", "taskset", "readlink", "test", "ps", "kill", "touch", "grep", "env", "ip",
                       "mkdir", "chmod", "rm", "head", "pwd", "hostname", "seq", "dd", "sort", "wc"):
            os.symlink("busybox", folder / "rootfs/bin" / applet)
        return folder, config(list(args) or ["sleep", "1000"])

    def write(self, folder, cfg):
        (folder / "config.json").write_text(json.dumps(cfg))

    def oci(self, *args, check=False, flags=(), **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run([OCI, "--root", str(self.root), *flags, *map(str, args)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT,
                              errors="replace", **options)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def run_in(self, folder, cfg, name="run", **options):
        """`run` in the foreground."""
        self.write(folder, cfg)
        return self.oci("run", "--bundle", folder, name, **options)

    def sh(self, script, change=None, name="sh"):
        """What a shell in a new container prints; it must succeed."""
        folder, cfg = self.bundle("sh", "-c", script, name=f"bundle-{name}")
        if change:
            change(cfg)
        done = self.run_in(folder, cfg, name)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def detached(self, change=None, args=(), name="box"):
        """A running container, its standard streams on /dev/null."""
        folder, cfg = self.bundle(*args, name=f"bundle-{name}")
        if change:
            change(cfg)
        self.write(folder, cfg)
        with open(self.scratch / f"{name}.err", "w+") as err:
            done = subprocess.run([OCI, "--root", str(self.root), "run", "-d", "-b", str(folder), name],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err,
                                  timeout=TIMEOUT)
            err.seek(0)
            self.assertEqual(done.returncode, 0, err.read())
        return folder, cfg

    def created(self, change=None, args=(), name="box"):
        folder, cfg = self.bundle(*args, name=f"bundle-{name}")
        if change:
            change(cfg)
        self.write(folder, cfg)
        with open(self.scratch / f"{name}.err", "w+") as err:
            done = subprocess.run([OCI, "--root", str(self.root), "create", "-b", str(folder), name],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err,
                                  timeout=TIMEOUT)
            err.seek(0)
            self.assertEqual(done.returncode, 0, err.read())
        return folder, cfg

    def state(self, name="box"):
        return json.loads(self.oci("state", name, check=True).stdout)

    def refused(self, change, *words, args=("true",)):
        """A run that must fail and whose message must hold all words."""
        folder, cfg = self.bundle(*args, name=f"bundle-{secrets.token_hex(4)}")
        change(cfg)
        done = self.run_in(folder, cfg, f"refused-{secrets.token_hex(4)}")
        self.assertEqual(done.returncode, 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def cgroup_file(self, cfg, controller, file):
        """The text of a control file, on whichever version holds the controller."""
        path = cfg["linux"]["cgroupsPath"]
        for base in (f"/sys/fs/cgroup/{controller}", "/sys/fs/cgroup"):
            place = pathlib.Path(base + path) / file
            if place.exists():
                return place.read_text().strip()
        self.fail(f"no {file} of {path}")

    def wait_for(self, condition, what):
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"waiting for {what}")
            time.sleep(0.01)

    @contextlib.contextmanager
    def background(self, *args, **options):
        process = subprocess.Popen([OCI, "--root", str(self.root), *map(str, args)],
                                   stdin=subprocess.DEVNULL, text=True, **options)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
