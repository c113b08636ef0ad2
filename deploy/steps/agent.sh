#!/bin/sh
# What coding agents, checks and proofs need of Debian besides OpenCode, Python and Node. `--simulate` changes nothing.
# The compiler and headers are for packages that are built where they are installed. No database runs here by itself:
# proofs start their own.
set -eu
apt-get update --quiet --quiet
if [ "${1:-}" != --simulate ]; then
  mkdir -p /etc/postgresql-common
  echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
fi
apt-get install --quiet --quiet --yes --no-install-recommends "$@" ca-certificates git procps ripgrep \
  build-essential golang-go libpq-dev openssl postgresql redis-server ruby ruby-bundler ruby-dev
[ "${1:-}" = --simulate ] && exit
rm -rf /var/lib/apt/lists/*
install -d -m 0755 /agents
