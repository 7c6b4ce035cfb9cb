#!/usr/bin/env bash
# Runs what is too long for `make test`, one step after the other, and ends with a table: step, result, time. A step that fails
# does not stop the others.
#
#   scripts/acceptance.sh             all steps
#   scripts/acceptance.sh STEP…       these steps
#
#   image         build the images with the profile `dist`
#   image-test    start them in empty roots and call through the gateway
#   profile       the profile for the compiler still fits the gateway (gateway/profile)
#   bench-check   start everything that the benchmark compares, with the image's gateway, and check the answers
#   instructions  user-space instructions of a call with the image's gateway against those of an earlier commit (tests/budgets.yaml)
#   conformance   the official MCP conformance suite
#   store         the store of the built-in authorization server: 200 times kill -9 under load, and its speed
#   inspector     the command line of the MCP Inspector signs in at the built-in authorization server, and with a provider
#   federation    Chromium signs in with every provider
#   replicas      two processes on Redis and on Valkey: every client goes on when one is killed; the store cut off at each command
#   endpoints     two instances of an MCP server, one of which is killed every second for a minute: sessions of the other go on for every client
#   reliability   every scenario at full length, with the image's gateway; docs/reliability.md shows these figures
#   fuzz          look for inputs that break a property, FUZZ_SECONDS (300) for each target
set -uo pipefail
cd "$(dirname "$0")/.."

steps=(image image-test profile bench-check instructions conformance store inspector federation replicas endpoints reliability fuzz)
[ $# -eq 0 ] || steps=("$@")

bench_check() {
  local gateway=${CARGO_TARGET_DIR:-target}/image/mcp-gateway
  [ -x "$gateway" ] || { printf 'acceptance: %s is missing; the step image builds it\n' "$gateway" >&2; return 1; }
  scripts/setup.sh bench && tests/bench/setup.sh && GATEWAY_BIN=$(realpath "$gateway") tests/bench/run.sh --check
}

# Both builds in one sitting, because counts differ between processors. The earlier commit is built once, in a folder of its own.
instructions() {
  local target base gateway before
  target=$(realpath -m "${CARGO_TARGET_DIR:-target}") gateway=$target/image/mcp-gateway
  [ -x "$gateway" ] || { printf 'acceptance: %s is missing; the step image builds it\n' "$gateway" >&2; return 1; }
  base=$(budget instructions_base) before=$target/base/mcp-gateway-$(budget instructions_base)
  scripts/setup.sh bench || return 1
  if [ ! -x "$before" ]; then
    rm -rf "$target/base" && mkdir -p "$target/base/source" && git archive "$base" | tar -x -C "$target/base/source" || return 1
    (cd "$target/base/source" && cp "$(CARGO_TARGET_DIR=$target/base/target scripts/build-static.sh mcp-gateway)/mcp-gateway" "$before") || return 1
    rm -rf "$target/base/target"
  fi
  export BENCH_DIR=$target/base/bench BENCH_TOOL=$target/debug/mcpbench
  GATEWAY_BIN=$gateway tests/bench/run.sh --check --tests h1-hot --only gateway &&
    python3 tests/bench/instructions.py --limit "$(budget instructions_percent)" "$before" "$gateway"
}

budget() {
  sed -n "s/^$1: //p" tests/budgets.yaml
}

profile() {
  scripts/profile.sh --check "${CARGO_TARGET_DIR:-target}/image/mcp-gateway"
}

store() {
  STORE_KILLS=200 cargo test --locked --workspace --lib -- --include-ignored --nocapture --test-threads 1 authorization_server::store::tests
}

inspector() {
  tests/clients/setup.sh && scripts/npm.sh tests/clients/inspector && make e2e ARGS="--test clients -- --ignored inspector"
}

# The tests start the programs that lie beside them: those of the image replace the others.
reliability() {
  local target=${CARGO_TARGET_DIR:-target} folder tests
  folder=$target/acceptance
  tests=$(cargo test --locked --release --workspace --test reliability --no-run 2>&1 | tee >(cat >&2) | sed -n 's/.*Executable.*(\(.*\))$/\1/p')
  mkdir -p "$folder" && cp "$tests" "$folder/reliability" && cp "$target"/image/{mcp-gateway,upstream-tasks} "$folder" || return 1
  folder=$(realpath "$folder")
  (cd tests && RELIABILITY=full "$folder/reliability")
}

federation() {
  make e2e ARGS="--test browser -- --ignored every_provider"
}

replicas() {
  make e2e ARGS="--test clients -- --ignored every_client_goes_on" && make e2e ARGS="--test e2e -- --ignored replicas"
}

endpoints() {
  make e2e ARGS="--test clients -- --ignored is_killed_every_second"
}

run_step() {
  case "$1" in
    image | image-test | conformance) make "$1" ;;
    bench-check) bench_check ;;
    profile | store) "$1" ;;
    instructions | inspector | federation | replicas | endpoints | reliability) "$1" ;;
    fuzz) make fuzz SECONDS="${FUZZ_SECONDS:-300}" ;;
    *) printf 'acceptance: unknown step %s\n' "$1" >&2; return 2 ;;
  esac
}

table=()
failed=0
for step in "${steps[@]}"; do
  printf '\nacceptance: %s\n' "$step"
  started=$SECONDS
  result=passed
  # What `make acceptance ARGS=…` was given is not for the steps.
  (unset MAKEFLAGS MAKEOVERRIDES ARGS; run_step "$step") || { result=FAILED; failed=1; }
  elapsed=$((SECONDS - started))
  table+=("$(printf '%-12s %-7s %3d min %02d s' "$step" "$result" $((elapsed / 60)) $((elapsed % 60)))")
done

printf '\nacceptance of %s:\n' "$(git describe --always --dirty 2>/dev/null || echo this checkout)"
printf '  %s\n' "${table[@]}"
exit $failed
