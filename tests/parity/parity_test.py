#!/usr/bin/env python3
"""Holds tl against the stored answers of transformers (float32) on the demo model. Run by ctest; by hand:

  build/venv/bin/python tests/parity/parity_test.py --tl build/release/tl [--model FILE] [--simd LEVEL]
      [--device NAME] [--only PROMPT]... [--positions N]

For every prompt: the greedy answer is the reference's until a near tie; fed the reference's answer, the best token of
every position is the reference's except at near ties; and the mean KL divergence over all prompts is at most 1e-4.
Exit code 77, which ctest reports as skipped: the model is not there (a failure if TL_REQUIRE_MODEL=1) or the machine
lacks the SIMD level.
"""
import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import parity  # noqa: E402

MODEL = "smollm2-135m-instruct"
SKIPPED = 77
# 1e-4 over the vocabulary; the 65 events of a fixture show at least four fifths of that (nine tenths of llama.cpp's
# divergence, measured by bench/llama_parity.py).
MAX_DIVERGENCE = 0.8e-4
# What /proc/cpuinfo must list for a level to be offered.
LEVEL_FLAGS = {"portable": set(), "avx2": {"avx2", "fma", "f16c"},
               "avx512": {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"}}


def skip(why):
    print(f"skipped: {why}")
    sys.exit(1 if "model" in why and os.environ.get("TL_REQUIRE_MODEL") == "1" else SKIPPED)


def find_model(args):
    if args.model:
        return args.model
    done = subprocess.run([args.tl, "models", "path", MODEL], capture_output=True, text=True)
    if done.returncode != 0 or not pathlib.Path(done.stdout.strip()).is_file():
        skip(f"the model {MODEL} is not there (tl models fetch {MODEL})")
    return done.stdout.strip()


def check_level(level):
    """Skips if this machine lacks the level."""
    if level is None or level == "portable":
        return
    flags = set()
    if platform.machine() == "x86_64":
        for line in open("/proc/cpuinfo", encoding="utf-8"):
            if line.startswith("flags"):
                flags = set(line.split(":")[1].split())
                break
    lacking = LEVEL_FLAGS[level] - flags
    if lacking or platform.machine() != "x86_64":
        skip(f"this machine has no {level} (lacks {', '.join(sorted(lacking)) or 'x86-64'})")


class Runner:
    def __init__(self, args, model):
        self.command = [args.tl, "generate", model, "--temperature", "0", "--ignore-eos", "--json"]
        for option in ("simd", "device", "threads"):
            if getattr(args, option):
                self.command += [f"--{option}", str(getattr(args, option))]
        self.simd = args.simd

    def generate(self, tokens, count, logits=None):
        command = self.command + ["--tokens", ",".join(map(str, tokens)), "--max-tokens", str(count)]
        if logits:
            command += ["--logits", str(logits)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"tl generate ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
        answer = json.loads(done.stdout)
        if answer["prompt_tokens"] != list(tokens):
            sys.exit("tl generate reports another prompt than it was given")
        if self.simd and answer["simd"] != self.simd:
            sys.exit(f"asked for --simd {self.simd}, tl reports {answer['simd']}")
        return answer["tokens"]


def check_greedy(name, fixture, tokens):
    """What is wrong with a greedy answer: it may leave the reference's only at a near tie."""
    first = len(fixture.prompt) - 1
    for step, (ours, theirs) in enumerate(zip(tokens, fixture.answer)):
        if ours != theirs:
            margin = fixture.margins[first + step]
            if margin > parity.MARGIN:
                return [f"{name}: answer token {step} is {ours}, not {theirs}, which leads by {margin:.3f}"]
            return []  # from here on the two answer different texts
    if len(tokens) != len(fixture.answer):
        return [f"{name}: {len(tokens)} tokens answered, {len(fixture.answer)} asked for"]
    return []


def check_prompt(name, fixture, runner, folder):
    """(what is wrong, divergence by position) for one prompt."""
    bad = check_greedy(name, fixture, runner.generate(fixture.prompt.tolist(), len(fixture.answer)))
    path = pathlib.Path(folder) / "logits.npy"
    tokens = fixture.forced_tokens()
    runner.generate(tokens, 1, path)
    logits = np.load(path)[:len(tokens)]
    path.unlink()
    if logits.dtype != np.float32 or len(logits) != len(tokens):
        return bad + [f"{name}: --logits gave {logits.dtype} {logits.shape} for {len(tokens)} positions"], np.zeros(0)
    if not np.isfinite(logits).all():
        return bad + [f"{name}: a logit is not finite"], np.zeros(0)
    wrong = parity.wrong_best(fixture, logits)
    bad += [f"{name}: position {i}: best token {logits[i].argmax()}, not {fixture.top_ids[i, 0]}, which leads by "
            f"{fixture.margins[i]:.3f}" for i in wrong]
    bound, full = parity.divergence(fixture, logits)
    whole = f", over the vocabulary {full.mean():.1e} at {len(full)}" if len(full) else ""
    print(f"{name}: {len(bound)} positions, mean KL {bound.mean():.1e}, largest {bound.max():.1e}{whole}", flush=True)
    return bad, bound


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tl", required=True)
    parser.add_argument("--model")
    parser.add_argument("--simd", choices=LEVEL_FLAGS)
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", action="append", metavar="PROMPT")
    parser.add_argument("--positions", type=int, help="only prompts and answers up to here, for slow devices")
    args = parser.parse_args()
    args.tl = str(pathlib.Path(args.tl).resolve())
    check_level(args.simd)
    runner = Runner(args, find_model(args))
    bad, divergence, prompts = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(pathlib.Path(__file__).resolve().parent.glob("*.npz")):
            if args.only and path.stem not in args.only:
                continue
            fixture = parity.read(path)
            if args.positions:
                fixture = fixture.first(args.positions)
            if fixture is None:
                continue
            wrong, bound = check_prompt(path.stem, fixture, runner, folder)
            bad += wrong
            divergence.append(bound)
            prompts += 1
    if not prompts:
        sys.exit("no prompt was tried")
    mean = float(np.concatenate(divergence).mean())
    if not mean <= MAX_DIVERGENCE:
        bad.append(f"mean KL divergence {mean:.2e}, at most {MAX_DIVERGENCE:.1e} is wanted")
    print("\n".join(bad) if bad else f"{prompts} prompts as the reference has them, mean KL {mean:.2e}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
