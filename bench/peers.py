#!/usr/bin/env python3
"""Measures tl and llama.cpp on the same GGUF file in the same minutes and prints a markdown table.

Rounds alternate between the two programs, each in a fresh process, so that a slow minute of the machine hits both.
What is timed is what llama-bench times: decode of N tokens one by one from an empty cache, and a prompt of 512 tokens
at once, each after one warm-up; and, before any warm-up, loading and the first token of a 46-token prompt.

  make bench                                       # or, by hand:
  python3 bench/peers.py MODEL.gguf... [--tl build/release/tl] [--rounds 5] [--only tl|llama]

llama.cpp comes from the Python package llama-cpp-python, compiled for this machine (a quarter of an hour on 2 cores):
  python3 -m venv build/venv-peers && CMAKE_ARGS=-DGGML_NATIVE=ON build/venv-peers/bin/pip install \\
    --no-binary llama-cpp-python llama-cpp-python
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER_PYTHON = ROOT / "build/venv-peers/bin/python"
SHORT_PROMPT = 46
# What a round measures: key, heading, whether more is better.
FIGURES = [
    ("decode", "decode, tok/s", True),
    ("prefill", "prefill 512, tok/s", True),
    ("first_token", "first token of 46, s", False),
    ("load", "load, s", False),
    ("peak_mb", "peak memory, MB", False),
]


def short_prompt(vocabulary):
    """Token ids that look like text to a model: spread over the vocabulary, the same for both programs."""
    return [(7919 * (i + 1)) % vocabulary for i in range(SHORT_PROMPT)]


class Llama:
    """The part of llama.cpp's C interface that llama-bench uses."""

    def __init__(self, path, threads, context):
        import llama_cpp
        self.api = llama_cpp
        self.api.llama_backend_init()
        quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        self.keep = quiet
        llama_cpp.llama_log_set(quiet, None)
        begin = time.perf_counter()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama.cpp cannot load {path}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context, 2048, 512
        params.n_threads = params.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.load_seconds = time.perf_counter() - begin
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))

    def clear(self):
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)

    def decode(self, tokens):
        array = (self.api.llama_token * len(tokens))(*tokens)
        if self.api.llama_decode(self.context, self.api.llama_batch_get_one(array, len(tokens))) != 0:
            sys.exit("llama_decode failed")
        self.api.llama_synchronize(self.context)

    def time_prompt(self, count):
        tokens = [(7919 * (i + 1)) % self.vocabulary for i in range(count)]
        self.clear()
        begin = time.perf_counter()
        self.decode(tokens)
        return count / (time.perf_counter() - begin)

    def time_decode(self, count):
        tokens = [(7919 * (i + 1)) % self.vocabulary for i in range(count)]
        self.clear()
        begin = time.perf_counter()
        for token in tokens:
            self.decode([token])
        return count / (time.perf_counter() - begin)


def peak_mb():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def llama_round(path, args):
    """One round of llama.cpp, in this process; prints its figures as JSON."""
    llama = Llama(path, args.threads, 1024)
    begin = time.perf_counter()
    llama.decode(short_prompt(llama.vocabulary))
    first = time.perf_counter() - begin
    llama.time_prompt(args.prompt)
    prefill = llama.time_prompt(args.prompt)
    llama.time_decode(4)
    decode = llama.time_decode(args.generate)
    print(json.dumps({"decode": decode, "prefill": prefill, "first_token": first, "load": llama.load_seconds,
                      "peak_mb": peak_mb(), "vocabulary": llama.vocabulary}))


def json_of(command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_llama(path, args):
    return json_of([args.peer_python, __file__, path, "--llama-round", "--threads", str(args.threads), "--prompt",
                    str(args.prompt), "--generate", str(args.generate)])


def run_tl(path, args, vocabulary):
    tl = [str(args.tl)]
    common = ["--threads", str(args.threads)]
    prompt = ",".join(map(str, short_prompt(vocabulary)))
    first = json_of(tl + ["generate", path, "--tokens", prompt, "--max-tokens", "1", "--temperature", "0",
                          "--ignore-eos", "--json"] + common)
    speed = json_of(tl + ["speed", path, "--prompt", str(args.prompt), "--generate", str(args.generate), "--repeat",
                          "1", "--json"] + common)
    return {"decode": speed["decode"]["tokens_per_second"]["median"],
            "prefill": speed["prefill"]["tokens_per_second"]["median"],
            "first_token": first["prefill_seconds"], "load": first["load_seconds"],
            "peak_mb": first["peak_memory_bytes"] / 2**20, "simd": first["simd"]}


def vocabulary_of(path, args):
    """Read by llama.cpp where it is there, else by tl's inspect."""
    if args.only != "tl":
        return run_llama(path, args)["vocabulary"]  # also a warm-up: the file is in the page cache from here on
    tensors = json_of([str(args.tl), "inspect", path, "--json"])["tensors"]
    return max(next(t["shape"] for t in tensors if t["name"] == "token_embd.weight"))


def measure(path, args):
    vocabulary = vocabulary_of(path, args)
    rounds = {"llama": [], "tl": []}
    for number in range(args.rounds):
        if args.only != "tl":
            rounds["llama"].append(run_llama(path, args))
        if args.only != "llama":
            rounds["tl"].append(run_tl(path, args, vocabulary))
        print(f"  {path}: round {number + 1} of {args.rounds}", file=sys.stderr)
    return rounds


def show(value):
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def spread(values):
    return f"{show(statistics.median(values))} ({show(min(values))}–{show(max(values))})"


def table(name, rounds):
    lines = [f"| {name} | tl | llama.cpp | tl / llama.cpp |", "|---|---|---|---|"]
    for key, heading, more_is_better in FIGURES:
        ours = [r[key] for r in rounds["tl"]]
        theirs = [r[key] for r in rounds["llama"]]
        ratio = "–"
        if ours and theirs:
            ratio = f"{statistics.median(ours) / statistics.median(theirs):.2f}×"
            ratio += "" if more_is_better else " (less is better)"
        lines.append(f"| {heading} | {spread(ours) if ours else '–'} | {spread(theirs) if theirs else '–'} | {ratio} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL.gguf")
    parser.add_argument("--tl", type=pathlib.Path, default=ROOT / "build/release/tl")
    parser.add_argument("--peer-python", default=str(PEER_PYTHON))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["tl", "llama"])
    parser.add_argument("--llama-round", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.llama_round:
        return llama_round(args.models[0], args)
    if args.only != "tl" and not pathlib.Path(args.peer_python).exists():
        sys.exit(f"no llama.cpp: {args.peer_python} is missing (see the head of {__file__}); or say --only tl")
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"something else is running (load average {load:.1f}): the figures will mean little", file=sys.stderr)
    print(f"median (least–greatest) of {args.rounds} alternating rounds, {args.threads} threads\n")
    for path in args.models:
        print(table(pathlib.Path(path).stem, measure(path, args)) + "\n", flush=True)


if __name__ == "__main__":
    main()
