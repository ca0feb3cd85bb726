#!/usr/bin/env python3
"""Checks that every #include in tl/ goes where tl/layers.txt allows.

  check_layers.py [ROOT]        checks the tree at ROOT (this checkout)
  check_layers.py --self-test   checks that planted violations are found

A line of layers.txt is `LAYER [PATTERN] = LAYER...`: the files of LAYER (those whose name fits PATTERN) may include
those layers and LAYER itself. The last line that fits a file counts.
"""
import fnmatch
import pathlib
import re
import sys
import tempfile

SUFFIXES = {".h", ".cpp", ".cu", ".cuh", ".def", ".inc"}
INCLUDE = re.compile(r'\s*#\s*include\s*"([^"]*)"')
CASE_TABLES = "tests/ops/op_cases.h"


def read_rules(text):
    """[(layer, pattern, allowed)] and what is wrong with the list itself."""
    rules, bad = [], []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        left, _, right = line.partition("=")
        layer, pattern = (left.split() + ["*"])[:2]
        if len(left.split()) > 2:
            bad.append(f"tl/layers.txt:{number}: want LAYER [PATTERN] = LAYER..., found '{line}'")
        known = {rule[0] for rule in rules} | {layer}
        for name in right.split():
            if name not in known:
                bad.append(f"tl/layers.txt:{number}: {layer} may include {name}, which no line above declares")
        rules.append((layer, pattern, set(right.split()) | {layer}))
    return rules, bad


def layer_of(path, rules):
    """The longest layer name that starts the path, or None."""
    return max((layer for layer, _, _ in rules if path.startswith(f"tl/{layer}/")), key=len, default=None)


def check_file(path, text, rules):
    mine = layer_of(path, rules)
    name = path.rsplit("/", 1)[-1]
    allowed = None
    for layer, pattern, names in rules:
        if layer == mine and fnmatch.fnmatch(name, pattern):
            allowed = names
    if allowed is None:
        return [f"{path}: in no layer of tl/layers.txt"]
    bad = []
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        if match[1] == CASE_TABLES and name.endswith("_cases.cpp"):
            continue  # linked by tests/ops only
        theirs = layer_of(match[1], rules)
        if not match[1].startswith("tl/"):
            bad.append(f'{path}:{number}: "{match[1]}" is not spelled from the root ("tl/..."; <...> for libraries)')
        elif theirs is None:
            bad.append(f"{path}:{number}: {match[1]} is in no layer of tl/layers.txt")
        elif theirs not in allowed:
            bad.append(f"{path}:{number}: {mine} must not include {theirs} ({match[1]})")
    return bad


def check_tree(root):
    rules, bad = read_rules((root / "tl/layers.txt").read_text(encoding="utf-8"))
    for file in sorted((root / "tl").rglob("*")):
        if file.suffix in SUFFIXES and file.is_file():
            bad += check_file(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"), rules)
    return bad


# A small tree; each file with the violation that must be found in it, or None.
PLANTED_RULES = """
base
tensor      = base
backend/cpu = base tensor
ops         = base tensor
ops *_cpu.cpp = base tensor backend/cpu
"""
PLANTED = [
    ("tl/ops/add_cases.cpp", '#include "tests/ops/op_cases.h"\n', None),
    ("tl/ops/subtract.cpp", '#include "tests/ops/op_cases.h"\n', "not spelled from the root"),
    ("tl/base/ok.h", "#include <vector>\n", None),
    ("tl/tensor/ok.cpp", '#include "tl/tensor/shape.h"\n#include "tl/base/ok.h"\n', None),
    ("tl/base/up.h", '#include "tl/tensor/shape.h"\n', "base must not include tensor"),
    ("tl/base/spaced.h", '\n  #  include   "tl/ops/op.h"\n', "tl/base/spaced.h:2: base must not include ops"),
    ("tl/ops/add_cpu.cpp", '#include "tl/backend/cpu/simd.h"\n#include "tl/ops/add.h"\n', None),
    ("tl/ops/add.cpp", '#include "tl/backend/cpu/simd.h"\n', "ops must not include backend/cpu"),
    ("tl/ops/math/exp_cpu.cpp", '#include "tl/backend/cpu/simd.h"\n', None),
    ("tl/ops/math/exp.h", '#include "exp_cpu.h"\n', "not spelled from the root"),
    ("tl/ops/table.def", '#include "tl/backend/cpu/simd.h"\n', "ops must not include backend/cpu"),
    ("tl/backend/cpu/up.cpp", '#include "tl/ops/add.h"\n', "backend/cpu must not include ops"),
    ("tl/backend/stray.cpp", "int x;\n", "in no layer"),
    ("tl/basement/stray.h", "int x;\n", "in no layer"),
    ("tl/tensor/lost.cpp", '#include "tl/nowhere/x.h"\n', "tl/nowhere/x.h is in no layer"),
]


def self_test():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text, _ in PLANTED:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        (root / "tl/layers.txt").write_text(PLANTED_RULES, encoding="utf-8")
        found = check_tree(root)
        for path, _, wanted in PLANTED:
            about = [line for line in found if line.startswith(f"{path}:")]
            if wanted is None and about:
                failures.append(f"{path} is in order, yet: {about}")
            if wanted is not None and (len(about) != 1 or wanted not in about[0]):
                failures.append(f"{path}: want one line with '{wanted}', got {about}")
        (root / "tl/layers.txt").write_text("base = tensor\ntensor = base\n", encoding="utf-8")
        if not any("which no line above declares" in line for line in check_tree(root)):
            failures.append("a cycle between layers was not found")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        bad, done = self_test(), f"{sum(1 for _, _, wanted in PLANTED if wanted)} planted violations found"
    else:
        root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
        bad, done = check_tree(root), "every include is where tl/layers.txt allows"
    print("\n".join(bad) if bad else done)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
