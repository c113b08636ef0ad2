"""Upstream providers: which ones a service depends on, and what their status pages say."""
