"""Did it hold? Slices before and after in, a verdict with its numbers out. Pure."""

from railmend.measurement.evaluation import evaluate
from railmend.measurement.measure import matched, measured

__all__ = ["evaluate", "matched", "measured"]
