#!/usr/bin/env bash
# scripts/fuzz.sh FOLDER SECONDS: runs each fuzz target of FOLDER for SECONDS, two at a time. Seeds come from
# tests/fuzz/corpus/TARGET, new inputs stay in build/fuzz/corpus/TARGET, a failing input in build/fuzz/failures/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$1 seconds=$2

mapfile -t targets < <(find "$folder" -maxdepth 1 -type f -executable | sort)
[ "${#targets[@]}" -gt 0 ] || { echo "fuzz: no target in $folder" >&2; exit 1; }
mkdir -p build/fuzz/failures

fuzz_one() {
  local name seeds=()
  name=$(basename "$1")
  mkdir -p "build/fuzz/corpus/$name"
  [ -d "tests/fuzz/corpus/$name" ] && seeds=("tests/fuzz/corpus/$name")
  local log="build/fuzz/$name.log"
  if "$1" -max_total_time="$2" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/failures/$name-" "build/fuzz/corpus/$name" "${seeds[@]}" >"$log" 2>&1; then
    echo "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs in $2 s, no failure"
  else
    tail -n 40 "$log"
    echo "fuzz: $name failed; the input is in build/fuzz/failures/, the whole log in $log"
    return 1
  fi
}
export -f fuzz_one

echo "fuzz: $(basename -a "${targets[@]}" | tr '\n' ' ')for $seconds s each"
# shellcheck disable=SC2016
printf '%s\0' "${targets[@]}" | xargs -0 -P 2 -I {} bash -c 'fuzz_one "$1" "$2"' _ {} "$seconds"
