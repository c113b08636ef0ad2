"""The first, coarse look: cheap for many services, and generous, because a second look decides."""

import numpy as np

from railmend.assessment.settings import AssessmentSettings
from railmend.assessment.statistics import numbers, theil_sen
from railmend.contracts.scan import Service
from railmend.railway.model import Slice

FAILED = frozenset({"FAILED", "CRASHED"})
# Shares of the deciding thresholds at which a service is worth the second look.
GENEROUS = 0.5
MIN_POINTS = 5


def suspect(slice: Slice, service: Service, settings: AssessmentSettings | None = None) -> bool:
    """Whether anything about this coarse slice calls for a close look. Never raises for gaps."""
    s = settings or AssessmentSettings()
    if service.asleep:
        return False
    return service.latest_status in FAILED or _errors(slice, s) or _slow(slice, s) or _memory(slice, s)


def _errors(slice: Slice, s: AssessmentSettings) -> bool:
    failed = float(np.nansum(numbers(slice.http.get("5xx", [])))) if slice.http.get("5xx") else 0.0
    return failed >= s.error_min_errors * GENEROUS


def _slow(slice: Slice, s: AssessmentSettings) -> bool:
    """The p95 of the whole window hides a late onset, the p99 does not."""
    of_window = slice.window_latency
    return of_window.get("p95", 0.0) >= s.latency_ms * GENEROUS or of_window.get("p99", 0.0) >= s.latency_ms


def _memory(slice: Slice, s: AssessmentSettings) -> bool:
    values = numbers(slice.memory_gb)
    index = np.flatnonzero(np.isfinite(values))
    if len(index) < MIN_POINTS:
        return False
    limits = numbers(slice.memory_limit_gb)
    limits = limits[np.isfinite(limits) & (limits > 0)]
    y = values[index]
    if len(limits) and y[-1] >= GENEROUS * s.memory_share * float(np.median(limits)):
        return True
    rise = theil_sen(index.astype(np.float64), y) * float(index[-1] - index[0])
    falls = bool(np.any(y[1:] < y[:-1] * 0.5))  # a restart hides a leak from the slope
    return falls or rise >= GENEROUS * s.leak_min_rise_of_level * float(np.median(y))
