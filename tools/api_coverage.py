#!/usr/bin/python3
"""Writes docs/api-coverage.md: which operations of the Docker Engine API are served.

    tools/api_coverage.py [--check]

Reads the tables at the top of src/daemon/routes/*.cpp and tests/api/operations.tsv. --check writes
nothing and fails when the page is out of date. A route that is not in the list fails either way.
"""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/api-coverage.md"
ROUTE = re.compile(r'\{Method::(\w+),\s*"([^"]+)",\s*&(\w+)(?:<\w+>)?(?:,\s*Since\{(\d+),\s*(\d+)\})?\}')


def routes():
    """{(method, path): (file, handler, since)} of all tables, with every {*} as {}."""
    found = {}
    for file in sorted((ROOT / "src/daemon/routes").glob("*.cpp")):
        for method, path, handler, major, minor in ROUTE.findall(file.read_text()):
            if path.startswith("/coffer/"):  # ours
                continue
            since = f"{major}.{minor}" if major else "1.24"
            found[method.upper(), blank(path)] = (file.name, handler, since)
    return found


def blank(path):
    return re.sub(r"\{[^}]*\}", "{}", path)


def operations():
    """(resource, method, path, summary) of the whole API."""
    lines = (ROOT / "tests/api/operations.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def page(served, api):
    groups = collections.defaultdict(list)
    for resource, method, path, summary in api:
        groups[resource].append((method, path, summary))
    text = ["# API coverage", "",
            "Made by tools/api_coverage.py from the tables in src/daemon/routes and the list of all",
            "operations in tests/api/operations.tsv; do not edit. An operation that is not served is",
            "answered with 404 `page not found`.", "",
            "| resource | served | of |", "|---|---|---|"]
    for resource, rows in groups.items():
        count = sum((method, blank(path)) in served for method, path, _ in rows)
        text.append(f"| {resource} | {count} | {len(rows)} |")
    total = sum((method, blank(path)) in served for _, method, path, _ in api)
    text.append(f"| **all** | **{total}** | **{len(api)}** |")
    for resource, rows in groups.items():
        text += ["", f"## {resource}", "", "| operation | | since | handler |", "|---|---|---|---|"]
        for method, path, summary in rows:
            file, handler, since = served.get((method, blank(path)), ("", "", ""))
            if file:
                handler = f"{file}: {handler}"
            text.append(f"| `{method} {path}` | {summary} | {since or '-'} | {handler} |")
    return "\n".join(text) + "\n"


def main():
    served, api = routes(), operations()
    known = {(method, blank(path)) for _, method, path, _ in api}
    extra = sorted(set(served) - known)
    if extra:
        print("routes that the API does not have:", extra)
        return 1
    text = page(served, api)
    if "--check" in sys.argv[1:]:
        if PAGE.read_text() == text:
            return 0
        print("docs/api-coverage.md is out of date: run tools/api_coverage.py")
        return 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
