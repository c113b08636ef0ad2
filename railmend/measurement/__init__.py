"""Measure whether a merged fix holds: slices before and after in, a status and numbers out. Pure code."""

from railmend.measurement.evaluation import evaluate
from railmend.measurement.measure import matched_windows, window_metrics

__all__ = ["evaluate", "matched_windows", "window_metrics"]
