"""Orchestration alone: deterministic, no I/O, no arithmetic on metrics, no text building."""
