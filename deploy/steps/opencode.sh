#!/bin/sh
# The pinned OpenCode of this machine's kind, one binary: opencode.sh PREFIX. Run beside package.json.
set -eu
case "$(uname -m)" in
x86_64) arch=x64 ;;
aarch64 | arm64) arch=arm64 ;;
*) echo "opencode.sh: no OpenCode for $(uname -m)" >&2 && exit 1 ;;
esac
# Not `npm ci`: it refuses a lock file that leaves out the binaries of other platforms.
npm install --no-save --no-audit --no-fund --omit=dev --loglevel=error
mkdir -p "$1"
cp "node_modules/opencode-linux-$arch/bin/opencode" "$1/opencode"
rm -rf node_modules
"$1/opencode" --version
