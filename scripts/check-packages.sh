#!/usr/bin/env bash
# Checks each program, and the library of the fuzz targets, as it is built alone: for `make demo`, the images, a fuzz run.
#
# In the workspace as a whole a package gets the features of its dependencies that all other packages ask for, those of tests among
# them. So only this notices a feature that a package uses and does not name.
set -euo pipefail
cd "$(dirname "$0")/.."

# The gateway first with the task server, as `make demo` builds it, then without it: either may lend the other a feature.
builds=(
  "mcp-gateway --no-default-features --features demo"
  "mcp-gateway --no-default-features"
  "upstream-tasks"
  "mcp-gateway-core"
)

# Without Redis, what only it uses is not used.
for build in "${builds[@]}"; do
  # shellcheck disable=SC2086 # Several words.
  "${CARGO:-cargo}" clippy --locked --package $build -- -D warnings -A dead_code ||
    { printf 'check-packages: %s does not build alone. Add to its Cargo.toml the features of the dependencies that it uses.\n' "${build%% *}" >&2; exit 1; }
done
