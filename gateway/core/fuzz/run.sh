#!/usr/bin/env bash
# Runs fuzz targets one after the other, each for a given time, and prints the number of executions and of findings.
#
#   gateway/core/fuzz/run.sh SECONDS [TARGET…]      all targets unless named
#
# It begins with the corpora of tests/corpus. Findings are in gateway/core/fuzz/artifacts/TARGET. Once fixed, a finding goes to
# regressions/TARGET under a name that says what it is, and `make test` replays it.
set -euo pipefail

cd "$(dirname "$0")"
seconds=$1
shift
root=$PWD/../../..
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(sed -n 's/^path = "fuzz_targets\/.*\/\(.*\)\.rs"$/\1/p' Cargo.toml)
fi

# Instrumentation is an unstable option of the compiler. Sanitizers check unsafe code, and there is none here.
fuzz() {
  local features=()
  case $2 in configuration | key_file) features=(--features configuration) ;; esac
  (cd "$root" && RUSTC_BOOTSTRAP=1 cargo fuzz "$1" --fuzz-dir gateway/core/fuzz --target-dir target/fuzz --sanitizer none \
    "${features[@]}" "$2" "${@:3}")
}

CORPUS_SEEDS=$PWD/corpus cargo test --quiet --manifest-path "$root/Cargo.toml" --workspace --test corpus --test client_messages
# One seed for each line of a data file: seeds TARGET FILE.
seeds() {
  mkdir -p "corpus/$1"
  grep -v '^# ' "$root/tests/corpus/$2" | awk -v folder="corpus/$1/$(basename "$2" .txt)" '
    NF { sub(/^[a-z0-9_]+\t/, ""); gsub(/\t/, "\n"); file = folder "-" NR; printf "%s", $0 >file; close(file) }'
}
seeds redirect_uri redirect_uris/good.txt
seeds redirect_uri redirect_uris/hostile.txt
seeds authorization_request forms/authorization_requests.txt
seeds form_body forms/bodies.txt
seeds api_key api_keys/texts.txt
seeds key_file api_keys/files.txt
seeds assertion grants/assertions.txt
seeds subject_token grants/subject_tokens.txt
mkdir -p corpus/configuration
cp "$root"/config/*.yaml corpus/configuration/

failed=0
for target in "${targets[@]}"; do
  mkdir -p "artifacts/$target" "corpus/$target"
  before=$(find "artifacts/$target" -type f | wc -l)
  log=artifacts/$target.log
  fuzz build "$target" 2>"$log" || { cat "$log" >&2; exit 1; }
  fuzz run "$target" -- -max_total_time="$seconds" -timeout=10 -max_len=8192 -print_final_stats=1 2>"$log" || failed=1
  found=$(($(find "artifacts/$target" -type f | wc -l) - before))
  executions=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
  printf '%-14s %10s executions, %s findings\n' "$target" "${executions:-?}" "$found"
  [ "$found" -eq 0 ] || { failed=1; grep -A3 panicked "$log" || true; }
done
exit $failed
