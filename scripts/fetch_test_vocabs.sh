#!/bin/sh
# Fetches the vocabularies of real models, with their test vectors, that come in the source archive of PyPI's
# llama-cpp-python. Tests that need them look in $TL_TEST_VOCABS, or build/test-vocabs. Can be run again.
set -eu
cd "$(dirname "$0")/.."
folder=${TL_TEST_VOCABS:-build/test-vocabs}
version=0.3.36
python=${PYTHON:-python3}

if [ -f "$folder/.version" ] && [ "$(cat "$folder/.version")" = "$version" ]; then
  echo "$folder already holds the vocabularies of llama-cpp-python $version"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "fetching llama-cpp-python $version (77 MB) for its vocabularies"
"$python" -m pip download --quiet --no-deps --no-binary :all: "llama-cpp-python==$version" -d "$work" || {
  echo "fetch_test_vocabs.sh: pip could not download llama-cpp-python $version (is there a network?)" >&2
  exit 1
}
mkdir -p "$folder"
tar -xzf "$work"/llama_cpp_python-*.tar.gz -C "$work" --wildcards '*/vendor/llama.cpp/models/*'
cp "$work"/llama_cpp_python-*/vendor/llama.cpp/models/ggml-vocab-*.gguf* "$folder"
rm -rf "$folder/templates"
cp -R "$work"/llama_cpp_python-*/vendor/llama.cpp/models/templates "$folder/templates"
echo "$version" > "$folder/.version"
echo "$folder: $(ls "$folder"/*.gguf | wc -l) vocabularies, $(ls "$folder"/templates/*.jinja | wc -l) chat templates"
