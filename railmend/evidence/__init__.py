"""Logs and facts become a small, numbered, redacted packet. Pure."""
