#!/usr/bin/env bash
# Installs what builds the documentation site below .tools/docs: mkdocs-material (PyPI), at the versions of requirements.txt.
# Repeatable; silent when all is there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
place=$root/.tools/docs
stamp=$place/stamp

# What decides what is installed, and where: a virtual environment does not survive a move.
wanted() {
  { echo "$root"; cat "$here/setup.sh" "$here/requirements.txt"; } | sha256sum
}

[ "$(cat "$stamp" 2>/dev/null)" != "$(wanted)" ] || exit 0
echo "tests/docs: installing mkdocs-material (PyPI) into .tools/docs" >&2
mkdir -p "$place"
python3 -m venv --clear "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$here/requirements.txt"
wanted >"$stamp"
