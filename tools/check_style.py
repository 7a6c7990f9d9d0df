#!/usr/bin/python3
"""Greps for what our C++ does without: exceptions, fork, system(), using namespace, naked new."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_LINES = 600
# `using namespace commands` stands in the one table that names every command.
RULES = [
    (r"\bthrow\b", "errors are returned as Result"),
    (r"(?<![\w.>])v?fork\s*\(\s*\)", "processes are started by sys::spawn or sys::clone"),
    (r"(std::|(?<!\w)::|[=(,;{}]\s*)(system|popen)\s*\(\s*[^)\s]", "no shell"),
    (r"\busing\s+namespace\s+(?!std::(\w+_)?literals|std::literals|commands;)", "names are written out"),
    (r"(?<![#\w])new\s+[\w:(<]", "std::make_unique or a value"),
    (r"(?<![\w.>])delete\s+\w", "owners release what they own"),
    (r"\bstd::(cout|cerr|endl)\b", "use the logger, or write(2) in a program"),
    (r"\bfor\s*\([^;]*:\s*\*?[\w.>-]*\.lock\(\)", "the lock is gone before the loop begins: copy first"),
    (r"\b(strcpy|strcat|sprintf|gets|strtok|tmpnam|mktemp)\s*\(", "unbounded or unsafe between threads"),
]
# Private constructors and aggregates are out of make_unique's reach.
OWNED_AT_ONCE = re.compile(r"((unique|shared)_ptr<[^;]*>\s*\w*|\bimpl_|\.reset)[({]\s*$")
CLOEXEC = [(r"::socket\s*\(", "SOCK_CLOEXEC"), (r"::socketpair\s*\(", "SOCK_CLOEXEC"),
           (r"(?<!\w)::accept4?\s*\(", "SOCK_CLOEXEC"), (r"::pipe2?\s*\(", "O_CLOEXEC"),
           (r"::eventfd\s*\(", "EFD_CLOEXEC"), (r"::epoll_create1?\s*\(", "EPOLL_CLOEXEC")]


def code_only(text):
    """Comments and literals blanked out, line numbers kept."""
    def blank(found):
        return re.sub(r"[^\n]", " ", found[0])
    raw = r'R"(?P<d>[^()\s]{0,16})\(.*?\)(?P=d)"'
    return re.sub(raw + r"|//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
                  blank, text, flags=re.S)


def main():
    problems = []
    for path in sorted(p for p in (ROOT / "src").rglob("*") if p.suffix in (".hpp", ".cpp")):
        name = path.relative_to(ROOT)
        text = path.read_text()
        code = code_only(text)

        def report(position, why):
            problems.append(f"{name}:{code.count(chr(10), 0, position) + 1}: {why}")

        for pattern, why in RULES:
            for found in re.finditer(pattern, code):
                if not OWNED_AT_ONCE.search(code[max(0, found.start() - 200):found.start()]):
                    report(found.start(), f"'{found[0].strip()}': {why}")
        for pattern, flag in CLOEXEC:
            for found in re.finditer(pattern, code):
                call = code[found.start():code.find(";", found.start())]
                if flag not in call:
                    report(found.start(), f"'{found[0]}' without {flag}")
        lines = text.count("\n")
        if lines > MAX_LINES:
            problems.append(f"{name}: {lines} lines; split it by noun (at most {MAX_LINES})")
    print("\n".join(problems) or "style holds")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
