#!/bin/sh
# What coding agents need of Debian besides OpenCode and Python. `--simulate` changes nothing.
set -eu
apt-get update --quiet --quiet
apt-get install --quiet --quiet --yes --no-install-recommends "$@" ca-certificates git procps ripgrep
[ "${1:-}" = --simulate ] && exit
rm -rf /var/lib/apt/lists/*
install -d -m 0755 /agents
