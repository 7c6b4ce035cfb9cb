#!/usr/bin/env bash
# Holds the number of crates that `make demo` compiles: each one is time before the first token.
#
# The number is in tests/budgets.yaml, and changes on purpose only. Before raising it: is the crate needed in the demo, and does a feature leave it out?
set -euo pipefail
cd "$(dirname "$0")/.."

expected=$(sed -n 's/^demo_crates: //p' tests/budgets.yaml)

found=$(cargo tree --locked --package mcp-gateway --no-default-features --features demo --edges normal,build \
  --target x86_64-unknown-linux-gnu --prefix none --format '{p}' | sed 's/ (.*//' | sort -u | grep -c .)
[ "$found" -eq "$expected" ] && exit
printf 'check-crates: make demo compiles %s crates, expected %s. If the change is intended, set demo_crates in %s.\n' \
  "$found" "$expected" tests/budgets.yaml >&2
exit 1
