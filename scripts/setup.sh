#!/usr/bin/env bash
# Installs what is missing on Debian 12 or Ubuntu 24.04, and only that; silent when nothing is.
#   scripts/setup.sh          what building needs
#   scripts/setup.sh --test   also build/venv, the Python packages of the tests
#   scripts/setup.sh --dev    also clang and clang-format, for fuzzing and layout
# Exit code 3: something is missing and cannot be installed from here; the message says what to run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build_packages=(
  g++ cmake ninja-build ccache make pkg-config git python3 python3-pip
  libfmt-dev nlohmann-json3-dev libcli11-dev libpcre2-dev libutf8proc-dev libedit-dev libgtest-dev libbenchmark-dev
)
test_packages=(python3-venv)
dev_packages=(clang libclang-rt-dev clang-format-14)
log=build/setup.log

say() { echo "setup: $*" >&2; }

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed && continue
    echo "$package"
  done
}

# Prints the words to put before apt-get, or fails.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    echo "env"
  elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    echo "sudo env"
  else
    return 1
  fi
}

install_packages() {
  local missing root
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -eq 0 ] && return
  local by_hand="apt-get update && apt-get install -y ${missing[*]}"
  if ! root=$(as_root); then
    say "these packages are missing and neither root nor sudo is at hand; as root, run:"
    echo "  $by_hand" >&2
    exit 3
  fi
  say "installing ${missing[*]}"
  local options=(-qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
  # shellcheck disable=SC2086
  if ! { $root apt-get "${options[@]}" update &&
         $root DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" install -y --no-install-recommends \
           "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    say "apt-get failed (the whole of it: $log); by hand: $by_hand"
    exit 3
  fi
}

make_venv() {
  local wanted=scripts/requirements-test.txt stamp=build/venv/requirements-test.txt
  cmp -s "$wanted" "$stamp" && return
  say "making build/venv with $(grep -v '^#' "$wanted" | tr '\n' ' ')"
  if ! { { [ -x build/venv/bin/python ] || python3 -m venv build/venv; } &&
         build/venv/bin/python -m pip install -q --disable-pip-version-check -r "$wanted"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    say "the Python packages could not be installed (the whole of it: $log)"
    exit 3
  fi
  cp "$wanted" "$stamp"
}

main() {
  mkdir -p build
  local packages=("${build_packages[@]}") venv=no argument
  for argument in "$@"; do
    case "$argument" in
      --test) packages+=("${test_packages[@]}"); venv=yes ;;
      --dev) packages+=("${dev_packages[@]}") ;;
      *) say "unknown option $argument (want --test or --dev)"; exit 2 ;;
    esac
  done
  if ! command -v apt-get >/dev/null; then
    say "no apt-get here, so nothing is installed; needed are, by Debian's names: ${packages[*]}"
  else
    install_packages "${packages[@]}"
  fi
  if [ "$venv" = yes ]; then make_venv; fi
}

main "$@"
