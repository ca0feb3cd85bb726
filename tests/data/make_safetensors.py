#!/usr/bin/env python3
"""Writes safetensors/: small files as the `safetensors` package writes them. Needs it, numpy and torch (for bfloat16).
usage: tests/data/make_safetensors.py"""
import json
import pathlib

import torch
from safetensors.torch import save_file

out = pathlib.Path(__file__).parent / "safetensors"
out.mkdir(exist_ok=True)
counts = torch.arange(12).reshape(3, 4)
names = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8".split()
tensors = {name: counts.to(getattr(torch, name)) for name in names}
tensors["bool"] = counts % 3 == 0
tensors["scalar"] = torch.tensor(2.5)
tensors["empty"] = torch.zeros(0, 5)
tensors["float8"] = counts.to(torch.float8_e4m3fn)
save_file(tensors, out / "types.safetensors", {"format": "pt", "note": "é \"quoted\""})

parts = {"model-00001-of-00002.safetensors": ["float32", "int8"], "model-00002-of-00002.safetensors": ["bfloat16"]}
for file, inside in parts.items():
    save_file({name: tensors[name] for name in inside}, out / file, {"format": "pt"})
index = {"metadata": {"total_size": 84}, "weight_map": {name: file for file, names in parts.items() for name in names}}
(out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
