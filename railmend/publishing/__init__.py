"""Texts for people: pull requests, reports, Markdown of the Web UI; and the GitHub client."""
