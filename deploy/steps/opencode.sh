#!/bin/sh
# The pinned OpenCode of this machine's kind, one binary: opencode.sh PREFIX. Run beside package.json.
set -eu
case "$(uname -m)" in
x86_64) arch=x64 ;;
aarch64 | arm64) arch=arm64 ;;
*) echo "opencode.sh: no OpenCode for $(uname -m)" >&2 && exit 1 ;;
esac
package=opencode-linux-$arch
if ! sed -n "/\"node_modules\/$package\": {/,/}/p" package-lock.json | grep -q '"integrity": "sha512-'; then
  echo "opencode.sh: package-lock.json has no hash of $package: 'npm install --package-lock-only' adds it, if the" \
    "registry that it asks has that package" >&2
  exit 1
fi
# Not `npm ci`: it refuses a lock file that leaves out the binaries of other platforms. The binary is copied, so no
# script of a package needs to run.
npm install --no-save --no-audit --no-fund --ignore-scripts --omit=dev --loglevel=error
mkdir -p "$1"
cp "node_modules/$package/bin/opencode" "$1/opencode"
rm -rf node_modules
"$1/opencode" --version
