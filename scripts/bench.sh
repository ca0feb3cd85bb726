#!/usr/bin/env bash
# scripts/bench.sh TL: speed of TL against llama.cpp on the demo model and on TinyLlama's shape in Q4_0 and Q8_0.
# Makes what it needs under build/: llama.cpp compiled for this machine, and the two models of random weights.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tl=$1

if ! build/venv-peers/bin/python -c 'import llama_cpp' 2>/dev/null; then
  echo "bench: compiling llama.cpp into build/venv-peers (a quarter of an hour on 2 cores)"
  [ -x build/venv-peers/bin/python ] || python3 -m venv build/venv-peers
  CMAKE_ARGS=-DGGML_NATIVE=ON build/venv-peers/bin/pip install -q --no-binary llama-cpp-python llama-cpp-python
fi
"$tl" models fetch smollm2-135m-instruct
models=("$("$tl" models path smollm2-135m-instruct)")
mkdir -p build/models
build/venv/bin/python -c 'import gguf' 2>/dev/null || build/venv/bin/pip install -q gguf
for type in q4_0 q8_0; do
  model=build/models/tinyllama-$type.gguf
  [ -f "$model" ] || build/venv/bin/python scripts/make_model.py "$model" --preset tinyllama --type "$type"
  models+=("$model")
done
echo "bench: memory"
build/release/bench/read_bandwidth
echo "bench: tl against llama.cpp"
python3 bench/peers.py --tl "$tl" "${models[@]}"
