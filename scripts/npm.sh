#!/bin/sh
# Installs the npm packages of these folders, each next to its package.json, with the Node.js that tests/clients/setup.sh installs.
# Repeatable; does nothing where everything is installed.
#
#   scripts/npm.sh FOLDER…        such as tests/browser
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/.tools/venv

wanted() {
    cat "$1/package.json" "$1/package-lock.json" "$1/.npmrc" | sha256sum
}

for folder in "$@"; do
    here=$root/$folder
    stamp=$here/node_modules/.stamp
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted "$here")" ]; then continue; fi
    if [ ! -x "$venv/bin/node" ]; then
        echo "$folder: no Node.js yet; run tests/clients/setup.sh first" >&2
        exit 1
    fi
    echo "$folder: installing npm packages into $folder/node_modules" >&2
    (cd "$here" && PATH="$venv/bin:$PATH" npm ci --silent)
    wanted "$here" >"$stamp"
done
