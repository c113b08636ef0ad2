#!/bin/sh
# Starts Temporal's server with the database password from a file, which the image itself cannot read.
set -eu
if [ -n "${POSTGRES_PWD_FILE:-}" ]; then
  POSTGRES_PWD=$(cat "$POSTGRES_PWD_FILE")
  export POSTGRES_PWD
fi
exec /etc/temporal/entrypoint.sh
