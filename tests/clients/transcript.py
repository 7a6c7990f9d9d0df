"""What a client saw, in a form that two engines can be compared by: ids, addresses, times and names
that an engine makes up are replaced by what they are."""
import json
import re

PATTERNS = [
    (r"sha256:[0-9a-f]{64}", "<digest>"),
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{12}\b", "<short>"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
    (r"\b02:42:[0-9a-f:]{11}\b|\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b", "<mac>"),
    (r"\b(172\.\d+|192\.168|10\.\d+)\.\d+\.\d+(/\d+)?\b", "<address>"),
    (r"\b(\d+|Less than a|About a|About an) (second|minute)s?( ago)?", "<age>"),
    (r"unix:///\S+/(docker\.)?sock", "<host>"),
    (r"/tmp/[^\s\"':]*", "<path>"),
]
COMPILED = [(re.compile(pattern), replacement) for pattern, replacement in PATTERNS]


def normalised(text):
    for pattern, replacement in COMPILED:
        text = pattern.sub(replacement, text)
    # Columns are as wide as their widest entry.
    return re.sub(r"[ \t]+", " ", text)


def flatten(value, path=""):
    """Path -> normalised leaf; empty lists and objects, null and "" are leaves too."""
    if isinstance(value, dict) and value:
        leaves = {}
        for key, inner in value.items():
            leaves.update(flatten(inner, f"{path}.{normalised(key)}"))
        return leaves
    if isinstance(value, list) and value:
        leaves = {}
        for number, inner in enumerate(value):
            leaves.update(flatten(inner, f"{path}[{number}]"))
        return leaves
    if path.endswith(".Pid") and value:
        value = "<pid>"
    return {path: normalised(value) if isinstance(value, str) else value}


def leaves(steps):
    """Of a transcript, a list of (step, value): "step path" -> leaf."""
    found = {}
    for step, value in steps:
        if step in (known.split(" ")[0] for known in found):
            raise ValueError(f"two steps are named {step}")
        for path, leaf in flatten(value).items():
            found[f"{step} {path.lstrip('.')}".strip()] = leaf
    return found


def differences(ours, theirs):
    """Key -> (ours, theirs), where "absent" stands for what one of them has not."""
    mine, other = leaves(ours), leaves(theirs)
    return {key: (json.dumps(mine[key]) if key in mine else "absent",
                  json.dumps(other[key]) if key in other else "absent")
            for key in sorted(mine.keys() | other.keys())
            if key not in mine or key not in other or mine[key] != other[key]}
