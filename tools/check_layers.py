#!/usr/bin/python3
"""Includes point left only: base -> {sys, json, command} -> {http, archive | oci, api, yaml} -> ... -> {daemon, cli}.

The links of src/CMakeLists.txt must respect the ranks below, and every file may include what its
folder links. Third-party headers only where tools/layers.txt says, and in tests. Files main.cpp
and *_main.cpp put programs together and are exempt.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
RANKS = [
    {"base"},
    {"sys", "json", "command"},
    {"http", "archive", "oci", "api", "yaml"},
    {"runtime", "store", "network", "volume", "logs", "logger", "security", "trust", "registry"},
    {"shim", "files"},
    {"engine"},
    {"build", "swarm"},
    {"daemon", "cli"},
]
SAME_RANK_ALLOWED = {("api", "oci"), ("registry", "store"), ("registry", "trust"), ("logger", "logs")}
# Profiles are judged by the filters that they become.
ALLOWED_IN_TESTS = {("security", "runtime"), ("shim", "logger")}
# Headers without a dot are C++'s; these are C's, POSIX's and Linux's.
SYSTEM = re.compile(r"^((sys|linux|net|netinet|netpacket|arpa|asm)/[\w./-]+\.h|[a-z_]+|"
                    r"(dirent|dlfcn|elf|endian|errno|fcntl|fnmatch|glob|grp|ifaddrs|limits|link|mntent|netdb|"
                    r"paths|poll|pthread|pty|pwd|sched|signal|spawn|stddef|stdint|stdio|stdlib|"
                    r"string|strings|syslog|termios|time|ucontext|unistd|utmp)\.h)$")


def rank(folder):
    return next((i for i, folders in enumerate(RANKS) if folder in folders), None)


def links():
    """folder -> folders it may include, from coffer_library(NAME DEPS ... EXT ...)."""
    text = (SRC / "CMakeLists.txt").read_text()
    direct = {}
    for name, rest in re.findall(r"^coffer_library\((\w+)([^)]*)\)", text, re.M):
        words = re.search(r"\bDEPS((?:\s+[a-z_]+)*)", rest)
        direct[name] = words[1].split() if words else []
    problems = []
    for name, deps in direct.items():
        if rank(name) is None:
            problems.append(f"src/CMakeLists.txt: {name} has no rank in tools/check_layers.py")
            continue
        for dep in deps:
            if rank(dep) is None or (rank(dep) >= rank(name) and (name, dep) not in SAME_RANK_ALLOWED):
                problems.append(f"src/CMakeLists.txt: {name} may not link {dep}")
    allowed = {}

    def closure(name):
        if name not in allowed:
            allowed[name] = {name}
            for dep in direct.get(name, []):
                allowed[name] |= closure(dep)
        return allowed[name]

    for name in direct:
        closure(name)
    return allowed, problems


def third_party():
    rules = []
    for line in (ROOT / "tools/layers.txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            rules.append((words[0], words[1:]))
    return rules


def main():
    allowed, problems = links()
    rules = third_party()
    for path in sorted(p for p in SRC.rglob("*") if p.suffix in (".hpp", ".cpp")):
        name = path.relative_to(SRC).as_posix()
        program = re.search(r"(^|[/_])main\.cpp$", name)
        folder = name.split("/")[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
            if not found:
                continue
            header = found[2]
            where = f"src/{name}:{number}"
            if found[1] == '"':
                if not (SRC / header).is_file():
                    problems.append(f"{where}: no file src/{header}")
                elif (not program and header.split("/")[0] not in allowed.get(folder, set()) and not (
                        name.endswith("_test.cpp") and (folder, header.split("/")[0]) in ALLOWED_IN_TESTS)):
                    problems.append(f"{where}: {folder} may not include {header}")
                continue
            matching = [files for prefix, files in rules if header.startswith(prefix)]
            if matching:
                if not any("*" in files or name in files for files in matching) and not name.endswith("_test.cpp"):
                    problems.append(f"{where}: <{header}> only in {' '.join(sum(matching, []))}")
                elif header.startswith(("gtest/", "gmock/")) and not name.endswith(("_test.cpp", "_suite.hpp")):
                    problems.append(f"{where}: <{header}> only in tests")
            elif not SYSTEM.match(header):
                problems.append(f"{where}: <{header}> is not in tools/layers.txt")
    print("\n".join(problems) or "layers hold")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
