"""containerd and dockerd of Debian, with coffer-oci as their runtime: the machine's own, or what
tools/install-deps.sh --test has unpacked."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from support.engine import BIN
from support.registry import Layout, busybox_rootfs

UNPACKED = pathlib.Path("/var/cache/coffer-tests/engines")
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", f"{UNPACKED}/usr/bin", f"{UNPACKED}/usr/sbin"])
OCI = BIN / "coffer-oci"
IMAGE = "localhost/busybox:latest"


def find(program):
    return shutil.which(program, path=PATH)


class Peer:
    """A daemon in a folder of its own, on a /run of its own: containerd's shims have fixed places."""

    def __init__(self):
        # Sockets want short paths.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="peer-", dir="/tmp"))
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        self.env = dict(os.environ, PATH=PATH)
        with open(self.dir / "log", "wb") as log:
            self.process = subprocess.Popen(self.command(), env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        try:
            self.wait_until_ready()
            self.load_image()
        except BaseException:
            self.close()
            raise

    def wait_until_ready(self):
        deadline = time.monotonic() + 60
        while self.client(*self.probe, check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = (self.dir / "log").read_text(errors="replace")
                raise RuntimeError(f"{self.command()[0]} does not answer:\n{log[-2000:]}")
            time.sleep(0.05)

    def client(self, *args, check=True):
        run = subprocess.run([*self.client_command(), *map(str, args)], env=self.env, timeout=120,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        if check and run.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, args))}: status {run.returncode}\n"
                                 f"{run.stdout}\n{run.stderr}")
        return run

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        subprocess.run(["umount", "-l", "/run"], check=True)
        shutil.rmtree(self.dir, ignore_errors=True)


class Containerd(Peer):
    probe = ("version",)

    def command(self):
        config = self.dir / "config.toml"
        config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        return [find("containerd"), "--config", config, "--root", self.dir / "root", "--state",
                self.dir / "state", "--address", self.dir / "sock"]

    def client_command(self):
        return [find("ctr"), "--address", self.dir / "sock"]

    def load_image(self):
        layout = Layout(self.dir / "image")
        layout.tag(IMAGE, layout.manifest([busybox_rootfs()]))
        subprocess.run(["tar", "-C", layout.dir, "-cf", self.dir / "image.tar", "."], check=True)
        self.client("image", "import", self.dir / "image.tar")

    def run(self, *args, check=True):
        return self.client("run", "--runc-binary", OCI, *args, check=check)


class Dockerd(Peer):
    probe = ("version",)

    def command(self):
        config = self.dir / "daemon.json"
        config.write_text(json.dumps({"runtimes": {"coffer": {"path": str(OCI)}}}))
        return [find("dockerd"), "--config-file", config, "--data-root", self.dir / "root",
                "--exec-root", self.dir / "exec", "--host", f"unix://{self.dir}/sock",
                "--pidfile", self.dir / "pid", "--bridge", "none", "--iptables=false"]

    def client_command(self):
        return [find("docker"), "--host", f"unix://{self.dir}/sock"]

    def load_image(self):
        (self.dir / "rootfs.tar").write_bytes(busybox_rootfs())
        self.client("import", self.dir / "rootfs.tar", IMAGE)

    def run(self, *args, check=True):
        return self.client("run", "--runtime", "coffer", "--network", "none", *args, check=check)
