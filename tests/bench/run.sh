#!/usr/bin/env bash
# Measures the gateway against HAProxy, nginx, Envoy and no proxy at all, side by side on one pinned core, and prints the
# tables. `--quick` takes some minutes; README.md beside this file says how to read them. `--check` times nothing: it
# starts everything with debug builds and checks the answers. `--scale` measures the gateway alone against sizes.
#
#   tests/bench/run.sh [--quick] [--rounds N] [--tests NAMES] [--only SERVERS] [--base BINARY] [--check]
#   tests/bench/run.sh --scale [--rounds N] [--tests SUBJECTS] [--principals N]
set -euo pipefail
export BENCH_FROM="$PWD" # where paths of options begin
cd "$(dirname "$0")"

say() {
  printf 'bench: %s\n' "$*" >&2
}

# A throw-away CA, a certificate (ECDSA P-256) for 127.0.0.1, and the issuer's signing key (RSA-2048).
make_keys() {
  openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
  openssl pkey -in rsa.pem -pubout -out rsa.pub.pem
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -keyout ca.key -out ca.pem \
    -subj "/CN=bench CA" -addext "basicConstraints=critical,CA:TRUE" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr \
    -subj "/CN=localhost" 2>/dev/null
  openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out leaf.pem -extfile - 2>/dev/null <<'EOF'
subjectAltName=DNS:localhost,IP:127.0.0.1
basicConstraints=CA:FALSE
keyUsage=digitalSignature
extendedKeyUsage=serverAuth
EOF
  cat leaf.pem leaf.key >leaf.both.pem
  chmod 600 ./*.key rsa.pem leaf.both.pem
}

script=bench.py report=report.py results=results.jsonl written=report.md
if [[ " $* " == *" --scale "* ]]; then
  script=scale.py report=scale_report.py results=scale.jsonl written=scale.md
fi
case " $* " in
  *" --help "* | *" -h "*) exec python3 "$script" --help ;;
esac

target="$(realpath -m "${CARGO_TARGET_DIR:-../../target}")"
if [[ " $* " == *" --check "* ]]; then
  is_check=1 profile=debug tokens=100 descriptors=8192
  export PROXY_CPU="" LOAD_CPU="" BENCH_NICE=""
else
  is_check="" profile=dist tokens=20000 descriptors=20000
  [ "$script" = bench.py ] || tokens=100 # each principal's token is signed when it is needed
  [ "$(nproc)" -ge 2 ] || { say "needs two processors: one for the proxy, one for the load"; exit 1; }
fi
[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge "$descriptors" ] ||
  { say "needs $descriptors file descriptors (ulimit -Hn)"; exit 1; }
export BENCH_DIR="${BENCH_DIR:-${TMPDIR:-/tmp}/mcp-gateway-bench${is_check:+-check}}"
export BENCH_TOOL="${BENCH_TOOL:-$target/$profile/mcpbench}"
[ -z "$is_check" ] || GATEWAY_BIN="${GATEWAY_BIN:-$target/debug/mcp-gateway}"
[ -n "${GATEWAY_BIN:-}" ] || [ -z "${BENCH_KEEP_BUILD:-}" ] ||
  { say "BENCH_KEEP_BUILD requires GATEWAY_BIN, the binary to measure"; exit 1; }

mkdir -p "$BENCH_DIR"
if [ -z "${BENCH_KEEP_BUILD:-}" ]; then
  cd ../..
  if [ "$is_check" ]; then
    # The same as for all other tests, so that nothing is built twice.
    cargo build --quiet --locked --workspace --bins --tests
  else
    say "building the gateway and the load tool, with optimisation: minutes when nothing is built yet"
    [ -n "${GATEWAY_BIN:-}" ] || GATEWAY_BIN="$(scripts/build-static.sh mcp-gateway)/mcp-gateway"
    cargo build --quiet --locked --profile dist -p mcpbench
  fi
  cd - >/dev/null
fi
export GATEWAY_BIN
[ -f "$BENCH_DIR/leaf.both.pem" ] || (cd "$BENCH_DIR" && make_keys)
"$BENCH_TOOL" mint --dir "$BENCH_DIR" --many "$tokens"

failed=0
python3 "$script" "$@" || failed=$?
if [ -z "$is_check" ] && [ -s "$BENCH_DIR/$results" ]; then
  python3 "$report" | tee "$BENCH_DIR/$written"
fi
exit "$failed"
