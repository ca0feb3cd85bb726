#!/usr/bin/env python3
"""Checks what no compiler sees: sizes, line lengths and the like, over the files that git tracks.

  check_tree.py [ROOT]        checks the tree at ROOT (this checkout)
  check_tree.py --self-test   checks that planted faults are found
"""
import pathlib
import re
import subprocess
import sys
import tempfile

MAX_BYTES = 200_000
MAX_COLUMNS = 110
MAX_LINES = 600
CODE = {".h", ".cpp", ".cu", ".cuh", ".def", ".inc"}
TEXT = CODE | {".tl", ".py", ".sh", ".cmake", ".txt", ".md", ".json"}
TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\): \S)")
# Inputs whose very bytes are what a test is about.
VERBATIM = ("tests/fuzz/corpus/", "tests/lang/", "tests/tokenizer/", "tests/parity/")
# Files that may be longer than MAX_LINES, each with its reason. Keep it empty if you can.
LONG_FILES = {}
# What patches, merges and editors leave behind.
LEFTOVERS = {".orig", ".rej", ".bak", ".swp"}
# Files that may be larger than MAX_BYTES, each with its reason.
LARGE_FILES = {}


def tracked_files(root):
    git = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True)
    if git.returncode == 0 and git.stdout:
        return [name for name in git.stdout.split("\0") if name and (root / name).is_file()]
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return [path.as_posix() for path in files if path.parts[0] not in {"build", ".git"}]


def check_lines(name, text):
    bad = []
    code = pathlib.PurePath(name).suffix in CODE
    if text and not text.endswith("\n"):
        bad.append(f"{name}: the last line has no end")
    for number, line in enumerate(text.split("\n"), 1):
        if code and not name.endswith(".def") and len(line) > MAX_COLUMNS:  # tables: a row a line
            bad.append(f"{name}:{number}: {len(line)} columns (at most {MAX_COLUMNS})")
        if line.endswith((" ", "\t", "\r")) and not name.endswith(".md"):
            bad.append(f"{name}:{number}: white space at the end")
        if code and "\t" in line:
            bad.append(f"{name}:{number}: a tab")
        if code and TODO.search(line):
            bad.append(f"{name}:{number}: say TODO(#issue): condition that removes it")
    return bad


def check_file(root, name):
    path = root / name
    bad = []
    if path.suffix in LEFTOVERS or name.endswith("~"):
        return [f"{name}: a tool's leftover"]
    if path.stat().st_size > MAX_BYTES and name not in LARGE_FILES:
        bad.append(f"{name}: {path.stat().st_size} bytes (at most {MAX_BYTES})")
    if path.suffix not in TEXT or name.startswith(VERBATIM):
        return bad
    try:
        text = path.read_text(encoding="utf-8", errors="strict")
    except UnicodeDecodeError:
        return bad + [f"{name}: not UTF-8"]
    lines = text.count("\n")
    if name.startswith("tl/") and path.suffix in CODE and lines > MAX_LINES and name not in LONG_FILES:
        bad.append(f"{name}: {lines} lines (at most {MAX_LINES})")
    return bad + check_lines(name, text)


def check_tree(root):
    return [line for name in sorted(tracked_files(root)) for line in check_file(root, name)]


PLANTED = [
    ("tl/ok.h", "int x;\n", None),
    ("tl/old.cpp.orig", "int x;\n", "leftover"),
    ("tl/wide.cpp", "// " + "x" * 120 + "\n", "123 columns"),
    ("tl/long.cpp", "int x;\n" * 700, "700 lines"),
    ("tl/tab.h", "\tint x;\n", "a tab"),
    ("tl/space.h", "int x; \n", "white space"),
    ("tl/end.h", "int x;", "no end"),
    ("tl/todo.h", "// TODO: later\n", "TODO(#issue)"),
    ("tl/todo_ok.h", "// TODO(#12): once it is so\n", None),
    ("bench/big.bin", "x" * 300_000, "300000 bytes"),
]


def self_test():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text, wanted in PLANTED:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
            found = check_file(root, name)
            if (wanted is None) != (not found) or (wanted and wanted not in found[0]):
                failures.append(f"{name}: want {wanted}, got {found}")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        bad, done = self_test(), "every planted fault was found"
    else:
        root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
        bad, done = check_tree(root), "the tree is in order"
    print("\n".join(bad) if bad else done)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
