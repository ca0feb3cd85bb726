#!/usr/bin/env python3
"""How far llama.cpp is from the parity fixtures on the same file, for the record in bench/RESULTS.md.

  build/venv-peers/bin/python bench/llama_parity.py MODEL.gguf [--full-logits FOLDER]

FOLDER holds the reference's whole logits (scripts/make_parity_fixtures.py --full-logits FOLDER); with it the divergence
over the whole vocabulary is printed too.
"""
import argparse
import pathlib
import sys

import llama_cpp
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/parity"))
import parity  # noqa: E402


def logits_of(context, vocabulary, tokens):
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, True
        batch.seq_id[i][0] = 0
    if llama_cpp.llama_decode(context, batch) != 0:
        sys.exit("llama_decode failed")
    rows = [np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, i), (vocabulary,)).copy()
            for i in range(len(tokens))]
    llama_cpp.llama_batch_free(batch)
    return np.stack(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--full-logits", type=pathlib.Path)
    args = parser.parse_args()
    llama_cpp.llama_backend_init()
    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, None)
    model = llama_cpp.llama_model_load_from_file(args.model.encode(), llama_cpp.llama_model_default_params())
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_threads, params.n_threads_batch = 1024, 1024, 2, 2
    context = llama_cpp.llama_init_from_model(model, params)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    print("| prompt | positions | mean KL (65 events) | over the vocabulary | wrong best where margin > 0.05 "
          "| any other best |")
    print("|---|---|---|---|---|---|")
    totals = np.zeros(5)
    for path in sorted((ROOT / "tests/parity").glob("*.npz")):
        fixture = parity.read(path)
        ours = logits_of(context, vocabulary, fixture.forced_tokens())
        bound, _ = parity.divergence(fixture, ours)
        whole = np.nan
        if args.full_logits:
            p = np.load(args.full_logits / f"{path.stem}.npy").astype(np.float64)
            p -= parity.log_sum_exp(p)[:, None]
            q = ours.astype(np.float64)
            q -= parity.log_sum_exp(q)[:, None]
            whole = (np.exp(p) * (p - q)).sum()
        other = int((ours.argmax(axis=1) != fixture.top_ids[:, 0]).sum())
        wrong = len(parity.wrong_best(fixture, ours))
        row = np.array([len(bound), bound.sum(), whole, wrong, other])
        totals += row
        print(f"| {path.stem} | {len(bound)} | {row[1] / row[0]:.1e} | {row[2] / row[0]:.1e} | {wrong} | {other} |")
    print(f"| all | {totals[0]:.0f} | {totals[1] / totals[0]:.1e} | {totals[2] / totals[0]:.1e} | {totals[3]:.0f} | "
          f"{totals[4]:.0f} ({100 * totals[4] / totals[0]:.1f} %) |")


if __name__ == "__main__":
    main()
