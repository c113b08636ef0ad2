#!/bin/sh
# The Python packages of the worker and nothing else: python.sh PREFIX LOCKFILE
set -eu
PIP_NO_COMPILE=1 "$(dirname "$0")/packages.sh" "$1" "$2"
# Only the build needs them.
"$1/bin/python" -m pip uninstall --quiet --yes uv pip
find "$1" -name __pycache__ -type d -prune -exec rm -rf {} +
