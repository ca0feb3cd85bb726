#!/usr/bin/env python3
"""What scripts rely on: exit codes, JSON and messages of the tl program, with the tiny models of tests/data."""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = ROOT / "tests/data/tiny-llama-q8_0.gguf"
TL = "tl"


def run(*args, stdin="", env=None, cwd=None):
    return subprocess.run([TL, *map(str, args)], input=stdin.encode() if isinstance(stdin, str) else stdin,
                          capture_output=True, timeout=300, cwd=cwd, env={**os.environ, **(env or {})})


def generate(*args, model=TINY, count=8):
    out = run("generate", model, "--tokens", "1,2,3,4,5", "--max-tokens", count, "--temperature", 0, "--ignore-eos",
              "--json", *args)
    assert out.returncode == 0, out.stderr.decode()
    return json.loads(out.stdout)


class Reference(unittest.TestCase):
    def doc(self, *args, code=0):
        out = run("doc", *args)
        self.assertEqual(out.returncode, code, out.stderr.decode())
        return out.stdout.decode() if code == 0 else out.stderr.decode()

    def test_a_builtin_and_an_op(self):
        for name, signature in (("len", "len(x: any) -> int"), ("softmax", "softmax(x: tensor, axis: int = -1) -> tensor")):
            lines = self.doc(name).splitlines()
            self.assertEqual(lines[0], signature)
            self.assertIn(f"  {name}(", lines[4])
            self.assertTrue(lines[5].startswith("  //~ "), lines)
        row = json.loads(self.doc("softmax", "--json"))
        self.assertEqual((row["name"], row["family"], row["kind"]), ("softmax", "rows", "op"))
        self.assertEqual(row["parameters"][1], {"name": "axis", "kind": "int", "optional": True, "variadic": False})
        self.assertEqual(row["output"], "[0.5000 0.5000] shape=[2] float32")
        self.assertIsNone(json.loads(self.doc("panic", "--json"))["example"])

    def test_families(self):
        families = json.loads(self.doc("--json"))
        names = [name for family in families for name in family["builtins"]]
        self.assertEqual(len(names), len(set(names)))
        self.assertGreater(len(names), 250)
        self.assertTrue(all(family["builtins"] and family["about"] for family in families))
        listed = self.doc()
        for family in families:
            self.assertIn(f"{family['name']}: {family['about']}", listed)
        text = next(family for family in families if family["name"] == "text")
        self.assertEqual([line.split("(")[0] for line in self.doc("text").splitlines()[1:] if re.match(r"\w", line)],
                         text["builtins"])

    def test_unknown_names_get_suggestions(self):
        self.assertIn("did you mean softmax?", self.doc("sofmax", code=1))
        self.assertIn("did you mean softmax, sort, ", self.doc("soft", code=1))
        self.assertEqual(self.doc("zzzzz", code=1), "error: there is no builtin 'zzzzz'\n")
        self.doc("len", "--markdown", code=2)

    def test_the_page_of_the_reference_is_the_table(self):
        page = (ROOT / "docs/reference.md").read_text()
        self.assertEqual(page, self.doc("--markdown"), "write it anew with `make reference`")


class Formatting(unittest.TestCase):
    BAD, GOOD = "main{\n  print( 1+2 )// three\n}\n", "main {\n    print(1 + 2)  // three\n}\n"

    def test_files_and_folders(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "deep").mkdir()
            bad, good, other = folder / "bad.tl", folder / "good.tl", folder / "deep/other.tl"
            for path, text in ((bad, self.BAD), (good, self.GOOD), (other, self.BAD), (folder / "x.txt", self.BAD)):
                path.write_text(text)
            before = good.stat()
            out = run("fmt", "--check", bad, good, folder / "deep")
            self.assertEqual((out.returncode, out.stdout.decode().split()), (1, [str(bad), str(other)]))
            self.assertEqual(bad.read_text(), self.BAD, "--check writes nothing")
            out = run("fmt", folder)
            self.assertEqual((out.returncode, out.stdout, out.stderr), (0, b"", b""))
            self.assertEqual([p.read_text() for p in (bad, good, other)], [self.GOOD] * 3)
            self.assertEqual((folder / "x.txt").read_text(), self.BAD)
            self.assertEqual((good.stat().st_mtime_ns, good.stat().st_ino), (before.st_mtime_ns, before.st_ino))
            self.assertEqual(run("fmt", "--check", folder).returncode, 0)
            self.assertEqual(run("fmt", folder / "none.tl").returncode, 3)

    def test_a_file_with_a_syntax_error_is_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            bad, other = pathlib.Path(folder) / "bad.tl", pathlib.Path(folder) / "other.tl"
            bad.write_text("let   = 3\n")
            other.write_text(self.BAD)
            out = run("fmt", bad, other)
            self.assertEqual(out.returncode, 1)
            self.assertIn(f"{bad}:1:7: error[E", out.stderr.decode())
            self.assertEqual((bad.read_text(), other.read_text()), ("let   = 3\n", self.GOOD))

    def test_standard_input(self):
        out = run("fmt", "--stdin", stdin=self.BAD)
        self.assertEqual((out.returncode, out.stdout.decode()), (0, self.GOOD))
        self.assertEqual(run("fmt", "--stdin", "--check", stdin=self.BAD).returncode, 1)
        self.assertEqual(run("fmt", "--stdin", "--check", stdin=self.GOOD).returncode, 0)
        self.assertEqual(run("fmt", "--stdin", stdin="let = 3").returncode, 1)
        self.assertEqual(run("fmt").returncode, 2)
        self.assertEqual(run("fmt", "--stdin", "x.tl").returncode, 2)

    def test_what_could_not_be_written_is_as_it_was(self):
        with tempfile.TemporaryDirectory() as folder:
            bad = pathlib.Path(folder) / "bad.tl"
            bad.write_text(self.BAD)
            self.assertEqual(run("fmt", bad, env={"TL_FAIL": "write:1"}).returncode, 3)
            self.assertEqual(bad.read_text(), self.BAD)


class SeeingInside(unittest.TestCase):
    PROGRAM = "let a = ones([64, 64])\nfor i in range(3) {\n    a = softmax(a @ a)\n}\nprint(item(sum(a)))\n"

    def run_with(self, *args, program=PROGRAM, code=0, **kw):
        out = run("run", *args, "-", stdin=program, **kw)
        self.assertEqual(out.returncode, code, out.stderr.decode())
        return out

    def test_profile(self):
        for args in (["--profile"], ["--profile", "--device", "reference"]):
            err = self.run_with(*args).stderr.decode()
            ops = dict(re.findall(r"^(\w+) +(\d+) +[\d.]+ +[\d.]+ ", err, re.M))
            self.assertEqual((ops["matmul"], ops["softmax"], ops["sum"]), ("3", "3", "1"), err)
            self.assertIn("<stdin>:3  matmul", err)
            wall, busy = map(float, re.search(r"profile: ([\d.]+) ms, of which the device was busy ([\d.]+)", err).groups())
            host = sum(map(float, re.findall(r" (?:record|plan|submit|wait) ([\d.]+) ms", err)))
            parts = sum(float(ms) for ms in re.findall(r"^\w+ +\d+ +([\d.]+) ", err, re.M))
            self.assertLessEqual(busy, wall)
            self.assertLessEqual(host, wall)
            self.assertGreater(host, wall * 0.5, "what the host did is accounted for")
            self.assertAlmostEqual(parts, busy, delta=0.01)
        self.assertIn("GFLOP/s in float32", self.run_with("--profile").stderr.decode())

    def test_profile_after_an_error(self):
        out = self.run_with("--profile", program=self.PROGRAM + "panic(\"no\")", code=1)
        self.assertIn("<stdin>:3  matmul", out.stderr.decode())
        self.assertIn("no", out.stderr.decode())

    def test_profile_after_an_interrupt(self):
        child = subprocess.Popen([TL, "--profile", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdin.write(b"let a = ones([8])\nprint(1)\nflush()\nwhile true {\n    a = tanh(a)\n}")
        child.stdin.close()
        child.stdout.readline()
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        err = child.stderr.read().decode()
        self.assertEqual(child.wait(), 130)
        child.stdout.close()
        child.stderr.close()
        self.assertIn("<stdin>:5  ", err)

    def test_trace(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "trace.json"
            self.run_with("--trace", path)
            events = json.loads(path.read_text())["traceEvents"]
            commands = [e for e in events if e["ph"] == "X" and e["pid"] == 2]
            self.assertEqual([e["name"] for e in commands].count("matmul"), 3)
            self.assertEqual({e["name"] for e in events if e["ph"] == "X" and e["pid"] == 1},
                             {"record", "plan", "submit", "wait"} & {e["name"] for e in events})
            for e in commands:
                self.assertTrue(e["args"]["line"].startswith("<stdin>:"), e)
                self.assertGreaterEqual(e["dur"], 0)
            by_track = {}
            for e in sorted((e for e in events if e["ph"] == "X"), key=lambda e: e["ts"]):
                self.assertGreaterEqual(e["ts"], by_track.get((e["pid"], e["tid"]), 0) - 0.0011, "slices cross")
                by_track[e["pid"], e["tid"]] = e["ts"] + e["dur"]
            path.unlink()
            self.run_with("--trace", path, program=self.PROGRAM + "panic(\"no\")", code=1)
            json.loads(path.read_text())
        self.run_with("--trace", "/no/such/dir/t.json", code=3)
        self.run_with("--trace", "/dev/full", code=3)

    def test_memory(self):
        err = self.run_with("--memory", program="let a = ones([500, 500])\nlet b = a * 2.0\nprint(sum(b))").stderr.decode()
        self.assertRegex(err, r"ones float32\[500, 500\] at <stdin>:1:9  ones\(\[500, 500\]\)")
        self.assertRegex(err, r"plans: \d+ made")

    def test_validate(self):
        for device in ("cpu", "reference", "null"):
            out = self.run_with("--validate", "--device", device)
            plain = self.run_with("--device", device)
            self.assertEqual(out.stdout, plain.stdout)
        err = self.run_with("--validate", program="let x = zeros([2, 2])\nlet y = x * 2.0\nwait(y)\nprint(x / y)",
                            code=1).stderr.decode()
        self.assertIn("<stdin>:4:7: error: validate: div: gives NaN at [0, 0], where its inputs have none", err)
        self.assertIn("its input 2 was written by mul (<stdin>:2:9)", err)
        err = self.run_with("--validate", program="print(exp(ones([2]) * 1000.0))", code=1).stderr.decode()
        self.assertIn("gives an infinity at [0]", err)
        self.run_with("--validate", program="print(softmax(log(eye(3)), 1), log(zeros([2])))")
        self.assertEqual(generate("--validate")["logits_checksum"], generate()["logits_checksum"])

    def test_explain(self):
        out = run("explain", "-", stdin=self.PROGRAM)
        self.assertEqual(out.returncode, 0, out.stderr.decode())
        text = out.stdout.decode()
        self.assertIn("64", out.stderr.decode(), "what the program prints goes to standard error")
        self.assertRegex(text, r"plan 1, run 1 time: \d+ nodes, \d+ leaves -> \d+ steps in 1 batches")
        self.assertRegex(text, r"matmul\(step 0, step 0\) -> float32\[64, 64\] in slot \d, after 0  # <stdin>:3:17  a @ a")
        program = "fn f(x) { item(sum(silu(x) * x)) }\nfor i in range(1, 6) { print(f(ones([i]))) }"
        text = run("explain", "-", stdin=program).stdout.decode()
        self.assertIn("run 5 times", text)
        self.assertIn("fused (silu, mul)", text)
        self.assertIn("fused (silu, mul)", run("explain", "-", stdin=program + "panic(\"no\")").stdout.decode())
        self.assertEqual(run("explain").returncode, 2)
        self.assertEqual(run("explain", "--no-such", "x.tl").returncode, 2)

    def test_sampling(self):
        out = run("generate", TINY, "--tokens", "1,2,3,4,5", "--max-tokens", 3, "--temperature", 0,
                  "--ignore-eos", env={"TL_DEBUG_SAMPLING": "1"})
        shown = re.findall(rb"^sampled (\d+) \"", out.stderr, re.M)
        self.assertEqual([int(t) for t in shown], generate(count=3)["tokens"])
        best = re.findall(rb"^ +(-?[\d.]+)  \d+ \"", out.stderr, re.M)
        self.assertEqual(len(best), 30)


class ExitCodes(unittest.TestCase):
    def check(self, code, *args, contains="", **kw):
        out = run(*args, **kw)
        self.assertEqual(out.returncode, code, f"{args}: {out.stderr.decode()[:400]}")
        self.assertIn(contains, out.stderr.decode())
        return out

    def test_programs(self):
        self.assertEqual(self.check(0, "run", "-", stdin="print(1 + 2)").stdout, b"3\n")
        self.check(1, "run", "-", stdin="print(1", contains="<stdin>:1")
        self.check(1, "run", "-", stdin="print(zeros([2, 3]) @ zeros([4, 5]))", contains="3 and 4")
        self.check(1, "run", "-", stdin="panic(\"no\")", contains="no")
        self.check(1, "run", "-", stdin="print(max(1, 2, 3))", contains="two numbers")
        self.check(1, "run", "-", stdin="let x = zeros([3])\nx[0] = \"a\"", contains="value is string")
        self.check(7, "run", "-", stdin="exit(7)")
        self.check(1, "check", ROOT / "tests/lang/errors/names.tl", contains="did you mean")
        self.check(0, "check", ROOT / "examples/hello.tl")

    def test_spellings_of_run(self):
        hello = ROOT / "examples/hello.tl"
        outputs = {self.check(0, *form).stdout for form in (
            ["run", hello], [hello], [f"run:{hello}"], ["--threads", "1", hello], ["--eager", "run", hello],
            ["--threads", "1", f"run:{hello}"])}
        self.assertEqual(len(outputs), 1)
        out = self.check(0, "run", "-", "a", "--b", stdin="print(args())")
        self.assertEqual(out.stdout, b'["a", "--b"]\n')

    def test_usage(self):
        self.check(2)
        self.check(2, "no-such-command", contains="no-such-command")
        self.check(2, "generate", TINY, "--context", "0", contains="above zero")
        self.check(2, "generate")
        self.check(2, "generate", TINY, "--temperature", "-1", contains="not negative")
        self.check(2, "generate", TINY, "--threads", "0")
        self.check(2, "--threads")
        self.check(2, "--threads", "1")
        self.check(2, "--no-such-option", "run", "x.tl", contains="--no-such-option")
        self.check(0, "--help")

    def test_failure_on_purpose(self):
        program = "let x = ones([2, 3])\nprint(softmax(x) + softmax(x * 2.0))"
        self.check(1, "run", "-", stdin=program, env={"TL_FAIL": "op:softmax:2"},
                   contains="<stdin>:2:20: error: softmax: failed on purpose (operands: float32[2, 3])")
        self.check(3, "run", "-", stdin=program, env={"TL_FAIL": "alloc:1"}, contains="float32[2, 3]")
        self.check(3, "run", "-", stdin=program, env={"TL_FAIL": "read:1"}, contains="cannot read -")
        self.check(3, "run", "-", stdin=program, env={"TL_FAIL": "write:1"}, contains="cannot write output")
        self.check(3, "inspect", TINY, env={"TL_FAIL": "map:1"}, contains=f"{TINY}: cannot map file")
        self.check(3, "inspect", TINY, env={"TL_FAIL": "write:1"}, contains="standard output")
        self.check(1, "run", "-", stdin=program, env={"TL_FAIL": "alloc:0@1,command:1"}, contains="ones")
        for wrong in ("softmax:2", "op:softmax", "alloc:", "command:0", "alloc:2@1", "command:1,"):
            self.check(0 if wrong == "command:1," else 2, "version", env={"TL_FAIL": wrong},
                       contains="" if wrong == "command:1," else "TL_FAIL")

    def test_a_wait_that_takes_too_long_names_what_it_waits_for(self):
        program = "let a = ones([5000, 5000])\nlet b = a @ a\nprint(item(sum(b @ a)))"
        out = self.check(3, "run", "-", stdin=program, env={"TL_WAIT_TIMEOUT": "0.1"})
        self.assertRegex(out.stderr.decode(), r"<stdin>:(1:9: error: waited 0\.\d+ s: ones|2:9: error: waited 0\.\d+ s: matmul) is not done")
        out = self.check(3, "run", "--validate", "-", stdin=program, env={"TL_WAIT_TIMEOUT": "0.1"})
        self.assertIn("is not done (TL_WAIT_TIMEOUT)", out.stderr.decode())
        self.check(0, "run", "-", stdin="print(sum(ones([3])))", env={"TL_WAIT_TIMEOUT": "60"})
        self.check(2, "run", "-", env={"TL_WAIT_TIMEOUT": "soon"}, contains="not negative")

    def test_environment(self):
        self.check(3, "run", "no-such-file.tl", contains="no-such-file.tl")
        self.check(3, "generate", "no-such-model", "--prompt", "x", contains="no-such-model")
        self.check(3, "generate", ROOT / "README.md", "--prompt", "x", contains="not a GGUF file")
        self.check(3, "run", "-", stdin="print(zeros([1000000, 1000000]))", contains="[1000000, 1000000]")
        self.check(3, "inspect", ROOT, contains=str(ROOT))
        self.check(3, "generate", TINY, "--tokens", "1", "--simd", "avx9000", contains="avx9000")
        self.check(3, "generate", TINY, "--tokens", "1", "--device", "cuda", contains="CUDA")
        self.check(3, "generate", TINY, "--tokens", "1,2", "--max-tokens", "1", "--logits", "/dev/full", contains="/dev/full")
        self.check(3, "run", "-", stdin="print(\"x\" * 100000)", env={"TL_CHECKSUMS": "/no/such/dir/f"}, contains="/no/such/dir")

    def test_prompts(self):
        # An empty text is the beginning-of-text token alone where the model wants one.
        self.check(0, "generate", TINY, "--prompt", "", "--max-tokens", 1)
        self.check(1, "generate", TINY, "--tokens", ",".join(["1"] * 5000), contains="context")
        self.check(1, "generate", TINY, "--tokens", "1,99999999", contains="99999999")

    def test_full_disk(self):
        with open("/dev/full", "w") as full:
            out = subprocess.run([TL, "run", "-"], input=b"print(1)", stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(out.returncode, 3, out.stderr)

    def test_broken_pipe_ends_quietly(self):
        command = f"'{TL}' run - <<< 'for i in range(100000) {{ print(i) }}' | head -1"
        out = subprocess.run(["bash", "-c", command], capture_output=True)
        self.assertEqual((out.stdout, out.stderr), (b"0\n", b""))

    def test_output_and_errors_keep_their_order(self):
        out = subprocess.run([TL, "run", "-"], input=b"print(1)\neprint(2)\nprint(3)", stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        self.assertEqual(out.stdout, b"1\n2\n3\n")

    def test_truncated_models(self):
        whole = TINY.read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "cut.gguf"
            for size in (0, 3, 24, 100, 1000, len(whole) // 2, len(whole) - 1):
                path.write_bytes(whole[:size])
                self.check(3, "generate", path, "--tokens", "1", contains=str(path))


class Signals(unittest.TestCase):
    """The first Ctrl-C or SIGTERM ends any run, whatever it is doing, and soon."""
    # Seconds; half of one for a machine that has other things to do. Sanitizers make everything much slower.
    SOON = (0.1 + 0.5) * (10 if os.environ.get("TL_SANITIZED") else 1)

    def end(self, program, signals, args=(), until_it_ends=False):
        # A program says on standard error when it is where the signal is to find it, and after each but the last:
        # signals that come faster than a busy machine takes them are one.
        said = ""
        with tempfile.NamedTemporaryFile("w", suffix=".tl") as file:
            file.write(program)
            file.flush()
            with subprocess.Popen([TL, "run", *args, file.name], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE) as process:
                self.assertEqual(process.stderr.readline(), b"ready\n")
                time.sleep(0.05)
                start = time.monotonic()
                try:
                    for which in signals:
                        process.send_signal(which)
                        if which is not signals[-1]:
                            said = process.stderr.readline().decode()
                    while until_it_ends and process.poll() is None and time.monotonic() < start + 30:
                        time.sleep(0.02)
                        process.send_signal(signals[-1])
                    code = process.wait(30)
                finally:
                    process.kill()
                self.assertLess(time.monotonic() - start, self.SOON, program)
                return code, said + process.stderr.read().decode()

    PROGRAMS = {
        "host loop": "eprint(\"ready\")\nloop { let x = 1 }",
        "calls": "fn f(n) { if n == 0 { return 0 }\n return f(n - 1) + f(n - 1) }\neprint(\"ready\")\nf(60)",
        "sort": "let xs = range(300000).map(|i| (i * 7919) % 300007)\neprint(\"ready\")\nloop { sorted(xs) }",
        "fold": "eprint(\"ready\")\nloop { fold(range(1000000), 0, max) }",
        "text": "let s = \"\"\neprint(\"ready\")\nloop { s = s + \"abcdefgh\"; if len(s) > 100000 { s = \"\" } }",
        "output": "eprint(\"ready\")\nloop { print(\"abcdefgh\") }",
        "input": "eprint(\"ready\")\ninput(\"more: \")",
        "tensors": "let w = randn([256, 256])\nlet x = w\neprint(\"ready\")\nloop { x = softmax(x @ w) }",
        "large product": "let w = ones([3000, 3000])\neprint(\"ready\")\nloop { wait(w @ w) }",
        "tasks": "fn f() { loop { let x = 1 } }\neprint(\"ready\")\npar_map(range(8), |i| f())",
    }

    def test_the_first_ends_it(self):
        for name, program in self.PROGRAMS.items():
            for which, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
                with self.subTest(name, signal=which):
                    got, said = self.end(program, [which])
                    self.assertEqual(got, code, said)
                    self.assertIn("interrupted", said)

    def test_what_asks_gets_the_first(self):
        program = "eprint(\"ready\")\nloop { if interrupted() { eprint(\"asked\"); loop { let x = 1 } } }"
        code, said = self.end(program, [signal.SIGINT, signal.SIGINT], until_it_ends=True)
        self.assertEqual(code, 130)
        self.assertIn("asked", said)
        self.assertEqual(self.end(program, [signal.SIGTERM])[0], 143)


class Json(unittest.TestCase):
    def test_generate(self):
        out = generate()
        for key in ("model", "prompt_tokens", "tokens", "text", "stop", "logits_checksum", "load_seconds",
                    "prefill_seconds", "decode_seconds", "prefill_tokens_per_second", "decode_tokens_per_second",
                    "peak_memory_bytes", "device", "simd", "threads"):
            self.assertIn(key, out)
        self.assertEqual(out["prompt_tokens"], [1, 2, 3, 4, 5])
        self.assertEqual((len(out["tokens"]), out["stop"], len(out["logits_checksum"])), (8, "length", 16))

    def test_tokenize_round_trip(self):
        text = "Hello, world!\n  tabs\tand spaces"
        tokens = json.loads(run("tokenize", TINY, "--json", stdin=text).stdout)
        self.assertEqual(len(tokens["tokens"]), len(tokens["pieces"]))
        back = run("detokenize", TINY, "--json", stdin=json.dumps(tokens))
        self.assertEqual(json.loads(back.stdout)["text"], text)

    def test_others(self):
        self.assertEqual(json.loads(run("inspect", TINY, "--json").stdout)["metadata"]["general.architecture"], "llama")
        self.assertTrue(any(d["name"] == "cpu" for d in json.loads(run("devices", "--json").stdout)))
        self.assertIn("simd", json.loads(run("version", "--json").stdout))
        speed = json.loads(run("speed", TINY, "--prompt", 8, "--generate", 4, "--repeat", 1, "--json").stdout)
        self.assertEqual((speed["prefill"]["tokens"], speed["decode"]["tokens"]), (8, 4))
        self.assertGreater(speed["decode"]["tokens_per_second"]["median"], 0)


class SameBits(unittest.TestCase):
    def test_every_way_to_run(self):
        want = generate()
        for args in (["--threads", 1], ["--threads", 5], ["--eager"], ["--shuffle", 1], ["--shuffle", 2], ["--no-fuse"],
                     ["--commands-per-batch", 1], ["--commands-per-batch", 20], ["--commands-per-batch", 10000],
                     ["--prefill-chunk", 1], ["--prefill-chunk", 3]):
            got = generate(*args)
            self.assertEqual((got["tokens"], got["logits_checksum"]), (want["tokens"], want["logits_checksum"]), args)

    def test_every_stored_type_runs(self):
        for model in sorted((ROOT / "tests/data").glob("tiny-llama-*.gguf")):
            with self.subTest(model=model.name):
                self.assertEqual(len(generate(model=model)["tokens"]), 8)

    def test_checksums_and_diff(self):
        with tempfile.TemporaryDirectory() as folder:
            a, b, c = (os.path.join(folder, n) for n in "abc")
            generate("--checksums", a)
            generate("--checksums", b, "--shuffle", 3)
            run("generate", TINY, "--tokens", "1,2,9", "--max-tokens", 2, "--checksums", c)
            same, other = run("diff", a, b), run("diff", a, c)
            self.assertEqual((same.returncode, same.stdout), (0, b"no difference\n"))
            self.assertEqual(other.returncode, 1)
            self.assertIn(b"command", other.stdout)

    # The address sanitizer keeps what was freed.
    @unittest.skipIf(os.environ.get("TL_SANITIZED"), "measures the sanitizer's memory")
    def test_memory_is_flat(self):
        short, long = (generate("--context", 400, count=n)["peak_memory_bytes"] for n in (20, 350))
        self.assertLess(long, short + (4 << 20))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tl", required=True)
    args, rest = parser.parse_known_args()
    TL = os.path.abspath(args.tl)
    unittest.main(argv=[sys.argv[0], *rest])
