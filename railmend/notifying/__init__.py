"""Notify people: texts, and their delivery by webhook and GitHub issue."""
