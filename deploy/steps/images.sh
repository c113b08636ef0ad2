#!/bin/sh
# The images that others make, by digest: a tag can be moved by its owner. images.sh check names those that are pinned
# by their tag alone; images.sh pin, on a machine with Docker and a network, writes the digest of today behind each.
set -eu
cd "${ROOT:-$(dirname "$0")/../..}"
files="deploy/Dockerfile deploy/temporal/Dockerfile docker-compose.yml"

# Ours have no version and are built here; so do stages that others are made from.
others() { sed -nE 's/^(FROM| +image:) +([^ ]+:[0-9][^ ]*).*/\2/p' $files | sort -u; }

case "${1:-}" in
check)
  loose=$(others | grep -v '@sha256:[0-9a-f]\{64\}$' || true)
  [ -z "$loose" ] && exit 0
  echo "not pinned by digest (deploy/steps/images.sh pin):" $loose >&2
  exit 1
  ;;
pin)
  for image in $(others); do
    tag=${image%@*}
    digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$tag")
    case "$digest" in
    sha256:*) ;;
    *) echo "images.sh: no digest of $tag" >&2 && exit 1 ;;
    esac
    sed -i -E "s#( )$image( |\$)#\1$tag@$digest\2#" $files
  done
  ;;
*) echo "usage: images.sh check|pin" >&2 && exit 2 ;;
esac
