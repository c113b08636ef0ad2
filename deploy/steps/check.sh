#!/bin/sh
# The steps of deploy/Dockerfile without a container engine, then what the image would start: check.sh [FOLDER]
set -eu
cd "$(dirname "$0")/../.."
work=${1:-$(mktemp -d)}
mkdir -p "$work/build" "$work/app"
echo "== images"
deploy/steps/images.sh check || echo "pin them before you publish images of a release"
echo "== packages"
deploy/steps/python.sh "$work/railmend" deploy/requirements.lock
echo "== opencode"
cp package.json package-lock.json "$work/build"
steps=$PWD/deploy/steps
(cd "$work/build" && "$steps/opencode.sh" "$work/opencode")
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "== system"
  deploy/steps/system.sh --simulate >/dev/null
  deploy/steps/agent.sh --simulate >/dev/null
fi
echo "== agent"
mkdir -p "$work/agent"
sed -n 's/^COPY \([a-z_/. ]*\.py\) [a-z/]*\/$/\1/p' deploy/Dockerfile | tr ' ' '\n' | while read -r part; do
  cp --parents "$part" "$work/agent"
done
(cd "$work/agent" && python3 -S -m hosting.sandbox.remote_daemon --help >/dev/null)
echo "== application"
sed -n 's/^COPY \([a-z.][a-z. ]*\) [a-z./]*$/\1/p' deploy/Dockerfile | tr ' ' '\n' | while read -r part; do
  cp -R "$part" "$work/app"
done
cd "$work/app"
"$work/railmend/bin/python" worker.py --help >/dev/null
"$work/railmend/bin/python" starter.py --help >/dev/null
"$work/railmend/bin/python" -m hosting.codec_server --new-key check >/dev/null
echo "the images' steps work"
[ -n "${1:-}" ] || rm -rf "$work"
