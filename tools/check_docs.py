#!/usr/bin/python3
"""What docs/life-of-run.md names as file:function exists; docs/architecture.md names every folder."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    problems = []
    life = ROOT / "docs/life-of-run.md"
    if not life.is_file():
        print("no docs/life-of-run.md")
        return 1
    names = []
    for number, line in enumerate(life.read_text().splitlines(), 1):
        for file, function in re.findall(r"([\w/.-]+\.[ch]pp):([a-zA-Z_~][\w:~]*)", line):
            names.append(function)
            path = next((p for p in (ROOT / file, ROOT / "src" / file) if p.is_file()), None)
            if path is None:
                problems.append(f"docs/life-of-run.md:{number}: no file {file}")
            elif not re.search(rf"\b{re.escape(function.split('::')[-1])}\s*\(", path.read_text()):
                problems.append(f"docs/life-of-run.md:{number}: no function {function} in {file}")
    if not names:
        problems.append("docs/life-of-run.md names no file:function")
    architecture = (ROOT / "docs/architecture.md").read_text()
    for folder in sorted(p.name for p in (ROOT / "src").iterdir() if p.is_dir()):
        if f"`{folder}`" not in architecture:
            problems.append(f"docs/architecture.md: nothing about `{folder}`")
    print("\n".join(problems) or f"{len(names)} functions found")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
