#!/bin/sh
# Installs the npm packages of the browser tests next to this file, with the Node.js that tests/clients/setup.sh installs.
# Repeatable; does nothing if everything is installed. Chromium and Java are Debian's (scripts/setup.sh test).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/.tools/venv
stamp=$here/node_modules/.stamp

wanted() {
    cat "$here/package.json" "$here/package-lock.json" "$here/.npmrc" | sha256sum
}

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ]; then exit 0; fi
if [ ! -x "$venv/bin/node" ]; then
    echo "tests/browser: no Node.js yet; run tests/clients/setup.sh first" >&2
    exit 1
fi
echo "tests/browser: installing npm packages into tests/browser/node_modules" >&2
(cd "$here" && PATH="$venv/bin:$PATH" npm ci --silent)
wanted >"$stamp"
