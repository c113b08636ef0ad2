"""Did it hold? Slices before and after in, a verdict with its numbers out. Pure."""

from railmend.outcome.judge import judge
from railmend.outcome.measure import matched, measured

__all__ = ["judge", "matched", "measured"]
