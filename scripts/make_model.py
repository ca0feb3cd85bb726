#!/usr/bin/env python3
"""Writes a GGUF model of the Llama family with seeded random weights: of a real model's shape, to measure size and
speed, or tiny, for tests. Quantised weights are random blocks (nothing is quantised), scaled like 1/sqrt(inputs), so
activations stay of order one. Needs numpy and gguf.

usage: scripts/make_model.py OUT.gguf --preset tinyllama --type q4_0 [--vocab ggml-vocab-llama-spm.gguf]
       scripts/make_model.py OUT.gguf --layers 2 --width 64 --heads 4 --kv-heads 2 --ff 96 --vocab 300 --type f16
       scripts/make_model.py OUT.gguf --type q4_k,q6_k --width 256 --head-dim 16   (types in turn, matrix by matrix)
"""
import argparse
import itertools
import math
import os
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType

PRESETS = {
    "tiny": dict(layers=2, width=32, heads=4, kv_heads=2, ff=64, vocab="300", context=128),
    "tinyllama": dict(layers=22, width=2048, heads=32, kv_heads=4, ff=5632, vocab="32000", context=2048),
    "smollm2-135m": dict(layers=30, width=576, heads=9, kv_heads=3, ff=1536, vocab="49152", context=8192),
}
# The type of the large weights, and of those that mixtures keep at more bits.
TYPES = {name: (T[name.upper()],) * 2 for name in "f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k".split()}
TYPES |= {"q4_k_m": (T.Q4_K, T.Q6_K), "q5_k_m": (T.Q5_K, T.Q6_K), "q3_k_m": (T.Q3_K, T.Q5_K)}
FILE_TYPES = {"f32": "ALL_F32", "q2_k": "MOSTLY_Q2_K", "q3_k": "MOSTLY_Q3_K_S", "q4_k": "MOSTLY_Q4_K_S",
              "q5_k": "MOSTLY_Q5_K_S"}
# In place of blocks of 256 where rows are not whole ones.
SHORT_ROWS = {T.Q2_K: T.Q4_0, T.Q3_K: T.Q4_0, T.Q4_K: T.Q5_0, T.Q5_K: T.Q5_1, T.Q6_K: T.Q8_0}
CHUNK = 1 << 24  # weights made at a time

# A block's layout, for uniformly random bits: where the float16 scale is; where the minimum is and its size in scales;
# the root mean square of the weights if the scale is 1.
LAYOUTS = {
    T.Q4_0: (0, None, 0, 4.637), T.Q4_1: (0, 2, -7.5, 4.610), T.Q5_0: (0, None, 0, 9.247), T.Q5_1: (0, 2, -15.5, 9.233),
    T.Q8_0: (0, None, 0, 73.90), T.Q2_K: (80, 82, 1.5, 9.843), T.Q3_K: (108, None, 0, 43.30),
    T.Q4_K: (0, 2, 7.5, 168.3), T.Q5_K: (0, 2, 15.5, 337.2), T.Q6_K: (208, None, 0, 1366.0),
}


def random_blocks(kind, count, deviation, rng):
    size = GGML_QUANT_SIZES[kind][1]
    blocks = np.frombuffer(rng.bytes(count * size), np.uint8).reshape(count, size).copy()
    # The small minima of K-blocks equal their small scales, which centres the weights on zero.
    if kind == T.Q2_K:
        blocks[:, :16] = (blocks[:, :16] & 15) * 17
    if kind in (T.Q4_K, T.Q5_K):
        blocks[:, 8:12] = blocks[:, 4:8]
        blocks[:, 12:16] = (blocks[:, 12:16] & 15) * 17
    scale_at, min_at, centre, rms = LAYOUTS[kind]
    scales = rng.uniform(0.5, 1.4, count).astype(np.float32) * (deviation / rms)
    if min_at is None:
        scales *= rng.integers(0, 2, count, np.int8) * 2 - 1  # signs, since these quants reach further below zero
    else:
        blocks[:, min_at:min_at + 2] = (scales * centre).astype(np.float16).view(np.uint8).reshape(-1, 2)
    blocks[:, scale_at:scale_at + 2] = scales.astype(np.float16).view(np.uint8).reshape(-1, 2)
    return blocks.reshape(-1)


def random_floats(kind, count, deviation, rng):
    # Uniform 16-bit integers are the fastest source; their deviation is 2^16 / sqrt(12).
    values = np.frombuffer(rng.bytes(2 * count), np.int16) * np.float32(deviation * math.sqrt(12) / 65536)
    if kind == T.F16:
        return values.astype(np.float16)
    if kind == T.BF16:
        bits = values.view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return values


class Tensor:
    """A weight to write: its bytes are made when they are written, a piece at a time."""

    def __init__(self, name, shape, kind):
        if shape[-1] % GGML_QUANT_SIZES[kind][0] and shape[-1] % 32 == 0:
            kind = SHORT_ROWS[kind]
        self.name, self.shape, self.kind = name, shape, kind
        self.block, self.block_bytes = GGML_QUANT_SIZES[kind]
        if shape[-1] % self.block:
            sys.exit(f"{name}: rows of {shape[-1]} are not whole blocks of {kind.name} (want a multiple of {self.block})")
        self.bytes = math.prod(shape) // self.block * self.block_bytes

    def describe(self, writer):
        byte_shape = (*self.shape[:-1], self.shape[-1] // self.block * self.block_bytes)
        writer.add_tensor_info(self.name, byte_shape, np.dtype(np.uint8), self.bytes, raw_dtype=self.kind)

    def pieces(self, rng):
        if len(self.shape) == 1:  # a norm's weights
            yield (1 + rng.uniform(-0.1, 0.1, self.shape)).astype(np.float32)
            return
        deviation = 1 / math.sqrt(self.shape[-1])
        for start in range(0, math.prod(self.shape), CHUNK):
            count = min(CHUNK, math.prod(self.shape) - start)
            if self.kind in LAYOUTS:
                yield random_blocks(self.kind, count // self.block, deviation, rng)
            else:
                yield random_floats(self.kind, count, deviation, rng)


def tensors(args):
    types = itertools.cycle(TYPES[name] for name in args.type.split(","))
    eighth = args.layers // 8

    def matrix(name, rows, columns, more_bits=False):
        return Tensor(name, (rows, columns), next(types)[more_bits])

    yield matrix("token_embd.weight", args.vocab_size, args.width)
    for n in range(args.layers):
        # Mixtures keep more bits in the first and last eighths of the layers, and in every third between.
        more_bits = n < eighth or n >= 7 * args.layers // 8 or (n - eighth) % 3 == 2
        yield Tensor(f"blk.{n}.attn_norm.weight", (args.width,), T.F32)
        yield matrix(f"blk.{n}.attn_q.weight", args.heads * args.head_dim, args.width)
        yield matrix(f"blk.{n}.attn_k.weight", args.kv_heads * args.head_dim, args.width)
        yield matrix(f"blk.{n}.attn_v.weight", args.kv_heads * args.head_dim, args.width, more_bits)
        yield matrix(f"blk.{n}.attn_output.weight", args.width, args.heads * args.head_dim)
        yield Tensor(f"blk.{n}.ffn_norm.weight", (args.width,), T.F32)
        yield matrix(f"blk.{n}.ffn_gate.weight", args.ff, args.width)
        yield matrix(f"blk.{n}.ffn_up.weight", args.ff, args.width)
        yield matrix(f"blk.{n}.ffn_down.weight", args.width, args.ff, more_bits)
    yield Tensor("output_norm.weight", (args.width,), T.F32)
    if not args.tied:
        yield matrix("output.weight", args.vocab_size, args.width, more_bits=True)


def synthetic_tokens(size):
    """A SentencePiece-like vocabulary: special tokens, bytes, then pieces that pairs of earlier pieces merge into."""
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    types = [2, 3, 3] + [6] * 256
    letters = "▁etaoinshrdlucmfwypvbgkqjxz0123456789.,ETAOINSHRDLUCMFWYPVBGKQJXZ'\"-!?"
    pieces = ("".join(p) for n in itertools.count(1) for p in itertools.product(letters, repeat=n)
              if "▁" not in p[1:])  # a space only begins a piece
    tokens += itertools.islice(pieces, max(0, size - len(tokens)))
    types += [1] * (size - len(types))
    if len(tokens) != size:
        sys.exit(f"a vocabulary of {size} is too small (want at least 259: 3 special tokens and 256 bytes)")
    return tokens, types, [0.0 if t != 1 else -float(i - 259) for i, t in enumerate(types)]


def add_synthetic_tokenizer(writer, size):
    tokens, types, scores = synthetic_tokens(size)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def copy_tokenizer(writer, reader):
    for key, field in reader.fields.items():
        if key.startswith("tokenizer."):
            sub_type = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type)


def add_metadata(writer, args):
    writer.add_name(args.name)
    writer.add_context_length(args.context)
    writer.add_embedding_length(args.width)
    writer.add_block_count(args.layers)
    writer.add_feed_forward_length(args.ff)
    writer.add_head_count(args.heads)
    writer.add_head_count_kv(args.kv_heads)
    writer.add_rope_dimension_count(args.head_dim)
    if args.head_dim * args.heads != args.width:
        writer.add_key_length(args.head_dim)
        writer.add_value_length(args.head_dim)
    writer.add_rope_freq_base(args.rope_base)
    writer.add_layer_norm_rms_eps(args.eps)
    writer.add_vocab_size(args.vocab_size)
    if args.type in TYPES:
        writer.add_file_type(LlamaFileType[FILE_TYPES.get(args.type, f"MOSTLY_{args.type.upper()}")])
    writer.add_quantization_version(2)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--preset", choices=PRESETS, default="tiny", help="a shape, which the flags below change")
    parser.add_argument("--type", default="f16", help=f"of the matrices, or several, separated by commas: {' '.join(TYPES)}")
    for flag in ("--layers", "--width", "--heads", "--kv-heads", "--head-dim", "--ff", "--context"):
        parser.add_argument(flag, type=int)
    parser.add_argument("--vocab", help="a count of tokens, or a GGUF file to take the tokenizer from")
    parser.add_argument("--tied", action="store_true", help="the embedding is the output matrix too")
    parser.add_argument("--rope-base", type=float, default=10000.0)
    parser.add_argument("--eps", type=float, default=1e-5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for key, value in PRESETS[args.preset].items():
        if getattr(args, key) is None:
            setattr(args, key, value)
    if args.head_dim is None:
        if args.width % args.heads:
            parser.error(f"width {args.width} does not divide into {args.heads} heads")
        args.head_dim = args.width // args.heads
    for key in ("layers", "width", "heads", "kv_heads", "head_dim", "ff", "context"):
        if getattr(args, key) < 1:
            parser.error(f"--{key.replace('_', '-')} is {getattr(args, key)} (want at least 1)")
    if args.heads % args.kv_heads or args.head_dim % 2:
        parser.error(f"{args.heads} heads on {args.kv_heads} kv-heads of {args.head_dim} (want whole groups, even size)")
    for name in args.type.split(","):
        if name not in TYPES:
            parser.error(f"type {name!r} is unknown (want some of {' '.join(TYPES)})")
    args.name = f"random {args.preset} {args.type}"
    return args


def main():
    args = parse_args()
    reader = None if args.vocab.isdigit() else GGUFReader(args.vocab)
    args.vocab_size = len(reader.fields["tokenizer.ggml.tokens"].data) if reader else int(args.vocab)
    all_tensors = list(tensors(args))
    partial = args.out + ".part"
    writer = GGUFWriter(partial, "llama")
    add_metadata(writer, args)
    if reader:
        copy_tokenizer(writer, reader)
    else:
        add_synthetic_tokenizer(writer, args.vocab_size)
    for tensor in all_tensors:
        tensor.describe(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    file = writer.fout[0]
    rng = np.random.default_rng(args.seed)
    file.write(bytes(-file.tell() % writer.data_alignment))
    for tensor in all_tensors:
        for piece in tensor.pieces(rng):
            file.write(piece.view(np.uint8).data)
        file.write(bytes(-file.tell() % writer.data_alignment))
    writer.close()
    os.replace(partial, args.out)
    weights = sum(math.prod(t.shape) for t in all_tensors)
    print(f"{args.out}: {len(all_tensors)} tensors, {weights:,} weights, {os.path.getsize(args.out):,} bytes")


if __name__ == "__main__":
    main()
