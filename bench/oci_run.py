#!/usr/bin/python3
"""`run` of a static `true` by coffer-oci and by runc, in turn, with docker's default seccomp
profile: medians and the ratio.

    bench/oci_run.py [--oci build/release/bin/coffer-oci] [--rounds 40] [--userns] [--no-seccomp]
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
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROFILE = os.path.join(HERE, "docker-default-seccomp.json")


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


def make_bundle(path, options):
    os.makedirs(os.path.join(path, "rootfs"))
    for name in ("proc", "sys", "dev"):
        os.mkdir(os.path.join(path, "rootfs", name))
    source = os.path.join(path, "true.c")
    with open(source, "w") as f:
        f.write("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-O2", "-static", "-o", os.path.join(path, "rootfs/true"), source],
                   check=True)
    subprocess.run(["runc", "spec", "--bundle", path], check=True)
    config = os.path.join(path, "config.json")
    with open(config) as f:
        spec = json.load(f)
    spec["process"].update(terminal=False, args=["/true"])
    capabilities = spec["process"]["capabilities"]["bounding"]
    if not options.no_seccomp:
        spec["linux"]["seccomp"] = resolved_profile(capabilities)
    if options.userns:
        spec["linux"]["namespaces"].append({"type": "user"})
        for key in ("uidMappings", "gidMappings"):
            spec["linux"][key] = [{"containerID": 0, "hostID": 0x60000000, "size": 65536}]
        for root, folders, files in os.walk(os.path.join(path, "rootfs")):
            for name in [root] + [os.path.join(root, n) for n in folders + files]:
                os.chown(name, 0x60000000, 0x60000000)
        os.chmod(path, 0o755)
    with open(config, "w") as f:
        json.dump(spec, f)


def timed(command):
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--oci", default=os.path.join(HERE, "../build/release/bin/coffer-oci"))
    parser.add_argument("--peer", default="runc")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--userns", action="store_true")
    parser.add_argument("--no-seccomp", action="store_true")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="bench-oci-")
    os.chmod(work, 0o755)
    try:
        bundle = os.path.join(work, "bundle")
        make_bundle(bundle, options)
        times = {"coffer-oci": [], options.peer: []}
        programs = {"coffer-oci": options.oci, options.peer: options.peer}
        for round_number in range(options.rounds + 3):
            for name, program in programs.items():
                took = timed([program, "--root", os.path.join(work, "state-" + name), "run",
                              "--bundle", bundle, f"bench-{os.getpid()}-{round_number}"])
                if round_number >= 3:  # the first ones fill caches
                    times[name].append(took)
        for name, values in times.items():
            print(f"{name:12} median {statistics.median(values):7.2f} ms   min {min(values):7.2f} ms"
                  f"   ({len(values)} runs)")
        ratio = statistics.median(times[options.peer]) / statistics.median(times["coffer-oci"])
        print(f"{options.peer} / coffer-oci = {ratio:.1f}")
    finally:
        shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
