"""Reads the status pages of providers."""
