#!/bin/sh
# What the image needs of Debian: git, and a user without rights who owns /state and /artifacts. `--simulate` changes nothing.
set -eu
apt-get update --quiet --quiet
apt-get install --quiet --quiet --yes --no-install-recommends "$@" ca-certificates git
[ "${1:-}" = --simulate ] && exit
rm -rf /var/lib/apt/lists/*
groupadd --gid 10001 railmend
useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin railmend
install -d -o 10001 -g 10001 -m 0700 /state /artifacts
