#!/usr/bin/env bash
# Installs the missing programs of a group of recipes and names them; prints nothing when none is missing.
#
#   scripts/setup.sh GROUP…      build | test | lint | docs | fuzz | mutants | bench | profile | image
#
# System packages come from Debian, installed as root or with sudo. It starts no service.
set -euo pipefail

CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.2
CARGO_MUTANTS_VERSION=27.1.0

usage() {
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

say() {
  printf 'setup: %s\n' "$*" >&2
}

fail() {
  say "$*"
  exit 1
}

# Packages still to be installed.
missing=()

# need_command COMMAND PACKAGE…: adds the packages if the command is not installed.
need_command() {
  PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null || missing+=("${@:2}")
}

# need_file FILE PACKAGE: adds the package if the file does not exist.
need_file() {
  [ -e "$1" ] || missing+=("$2")
}

need_build() {
  need_command cc gcc
  need_command make make
  need_command cmake cmake
}

need_test() {
  need_command chromium chromium
  need_command curl curl
  # It asks how to set up a database; preseed() answers.
  need_command glewlwyd glewlwyd dbconfig-no-thanks
  need_command haproxy haproxy
  need_command javac default-jdk-headless
  need_command nginx nginx
  need_command openssl openssl
  need_command prometheus prometheus
  need_command promtool prometheus
  need_command redis-server redis-server
  need_command squid squid-openssl
  need_command python3 python3
  need_command valkey-server valkey-server
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  need_file /etc/ssl/certs/ca-certificates.crt ca-certificates
}

need_docs() {
  need_command git git
  need_command python3 python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
}

# Only where the musl target is installed; scripts/build-static.sh builds for the gnu target otherwise.
need_musl() {
  [ ! -d "$(rustc --print target-libdir --target "$(uname -m)-unknown-linux-musl")" ] || need_command musl-gcc musl-tools
}

need_bench() {
  need_musl
  need_command haproxy haproxy
  need_command nginx nginx
  need_command wrk wrk
  need_command h2load nghttp2-client
  need_command openssl openssl
  need_command python3 python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  need_command valgrind valgrind
}

# llvm-profdata of the compiler in use. Where rustup did not install the compiler, this must be done by hand.
need_profile() {
  local sysroot host
  sysroot=$(rustc --print sysroot) host=$(rustc -vV | sed -n 's/^host: //p')
  [ -x "$sysroot/lib/rustlib/$host/bin/llvm-profdata" ] && return
  command -v rustup >/dev/null || fail "llvm-profdata is missing: install the component llvm-tools of $(rustc --version)"
  say "installing with rustup: llvm-tools"
  rustup component add llvm-tools >/dev/null
}

need_fuzz() {
  need_command c++ g++
}

need_image() {
  need_command buildah buildah
  need_command readelf binutils
  need_command openssl openssl
  need_command python3 python3
  need_musl
  need_file /etc/ssl/certs/ca-certificates.crt ca-certificates
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

# Debian starts a daemon as soon as it is installed. Only the programs are needed: this policy file prevents the start.
keep_services_stopped() {
  local policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] && return
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
  trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
}

# Nor do they start when the machine boots.
disable_services() {
  command -v systemctl >/dev/null || return 0
  local service
  for service in prometheus haproxy nginx squid glewlwyd redis-server valkey-server; do
    if printf '%s\n' "${missing[@]}" | grep -qx "$service"; then
      as_root systemctl disable --quiet "$service" 2>/dev/null || true
    fi
  done
}

# Debian 12 has Valkey in its backports only. Nothing else comes from there: its packages are not preferred.
add_backports() {
  printf '%s\n' "${missing[@]}" | grep -qx valkey-server || return 0
  grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release || return 0
  local list=/etc/apt/sources.list.d/bookworm-backports.list
  grep -rqs bookworm-backports /etc/apt/sources.list /etc/apt/sources.list.d && return
  say "adding Debian's bookworm-backports for valkey-server"
  printf 'deb http://deb.debian.org/debian bookworm-backports main\n' | as_root tee "$list" >/dev/null
}

# Answers to what packages ask while they are installed: the tests make databases of their own.
preseed() {
  printf 'glewlwyd glewlwyd/config_type select No configuration\n' | as_root debconf-set-selections
}

install_missing() {
  [ ${#missing[@]} -gt 0 ] || return 0
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  command -v apt-get >/dev/null || fail "missing packages (Debian names): ${missing[*]}; install them and run this again"
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || fail "missing packages: ${missing[*]}; run this as root, or install sudo"
  say "installing from Debian: ${missing[*]}"
  keep_services_stopped
  add_backports
  as_root apt-get -qq update </dev/null >/dev/null || say "apt-get update failed; using the present package lists"
  ! printf '%s\n' "${missing[@]}" | grep -qx glewlwyd || preseed
  as_root apt-get -qq install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
  disable_services
}

# Tools without a Debian package. They are installed next to cargo, for all checkouts.
install_cargo_tool() {
  cargo "${1#cargo-}" --version >/dev/null 2>&1 && return
  say "installing with cargo (takes a few minutes): $1 $2"
  cargo install --quiet --locked "$1" --version "$2" </dev/null
}

[ $# -gt 0 ] || usage
command -v cargo >/dev/null || fail "cargo (Rust) is not installed; see https://rustup.rs"
tools=()
for group in "$@"; do
  case "$group" in
    build) need_build ;;
    test) need_build; need_test ;;
    lint) need_build; tools+=("cargo-deny $CARGO_DENY_VERSION") ;;
    docs) need_docs ;;
    fuzz) need_build; need_fuzz; tools+=("cargo-fuzz $CARGO_FUZZ_VERSION") ;;
    mutants) need_build; tools+=("cargo-mutants $CARGO_MUTANTS_VERSION") ;;
    bench) need_build; need_bench ;;
    profile) need_profile ;;
    image) need_build; need_image ;;
    *) usage ;;
  esac
done
install_missing
for tool in "${tools[@]}"; do
  read -r name version <<<"$tool"
  install_cargo_tool "$name" "$version"
done
