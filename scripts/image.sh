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

# The musl target where it is installed, else the gnu target: both give static binaries.
choose_target() {
  target=$(uname -m)-unknown-linux-musl
  if [ -d "$(rustc --print target-libdir --target "$target")" ]; then
    say "building for $target"
  else
    target=$(uname -m)-unknown-linux-gnu
    say "the Rust target musl is not installed: building for $target with a static C library"
    # With an explicit target these flags do not reach build scripts and procedural macros, which cannot be static.
    export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
  fi
}

build_binaries() {
  cargo build --locked --profile dist --target "$target" -p mcp-gateway --no-default-features --features jemalloc
  cargo build --locked --profile dist --target "$target" -p upstream-tasks
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

if [ $# -gt 0 ]; then
  binaries=$1
else
  choose_target
  build_binaries
  binaries=$output/$target/dist
fi
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
