#!/bin/sh
# Creates or updates Temporal's two databases. Safe to run again; run it with each new version of the server.
# As temporalio/samples-server does it. Needs POSTGRES_SEEDS, POSTGRES_USER and the password: SQL_PASSWORD, or the
# file that SQL_PASSWORD_FILE names.
set -eu
if [ -n "${SQL_PASSWORD_FILE:-}" ]; then
  SQL_PASSWORD=$(cat "$SQL_PASSWORD_FILE")
fi
export SQL_PASSWORD
schema=/etc/temporal/schema/postgresql/v12

tool() {
  temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" -p "${DB_PORT:-5432}" -u "$POSTGRES_USER" "$@"
}

# Each step leaves alone what is there already.
prepare() {
  tool --db "$1" create
  tool --db "$1" setup-schema -v 0.0
  tool --db "$1" update-schema -d "$schema/$2/versioned"
}

prepare temporal temporal
prepare temporal_visibility visibility
