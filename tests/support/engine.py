"""An engine of its own for a test file: cofferd with private folders, socket and bridge.

    engine = Engine()          # started, answers
    engine.docker("ps")        # the real docker CLI against it
    engine.stop()
"""
import glob
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from support.registry import busybox_rootfs

BIN = pathlib.Path(os.environ.get("COFFER_BIN", pathlib.Path(__file__).parents[2] / "build/dev/bin"))
DOCKER = shutil.which("docker")


def wait_until(condition, seconds=60):
    """What `condition` gives once it is true; an error when it does not come to be."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("it did not come to be")
        time.sleep(0.02)
    return value


def links():
    """Links of engines that lead to containers."""
    text = subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE, text=True).stdout
    names = [line.split(": ")[1] for line in text.splitlines()]
    return sorted(name.split("@")[0] for name in names if name.startswith("cof") and "@" in name)


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    def __init__(self, *flags, data_root=None, start=True):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="coffer-engine-"))
        self.data_root = pathlib.Path(data_root or self.dir / "data")
        self.exec_root = self.dir / "run"
        self.socket = self.dir / "docker.sock"
        self.log = self.dir / "cofferd.log"
        (self.dir / "daemon.json").write_text("{}")  # the machine's own does not count
        self.flags = list(flags)
        self.env = dict(os.environ)
        self.process = None
        self.prefix, self.pass_fds = [], []  # of the program that starts it
        if start:
            self.start()

    def start(self):
        command = [*self.prefix, BIN / "cofferd", "--data-root", self.data_root, "--exec-root", self.exec_root,
                   "--host", f"unix://{self.socket}", "--pidfile", self.dir / "pid",
                   "--config-file", self.dir / "daemon.json", "--bridge", "cftest0",
                   *self.flags]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.env,
                                            pass_fds=self.pass_fds)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if self.api("GET", "/_ping")[0] == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"cofferd did not start:\n{self.log.read_text(errors='replace')}")

    def stop(self, how=signal.SIGTERM):
        """Ends the engine; its containers go on."""
        if self.process is None:
            return None
        self.process.send_signal(how)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None
        return status

    def close(self):
        """Removes all containers, ends the engine and deletes its folders."""
        if self.process is not None and self.process.poll() is None:
            self.remove_containers()
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def remove_containers(self):
        for one in self.json("GET", "/containers/json?all=1") or []:
            self.api("DELETE", f"/containers/{one['Id']}?force=1&v=1")

    def remove_images(self):
        for image in self.json("GET", "/images/json?all=1"):
            self.api("DELETE", f"/images/{image['Id']}?force=1")

    def left_of_images(self):
        """The blobs and layers in its store."""
        return [str(path) for folder in ("blobs/sha256", "layers")
                for path in (self.data_root / folder).iterdir()]

    def shims(self):
        """The container and the process of each of its shims."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if len(words) > 1 and words[1].startswith(bytes(self.exec_root)):
                found.append((os.path.basename(words[1].decode()), int(path.parent.name)))
        return found

    def cgroups(self):
        """The control groups of its containers; they are named after the data root."""
        name = "coffer-" + hashlib.sha256(bytes(self.data_root)).hexdigest()[:12]
        return sorted(glob.glob(f"/sys/fs/cgroup/{name}/*/") +
                      glob.glob(f"/sys/fs/cgroup/*/{name}/*/"))

    def api(self, method, path, body=None, headers=None, timeout=60):
        """Gives status, headers and the whole body."""
        connection = Connection(self.socket, timeout)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
                headers = {"Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            connection.close()

    def json(self, method, path, body=None):
        _, _, text = self.api(method, path, body)
        return json.loads(text) if text.strip() else None

    def import_busybox(self, name="busybox"):
        """An image of Debian's busybox that runs a shell."""
        self.docker("import", "-c", 'CMD ["sh"]', "-c", "ENV PATH=/bin", "-", name,
                    input=busybox_rootfs())

    def coffer(self, *args, check=True, env=None):
        """Runs our own client against it."""
        return subprocess.run([BIN / "coffer", "-H", f"unix://{self.socket}", *map(str, args)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=check, timeout=120,
                              env={**os.environ, **(env or {})})

    def docker(self, *args, check=True, timeout=120, env=None, **options):
        """Runs the docker CLI; gives the finished process with text outputs."""
        options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
        if "input" in options:
            options.pop("stdin")
        text = not isinstance(options.get("input"), bytes)
        run = subprocess.run([DOCKER, *map(str, args)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=text, timeout=timeout,
                             env={**os.environ, "DOCKER_HOST": f"unix://{self.socket}",
                                  "DOCKER_CONFIG": str(self.dir / "docker"), **(env or {})},
                             **options)
        if not text:
            run.stdout, run.stderr = run.stdout.decode(), run.stderr.decode()
        if check and run.returncode != 0:
            raise AssertionError(f"docker {' '.join(map(str, args))}: status {run.returncode}\n"
                                 f"{run.stdout}\n{run.stderr}\n"
                                 f"{self.log.read_text(errors='replace')[-4000:]}")
        return run
