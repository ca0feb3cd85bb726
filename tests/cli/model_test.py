#!/usr/bin/env python3
"""The real model through the tl program: a sensible answer, the same bits however it is run, flat memory and plans."""
import argparse
import json
import math
import os
import re
import subprocess
import sys
import unittest

TL = "tl"
MODEL = "smollm2-135m-instruct"
SKIPPED = 77


def run(*args, stdin=""):
    return subprocess.run([TL, *map(str, args)], input=stdin.encode(), capture_output=True, timeout=600)


def generate(*args, count=12, temperature=0, prompt="The quick brown fox jumps over the lazy dog, and then it"):
    out = run("generate", MODEL, "--prompt", prompt, "--max-tokens", count, "--temperature", temperature,
              "--ignore-eos", "--json", *args)
    assert out.returncode == 0, out.stderr.decode()
    return json.loads(out.stdout)


class Answers(unittest.TestCase):
    def test_a_chat_may_begin_with_a_prompt(self):
        out = subprocess.run([TL, "chat", "smollm2-135m-instruct", "--temperature", "0", "--prompt",
                              "What is the capital of France?"], input=b"And of Italy?\n", capture_output=True)
        self.assertIn(b"Paris", out.stdout.splitlines()[0])
        self.assertIn(b"Italy", out.stdout.splitlines()[1])

    def test_chat(self):
        out = run("chat", MODEL, "--temperature", 0, stdin="What is the capital of France?\nAnd of Germany?\n")
        self.assertEqual(out.returncode, 0, out.stderr.decode())
        self.assertIn("Paris", out.stdout.decode())
        self.assertIn("Berlin", out.stdout.decode())
        self.assertIn("tokens/s", out.stderr.decode())

    def test_examples(self):
        path = run("models", "path", MODEL).stdout.decode().strip()
        self.assertIn('" Paris"', run("run", "examples/single_forward.tl", path).stdout.decode().splitlines()[1])
        composed = run("run", "examples/generate_loop.tl", path, "The capital of France is", 12).stdout.decode()
        fused = generate(count=12, prompt="The capital of France is")["text"]
        self.assertEqual(composed.rstrip("\n"), "The capital of France is" + fused.rstrip("\n"))

    def test_seeds(self):
        texts = [generate("--seed", seed, temperature=1.0)["text"] for seed in (1, 1, 2)]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])


class Promises(unittest.TestCase):
    def test_same_bits(self):
        want = generate()
        ways = [["--threads", n] for n in (1, 2)] + [["--commands-per-batch", n] for n in (1, 20, 50, 200, 10000)]
        ways += [["--prefill-chunk", n] for n in (1, 7, 64)] + [["--eager"], ["--shuffle", 1], ["--no-fuse"]] + [[]] * 20
        for args in ways:
            got = generate(*args)
            self.assertEqual((got["tokens"], got["logits_checksum"]), (want["tokens"], want["logits_checksum"]), args)

    def test_plans_and_memory_do_not_grow(self):
        def stats(count):
            out = run("generate", MODEL, "--memory", "--tokens", ",".join(["504"] * 46), "--max-tokens", count,
                      "--temperature", 0, "--ignore-eos", "--context", 1100)
            self.assertEqual(out.returncode, 0, out.stderr.decode())
            text = out.stderr.decode()
            return [int(re.search(pattern, text)[1]) for pattern in (r"(\d+) at most", r"plans: (\d+) made")]

        # The cache counts by the rows that are written, in pieces of 64 KiB: 2 x 30 ranges of 3 x 64 floats a row.
        def cache(count):
            return 2 * 30 * math.ceil((46 + count) * 3 * 64 * 4 / 65536) * 65536

        short, long = stats(200), stats(1000)
        self.assertEqual(short[1], long[1], "a long generation made new plans")
        more = long[0] - cache(1000) - (short[0] - cache(200))
        self.assertLessEqual(more, 1 << 20, "tensors took more memory in a long generation")

    def test_peak_memory(self):
        out = generate("--context", 512, count=64)
        file_bytes = os.path.getsize(run("models", "path", MODEL).stdout.decode().strip())
        cache = 2 * 30 * 512 * 3 * 64 * 4
        self.assertLessEqual(out["peak_memory_bytes"], file_bytes + cache + 200e6)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tl", required=True)
    args, rest = parser.parse_known_args()
    TL = os.path.abspath(args.tl)
    if run("models", "path", MODEL).returncode != 0:
        print(f"the model is missing: tl models fetch {MODEL}")
        sys.exit(1 if os.environ.get("TL_REQUIRE_MODEL") == "1" else SKIPPED)
    unittest.main(argv=[sys.argv[0], *rest])
