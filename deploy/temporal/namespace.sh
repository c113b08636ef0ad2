#!/bin/sh
# Creates the namespace, with 45 days of history to look back on, or sets them. Safe to run again.
set -eu
temporal operator cluster health
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
