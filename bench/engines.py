"""cofferd and dockerd side by side for the benches that drive both with a client."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

BUSYBOX = "/bin/busybox"


def enter_namespaces():
    """Runs the calling script again, with network, mount and pid namespaces of its own and lo up."""
    if "COFFER_BENCH_INSIDE" not in os.environ:
        os.environ["COFFER_BENCH_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
                              "--mount-proc", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def wait_for(path):
    for _ in range(300):
        if os.path.exists(path):
            return
        time.sleep(0.1)
    raise SystemExit(f"{path} did not appear")


def rootfs_tar(folder):
    root = os.path.join(folder, "rootfs")
    os.makedirs(os.path.join(root, "bin"))
    shutil.copy(BUSYBOX, os.path.join(root, "bin/busybox"))
    for name in ("true", "sh", "cat"):
        os.symlink("busybox", os.path.join(root, "bin", name))
    path = os.path.join(folder, "rootfs.tar")
    subprocess.run(["tar", "-C", root, "-cf", path, "."], check=True)
    return path


class Engines:
    """Both with the image busybox. `ours` and `theirs` are environments of clients, `plain` is one
    without an engine. dockerd runs in network and mount namespaces of its own; or, without
    `networks`, both in those of the caller, and make no network. Without `peer` there is no dockerd.
    All is below `folder` and gone at the end."""

    def __init__(self, build, networks=True, dockerd_flags=(), peer=True):
        self.networks = networks
        self.peer = peer
        self.dockerd_flags = dockerd_flags
        self.programs = os.path.join(build, "bin")
        self.folder = tempfile.mkdtemp(prefix="coffer-bench-")
        self.plain = {"PATH": os.environ["PATH"], "HOME": self.folder}
        self.ours = dict(self.plain, DOCKER_HOST=f"unix://{self.folder}/coffer.sock")
        self.theirs = dict(self.plain, DOCKER_HOST=f"unix://{self.folder}/docker.sock")
        self.processes = []

    def __enter__(self):
        folder = self.folder
        try:
            self.start("coffer", [f"{self.programs}/cofferd", "--bridge",
                                  "cofbench0" if self.networks else "none"])
            if self.peer:
                self.start("docker", [
                    *(["unshare", "-n", "-m", "dockerd"] if self.networks else
                      ["dockerd", "--bridge", "none", "--iptables=false", "--ip6tables=false"]),
                    "--pidfile", f"{folder}/docker.pid", *self.dockerd_flags])
            self.tar = rootfs_tar(folder)
            for env in (self.ours, self.theirs)[:1 + self.peer]:
                self.docker(env, "import", "-c", "ENV PATH=/bin", self.tar, "busybox:latest")
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, name, command):
        with open(f"{self.folder}/{name}.log", "w") as log:
            self.processes.append(subprocess.Popen(
                [*command, "--data-root", f"{self.folder}/{name}", "--exec-root",
                 f"{self.folder}/{name}-run", "-H", f"unix://{self.folder}/{name}.sock"],
                stdout=log, stderr=log))
        wait_for(f"{self.folder}/{name}.sock")

    @staticmethod
    def docker(env, *args):
        subprocess.run(["docker", *args], env=env, check=True, stdout=subprocess.DEVNULL)

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def timed(command, env):
    """Seconds."""
    start = time.monotonic()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start
