"""GitHub stand-in: real git objects and pushes, the REST calls a contributor needs, pages for people."""

from railyard.forge.server import build
from railyard.forge.store import Forge

__all__ = ["Forge", "build"]
