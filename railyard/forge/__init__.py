"""The GitHub stand-in: true git objects, true push, the REST calls a contributor needs, pages for people."""

from railyard.forge.server import build
from railyard.forge.store import Forge

__all__ = ["Forge", "build"]
