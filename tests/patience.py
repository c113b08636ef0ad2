"""How long a test waits for what another process does, before it fails instead of hanging."""

# Seconds. No measure of anything: far more than is needed on a machine that does much else.
PATIENCE = 240
