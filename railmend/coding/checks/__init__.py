"""A repository's own checks: found, run over a change, counted."""
