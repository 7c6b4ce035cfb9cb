#!/usr/bin/env bash
# Writes the profile from which the compiler knows what code of the gateway runs often (gateway/profile/README.md): builds a gateway
# that counts, puts the benchmark's load and more on it, and writes the counts into gateway/profile. Some 25 minutes.
#
#   scripts/profile.sh                   write the profile for this target and compiler
#   scripts/profile.sh --check BINARY    does the profile still fit? Counts its functions in a binary that was built with it
#
#   GATEWAY_BIN=BINARY                   take this binary, which GATEWAY_PROFILE=write:FOLDER scripts/build-static.sh built
#   BENCH_TOOL=BINARY                    take this load tool
set -euo pipefail
cd "$(dirname "$0")/.."

# Of the functions in the profile, the binary has those that are not inlined everywhere: 80 % with the sources of the profile. After a
# crate was updated, added or removed, functions of all crates that depend on it have other names: 32 % and less.
LIMIT=60

say() {
  printf 'profile: %s\n' "$*" >&2
}

fail() {
  say "$*"
  exit 1
}

compiler=$(rustc -vV | sed -n 's/^release: //p')
target=$(scripts/static-target.sh)
file=gateway/profile/$target.rustc-$compiler.profdata.gz

names() {
  LC_ALL=C grep -aoE '_ZN[[:alnum:]_$.]*17h[0-9a-f]{16}E' | LC_ALL=C sort -u
}

check() {
  local expected found percent
  [ -f "$file" ] || fail "$file is missing: the binary was built without a profile (gateway/profile/README.md)"
  expected=$(gzip -dc "$file" | names | wc -l)
  found=$(LC_ALL=C comm -12 <(gzip -dc "$file" | names) <(names <"$1") | wc -l)
  percent=$((100 * found / expected))
  say "the binary has $found of $expected functions of $file ($percent %, at least $LIMIT % when it fits)"
  [ "$percent" -ge "$LIMIT" ] || fail "the profile does not fit the sources: run scripts/profile.sh, and commit what it writes"
}

[ "${1:-}" != --check ] || { check "${2:?scripts/profile.sh --check BINARY}"; exit; }
[ $# -eq 0 ] || { sed -n '2,10p' "$0" >&2; exit 2; }

scripts/setup.sh build bench profile
output=$(realpath -m "${CARGO_TARGET_DIR:-target}")/profile
mkdir -p "$output"
if [ -z "${GATEWAY_BIN:-}" ]; then
  GATEWAY_BIN=$output/mcp-gateway
  cp "$(GATEWAY_PROFILE="write:$output/counts" scripts/build-static.sh mcp-gateway)/mcp-gateway" "$GATEWAY_BIN"
fi
if [ -z "${BENCH_TOOL:-}" ]; then
  # How fast the load tool is does not matter here.
  cargo build --quiet --locked -p mcpbench
  BENCH_TOOL=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/mcpbench
fi
# Every process that ends adds its counts to one file. Nothing is timed: any processor, no niceness.
rm -rf "$output/counts"
export GATEWAY_BIN BENCH_TOOL BENCH_KEEP_BUILD=1 BENCH_DIR=$output/bench PROXY_CPU="" LOAD_CPU="" BENCH_NICE=""
export LLVM_PROFILE_FILE=$output/counts/%m.profraw
tests/bench/run.sh --quick --rounds 1 --only gateway,gateway-log,gateway-audit --tests h1,h2,handshakes,pace,events,memory-h >&2
python3 tests/bench/profile_load.py >&2

profdata=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/llvm-profdata
"$profdata" merge --sparse --output "$output/merged.profdata" "$output"/counts/*.profraw
rm -f gateway/profile/"$target".rustc-*.profdata.gz
gzip -9nc "$output/merged.profdata" >"$file"
say "wrote $file: $("$profdata" show "$output/merged.profdata" | sed -n 's/^Total functions: //p') functions, $(stat --format=%s "$file") bytes"
