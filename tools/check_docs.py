#!/usr/bin/python3
"""What docs/life-of-run.md and docs/runtime.md name as file:function exists, and the tests that the
latter names; docs/architecture.md names every folder."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    problems = []
    names = []
    for page in ("docs/life-of-run.md", "docs/runtime.md"):
        if not (ROOT / page).is_file():
            print(f"no {page}")
            return 1
        for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
            for file, function in re.findall(r"([\w/.-]+\.(?:[ch]pp|py)):([a-zA-Z_~][\w:~]*)", line):
                names.append(function)
                places = (ROOT / file, ROOT / "src" / file, ROOT / "tests/runtime" / file)
                path = next((p for p in places if p.is_file()), None)
                if path is None:
                    problems.append(f"{page}:{number}: no file {file}")
                elif not re.search(rf"\b{re.escape(function.split('::')[-1])}\s*\(", path.read_text()):
                    problems.append(f"{page}:{number}: no function {function} in {file}")
    if not names:
        problems.append("the pages name no file:function")
    architecture = (ROOT / "docs/architecture.md").read_text()
    for folder in sorted(p.name for p in (ROOT / "src").iterdir() if p.is_dir()):
        if f"`{folder}`" not in architecture:
            problems.append(f"docs/architecture.md: nothing about `{folder}`")
    print("\n".join(problems) or f"{len(names)} functions found")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
