#!/usr/bin/env python3
"""Writes tests/data/quant/TYPE.blocks.npy (uint8) and TYPE.values.npy (float32): random blocks of every quantised type
GGUF has and we read, with the values the `gguf` package gives them. Needs numpy and gguf; the output is committed.

usage: scripts/make_quant_fixtures.py [OUT_DIR]
"""
import pathlib
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T, quants

# Where a block's float16 fields (scale, then minimum) are, in bytes.
HALF_FIELDS = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82],
               T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}
# The largest and smallest halves, the largest subnormal, both zeros and a common scale; the other blocks are random.
EXTREMES = np.array([65504, 2.0**-24, 1023 * 2.0**-24, 0.0, -0.0, -65504, -0.0078125, 2.0**-14], np.float16)
ELEMENTS = 8 * 256


def random_blocks(kind, rng):
    elements, size = GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (ELEMENTS // elements, size), np.uint8)
    for n, at in enumerate(HALF_FIELDS[kind]):
        scales = rng.normal(0, 0.02, len(blocks)).astype(np.float16)
        # Every other block is extreme; a minimum takes them in reverse order, so that pairs differ.
        scales[::2] = np.resize(EXTREMES[:: 1 - 2 * n], len(scales[::2]))
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
    blocks[-1, :] = 0
    blocks[-2, [i for i in range(size) if all(i - at not in (0, 1) for at in HALF_FIELDS[kind])]] = 255
    return blocks


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "tests/data/quant")
    out.mkdir(parents=True, exist_ok=True)
    for n, kind in enumerate(HALF_FIELDS):
        blocks = random_blocks(kind, np.random.default_rng(n))
        values = quants.dequantize(blocks.reshape(-1), kind).astype(np.float32)
        assert np.isfinite(values).all() and values.size == ELEMENTS, kind
        np.save(out / f"{kind.name.lower()}.blocks.npy", blocks.reshape(-1))
        np.save(out / f"{kind.name.lower()}.values.npy", values.reshape(-1))


if __name__ == "__main__":
    main()
