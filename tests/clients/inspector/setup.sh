#!/bin/sh
# Installs the Inspector (80 MB) next to this file, with the Node.js that tests/clients/setup.sh installs. Only the acceptance tests need it.
# `overrides` in package.json: newer versions of vite, which only its web pages use, name an optional package that does not exist.
# Repeatable; does nothing if everything is installed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
venv=$root/.tools/venv
stamp=$here/node_modules/.stamp

wanted() {
    cat "$here/package.json" "$here/package-lock.json" "$here/.npmrc" | sha256sum
}

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ]; then exit 0; fi
if [ ! -x "$venv/bin/node" ]; then
    echo "tests/clients/inspector: no Node.js yet; run tests/clients/setup.sh first" >&2
    exit 1
fi
echo "tests/clients/inspector: installing npm packages into tests/clients/inspector/node_modules" >&2
(cd "$here" && PATH="$venv/bin:$PATH" npm ci --silent)
wanted >"$stamp"
