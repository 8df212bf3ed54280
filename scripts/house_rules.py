#!/usr/bin/python3
"""Checks the rules of the house that no compiler knows. Prints file:line: what is wrong; exit 1 when there is any."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CODE = {".cc", ".h", ".py", ".def", ".sh", ".js", ".css", ".cmake", ""}
MAXIMUM_LINES = 600
MAXIMUM_COLUMNS = 130

# The vocabulary of orchestrator's interface lives where that interface is spoken, and nowhere else.
OLD_WORDS = re.compile(r"master|slave", re.IGNORECASE)
# What is stored or configured under a name of that interface keeps it everywhere: words of the record, text in quotes.
QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
STORED_WORDS = re.compile(r"(?i)postmaster|[a-z]+-(?:co-)?(?:master|slave)s?(?:-[a-z]+)*")
CONFIGURATION_KEY = re.compile(r"BATON_KEY\([^,]+, (\w+),")
ROOMS_WITH_OLD_WORDS = ("src/http/v1/", "src/cli/", "src/config/")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b|not impl" r"emented", re.IGNORECASE)


def files():
    for folder in ("src", "sim", "bench", "tests", "fuzz", "lab", "scripts", "cmake", "packaging"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in CODE and not {"__pycache__", "corpus"} & set(path.parts):
                yield path


def configuration_keys():
    """Names of the configuration's keys, longest first, as one expression; any code may ask for them."""
    names = set()
    for path in (ROOT / "src/config/keys").glob("*.def"):
        names.update(CONFIGURATION_KEY.findall(path.read_text(encoding="utf-8")))
    return re.compile("|".join(sorted(names, key=len, reverse=True)) or r"(?!)")


def says_old_words(line, keys):
    return OLD_WORDS.search(keys.sub("", STORED_WORDS.sub("", QUOTED.sub("", line))))


def problems(path, keys):
    name = str(path.relative_to(ROOT))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return
    if len(lines) > MAXIMUM_LINES:
        yield 1, f"{len(lines)} lines; at most {MAXIMUM_LINES}, so a room or a file is missing"
    old_words_allowed = not name.startswith(("src/", "sim/", "bench/")) or name.startswith(ROOMS_WITH_OLD_WORDS)
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield number, "unfinished work is finished or left out, not marked"
        if not old_words_allowed and says_old_words(line, keys):
            yield number, "say primary and standby; the other words belong to " + ", ".join(ROOMS_WITH_OLD_WORDS)
        if len(line) > MAXIMUM_COLUMNS and path.suffix == ".py":
            yield number, f"{len(line)} columns; at most {MAXIMUM_COLUMNS}"
        if line.endswith((" ", "\t")):
            yield number, "white space at the end of the line"


def main():
    found = 0
    keys = configuration_keys()
    for path in files():
        for number, text in problems(path, keys):
            print(f"{path.relative_to(ROOT)}:{number}: {text}")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
