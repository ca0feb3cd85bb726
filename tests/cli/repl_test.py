#!/usr/bin/env python3
"""tl repl: inputs that build on each other, commands, JSON lines, Ctrl-C and Ctrl-D, and the line editor of a terminal."""
import argparse
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TL = "tl"


def repl(text, *args, code=0):
    out = subprocess.run([TL, "repl", *args], input=text.encode(), capture_output=True, timeout=120)
    assert out.returncode == code, (out.returncode, out.stderr.decode())
    return out.stdout.decode(), out.stderr.decode()


def shown(*inputs):
    """What inputs that all succeed print, by lines."""
    out, err = repl("\n".join(inputs) + "\n")
    assert err == "", err
    return out.splitlines()


class Pipe(unittest.TestCase):
    def test_values_are_shown_and_stay(self):
        self.assertEqual(shown("let x = 3", "x + 1", "_ * 2", "x = 10", "x", "\"a\\\"b\"", "none", "1;", "[1, \"a\"]"),
                         ["4", "8", "10", '"a\\"b"', '[1, "a"]'])
        self.assertEqual(shown("let t = ones([2])", "t * 2.0", "print(t)"),
                         ["[2.0000 2.0000] shape=[2] float32", "[1.0000 1.0000] shape=[2] float32"])
        self.assertEqual(shown("if true { 5 } else { 6 }", "for i in range(2) { print(i) }", "main { print(\"m\") }"),
                         ["5", "0", "1", "m"])

    def test_declarations_are_seen_and_replaced(self):
        self.assertEqual(shown("let x = 1", "fn f(a) {", "", "    return a + x", "}", "f(1)", "let x = 20", "f(1)"), ["2", "21"])
        self.assertEqual(shown("fn f() { 1 }", "f()", "fn f() { 2 }", "f()", "let f = |x| x + 1", "f(9)", "fn f() { 3 }", "f()"),
                         ["1", "2", "10", "3"])
        self.assertEqual(shown("struct P { x: int }", "impl P { fn g(self) { self.x } }", "let p = P { x: 4 }", "p.g()",
                               "impl P { fn g(self) { self.x * 2 } }", "p.g()", "struct P { y: int }", "P { y: 1 }.y", "p.x"),
                         ["4", "8", "1", "4"])
        self.assertEqual(shown("let k = 2", "let g = |x| x * k", "g(3)", "k = 5", "g(3)"), ["6", "15"])
        self.assertEqual(shown("let t = spawn(|| [40, 2])", "t.join()", "sum(t.join())"), ["[40, 2]", "42"])
        self.assertEqual(shown("import \"std/args.tl\"", "import \"std/args.tl\"", "flag(\"x\")"), ["false"])

    def test_an_error_leaves_the_session_as_it_was(self):
        out, err = repl("let x = 1\nx +* 2\ny\nlet x = [1].nothing()\nimport \"none.tl\"\nstruct P { x: int }\n"
                        "impl P { fn g(self) { nowhere } }\nimpl P { fn g(self) { 7 } }\nP { x: 1 }.g()\nx\n", code=1)
        self.assertEqual(out.splitlines(), ["7", "1"])
        self.assertIn("input 2:1:4: error[E", err)
        self.assertIn("input 3:1:1: error[E0101]: unknown name 'y'\n  1 | y\n    | ^", err)
        self.assertIn("input 4:1:", err)
        out, err = repl("fn f(x) {\n    return x @ x\n}\nf(ones([2, 3]))\n", code=1)
        self.assertIn("input 1:2:12: error: matmul", err)
        self.assertIn("  2 |     return x @ x", err)
        self.assertIn("in f (input 1:2:12)", err)

    def test_commands(self):
        self.assertEqual(shown(":type 1", ":type ones([2, 3]) @ ones([3, 4])", ":type \"a\"", ":type print(1)"),
                         ["int", "float32[2, 4]", "string", "1", "none"])
        value, took = shown(":time 1 + 1")
        self.assertEqual(value, "2")
        self.assertRegex(took, r"^[\d.]+ (µs|ms|s)$")
        self.assertEqual(shown(":doc len")[0], "len(x: any) -> int")
        self.assertIn(":doc NAME", "\n".join(shown(":help")))
        self.assertEqual(shown("1", ":quit", "2"), ["1"])
        self.assertIn("did you mean softmax?", repl(":doc sofmax\n", code=1)[1])
        self.assertIn("':nope' is no command", repl(":nope\n", code=1)[1])

    def test_the_end(self):
        self.assertEqual(repl("exit(7)\nprint(1)\n", code=7), ("", ""))
        self.assertIn("input 1:1:3: error[E0021]", repl("f(\n", code=1)[1])
        self.assertEqual(repl("1 + 1")[0], "2\n")
        self.assertEqual(repl("")[0], "")

    def test_failures_of_the_world_are_told(self):
        self.assertEqual(repl("1\n", "--device", "tpu", code=3)[0], "")


class Interrupts(unittest.TestCase):
    def test_ctrl_c_stops_the_input_and_not_the_session(self):
        child = subprocess.Popen([TL, "repl", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def ask(code):
            child.stdin.write(json.dumps({"code": code}).encode() + b"\n")
            child.stdin.flush()

        def answer():
            return json.loads(child.stdout.readline())

        ask("let x = 1")
        answer()
        for code in ("loop { x = x + 1 }", "let t = ones([64])\nwhile true { t = tanh(t) }\n"):
            ask(code)
            time.sleep(0.3)
            child.send_signal(signal.SIGINT)
            row = answer()
            self.assertEqual((row["ok"], row["interrupted"]), (False, True), row)
        child.send_signal(signal.SIGINT)
        time.sleep(0.1)
        ask("x > 1")
        self.assertEqual(answer()["value"], "true")
        child.stdin.close()
        self.assertEqual(child.wait(), 0)
        child.stdout.close()


class Json(unittest.TestCase):
    def answers(self, *requests, code=0):
        text = "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in requests)
        return [json.loads(line) for line in repl(text, "--json", code=code)[0].splitlines()]

    def test_code(self):
        row, error, wrong = self.answers({"id": [1], "code": "let a = 3\nprint(a)\neprint(\"e\")\na * 2"}, {"code": "panic(\"no\")"}, "{")
        self.assertGreater(row.pop("seconds"), 0)
        self.assertEqual(row, {"ok": True, "value": "6", "type": "int", "output": "3\n", "errors": "e\n", "message": "",
                               "interrupted": False, "id": [1]})
        self.assertFalse(error["ok"])
        self.assertIn("input 2:1:1: error: panic: no", error["message"])
        self.assertFalse(wrong["ok"])

    def test_questions(self):
        names, open_, whole, doc = self.answers({"complete": "soft"}, {"check": "fn f() {"}, {"check": "f()"}, {"doc": "len"})
        self.assertIn("softmax", names["names"])
        self.assertEqual((open_["unfinished"], whole["unfinished"]), (True, False))
        self.assertTrue(doc["value"].startswith("len(x: any) -> int"))
        self.assertEqual(self.answers({"code": "let sofa = 1"}, {"complete": "sof"})[1]["names"], ["sofa", "softmax"])
        self.assertFalse(self.answers({"codes": "1"})[0]["ok"])

    def test_exit(self):
        self.assertEqual(len(self.answers({"code": "exit(3)"}, {"code": "1"}, code=3)), 1)


class Terminal(unittest.TestCase):
    """The line editor, on a terminal of its own."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.history = pathlib.Path(self.folder.name) / "deep/history"
        self.start()

    def start(self):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.execve(TL, [TL, "repl"], {**os.environ, "TL_HISTORY": str(self.history), "TERM": "xterm", "NO_COLOR": "1"})
        self.pid, self.seen = pid, ""
        self.wait_for("tl> ")

    def wait_for(self, text, seconds=20):
        end = time.time() + seconds
        while text not in self.seen:
            self.assertGreater(end, time.time(), f"no {text!r} in {self.seen!r}")
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.fd, 4096).decode(errors="replace")
                except OSError:
                    self.fail(f"ended before {text!r}: {self.seen!r}")
        before, self.seen = self.seen.split(text, 1)
        return before

    def send(self, text):
        os.write(self.fd, text.encode())

    def press_ctrl_c(self):
        """At the prompt; again where it came before the line editor had the terminal."""
        while True:
            self.send("\x03")
            try:
                return self.wait_for("tl> ", seconds=2)
            except AssertionError:
                self.assertLess(self.seen.count("^C"), 10, self.seen)

    def end(self):
        """By Ctrl-D, again where it came before the line editor had the terminal."""
        for _ in range(40):
            self.send("\x15\x04")  # Ctrl-U: the first may have left something on the line
            for _ in range(5):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid != 0:
                    self.pid = None
                    os.close(self.fd)
                    return self.assertEqual(os.waitstatus_to_exitcode(status), 0)
                if select.select([self.fd], [], [], 0.1)[0]:
                    try:
                        os.read(self.fd, 4096)
                    except OSError:  # it has closed the terminal
                        time.sleep(0.1)
        self.fail("Ctrl-D does not end it")

    def tearDown(self):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.fd)
        self.folder.cleanup()

    def test_lines_completion_interrupts_and_history(self):
        self.send("let numb = 6 *\r")
        self.wait_for("..> ")
        self.send("7\r")
        self.wait_for("tl> ")
        self.send("num\t")
        time.sleep(0.3)
        self.send("b\r" if "numb" not in self.seen else "\r")
        self.wait_for("tl> ")
        self.send("numb + 1\r")
        self.wait_for("43")
        self.wait_for("tl> ")
        self.send("softm\t([0.0])\r")
        self.wait_for("[1.0000] shape=[1]")
        self.wait_for("tl> ")
        self.send("loop { numb = numb + 1 }\r")
        time.sleep(0.5)
        self.send("\x03")
        self.wait_for("interrupted")
        self.wait_for("tl> ")
        self.send("numb > 50\r")
        self.wait_for("true")
        self.wait_for("tl> ")
        self.send("dropped(\r")
        self.wait_for("..> ")
        self.press_ctrl_c()
        self.send("5 * 5\r")
        self.wait_for("25")
        self.wait_for("tl> ")
        self.end()
        self.assertIn("numb > 50", self.history.read_text().replace("\\040", " "))
        self.start()
        self.send("\x1b[A\r")  # the line before, of the other session
        self.wait_for("25")
        self.wait_for("tl> ")
        self.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tl", required=True)
    args, rest = parser.parse_known_args()
    TL = os.path.abspath(args.tl)
    unittest.main(argv=[sys.argv[0], *rest])
