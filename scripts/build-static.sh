#!/usr/bin/env bash
# Builds the static binaries that the images contain and the benchmark measures, with the profile `dist`, and prints their folder.
#
#   scripts/build-static.sh             mcp-gateway and upstream-tasks
#   scripts/build-static.sh PACKAGE…    the named ones
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- mcp-gateway upstream-tasks

say() {
  printf 'build-static: %s\n' "$*" >&2
}

# The musl target where it is installed, else the gnu target: both give static binaries.
target=$(uname -m)-unknown-linux-musl
if [ -d "$(rustc --print target-libdir --target "$target")" ]; then
  say "building for $target"
else
  target=$(uname -m)-unknown-linux-gnu
  say "the Rust target musl is not installed: building for $target with a static C library"
  version=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)
  [ "$(printf '%s\n' 2.36 "$version" | sort -V | head -1)" = 2.36 ] ||
    { say "the C library is glibc $version; packed relocations require 2.36 or later (Debian 12, Ubuntu 24.04)"; exit 1; }
  # With an explicit target these flags do not reach build scripts and procedural macros, which cannot be static.
  export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
fi

for package in "$@"; do
  features=()
  [ "$package" != mcp-gateway ] || features=(--no-default-features --features jemalloc,redis)
  cargo build --locked --profile dist --target "$target" --package "$package" "${features[@]}" >&2
done

# Functions have other names after an update of their crate or of the compiler. They are then where the compiler puts them.
order=gateway/function-order.txt
if [ "$target" = x86_64-unknown-linux-gnu ] && [[ " $* " == *" mcp-gateway "* ]] && command -v nm >/dev/null; then
  export LC_ALL=C
  found=$(nm "${CARGO_TARGET_DIR:-target}/$target/dist/mcp-gateway" | awk '{ print $3 }' | sort -u | comm -12 - <(sort -u "$order") | wc -l)
  say "the binary has $found of the $(wc -l <"$order") functions in $order"
fi
realpath "${CARGO_TARGET_DIR:-target}/$target/dist"
