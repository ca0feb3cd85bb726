#!/usr/bin/env python3
"""Checks that the documentation is true: every relative link and every path in backquotes leads to a file, and every
fenced `tl` program runs (```tl) or at least checks (```tl check). A program with //~ marks prints what stands after them,
line by line, and nothing else.

  check_docs.py [--tl build/release/tl]    without --tl the programs are only counted
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/**/*.md", "bench/*.md"]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# A path is what starts with a folder of ours and holds no placeholder.
PATH = re.compile(r"`((?:tl|std|scripts|tests|bench|docs|examples|cmake|\.ci)/[\w./-]*[\w/])`")
WANTED = re.compile(r"//~ ?(.*)$", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)[ ]*(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def check_output(place, program, printed):
    wanted = [text.rstrip() for text in WANTED.findall(program)]
    found = [text.rstrip() for text in printed.splitlines()]
    if not wanted or wanted == found:
        return []
    return ["\n  ".join([f"{place}: the program printed", *found, "and not", *wanted])]


def check_page(page, tl):
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    bad, programs = [], 0
    prose = FENCE.sub("", text)
    for target in LINK.findall(prose):
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists():
            bad.append(f"{name}: the link to {target} leads nowhere")
    for path in PATH.findall(prose):
        if not (ROOT / path).exists():
            bad.append(f"{name}: there is no {path}")
    for match in FENCE.finditer(text):
        language, mode, program = match.groups()
        if language != "tl":
            continue
        programs += 1
        line = text.count("\n", 0, match.start()) + 1
        if tl is None:
            continue
        command = [tl, "check", "-"] if mode == "check" else [tl, "run", "-"]
        try:
            done = subprocess.run(command, input=program, capture_output=True, text=True, cwd=ROOT, timeout=120)
        except subprocess.TimeoutExpired:
            bad.append(f"{name}:{line}: the program ran for two minutes")
            continue
        if done.returncode != 0:
            bad.append(f"{name}:{line}: the program ended with {done.returncode}:\n{done.stderr.strip()}")
        elif mode != "check":
            bad += check_output(f"{name}:{line}", program, done.stdout)
    return bad, programs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tl", type=pathlib.Path)
    args = parser.parse_args()
    pages = sorted({page for pattern in PAGES for page in ROOT.glob(pattern)})
    bad, programs = [], 0
    for page in pages:
        wrong, count = check_page(page, str(args.tl.resolve()) if args.tl else None)
        bad += wrong
        programs += count
    print("\n".join(bad) if bad else f"{len(pages)} pages and {programs} programs in them are true")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
