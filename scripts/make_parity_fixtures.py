#!/usr/bin/env python3
"""Makes tests/parity/*.npz: what transformers and torch compute from the demo model, dequantised to float32.

  python3 -m venv build/venv && build/venv/bin/pip install -r scripts/requirements-fixtures.txt    # 5.6 GB
  build/venv/bin/python scripts/make_parity_fixtures.py "$(build/release/tl models path smollm2-135m-instruct)"

One file per prompt of tests/parity/prompts.json, read by tests/parity/parity.py, which says what the arrays hold.
"""
import argparse
import json
import pathlib
import sys

import numpy as np
import torch
import transformers

PARITY = pathlib.Path(__file__).resolve().parent.parent / "tests/parity"
sys.path.insert(0, str(PARITY))
import parity  # noqa: E402


def load(path):
    folder, name = str(path.parent), path.name
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    return tokenizer, model.eval()


def prompt_ids(prompt, tokenizer):
    text = prompt.get("text") or (PARITY / prompt["file"]).read_text(encoding="utf-8")
    if prompt.get("chat"):
        text = tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False,
                                             add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if "tokens" in prompt:
        if len(ids) < prompt["tokens"]:
            sys.exit(f"{prompt['name']} has {len(ids)} tokens, fewer than {prompt['tokens']}")
        ids = ids[:prompt["tokens"]]
    return ids


@torch.inference_mode()
def answer_of(model, ids, count):
    """The greedy continuation: the end of the text is a token like any other."""
    tokens = list(ids)
    cache, feed = None, tokens
    for _ in range(count):
        out = model(torch.tensor([feed]), past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        feed = [int(out.logits[0, -1].argmax())]
        tokens += feed
    return tokens[len(ids):]


@torch.inference_mode()
def logits_of(model, tokens):
    return model(torch.tensor([tokens]), use_cache=False).logits[0].numpy()


def check_loaded(tokenizer, model):
    """Fails if the weights were read wrongly in a way that shows."""
    ids = tokenizer("The capital of France is", add_special_tokens=False)["input_ids"]
    best = tokenizer.decode([int(logits_of(model, ids)[-1].argmax())])
    if best != " Paris":
        sys.exit(f"the reference continues 'The capital of France is' with {best!r}; was it loaded rightly?")
    tied = model.get_input_embeddings().weight.data_ptr() == model.get_output_embeddings().weight.data_ptr()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, tied output: {tied}, "
          f"rope: {model.config.rope_parameters}, eps: {model.config.rms_norm_eps}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--full-logits", type=pathlib.Path, help="also writes NAME.npy, float32, into this folder")
    args = parser.parse_args()
    torch.set_num_threads(2)
    tokenizer, model = load(args.model)
    check_loaded(tokenizer, model)
    for prompt in json.loads((PARITY / "prompts.json").read_text(encoding="utf-8")):
        ids = prompt_ids(prompt, tokenizer)
        answer = answer_of(model, ids, prompt["answer"])
        logits = logits_of(model, ids + answer[:-1])
        again = logits[len(ids) - 1:].argmax(axis=1).tolist()
        if again != answer:
            print(f"  {prompt['name']}: step by step and at once differ at a near tie; keeping step by step")
        path = PARITY / f"{prompt['name']}.npz"
        parity.write(path, ids, answer, logits, prompt.get("full", []))
        if args.full_logits:
            np.save(args.full_logits / f"{prompt['name']}.npy", logits)
        fixture = parity.read(path)
        bound, _ = parity.divergence(fixture, logits)
        close = int((fixture.margins <= parity.MARGIN).sum())
        print(f"  {prompt['name']}: {len(ids)} + {len(answer)} tokens, {path.stat().st_size} bytes, {close} near ties, "
              f"KL to itself {bound.mean():.1e}: {tokenizer.decode(answer)!r}")


if __name__ == "__main__":
    main()
