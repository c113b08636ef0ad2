"""Telling people: texts, webhooks, GitHub issues."""
