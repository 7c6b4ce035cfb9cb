#!/usr/bin/env bash
# Prints the Rust target of static binaries: musl where it is installed, else gnu. Both give static binaries.
set -euo pipefail

target=$(uname -m)-unknown-linux-musl
[ -d "$(rustc --print target-libdir --target "$target")" ] || target=$(uname -m)-unknown-linux-gnu
printf '%s\n' "$target"
