#!/bin/sh
# Makes the small models of this folder again: the same bytes for the same versions of numpy and gguf.
# usage: tests/data/make_models.sh [PYTHON]      (a Python with numpy and gguf)
set -eu
python=${1:-python3}
here=$(dirname "$0")
model() {
  name=$1
  shift
  "$python" "$here/../../scripts/make_model.py" "$here/tiny-llama-$name.gguf" --tied "$@"
}
model f32 --type f32 --ff 40 --vocab 280
for type in f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0; do model $type --type $type; done
model k --type q2_k,q3_k,q4_k,q5_k,q6_k --width 256 --heads 2 --kv-heads 1 --head-dim 16 --ff 32 --vocab 260
"$python" "$here/../../scripts/make_model.py" "$here/tiny-llama-untied-q8_0.gguf" --type q8_0 --layers 1
