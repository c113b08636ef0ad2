"""A stand-in for a model: an OpenAI-compatible endpoint that knows the demo's kinds of bugs and nothing else.

It reads what it is given. Evidence that it does not understand gets `unclear`, code that does not show
the bug gets `NO CHANGE`. Every word of its own is labelled as a rehearsal.
"""

from railyard.rehearsal.server import build_rehearsal

__all__ = ["build_rehearsal"]
