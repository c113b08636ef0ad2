"""Which upstream services code depends on, and what their status pages say."""
