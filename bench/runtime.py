#!/usr/bin/python3
"""coffer-oci beside runc and crun, in turn, on one bundle of a static `true` with docker's default
seccomp profile: run, create + start + delete, and exec; medians, ratios and peak memory. Then where
the time of coffer-oci's run goes: what it saves to leave a part out, and what the kernel alone takes.

    sudo bench/runtime.py [--oci build/release/bin/coffer-oci] [--rounds 40] [--userns] [--no-seccomp]
                          [--no-cgroups] [--cgroup2]

A runtime that cannot run containers here as it is is left out: crun refuses hybrid control groups, and
with groups of version 2 it wants CAP_SYS_RESOURCE. --cgroup2 shows nothing but version 2, whatever the
machine has; --no-cgroups runs coffer-oci and crun without control groups.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PROFILE = os.path.join(HERE, "docker-default-seccomp.json")
WARM_UP = 3
# In a mount namespace of its own.
CGROUP2 = 'umount --recursive /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'


def resolved_profile(capabilities):
    """Docker's profile as dockerd writes it into config.json for this machine."""
    with open(PROFILE) as f:
        profile = json.load(f)
    kernel = tuple(int(x) for x in platform.release().split(".")[:2])
    rules = []
    for rule in profile["syscalls"]:
        includes, excludes = rule.get("includes", {}), rule.get("excludes", {})
        if includes.get("arches") and "amd64" not in includes["arches"]:
            continue
        if "amd64" in (excludes.get("arches") or []):
            continue
        if includes.get("caps") and not set(includes["caps"]) <= set(capabilities):
            continue
        if set(excludes.get("caps") or []) & set(capabilities):
            continue
        least = includes.get("minKernel")
        if least and kernel < tuple(int(x) for x in least.split(".")):
            continue
        kept = {"names": rule["names"], "action": rule["action"]}
        for key in ("args", "errnoRet"):
            if rule.get(key):
                kept[key] = rule[key]
        rules.append(kept)
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    }


class Work:
    """A folder with the bundles and the programs that measure."""

    def __init__(self, options):
        self.options = options
        self.dir = tempfile.mkdtemp(prefix="bench-runtime-")
        os.chmod(self.dir, 0o755)
        self.compile(os.path.join(HERE, "measure.c"), "measure")
        self.compile(os.path.join(HERE, "floor.c"), "floor")
        for name, text in (("true", "int main(void) { return 0; }"),
                           ("wait", "#include <unistd.h>\nint main(void) { for (;;) pause(); }")):
            with open(self.path(name + ".c"), "w") as f:
                f.write(text + "\n")
            self.compile(self.path(name + ".c"), name, "-static")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def compile(self, source, name, *flags):
        subprocess.run(["cc", "-O2", *flags, "-o", self.path(name), source], check=True)

    def bundle(self, name, program, change=None):
        path = self.path(name)
        for folder in ("proc", "sys", "dev"):
            os.makedirs(os.path.join(path, "rootfs", folder))
        for file in ("true", "wait"):
            shutil.copy(self.path(file), os.path.join(path, "rootfs", file))
        subprocess.run(["runc", "spec", "--bundle", path], check=True)
        config = os.path.join(path, "config.json")
        with open(config) as f:
            spec = json.load(f)
        spec["process"].update(terminal=False, args=[program])
        if not self.options.no_seccomp:
            spec["linux"]["seccomp"] = resolved_profile(spec["process"]["capabilities"]["bounding"])
        if self.options.userns:
            spec["linux"]["namespaces"].append({"type": "user"})
            for key in ("uidMappings", "gidMappings"):
                spec["linux"][key] = [{"containerID": 0, "hostID": 0x60000000, "size": 65536}]
            for root, folders, files in os.walk(os.path.join(path, "rootfs")):
                for one in [root] + [os.path.join(root, n) for n in folders + files]:
                    os.chown(one, 0x60000000, 0x60000000)
        if change:
            change(spec)
        with open(config, "w") as f:
            json.dump(spec, f)
        return path

    def measure(self, command, sealed=False):
        """(milliseconds, KiB at most) of a command; it must succeed."""
        out = self.path("out")
        if os.path.exists(out):
            os.unlink(out)
        # Not a pipe: what create leaves behind would hold it open.
        with open(self.path("err"), "w+") as err:
            done = subprocess.run([self.path("measure"), *(["--sealed"] if sealed else []), out, *command],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
            err.seek(0)
            words = err.read()
        with open(out) as f:
            took, memory, status = (int(word) for word in f.read().split())
        if done.returncode != 0 or status != 0:
            raise RuntimeError(f"{' '.join(command)}: {words}")
        return took / 1e6, memory


class Runtime:
    def __init__(self, work, name, program, flags):
        self.work, self.name = work, name
        self.command = [program, "--root", work.path("state-" + name), *flags]
        self.count = 0

    def id(self):
        self.count += 1
        return f"bench-{self.name}-{os.getpid()}-{self.count}"

    def do(self, *args, sealed=False):
        return self.work.measure([*self.command, *args], sealed)

    def run(self, bundle, **options):
        return self.do("run", "--bundle", bundle, self.id(), **options)

    def life(self, bundle):
        """create, start, and delete once its process has ended."""
        name = self.id()
        parts = [self.do("create", "--bundle", bundle, name), self.do("start", name)]
        while json.loads(subprocess.run([*self.command, "state", name], check=True,
                                        stdout=subprocess.PIPE).stdout)["status"] != "stopped":
            pass
        parts.append(self.do("delete", name))
        return sum(p[0] for p in parts), max(p[1] for p in parts)


def can_run(runtime, bundle):
    try:
        runtime.run(bundle)
        return True
    except RuntimeError as error:
        print(f"# {error}".strip())
        return False


def compare(title, runtimes, rounds, action):
    """Rounds of all runtimes in turn."""
    times = {r.name: [] for r in runtimes}
    memory = {r.name: 0 for r in runtimes}
    for number in range(rounds + WARM_UP):
        for runtime in runtimes:
            took, most = action(runtime)
            if number >= WARM_UP:
                times[runtime.name].append(took)
                memory[runtime.name] = max(memory[runtime.name], most)
    ours = statistics.median(times[runtimes[0].name])
    print(f"\n{title}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"  {name:12} median {median:7.2f} ms   min {min(values):7.2f} ms   peak {memory[name]:6} KiB"
              f"   {median / ours:5.2f} of ours")


def execs(runtimes, bundle, rounds):
    boxes = {r.name: r.id() for r in runtimes}
    started = []
    try:
        for runtime in runtimes:
            subprocess.run([*runtime.command, "run", "--detach", "--bundle", bundle, boxes[runtime.name]],
                           check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            started.append(runtime)
        compare("exec of /true", runtimes, rounds, lambda r: r.do("exec", boxes[r.name], "/true"))
    finally:
        for runtime in started:
            subprocess.run([*runtime.command, "delete", "--force", boxes[runtime.name]], check=True)


def phases(work, oci, rounds):
    """What a run saves when a part is left out; what the kernel takes without us."""
    def without_network(spec):
        spec["linux"]["namespaces"] = [ns for ns in spec["linux"]["namespaces"] if ns["type"] != "network"]

    def without_seccomp(spec):
        spec["linux"].pop("seccomp", None)

    def without_masks(spec):
        spec["linux"]["maskedPaths"] = spec["linux"]["readonlyPaths"] = []

    plain = work.bundle("plain", "/true")
    variants = {
        "": lambda: oci.run(plain),
        "a program out of reach": lambda: oci.run(plain, sealed=True),
        "the network namespace": lambda b=work.bundle("net", "/true", without_network): oci.run(b),
        "the system call filter": lambda b=work.bundle("bpf", "/true", without_seccomp): oci.run(b),
        "masked and read-only paths": lambda b=work.bundle("masks", "/true", without_masks): oci.run(b),
    }
    if not any("disabled" in flag for flag in oci.command):
        bare = Runtime(work, "bare", oci.command[0], ["--cgroup-manager=disabled"])
        variants["control groups"] = lambda: bare.run(plain)
    times = {name: [] for name in variants}
    for _ in range(rounds):
        for name, action in variants.items():
            times[name].append(action()[0])
    whole = statistics.median(times.pop(""))
    print(f"\nof {whole:.2f} ms a run spends on")
    for name, values in times.items():
        print(f"  {name:28} {whole - statistics.median(values):7.2f} ms")
    print("\nthe kernel alone")
    floor = subprocess.run([work.path("floor"), os.path.join(plain, "rootfs"), str(rounds)], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    for line in floor.splitlines():
        name, took = line.split("\t")
        print(f"  {name:28} {int(took) / 1000:7.2f} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--oci", default=os.path.join(HERE, "../build/release/bin/coffer-oci"))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--userns", action="store_true")
    parser.add_argument("--no-seccomp", action="store_true")
    parser.add_argument("--no-cgroups", action="store_true")
    parser.add_argument("--cgroup2", action="store_true")
    options = parser.parse_args()
    if options.cgroup2:
        words = [word for word in sys.argv if word != "--cgroup2"]
        os.execvp("unshare", ["unshare", "--mount", "sh", "-c", CGROUP2, "sh", sys.executable, *words])
    work = Work(options)
    try:
        bundle = work.bundle("bundle", "/true")
        long_lived = work.bundle("long-lived", "/wait")
        programs = {"coffer-oci": os.path.abspath(options.oci), "runc": shutil.which("runc"),
                    "crun": shutil.which("crun")}
        flags = {name: [] for name in programs}
        if options.no_cgroups:
            flags = {"coffer-oci": ["--cgroup-manager=disabled"], "runc": [],
                     "crun": ["--cgroup-manager=disabled"]}
        runtimes = [Runtime(work, name, path, flags[name]) for name, path in programs.items() if path]
        runtimes = [r for r in runtimes if can_run(r, bundle)]
        if not runtimes or runtimes[0].name != "coffer-oci":
            raise SystemExit("coffer-oci does not run here")
        compare("run of /true", runtimes, options.rounds, lambda r: r.run(bundle))
        compare("create + start + delete", runtimes, options.rounds, lambda r: r.life(bundle))
        execs(runtimes, long_lived, options.rounds)
        phases(work, runtimes[0], options.rounds)
    finally:
        shutil.rmtree(work.dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
