"""A session's model calls, counted against its limits."""
