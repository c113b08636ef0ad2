#!/bin/sh
# A virtual environment with the Python packages of a lock file, exactly: packages.sh PREFIX LOCKFILE
set -eu
installer=$(dirname "$0")/installer.lock
python=${PYTHON:-python3}
"$python" -m venv "$1"
pip() { "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$2"; }
pip "$1" "$installer"
# uv is several times quicker, but does not read the mirrors that pip's configuration may name.
"$1/bin/uv" pip install --quiet --python "$1/bin/python" --require-hashes -r "$2" || pip "$1" "$2"
