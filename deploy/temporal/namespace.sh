#!/bin/sh
# Creates the namespace, with RETENTION to look back on, or sets that of the one that exists. Safe to run again.
set -eu
found() {
  temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1
}

temporal operator cluster health
if found; then
  temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
else
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
  # The server finds it only after some seconds, and a worker that starts before would fail.
  tries=60
  until found; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 1
    sleep 1
  done
fi
