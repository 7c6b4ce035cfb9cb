#!/usr/bin/env bash
# Builds the container images `mcp-gateway` and `upstream-tasks` and saves each as an archive that `podman load`,
# `docker load` and `kind load image-archive` take.
#
#   scripts/image.sh             build static binaries for this machine's processor first
#   scripts/image.sh BINARIES    take static binaries from that folder
set -euo pipefail
cd "$(dirname "$0")/.."

output=${CARGO_TARGET_DIR:-target}
context=$output/image
names=(upstream-tasks mcp-gateway)

say() {
  printf 'image: %s\n' "$*" >&2
}

fail() {
  say "$*"
  exit 1
}

# A dynamic binary needs a loader and libraries, and the image has none.
refuse_dynamic() {
  local headers
  headers=$(LC_ALL=C readelf --program-headers "$1") || fail "$1 is not a program"
  ! grep -q INTERP <<<"$headers" || fail "$1 is linked dynamically; the image needs a static binary"
}

size() {
  numfmt --round=nearest --to=iec-i --suffix=B --format=%.1f "$(stat --format=%s "$1")"
}

binaries=${1:-$(scripts/build-static.sh)}
for name in "${names[@]}"; do
  refuse_dynamic "$binaries/$name"
done

rm -rf "$context"
mkdir -p "$context"
install -m 644 /etc/ssl/certs/ca-certificates.crt "$context"
version=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"name":"mcp-gateway","version":"\([^"]*\)".*/\1/')

# Plain copies instead of overlay mounts, which containers and users without privileges cannot make.
buildah=(buildah --storage-driver vfs)
for name in "${names[@]}"; do
  image="localhost/$name:$version"
  archive=$context/$name.tar
  install -m 755 "$binaries/$name" "$context"
  "${buildah[@]}" build --quiet --isolation chroot --pull=never --target "$name" --tag "$image" \
    --file deploy/Containerfile "$context" >/dev/null
  "${buildah[@]}" push --quiet "$image" "docker-archive:$archive:$image"
  say "$image: binary $(size "$context/$name"), archive $(size "$archive"), saved as $archive"
done
