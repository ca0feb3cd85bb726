#!/usr/bin/env bash
# Builds on the machine it runs on, a GPU machine with many cores as a rule, runs the tests at every SIMD level and on
# every device found there, and prints a short table. Exit code 1 if a row failed.
#   scripts/gpu_check.sh          builds in build/gpu-check and checks
#   scripts/gpu_check.sh --pack   on Debian: puts the libraries a bare machine lacks into build/carry, to be taken along
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
carry=$PWD/build/carry
folder=build/gpu-check
packages=(libfmt-dev libfmt9 nlohmann-json3-dev libcli11-dev libpcre2-dev libpcre2-8-0 libutf8proc-dev libutf8proc2
          libedit-dev libedit2 libbsd-dev libbsd0 libmd-dev libmd0 libncurses-dev libtinfo6 libgtest-dev
          libbenchmark-dev libbenchmark1debian pkgconf pkgconf-bin libpkgconf3)

pack() {
  local list
  list=$(mktemp)
  for package in "${packages[@]}"; do dpkg -L "$package" 2>/dev/null; done |
    grep -E '^/(usr/)?(bin|include|lib|share/(cmake|pkgconfig|pkgconf|nlohmann))/' | sort -u |
    while read -r path; do if [ -L "$path" ] || [ -f "$path" ]; then echo "${path#/}"; fi; done >"$list"
  rm -rf "$carry" && mkdir -p "$carry"
  tar -C / -cf - -T "$list" | tar -C "$carry" -xf -
  rm -f "$list"
  # Some packages keep their libraries in /lib, which Debian links to /usr/lib.
  if [ -d "$carry/lib" ]; then cp -a "$carry/lib/." "$carry/usr/lib/" && rm -rf "$carry/lib"; fi
  du -sh "$carry"
}

rows=() failures=0
row() {  # row NAME COMMAND...: runs it, keeps its log, notes how it ended
  local name=$1 log=$folder/$1.log start=$SECONDS status
  shift
  "$@" >"$log" 2>&1 </dev/null
  status=$?
  case $status in
    0) rows+=("$name|passed|$((SECONDS - start)) s|$(detail "$log")") ;;
    77) rows+=("$name|skipped||$(tail -n 1 "$log")") ;;
    *) rows+=("$name|FAILED|$((SECONDS - start)) s|exit $status, see $log")
       failures=$((failures + 1))
       tail -n 25 "$log" ;;
  esac
}
detail() { grep -E 'tests passed|\[  PASSED  \]|mean KL' "$1" | tail -n 1 | sed 's/^ *//'; }

configure() {
  local prefix=()
  if [ -d "$carry" ]; then
    prefix=(-DCMAKE_PREFIX_PATH="$carry/usr")
    export PATH=$PATH:$carry/usr/bin PKG_CONFIG_SYSROOT_DIR=$carry
    export PKG_CONFIG_PATH=$carry/usr/lib/x86_64-linux-gnu/pkgconfig:$carry/usr/share/pkgconfig
    export LD_LIBRARY_PATH=$carry/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  fi
  cmake --preset release -B "$folder" -Wno-dev "${prefix[@]}" -DPython3_EXECUTABLE="$(command -v python3)"
}

# The same program at two levels of SIMD differs within tolerance only: what the case tables check. Whole models are
# compared with stored answers where the real model is at hand, and for exit codes and bits with the tiny ones.
check_levels() {
  local level
  for level in portable avx2 avx512; do
    if ! "$folder/tl" version | grep -qw "$level"; then
      rows+=("simd-$level|skipped||this machine lacks it")
      continue
    fi
    row "parity-$level" python3 tests/parity/parity_test.py --tl "$folder/tl" --simd "$level"
    row "generate-$level" env TL_SIMD="$level" python3 tests/cli/cli_test.py --tl "$folder/tl" SameBits
  done
}

check_cuda() {
  local has_cuda='import json, sys
sys.exit(not any(d["available"] and d["name"].startswith("cuda") for d in json.load(sys.stdin)))'
  if ! "$folder/tl" devices --json | python3 -c "$has_cuda"; then
    rows+=("cuda|skipped||this build has no CUDA backend, or this machine no GPU")
    return
  fi
  row cuda-tests env TL_DEVICE=cuda ctest --test-dir "$folder" --output-on-failure --no-tests=error -L cuda
  row compute-sanitizer compute-sanitizer --error-exitcode 9 "$folder/tl" --device cuda examples/hello.tl
}

main() {
  if [ "${1:-}" = --pack ]; then
    pack
    return
  fi
  mkdir -p "$folder"
  configure >"$folder/configure.log" 2>&1 || { tail -n 30 "$folder/configure.log"; return 1; }
  row build cmake --build "$folder" -j "$(nproc)" -- -k 0
  if [ "$failures" -eq 0 ]; then
    row tests ctest --test-dir "$folder" --output-on-failure -j "$(nproc)" -LE slow -E 'fixtures'
    check_levels
    check_cuda
    row bandwidth "$folder/bench/read_bandwidth"
  fi
  echo
  "$folder/tl" devices 2>/dev/null
  command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
  printf '%s\n' "check|result|time|" "${rows[@]}" | awk -F '|' '{printf "%-18s %-8s %7s  %s\n", $1, $2, $3, $4}'
  return $((failures > 0))
}

main "$@"
