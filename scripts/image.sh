#!/usr/bin/env bash
# Builds the container images `mcp-gateway` and `upstream-tasks` and saves each as an archive that `podman load`,
# `docker load` and `kind load image-archive` take.
#
#   scripts/image.sh             build static binaries for this machine's processor first
#   scripts/image.sh BINARIES    take static binaries from that folder
set -euo pipefail
cd "$(dirname "$0")/.."

target="$(uname -m)-unknown-linux-musl"
output=${CARGO_TARGET_DIR:-target}
context=$output/image

fail() {
  printf 'image: %s\n' "$*" >&2
  exit 1
}

have_target() {
  [ -d "$(rustc --print target-libdir --target "$target")" ]
}

build_binaries() {
  have_target || { command -v rustup >/dev/null && rustup target add "$target"; } || true
  have_target || fail "the image needs static binaries, and the Rust target $target is neither installed nor to be had with 'rustup target add'."
  cargo build --locked --profile dist --target "$target" -p mcp-gateway --no-default-features --features jemalloc
  cargo build --locked --profile dist --target "$target" -p upstream-tasks
}

# A binary that needs a loader would not start on an empty root.
refuse_dynamic() {
  ! LC_ALL=C readelf --program-headers "$1" | grep -q INTERP || fail "$1 is linked dynamically; the image has no libraries."
}

binaries=${1:-$output/$target/dist}
[ $# -gt 0 ] || build_binaries

rm -rf "$context"
mkdir -p "$context"
install -m 644 /etc/ssl/certs/ca-certificates.crt "$context"
version=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"name":"mcp-gateway","version":"\([^"]*\)".*/\1/')
for name in upstream-tasks mcp-gateway; do
  refuse_dynamic "$binaries/$name"
  install -m 755 "$binaries/$name" "$context"
done

# Plain copies instead of overlay mounts, which a container or a user without privileges may not make.
buildah=(buildah --storage-driver vfs)
for name in upstream-tasks mcp-gateway; do
  image="localhost/$name:$version"
  "${buildah[@]}" build --isolation chroot --pull=never --target "$name" --tag "$image" --file deploy/Containerfile "$context"
  "${buildah[@]}" push --quiet "$image" "docker-archive:$context/$name.tar:$image"
  printf 'image: %s, saved as %s\n' "$image" "$context/$name.tar"
done
