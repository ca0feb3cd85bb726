#!/usr/bin/env python3
"""Deliberate one-line faults, all in one build and chosen by TL_MUTANT: do the fast tests notice them?

  mutants.py               checks the tables, builds, runs; exit code 1 where fewer than 95 % are noticed
  mutants.py --check       only checks that every fragment of the tables is in the sources, once
  mutants.py --build       only builds (a copy of the tree, in build/mutants/src)
  mutants.py --run         only runs, from the build that is there
  mutants.py --pack FILE   a tar of what --run needs, to be unpacked at / of another machine
  mutants.py --self-test   checks that stale and ambiguous fragments are found

--only PATTERNS names some of the faults (`order-*,run-*`), --jobs N how many run at one time, --skip TESTS leaves
tests out, --work FOLDER is another place than build/mutants, --all keeps going after the first test that notices a
fault, --rest leaves out the faults that were noticed when they were last run.

A table (tests/mutants/*.toml) is a list of faults, after the tests that are likely to notice them:

  likely = ["tl_exec", "runtime"]

  [[fault]]
  id = "order-forgets-readers"      # TL_MUTANT chooses it
  file = "tl/exec/step_order.cpp"
  breaks = "what it does to a program"
  from = "..."                      # what is there now: an expression, or whole statements that end in `;`
  to = "..."                        # what is there instead
  in = "..."                        # if `from` is there several times: text around it that is there once
  tests = ["runtime"]               # optional: those that are likely to notice it

An expression becomes `(is_mutant("id") ? (to) : (from))`, statements become `{ if (is_mutant("id")) { to } else
{ from } }`. So neither may declare what is used behind it.
"""
import argparse
import collections
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLES = "tests/mutants"
WANTED = 0.95
HEADER = "tl/base/mutant.h"
HEADER_TEXT = """\
// Which fault of tests/mutants is switched on: TL_MUTANT. Written by scripts/mutants.py.
#pragma once
#include <cstdint>
#include <cstdlib>

namespace tl {
constexpr std::uint64_t mutant_hash(const char* name) {
  std::uint64_t hash = 14695981039346656037ull;
  for (; *name != 0; ++name) hash = (hash ^ static_cast<unsigned char>(*name)) * 1099511628211ull;
  return hash;
}
inline const std::uint64_t active_mutant = [] {
  const char* name = std::getenv("TL_MUTANT");
  return name == nullptr || *name == 0 ? std::uint64_t{0} : mutant_hash(name);
}();
struct MutantName {
  std::uint64_t hash;
  consteval MutantName(const char* name) : hash(mutant_hash(name)) {}
};
inline bool is_mutant(MutantName name) { return active_mutant == name.hash; }
}  // namespace tl
"""

Fault = collections.namedtuple("Fault", "id file breaks old new context tests table likely")


class TableError(Exception):
    pass


# --- tables ---


def read_tables(root):
    faults, bad = [], []
    for path in sorted((root / TABLES).glob("*.toml")):
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as e:
            bad.append(f"{path.name}: {e}")
            continue
        for number, row in enumerate(table.get("fault", []), 1):
            missing = [k for k in ("id", "file", "breaks", "from", "to") if k not in row]
            extra = set(row) - {"id", "file", "breaks", "from", "to", "in", "tests"}
            if missing or extra:
                name = row.get("id", f"fault {number}")
                bad.append(f"{path.name}: {name}: missing {missing}, unknown {sorted(extra)}")
                continue
            faults.append(Fault(row["id"], row["file"], row["breaks"], row["from"], row["to"],
                                row.get("in", row["from"]), tuple(row.get("tests", ())), path.stem,
                                tuple(table.get("likely", ()))))
    for name, count in collections.Counter(f.id for f in faults).items():
        if count > 1:
            bad.append(f"{name}: {count} faults of this name")
    return faults, bad


def place_of(fault, text):
    """(begin, end) of the fragment, or a TableError."""
    where = f"{fault.id}: in {fault.file}"
    found = text.count(fault.context)
    if found != 1:
        raise TableError(f"{where}: {found} places (want 1) have: {fault.context!r}")
    inside = fault.context.count(fault.old)
    if inside != 1:
        raise TableError(f"{where}: `from` is in `in` {inside} times (want 1)")
    if fault.old == fault.new:
        raise TableError(f"{where}: `to` is what is there")
    for fragment in (fault.old, fault.new):
        if (slip := slip_in(fragment)) is not None:
            raise TableError(f"{where}: no expression and no statement ({slip}): {fragment!r}")
    ends = (";", "}") if is_statement(fault) else (";",)
    if is_statement(fault) != (fault.new.rstrip().endswith(ends) or not fault.new):
        raise TableError(f"{where}: `from` and `to` are an expression and a statement")
    begin = text.index(fault.context) + fault.context.index(fault.old)
    return begin, begin + len(fault.old)


def is_statement(fault):
    return fault.old.rstrip().endswith((";", "}"))


def slip_in(fragment):
    """Why a fragment is neither an expression nor whole statements, as far as that shows without a compiler."""
    depth = 0
    for at, c in enumerate(re.sub(r'"(\\\\.|[^"\\\\])*"|\'(\\\\.|[^\'\\\\])\'', lambda m: "s" * len(m[0]), fragment)):
        depth += (c in "([{") - (c in ")]}")
        if depth < 0 or (depth == 0 and c in ",;" and not fragment.rstrip().endswith(";")):
            return f"{c!r} at {at}"
    if depth != 0:
        return "a bracket that is not closed"
    ends = re.search(r"(\|\||&&|[?:,=<&|+*/-])\s*$", fragment)
    if ends and not fragment.rstrip().endswith(("++", "--")):
        return f"it ends with {ends[1]!r}"
    is_control = fragment.lstrip().startswith(("if ", "for ", "while ", "return "))
    if is_control and not fragment.rstrip().endswith((";", "}")):
        return "a statement without its end"
    if re.match(r"\s*(const|auto|u64|i64|int)\s", fragment):
        return "a declaration"
    return "a list in braces" if fragment.lstrip().startswith("{") else None


def rewritten(faults, text):
    """The text of one file with all of its faults in it."""
    places = collections.defaultdict(list)
    for fault in faults:
        places[place_of(fault, text)].append(fault)
    end_before, last = 0, None
    for (begin, end), here in sorted(places.items()):
        if begin < end_before:
            raise TableError(f"{here[0].id}: overlaps {last.id}")
        end_before, last = end, here[0]
    for (begin, end), here in sorted(places.items(), reverse=True):
        piece = text[begin:end]
        for fault in here:
            if is_statement(fault):
                piece = f'{{ if (tl::is_mutant("{fault.id}")) {{ {fault.new} }} else {{ {piece} }} }}'
            else:
                piece = f'(tl::is_mutant("{fault.id}") ? ({fault.new}) : ({piece}))'
        text = text[:begin] + piece + text[end:]
    return f'#include "{HEADER}"\n#line 1\n' + text


def rewrite_all(root, faults):
    """{file: text}, and what is wrong with the tables."""
    by_file = collections.defaultdict(list)
    for fault in faults:
        by_file[fault.file].append(fault)
    texts, bad = {}, []
    for name, here in sorted(by_file.items()):
        path = root / name
        if not path.is_file():
            bad.append(f"{here[0].id}: there is no {name}")
            continue
        text = path.read_text(encoding="utf-8")
        for fault in here:
            try:
                place_of(fault, text)
            except TableError as e:
                bad.append(str(e))
        if bad:
            continue
        try:
            texts[name] = rewritten(here, text)
        except TableError as e:
            bad.append(str(e))
    return texts, bad


def load(root):
    faults, bad = read_tables(root)
    texts, stale = rewrite_all(root, faults)
    if bad + stale:
        sys.exit("\n".join(bad + stale))
    return faults, texts


# --- building ---


def write_if_new(path, data):
    """Files that stay as they were keep their time, so that only what changed is compiled again."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def copy_tree(root, to, texts):
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, check=True).stdout.decode().split("\0")
    names = {name for name in listed if name and (root / name).is_file()}
    for name in sorted(names):
        data = texts[name].encode() if name in texts else (root / name).read_bytes()
        write_if_new(to / name, data)
        shutil.copymode(root / name, to / name)
    write_if_new(to / HEADER, HEADER_TEXT.encode())
    for path in list(to.rglob("*")):
        name = path.relative_to(to).as_posix()
        if path.is_file() and not name.startswith("build/") and name not in names and name != HEADER:
            path.unlink()
    venv = root / "build/venv"
    if venv.exists() and not (to / "build/venv").exists():
        (to / "build").mkdir(exist_ok=True)
        (to / "build/venv").symlink_to(venv.resolve())


def build(root, work, faults, texts, jobs):
    source = work / "src"
    copy_tree(root, source, texts)
    env = dict(os.environ, CCACHE_BASEDIR=str(source), CCACHE_NOHASHDIR="1")
    env.setdefault("CCACHE_DIR", str(root / "build/ccache"))
    print(f"== building {source}/build/release with {len(texts)} files that have faults in them", flush=True)
    if not (source / "build/release/build.ninja").is_file():
        subprocess.run(["cmake", "--preset", "release", "-Wno-dev"], cwd=source, env=env, check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", "build/release", "-j", str(jobs), "--", "-k", "0"], cwd=source,
                   env=env, check=True)
    listing = subprocess.run(["ctest", "--test-dir", "build/release", "--show-only=json-v1"], cwd=source,
                             capture_output=True, text=True, check=True).stdout
    (work / "tests.json").write_text(json.dumps(fast_tests(json.loads(listing), source), indent=1))
    (work / "faults.json").write_text(json.dumps(faults, indent=1))


def fast_tests(listing, source):
    """[{name, command, cwd}] of the tests that run something we built and are not slow."""
    tests = []
    for test in listing["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        command = test.get("command", [])
        built = str(source / "build/release")
        if "slow" in properties.get("LABELS", []) or not any(a.startswith(built) for a in command):
            continue
        command = ["python3" if a.endswith("/python3") else a for a in command]
        tests.append({"name": test["name"], "command": command, "cwd": properties.get("WORKING_DIRECTORY", built)})
    return tests


def pack(work, to):
    """What --run needs, with the executables' symbols stripped; libraries that other machines may lack too."""
    source = work / "src"
    with tempfile.TemporaryDirectory() as folder:
        stage = pathlib.Path(folder)
        for name in ("scripts", "std", "tests", "examples", "docs", "bench"):
            shutil.copytree(source / name, stage / str(source)[1:] / name)
        for path in source.iterdir():
            if path.is_file():
                shutil.copy2(path, stage / str(source)[1:])
        libraries = set()
        for test in json.loads((work / "tests.json").read_text()):
            for argument in test["command"]:
                path = pathlib.Path(argument)
                if not argument.startswith(str(source / "build/release")) or not path.is_file():
                    continue
                copy = stage / argument[1:]
                copy.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["strip", "-o", copy, path], check=True)
                ldd = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
                libraries |= set(re.findall(r"=> (/\S+/lib(?!c\.|m\.|pthread|dl)\S+)", ldd))
        place = stage / str(work / "lib")[1:]
        place.mkdir(parents=True)
        for library in libraries:
            shutil.copy2(library, place)
        for name in ("tests.json", "faults.json", "noticed.json"):
            if (work / name).is_file():
                shutil.copy2(work / name, stage / str(work)[1:])
        top = pathlib.Path(str(work)).parts[1]
        subprocess.run(["tar", "-C", stage, "-czf", pathlib.Path(to).resolve(), top], check=True)
    print(f"{to}: {os.path.getsize(to) >> 20} MB; unpack it with: tar -C / -xzf {to}")


# --- running ---


def die_first():
    """A fault that takes all memory must not take others' processes with it."""
    os.setsid()
    try:
        pathlib.Path("/proc/self/oom_score_adj").write_text("900")
    except OSError:
        pass


def run_test(test, fault_id, work, limit_s):
    """(passed, seconds, what failed)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{fault_id or 'none'}-", dir=work / "tmp"))
    env = dict(os.environ, TL_MUTANT=fault_id, TMPDIR=str(folder), TEST_TMPDIR=str(folder), GTEST_FAIL_FAST="1")
    if (work / "lib").is_dir():
        env["LD_LIBRARY_PATH"] = str(work / "lib")
    begin = time.monotonic()
    with tempfile.TemporaryFile(dir=folder) as output:
        process = subprocess.Popen(test["command"], cwd=test["cwd"], env=env, stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=subprocess.STDOUT, preexec_fn=die_first)
        try:
            code = process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            code = None
        try:
            os.killpg(process.pid, 9)  # also what it started and left
        except ProcessLookupError:
            pass
        process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    shutil.rmtree(folder, ignore_errors=True)
    seconds = time.monotonic() - begin
    if code in (0, 77):
        return True, seconds, ""
    return False, seconds, what_failed(text, code)


def what_failed(text, code):
    if code is None:
        return "does not end"
    gtest = re.search(r"^\[  FAILED  \] (\S+?)(?:,| \(|$)", text, re.M)
    if gtest:
        return gtest[1]
    running = re.findall(r"^\[ RUN      \] (\S+)", text, re.M)
    if running:
        return f"{running[-1]} (ends with {code})"
    lines = [line for line in text.splitlines() if re.search(r"fail|differ|error|FAIL|want", line)]
    return (lines or text.strip().splitlines() or [f"ends with {code}"])[0].strip()[:90]


def order_tests(fault, tests, noticed):
    """Most likely first: what noticed it before, what its row names, what lies beside it, what its table names, then the
    quickest."""
    folder = "tl_" + "_".join(pathlib.PurePath(fault.file).parts[1:3] if fault.file.startswith("tl/backend")
                              else pathlib.PurePath(fault.file).parts[1:2])

    def rank(test):
        name = test["name"]
        likely = fault.likely.index(name) if name in fault.likely else len(fault.likely)
        return (name != noticed.get(fault.id), name not in fault.tests, name != folder, likely, test["seconds"])

    return sorted(tests, key=rank)


def run_fault(fault, tests, noticed, work, keep_going):
    by = []
    for test in order_tests(fault, tests, noticed):
        passed, _, what = run_test(test, fault.id, work, 20 + 4 * test["seconds"])
        if not passed:
            by.append((test["name"], what))
            if not keep_going:
                break
    return by


def run_all(faults, work, jobs, keep_going, skipped):
    tests = [t for t in json.loads((work / "tests.json").read_text()) if t["name"] not in skipped]
    (work / "tmp").mkdir(exist_ok=True)
    print(f"== {len(tests)} tests without a fault", flush=True)
    for test in tests:
        passed, test["seconds"], what = run_test(test, "", work, 900)
        if not passed:
            sys.exit(f"{test['name']} fails with no fault switched on: {what}")
    memory = work / "noticed.json"
    noticed = json.loads(memory.read_text()) if memory.is_file() else {}
    print(f"== {len(faults)} faults, {jobs} at one time", flush=True)
    survivors, lock, begin = [], threading.Lock(), time.monotonic()

    def one(fault):
        by = run_fault(fault, tests, noticed, work, keep_going)
        with lock:
            noticed.pop(fault.id, None)
            if by:
                noticed[fault.id] = by[0][0]
            else:
                survivors.append(fault)
            memory.write_text(json.dumps(noticed, indent=1, sort_keys=True))
            text = "; ".join(f"{name}: {what}" for name, what in by) if by else "NOT NOTICED"
            print(f"{fault.id:44} {text}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, faults))
    share = 1 - len(survivors) / max(len(faults), 1)
    minutes = (time.monotonic() - begin) / 60
    print(f"== {len(faults) - len(survivors)} of {len(faults)} faults noticed ({share:.1%}), {minutes:.1f} minutes")
    for fault in sorted(survivors, key=lambda f: f.id):
        print(f"not noticed: {fault.id} ({fault.file}): {fault.breaks}")
    return 0 if share >= WANTED else 1


# --- its own test ---


def self_test():
    row = Fault("a", "tl/x.cpp", "", "i < n", "i <= n", "i < n", (), "t", ())
    text = "for (int i = 0; i < n; ++i) f(i);\nint k = i > n;\n"
    assert '(tl::is_mutant("a") ? (i <= n) : (i < n))' in rewritten([row], text)
    call = row._replace(id="b", old="f(i);", new="", context="f(i);")
    assert '{ if (tl::is_mutant("b")) {  } else { f(i); } }' in rewritten([row, call], text)
    for planted in (row._replace(context="j < n", old="j < n"),  # stale
                    row._replace(context="n", old="n"),  # ambiguous
                    row._replace(new="i < n"),  # changes nothing
                    row._replace(context="i < n; ++i", old="i"),  # ambiguous within its context
                    row._replace(new="i <= n)"),  # no expression
                    row._replace(new="")):
        try:
            rewritten([planted], text)
        except TableError:
            continue
        sys.exit(f"not found: {planted}")
    both = row._replace(id="c", old="0; i < n", context="0; i < n")
    try:
        rewritten([row, both], text)
        sys.exit("two faults that overlap are not found")
    except TableError:
        pass
    print("self-test passed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for mode in ("check", "build", "run", "self-test", "all", "rest"):
        parser.add_argument(f"--{mode}", action="store_true")
    parser.add_argument("--pack", metavar="FILE")
    parser.add_argument("--only", metavar="PATTERN", default="*")
    parser.add_argument("--skip", metavar="TESTS", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/mutants")
    args = parser.parse_args()
    if args.self_test:
        return self_test()
    work = args.work.resolve()
    if args.run:
        faults = [Fault(*row) for row in json.loads((work / "faults.json").read_text())]  # what was built
    else:
        faults, texts = load(ROOT)
    chosen = [f for f in faults if any(fnmatch.fnmatch(f.id, p) for p in args.only.split(","))]
    if args.check:
        print(f"{len(faults)} faults in {len(texts)} files")
        return 0
    work.mkdir(parents=True, exist_ok=True)
    if not args.run and not args.pack:
        build(ROOT, work, faults, texts, args.jobs)
    if args.pack:
        return pack(work, args.pack)
    if args.rest and (work / "noticed.json").is_file():
        noticed = json.loads((work / "noticed.json").read_text())
        chosen = [f for f in chosen if f.id not in noticed]
    return 0 if args.build else run_all(chosen, work, args.jobs, args.all, args.skip.split(","))


if __name__ == "__main__":
    sys.exit(main())
