#!/usr/bin/env bash
# Prints the command to run thread-sanitized programs under: with more than 28 random bits in mapped addresses, which
# newer kernels use, the sanitizer of g++ 12 and clang 14 cannot place its shadow memory. Prints nothing if refused.
if setarch "$(uname -m)" -R true 2>/dev/null; then echo "setarch $(uname -m) -R"; fi
