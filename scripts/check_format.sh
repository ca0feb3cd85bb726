#!/usr/bin/env bash
# Says which C++ files are not laid out as .clang-format says; --fix lays them out. One version, or layouts differ.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tool=clang-format-14
command -v $tool >/dev/null || { echo "check_format: no $tool (scripts/setup.sh --dev installs it)" >&2; exit 3; }
mode=(--dry-run -Werror)
[ "${1:-}" = --fix ] && mode=(-i)
find tl tests bench \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
  xargs -0 -r -n 40 -P 2 $tool "${mode[@]}"
