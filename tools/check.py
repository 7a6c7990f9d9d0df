#!/usr/bin/python3
"""Runs the checks of the project one after another; ./check.sh sets up and calls it.

    tools/check.py [step ...]      all steps, or those named (see STEPS below)

Prints a line a check, the end of the output of what failed, and at last
`N passed, N failed, N skipped`. Logs are kept in build/check/.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "build/check"
JOBS = os.cpu_count() or 2
FUZZ_SECONDS = 30
THREADED = ["base", "http", "engine", "network", "registry", "store", "daemon"]
FUZZERS = ["compression", "dns", "http", "json", "log", "reference", "registry", "tar", "trust",
           "websocket", "yaml"]
CLANG_TIDY = "clang-tidy-16"
CLANG_FORMAT = "clang-format"
total = collections.Counter()


def output_of(command, env=None, timeout=3600):
    """(succeeded, text) of a command run in the root folder."""
    try:
        run = subprocess.run(command, cwd=ROOT, env=dict(os.environ, **(env or {})), text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, errors="replace",
                             stderr=subprocess.STDOUT, timeout=timeout)
        return run.returncode == 0, run.stdout
    except subprocess.TimeoutExpired as late:
        return False, (late.stdout or b"").decode(errors="replace") + f"\nno end after {timeout} s\n"
    except OSError as error:
        return False, f"{error}\n"


def report(name, started, passed, failed, skipped, text, keep=60):
    total.update(passed=passed, failed=failed, skipped=skipped)
    (LOGS / (name.replace("/", "-") + ".log")).write_text(text)
    counts = f"{passed} passed" + (f", {failed} failed" if failed else "")
    counts += f", {skipped} skipped" if skipped else ""
    print(f"{'FAIL' if failed else 'ok  '} {name} ({counts}, {time.monotonic() - started:.0f} s)")
    if failed:
        told = [line for line in text.splitlines() if not line.startswith("ok ")]
        print("    " + "\n    ".join(told[-keep:]))
    sys.stdout.flush()


def check(name, *command, **options):
    """One command that counts as one check."""
    started = time.monotonic()
    good, text = output_of(command, **options)
    report(name, started, int(good), int(not good), 0, text)
    return good


def build(preset, *targets):
    return (check(f"configure/{preset}", "cmake", "--preset", preset) and
            check(f"build/{preset}", "ninja", "-k", "0", "-C", f"build/{preset}", *targets))


def source_files(*suffixes):
    return sorted(str(p.relative_to(ROOT)) for folder in ("src", "tests", "bench")
                  for p in (ROOT / folder).rglob("*") if p.suffix in suffixes)


def unit(preset):
    binaries = sorted((ROOT / f"build/{preset}/tests").glob("*_test"))
    if not binaries:
        report(f"unit/{preset}", time.monotonic(), 0, 1, 0, "no test binary was built")
    for binary in binaries:
        started = time.monotonic()
        result = LOGS / f"{preset}-{binary.name}.json"
        result.unlink(missing_ok=True)
        good, text = output_of([str(binary), f"--gtest_output=json:{result}"], timeout=300)
        if "skipped: needs root" in text:
            report(f"unit/{preset}/{binary.name.removesuffix('_test')}", started, 0, 0, 1, text)
            continue
        try:
            cases = [case for suite in json.loads(result.read_text())["testsuites"]
                     for case in suite["testsuite"]]
        except (OSError, ValueError, KeyError):
            cases = []  # it did not come to its end
        failed = sum(1 for case in cases if case.get("failures"))
        skipped = sum(1 for case in cases if case.get("result") == "SKIPPED" or
                      case.get("status") == "NOTRUN")
        if not good and not failed:
            failed = 1  # crashed, leaked, or hung
        report(f"unit/{preset}/{binary.name.removesuffix('_test')}", started,
               max(0, len(cases) - failed - skipped), failed, skipped,
               "\n".join(line for line in text.splitlines()
                         if not re.match(r"\[ +(OK|RUN) ", line)))


def system(preset, *names):
    started = time.monotonic()
    _, text = output_of([str(ROOT / "tests/run"), "--bin", f"build/{preset}/bin", "--jobs", str(JOBS),
                         *names],
                        env={"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"})
    found = re.search(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", text, re.M)
    passed, failed, skipped = (int(n) for n in found.groups()) if found else (0, 1, 0)
    report(f"system/{preset}", started, passed, failed, skipped, text, keep=200)


def threads():
    """What has threads, under ThreadSanitizer. Unit tests only: it takes the memory that a spawned
    child shares with us until it executes for that of a fork, and reports what is none."""
    if build("tsan", *(f"{name}_test" for name in THREADED)):
        unit("tsan")


def tidy():
    """clang-tidy on every source file but the tests, with the checks of .clang-tidy."""
    started = time.monotonic()
    files = [f for f in source_files(".cpp") if f.startswith("src/") and not f.endswith("_test.cpp")]

    def one(file):
        return output_of([CLANG_TIDY, "--quiet", "-p", "build/dev", file])

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = list(pool.map(one, files))
    bad = [text for good, text in results if not good]
    report("tidy", started, int(not bad), int(bool(bad)), 0,
           "\n".join(re.sub(r"^\d+ warnings? .*\n", "", text, flags=re.M) for text in bad))


def fuzz():
    if not build("fuzz", *(f"fuzz_{name}" for name in FUZZERS)):
        return

    def one(name):
        started = time.monotonic()
        new = LOGS / f"corpus-{name}"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        good, text = output_of([f"build/fuzz/bin/fuzz_{name}", f"-max_total_time={FUZZ_SECONDS}",
                                "-max_len=8192", "-rss_limit_mb=2048", "-timeout=10",
                                f"-artifact_prefix={LOGS}/crash-{name}-", str(new),
                                f"tests/fuzz/corpus/{name}"], timeout=FUZZ_SECONDS + 120)
        report(f"fuzz/{name}", started, int(good), int(not good), 0, text)

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(one, FUZZERS))


STEPS = {
    "build": lambda: build("dev"),
    "style": lambda: check("style", "tools/check_style.py"),
    "layers": lambda: check("layers", "tools/check_layers.py"),
    "docs": lambda: check("docs", "tools/check_docs.py"),
    "format": lambda: check("format", CLANG_FORMAT, "--dry-run", "--Werror",
                            *source_files(".hpp", ".cpp")),
    "headers": lambda: check("headers", "tools/check_headers.py"),
    "unit": lambda: unit("dev"),
    "system": lambda: system("dev"),
    "tidy": tidy,
    "asan-build": lambda: build("asan"),
    "asan-unit": lambda: unit("asan"),
    # Not those in which system calls fail, which must not be the sanitizer's own, and not those that
    # mostly wait.
    "asan-system": lambda: system("asan", "--without", "runtime/test_faults", "--without", "clients/",
                                  "--without", "faults/test_steps", "--without", "faults/test_shim"),
    "tsan": threads,
    "release": lambda: build("release"),
    "fuzz": fuzz,
}


def main():
    names = sys.argv[1:] or list(STEPS)
    unknown = [n for n in names if n not in STEPS]
    if unknown:
        sys.exit(f"no step {' '.join(unknown)}; there are: {' '.join(STEPS)}")
    LOGS.mkdir(parents=True, exist_ok=True)
    for name in names:
        STEPS[name]()
    print("{} passed, {} failed, {} skipped".format(total["passed"], total["failed"],
                                                    total["skipped"]))
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
