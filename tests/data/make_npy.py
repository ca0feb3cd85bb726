#!/usr/bin/env python3
"""Writes npy/*.npy: small arrays as NumPy writes them. usage: tests/data/make_npy.py"""
import pathlib

import numpy as np

out = pathlib.Path(__file__).parent / "npy"
out.mkdir(exist_ok=True)
counts = np.arange(24).reshape(2, 3, 4)
for name in "float16 float32 float64 int8 int16 int32 int64 uint8".split():
    np.save(out / f"{name}.npy", counts.astype(name))
np.save(out / "bool.npy", counts % 3 == 0)
np.save(out / "fortran.npy", np.asfortranarray(counts.astype("float32")))
np.save(out / "big_endian.npy", counts.astype(">i4"))
np.save(out / "big_endian_fortran.npy", np.asfortranarray(counts.astype(">f8")))
np.save(out / "scalar.npy", np.float32(2.5))
np.save(out / "one.npy", np.array([7], np.int64))
np.save(out / "empty.npy", np.zeros((0, 5), np.float32))
np.save(out / "uint16.npy", counts.astype("uint16"))
np.save(out / "text.npy", np.array(["ab", "c"]))
np.save(out / "records.npy", np.zeros(2, [("x", "f4"), ("y", "i4")]))
for version in (2, 3):
    with open(out / f"version{version}.npy", "wb") as file:
        np.lib.format.write_array(file, counts.astype("float32"), version=(version, 0))
