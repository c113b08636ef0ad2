"""The checks of `starter.py doctor`, by outside system."""
