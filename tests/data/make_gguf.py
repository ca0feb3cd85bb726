#!/usr/bin/env python3
"""Writes gguf/values.gguf: every kind of metadata value and some tensors, as the `gguf` package writes them.
usage: tests/data/make_gguf.py"""
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as T, GGUFValueType as V, GGUFWriter

out = pathlib.Path(__file__).parent / "gguf"
out.mkdir(exist_ok=True)
writer = GGUFWriter(out / "values.gguf", "test")
writer.add_custom_alignment(64)
for kind, value in [(V.UINT8, 255), (V.INT8, -128), (V.UINT16, 65535), (V.INT16, -32768), (V.UINT32, 2**32 - 1),
                    (V.INT32, -(2**31)), (V.UINT64, 2**64 - 1), (V.INT64, -(2**63)), (V.FLOAT32, 0.1),
                    (V.FLOAT64, 0.1), (V.BOOL, True), (V.STRING, "é\n")]:
    writer.add_key_value(f"test.{kind.name.lower()}", value, kind)
    writer.add_key_value(f"test.{kind.name.lower()}s", [value] * 3, V.ARRAY, kind)
writer.add_tensor("vector", np.arange(5, dtype=np.float32))
writer.add_tensor("matrix", np.arange(6, dtype=np.float16).reshape(2, 3))
writer.add_tensor("cube", np.arange(24, dtype=np.int32).reshape(2, 3, 4))
writer.add_tensor("q8", np.full((2, 34), 1, np.uint8), raw_dtype=T.Q8_0)
writer.add_tensor("iq", np.full((1, 66), 1, np.uint8), raw_dtype=T.IQ2_XXS)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
