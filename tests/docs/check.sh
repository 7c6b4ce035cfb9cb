#!/usr/bin/env bash
# Builds the documentation site into target/site and checks every relative link and anchor, those that leave docs/ too.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
"$here/setup.sh"

# Material prints an advertisement of its next version unless this is set.
export NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true PYTHONDONTWRITEBYTECODE=1
python=$root/.tools/docs/venv/bin/python
"$python" -m unittest discover --quiet --start-directory "$here" --pattern '*_test.py'
"$python" "$here/links.py"
"$python" -m mkdocs --quiet build --strict --site-dir "${CARGO_TARGET_DIR:-$root/target}/site"
echo "docs: links and site checked"
