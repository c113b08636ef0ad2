"""Look at one environment: what is in trouble, and what is done about it."""
