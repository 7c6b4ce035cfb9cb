#!/usr/bin/env bash
# Builds the static binaries that the images contain and the benchmark measures, with the profile `dist`, and prints their folder.
#
#   scripts/build-static.sh             mcp-gateway and upstream-tasks
#   scripts/build-static.sh PACKAGE…    the named ones
#
# The compiler knows from gateway/profile which code of the gateway runs often (README.md there).
#
#   GATEWAY_PROFILE=none                build the gateway without it
#   GATEWAY_PROFILE=write:FOLDER        build a gateway that writes a new one into that folder (scripts/profile.sh)
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- mcp-gateway upstream-tasks
output=$(realpath -m "${CARGO_TARGET_DIR:-target}")

say() {
  printf 'build-static: %s\n' "$*" >&2
}

target=$(scripts/static-target.sh)
if [[ $target = *-musl ]]; then
  say "building for $target"
else
  say "the Rust target musl is not installed: building for $target with a static C library"
  version=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)
  [ "$(printf '%s\n' 2.36 "$version" | sort -V | head -1)" = 2.36 ] ||
    { say "the C library is glibc $version; packed relocations require 2.36 or later (Debian 12, Ubuntu 24.04)"; exit 1; }
  # With an explicit target these flags do not reach build scripts and procedural macros, which cannot be static.
  export RUSTFLAGS="${RUSTFLAGS:+$RUSTFLAGS }-C target-feature=+crt-static"
fi

compiler=$(rustc -vV | sed -n 's/^release: //p')
profile=gateway/profile/$target.rustc-$compiler.profdata.gz

# Sets the flags for the gateway. A profile names functions as one compiler does for one target, so no other profile is used.
set_flags() {
  local file
  read -ra flags <<<"${RUSTFLAGS:-}"
  case "${GATEWAY_PROFILE:-}" in
    none) say "building without a profile (GATEWAY_PROFILE=none)" ;;
    write:*) flags+=("-Cprofile-generate=${GATEWAY_PROFILE#write:}") ;;
    "")
      [ -f "$profile" ] || { say "building without a profile: none is for $target and rustc $compiler (in gateway/profile:$(present))"; return; }
      say "building with $profile"
      # cargo compares flags, not files: another profile has another name.
      file=$output/profile/$(sha256sum <"$profile" | cut -c1-16).profdata
      mkdir -p "$output/profile"
      # It compares the time of the file as well: a second build keeps what the first has built.
      [ -f "$file" ] || { gzip -dc "$profile" >"$file.$$" && mv "$file.$$" "$file"; }
      # Functions that have changed since are compiled without it, and not listed one by one.
      flags+=("-Cprofile-use=$file" -Cllvm-args=-no-pgo-warn-mismatch)
      ;;
    *) say "GATEWAY_PROFILE must be none or write:FOLDER"; exit 2 ;;
  esac
}

# The targets and versions of rustc that have a profile.
present() {
  local found
  found=$(find gateway/profile -name '*.profdata.gz' -printf ' %f')
  printf %s "${found:- none}"
}

build() {
  cargo build --locked --profile dist --target "$target" --package "$@" >&2
}

for package in "$@"; do
  if [ "$package" = mcp-gateway ]; then
    set_flags
    # Separated by a character that no path has.
    (CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; printf %s "${flags[*]}") && export CARGO_ENCODED_RUSTFLAGS &&
      build mcp-gateway --no-default-features --features jemalloc,redis)
    [ -n "${GATEWAY_PROFILE:-}" ] || [ ! -f "$profile" ] || scripts/profile.sh --check "$output/$target/dist/mcp-gateway" || true
  else
    build "$package"
  fi
done

# Functions have other names after an update of their crate or of the compiler. They are then where the compiler puts them.
order=gateway/function-order.txt
if [ "$target" = x86_64-unknown-linux-gnu ] && [[ " $* " == *" mcp-gateway "* ]] && command -v nm >/dev/null; then
  export LC_ALL=C
  found=$(nm "$output/$target/dist/mcp-gateway" | awk '{ print $3 }' | sort -u | comm -12 - <(sort -u "$order") | wc -l)
  say "the binary has $found of the $(wc -l <"$order") functions in $order"
fi
realpath "$output/$target/dist"
