"""A Debian to make images of, and packages to install in them: built once with debootstrap, outside
of the namespaces of the tests, which have no way to a mirror. Kept in the folder named by
COFFER_TEST_CACHE (default coffer-test-cache in the system's folder for temporary files)."""
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

SUITE = "bookworm"
INCLUDED = ["nginx-light", "postgresql-15", "python3-psycopg2"]
PACKAGES = ["hello", "cron", "cron-daemon-common", "iputils-ping"]  # for apt to install


def cache():
    return pathlib.Path(os.environ.get("COFFER_TEST_CACHE",
                                       pathlib.Path(tempfile.gettempdir()) / "coffer-test-cache"))


def folder_of_this():
    """Another set of packages is another Debian."""
    wanted = " ".join([SUITE, *INCLUDED, *PACKAGES])
    return cache() / f"debian-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"


def root_archive():
    return folder_of_this() / "root.tar"


def repository():
    """A folder with packages and their index, as apt takes it from `deb URL ./`."""
    return folder_of_this() / "repository"


def mirror():
    """The one that this machine's apt uses."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages",
         f"Codename: {SUITE}", "Component: main"], capture_output=True, text=True).stdout.split()
    return targets[0] if targets else "http://deb.debian.org/debian"


def index_of(folder):
    text = ""
    for package in sorted(folder.glob("*.deb")):
        fields = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True,
                                check=True).stdout
        data = package.read_bytes()
        text += (f"{fields}Filename: ./{package.name}\nSize: {len(data)}\n"
                 f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n")
    return text


def build(folder):
    root, packages = folder / "root", folder / "repository"
    packages.mkdir()
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={','.join(INCLUDED)}", SUITE,
                    root, mirror()], check=True)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    subprocess.run(["chroot", root, "apt-get", "-q", "update"], check=True)
    subprocess.run(["chroot", root, "sh", "-c", 'cd /root && apt-get -q download "$@"', "sh",
                    *PACKAGES], check=True)
    for package in root.glob("root/*.deb"):
        shutil.move(package, packages)
    (packages / "Packages").write_text(index_of(packages))
    for pattern in ("var/lib/apt/lists/*_*", "var/cache/apt/archives/*.deb", "etc/apt/sources.list"):
        for file in root.glob(pattern):
            file.unlink()
    subprocess.run(["tar", "-C", root, "--numeric-owner", "--xattrs", "-cf", folder / "root.tar",
                    "."], check=True)
    shutil.rmtree(root)


def prepare():
    """Gives why there is none, or None. Needs the network the first time."""
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "debian.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if root_archive().exists():
            return None
        folder = pathlib.Path(tempfile.mkdtemp(dir=cache()))
        try:
            with open(cache() / "debian.log", "w") as log:
                subprocess.run([shutil.which("python3"), __file__, folder], check=True, stdout=log,
                               stderr=log, stdin=subprocess.DEVNULL)
            for old in cache().glob("debian*/"):
                shutil.rmtree(old)
            folder.rename(folder_of_this())
        except subprocess.CalledProcessError:
            return f"debootstrap from {mirror()} failed; see {cache()}/debian.log"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return None


if __name__ == "__main__":
    import sys
    build(pathlib.Path(sys.argv[1]))
