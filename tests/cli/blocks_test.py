#!/usr/bin/env python3
"""Test and bench blocks, and what a program for the first TensorLogic expects of the command line."""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TL = "tl"

PROGRAM = """fn square(x: int) -> int { x * x }
test of_three { assert_eq(square(3), 9) }
print("top level")
test that_fails {
    print("before")
    let x = square(2)
    assert(x == 5)
}
main { print("main") }
test after_it { assert_eq(square(4), 16) }
test of_tensors { print(ones([len("ab")]) @ ones([3])) }
bench squares { for i in range(100) { square(i) } }
bench products { let a = ones([32, 32]) @ ones([32, 32]) }
"""


def run(*args, env=None):
    out = subprocess.run([TL, *map(str, args)], capture_output=True, timeout=300, env={**os.environ, **(env or {})},
                         stdin=subprocess.DEVNULL)
    return out.returncode, out.stdout.decode(), out.stderr.decode()


class Blocks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.file = self.write("p.tl", PROGRAM)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def test_one_failure_fails_one_test(self):
        code, out, err = run("test", self.file)
        self.assertEqual(code, 1, err)
        lines = out.splitlines()
        self.assertEqual(lines[0], "top level")
        self.assertEqual([line for line in lines if line.startswith("test ")],
                         ["test of_three ... ✓ ok", "test that_fails ... ✗ FAILED", "test after_it ... ✓ ok",
                          "test of_tensors ... ✗ FAILED"])
        self.assertLess(lines.index("before"), lines.index("test that_fails ... ✗ FAILED"))
        self.assertIn(f"{self.file}:7:5: error: assertion failed", lines)
        self.assertIn("  7 |     assert(x == 5)", lines)
        self.assertIn(f"  in test that_fails ({self.file}:7:5)", lines)
        self.assertNotIn("main", lines)
        self.assertEqual(lines[-1], "2 passed, 2 failed")

    def test_the_old_form(self):
        for form in (["run", "--test", self.file], ["run", self.file, "--test"], ["--test", self.file]):
            code, out, err = run(*form)
            self.assertEqual(code, 1, err)
            lines = out.splitlines()
            self.assertEqual(lines[0], "=== Running Tests ===")
            self.assertEqual(lines[lines.index("test that_fails ... ✗ FAILED") + 1], "  Error: assertion failed")
            self.assertEqual(lines[-2:], ["test result: FAILED. 2 passed; 2 failed", "2 passed, 2 failed"])
        good = self.write("good.tl", "test one { assert(true) }")
        code, out, err = run("run", "--test", good)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out, "=== Running Tests ===\ntest one ... ✓ ok\n\ntest result: ok. 1 passed; 0 failed\n"
                              "1 passed, 0 failed\n")

    def test_filter_and_json(self):
        code, out, _ = run("test", self.file, "--filter", "of_", "--json")
        self.assertEqual(code, 1)
        rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        self.assertEqual([(row["name"], row["passed"]) for row in rows[:-1]],
                         [("of_three", True), ("of_tensors", False)])
        self.assertEqual((rows[1]["line"], rows[1]["file"]), (11, str(self.file)))
        self.assertIn("[2] and [3]", rows[1]["message"])
        self.assertGreaterEqual(rows[0]["seconds"], 0)
        self.assertEqual(rows[-1], {"passed": 1, "failed": 1})

    def test_several_files(self):
        good = self.write("good.tl", "test one { assert(true) }")
        code, out, _ = run("test", good, self.file, good)
        self.assertEqual(code, 1)
        self.assertEqual(out.splitlines()[-1], "4 passed, 2 failed")
        code, out, err = run("test", good, self.folder / "none.tl")
        self.assertEqual(code, 3)
        self.assertIn("none.tl", err)

    def test_a_top_level_that_fails_runs_no_test(self):
        code, out, err = run("test", self.write("p.tl", "panic(\"no\")\ntest one { assert(true) }"))
        self.assertEqual((code, out), (1, "0 passed, 0 failed\n"))
        self.assertIn("panic: no", err)

    def test_a_program_that_cannot_run_says_why(self):
        code, _, err = run("test", self.write("p.tl", "test one { nothing(1) }"))
        self.assertEqual(code, 1)
        self.assertIn("unknown name 'nothing'", err)

    def test_benches(self):
        code, out, err = run("bench", self.file)
        self.assertEqual((code, err), (0, ""))
        lines = out.splitlines()
        self.assertRegex(lines[1], r"^bench squares \.\.\. [\d.e+]+ (ns|µs|ms|s) \(from .* to .*, \d+ runs\)$")
        self.assertTrue(lines[2].startswith("bench products ... "))
        code, out, _ = run("bench", self.file, "--json", "--filter", "prod")
        rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        self.assertEqual([row["name"] for row in rows], ["products"])
        self.assertGreaterEqual(len(rows[0]["seconds"]), 3)
        code, out, _ = run("run", "--bench", self.file)
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^bench squares \.\.\.\n  Total time: \d+\.\d{3}ms$")

    def test_what_a_bench_computes_and_nobody_reads_is_computed(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "plain.tl"
            path.write_text("let w = ones([40, 40])\nfn f(x) { return x @ x }\nbench plain { w @ w }\nbench called { f(w) }\n")
            self.assertEqual(run("bench", path)[0], 0)
            for name in ("plain", "called"):
                code, out, _ = run("bench", path, "--filter", name, env={"TL_FAIL": "op:matmul:1"})
                self.assertEqual(code, 1, out)

    def test_a_file_of_tests_says_how_to_run_them(self):
        code, out, err = run("run", self.write("t.tl", "test one { assert(true) }"))
        self.assertEqual((code, out), (0, ""))
        self.assertIn("tl test", err)
        code, out, err = run("run", self.write("t.tl", "let n = 1\ntensor t: float32[2]\ntest one { assert(n == 1) }"))
        self.assertEqual((code, out), (0, ""))
        self.assertIn("tl test", err)
        code, out, err = run("run", self.file)
        self.assertEqual((code, out, err), (0, "top level\nmain\n", ""))

    def test_what_a_failed_test_held_is_dropped_with_it(self):
        code, out, _ = run("test", self.write("d.tl", """struct S { n: int }
impl Drop for S { fn drop(self) { print("drop", self.n) } }
test fails {
    let s = S { n: 1 }
    assert(false)
}
test passes { let s = S { n: 2 } }
"""))
        lines = [line for line in out.splitlines() if line.startswith(("drop", "test"))]
        self.assertEqual((code, lines), (1, ["drop 1", "test fails ... ✗ FAILED", "drop 2", "test passes ... ✓ ok"]))

    def test_old_spellings_of_the_command_line(self):
        self.assertEqual(run("help")[0], 0)
        for form in (["run", "--debug", self.file], ["run", "-d", self.file], ["run", self.file, "--debug"]):
            self.assertEqual(run(*form)[:2], (0, "top level\nmain\n"))

    def test_imports_in_a_circle_show_it(self):
        self.write("a.tl", "import \"b.tl\"")
        self.write("b.tl", "import \"a.tl\"")
        code, _, err = run("run", self.folder / "a.tl")
        self.assertEqual(code, 1)
        self.assertRegex(err, r"imports go in a circle: \S*a\.tl -> \S*b\.tl -> \S*a\.tl")

    def test_a_model_where_a_script_looks(self):
        script = self.write("m.tl", 'let path = env("HOME") + "/.llm/models/tinyllama-1.1b-chat-q4_0.gguf"\n'
                                    "let model = load_model(path)\nprint(shape(model.token_embd.weight))\n"
                                    'let t = load_tokenizer(env("HOME") + "/.llm/tokenizers/t.json")\n'
                                    'print(t.tokenize("hello world", true))\n')
        home = {"HOME": str(self.folder)}
        code, _, err = run("run", script, env=home)
        self.assertEqual(code, 3)
        self.assertIn(str(self.folder / ".llm/models/tinyllama-1.1b-chat-q4_0.gguf"), err)
        self.assertIn("tl models fetch", err)
        model = self.folder / ".llm/models/tinyllama-1.1b-chat-q4_0.gguf"
        model.parent.mkdir(parents=True)
        model.symlink_to(ROOT / "tests/data/tiny-llama-q4_0.gguf")
        code, out, err = run("run", script, env=home)
        self.assertEqual((code, out), (3, "[300, 32]\n"))
        self.assertIn("no tokenizer at " + str(self.folder / ".llm/tokenizers/t.json"), err)
        tokenizer = self.folder / ".llm/tokenizers/t.json"
        tokenizer.parent.mkdir()
        tokenizer.symlink_to(ROOT / "tests/data/small-tokenizer.json")
        code, out, err = run("run", script, env=home)
        self.assertEqual((code, out, err), (0, "[300, 32]\n[1, 296, 301]\n", ""))

    def test_tensors_in_files_of_the_first_implementation(self):
        path = self.folder / "t.bin"
        good = self.write("s.tl", f"""save(f16::ones([2, 3]) * 0.5, "{path}")
print(load("{path}"))
save(zeros([0, 4]), "{path}")
print(shape(load("{path}")))
save(2.5, "{path}")
print(item(load("{path}")))
save([1.5, -2.0], "{path}")
print(load("{path}"))
""")
        self.assertEqual(run(good), (0, "[[0.5000 0.5000 0.5000]\n [0.5000 0.5000 0.5000]] shape=[2, 3] float16\n"
                                        "[0, 4]\n2.5\n[ 1.5000 -2.0000] shape=[2] float32\n", ""))
        self.assertEqual(path.read_bytes(), struct.pack("<IIIff", 1, 2, 4, 1.5, -2.0))
        load = self.write("l.tl", f'print(load("{path}"))')
        for bad, why in ((b"", "empty"), (struct.pack("<II", 99, 1), "rank 99"), (struct.pack("<II", 2, 1), "within the dims"),
                         (struct.pack("<III", 1, 2, 3), "elements of 3 bytes"),
                         (struct.pack("<IIIf", 1, 2, 4, 1), "4 bytes of elements, want 2 of 4"),
                         (struct.pack("<IIIfff", 1, 2, 4, 1, 2, 3), "12 bytes of elements, want 2 of 4"),
                         (struct.pack("<IIIII", 3, 2**32 - 1, 2**32 - 1, 2**32 - 1, 4), "too large")):
            path.write_bytes(bad)
            code, _, err = run(load)
            self.assertEqual(code, 3, err)
            self.assertIn(why, err)
        code, _, err = run(self.write("i.tl", f'save([1, 2], "{path}")'))
        self.assertEqual(code, 1)
        self.assertIn("want float16 or float32", err)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tl", required=True)
    args, rest = parser.parse_known_args()
    TL = os.path.abspath(args.tl)
    unittest.main(argv=[sys.argv[0], *rest])
