"""Actions on a running service, which a person approves."""
