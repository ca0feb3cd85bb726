#!/usr/bin/env python3
"""The stored test data is what the scripts beside it write, and scripts/make_model.py refuses shapes that do not fit.
Skipped (77) without the packages `numpy` and `gguf`."""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
MAKE_MODEL = ROOT / "scripts/make_model.py"

try:
    import gguf  # noqa: F401
    import numpy  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def run(*command):
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)


def check_same(made, stored):
    assert made.read_bytes() == stored.read_bytes(), f"{stored} is not what its script writes"


def check_quants(folder):
    assert run(ROOT / "scripts/make_quant_fixtures.py", folder).returncode == 0
    for stored in (DATA / "quant").iterdir():
        check_same(folder / stored.name, stored)


def check_models(folder):
    for kind in ("q4_0", "q8_0", "bf16"):
        made = folder / "model.gguf"
        result = run(MAKE_MODEL, made, "--tied", "--type", kind)
        assert result.returncode == 0, result.stderr
        check_same(made, DATA / f"tiny-llama-{kind}.gguf")


def check_refusals(folder):
    for flags, message in [(["--type", "q9"], "type 'q9' is unknown"),
                           (["--layers", "0"], "--layers is 0 (want at least 1)"),
                           (["--width", "33"], "width 33 does not divide into 4 heads"),
                           (["--heads", "3", "--head-dim", "8"], "3 heads on 2 kv-heads"),
                           (["--ff", "60", "--type", "q4_0"], "rows of 60 are not whole blocks of Q4_0"),
                           (["--vocab", "100"], "a vocabulary of 100 is too small")]:
        out = folder / "refused.gguf"
        result = run(MAKE_MODEL, out, *flags)
        assert result.returncode != 0 and message in result.stderr, (flags, result.stderr)
        assert not list(folder.glob("refused*")), f"{flags} left a file"


with tempfile.TemporaryDirectory() as name:
    for check in (check_quants, check_models, check_refusals):
        check(pathlib.Path(name))
