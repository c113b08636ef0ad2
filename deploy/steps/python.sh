#!/bin/sh
# The Python packages of the worker, exactly as locked: python.sh PREFIX LOCKFILE
set -eu
python3 -m venv "$1"
"$1/bin/pip" install --no-cache-dir --quiet --disable-pip-version-check --require-hashes -r "$2"
# Only the build needs it.
"$1/bin/pip" uninstall --quiet --yes pip
find "$1" -name __pycache__ -type d -prune -exec rm -rf {} +
