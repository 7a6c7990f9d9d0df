#!/usr/bin/python3
"""Each header compiles alone, begins with #pragma once, and says in its first comment what it is."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILE = ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wno-pragma-once-outside-header",
           "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", '-DCOFFER_VERSION="0"', "-Isrc", "-x", "c++"]


def check(path):
    name = path.relative_to(ROOT)
    lines = path.read_text().splitlines()
    if not lines or lines[0] != "#pragma once":
        return f"{name}:1: does not begin with #pragma once"
    if len(lines) < 2 or not lines[1].startswith("// "):
        return f"{name}:2: no comment that says what it is"
    # Included rather than compiled: a header is no main file.
    run = subprocess.run(COMPILE + ["-"], input=f'#include "{path.relative_to(ROOT / "src")}"\n',
                         cwd=ROOT, text=True, capture_output=True)
    if run.returncode:
        return f"{name}: does not compile alone\n{run.stderr[:2000]}"
    return None


def main():
    headers = sorted((ROOT / "src").rglob("*.hpp"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        problems = [p for p in pool.map(check, headers) if p]
    print("\n".join(problems) or f"{len(headers)} headers compile alone")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
