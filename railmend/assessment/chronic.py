"""What has always been bad: no incident, and not well either. Absolute bounds, each with a source.

Nothing here began within the window, so nothing can be compared; only what no user would call normal counts.
"""

import numpy as np

from railmend.assessment.frame import MetricFrame
from railmend.assessment.statistics import Flags, finite, median, wilson
from railmend.assessment.wording import duration, milliseconds, percent, rounded
from railmend.contracts.scan import Finding, FindingKind, Severity

# Share of the minutes that must be bad, in the older and in the newer half of the window.
NEARLY_ALWAYS = 0.8


def chronic(frame: MetricFrame) -> list[Finding]:
    """Return what was bad throughout a window that is long enough, the root cause first."""
    if frame.points < frame.steps(frame.settings.chronic_minutes) or not frame.has_past:
        return []
    rules = (_busy, _fails, _refuses, _slow)  # of CHRONIC_KINDS
    return [finding for rule in rules if (finding := rule(frame)) is not None]


def _always(frame: MetricFrame, bad: Flags, valid: Flags) -> bool:
    """Return whether nearly every valid step is bad, in both halves."""
    half, least = frame.points // 2, frame.steps(frame.settings.past_minutes)
    return all(
        valid[part].sum() >= least and bad[part].sum() >= NEARLY_ALWAYS * valid[part].sum()
        for part in (slice(0, half), slice(half, None))
    )


def _busy(frame: MetricFrame) -> Finding | None:
    """Find CPU that is always at its limit, where requests wait for it."""
    s, limit = frame.settings, frame.cpu_limit
    if limit is None:
        return None
    share = frame.cpu / limit
    bad = share >= s.cpu_alone_share
    waits = finite(frame.p95)
    if not _always(frame, bad, np.isfinite(share)) or not len(waits) or median(waits) < s.latency_ms:
        return None
    level = median(finite(share))
    sentence = (
        f"CPU of {frame.service.name} has been at {percent(level)} of its limit of {rounded(limit)} vCPU for "
        f"{_length(frame)} or longer, with a p95 of {milliseconds(median(waits))}."
    )
    return _finding(frame, FindingKind.CPU_SATURATION, (level, s.cpu_alone_share, "share of limit"), sentence)


def _slow(frame: MetricFrame) -> Finding | None:
    """Find requests that always take long: the typical one too, not only sockets, uploads and exports."""
    s = frame.settings
    valid = np.isfinite(frame.p95) & np.isfinite(frame.p50)
    bad = valid & (frame.p95 >= s.chronic_latency_ms) & (frame.p50 >= s.latency_ms)
    if not _always(frame, bad, valid) or frame.total.sum() < s.sparse_requests:
        return None
    level, typical = median(frame.p95[bad]), median(frame.p50[bad])
    sentence = (
        f"Requests to {frame.service.name} have taken long for {_length(frame)} or longer: the p95 is "
        f"{milliseconds(level)}, the median {milliseconds(typical)}. That is right only where answers are "
        "streamed or kept open."
    )
    return _finding(frame, FindingKind.LATENCY, (level, s.chronic_latency_ms, "ms p95"), sentence)


def _refuses(frame: MetricFrame) -> Finding | None:
    return _share(frame, FindingKind.CLIENT_ERRORS, "were refused with 4xx", frame.settings.chronic_refused)


def _fails(frame: MetricFrame) -> Finding | None:
    return _share(frame, FindingKind.ERROR_RATE, "failed with 5xx", frame.settings.chronic_failed)


def _share(frame: MetricFrame, kind: FindingKind, what: str, least: float) -> Finding | None:
    """Find a share of requests that is too high in both halves of the window, by its lower bound."""
    counts = frame.failed if kind is FindingKind.ERROR_RATE else frame.refused
    half = frame.points // 2
    for part in (slice(0, half), slice(half, None)):
        if wilson(float(counts[part].sum()), float(frame.total[part].sum()))[0] < least:
            return None
    hits, total = float(counts.sum()), float(frame.total.sum())
    sentence = (
        f"{hits:.0f} of {total:.0f} requests to {frame.service.name} ({percent(hits / total)}) {what} in the "
        f"last {_length(frame)}, and it was so at their beginning."
    )
    return _finding(frame, kind, (hits / total, least, "share of requests"), sentence)


def _length(frame: MetricFrame) -> str:
    return duration(frame.minutes(frame.points))


def _finding(
    frame: MetricFrame, kind: FindingKind, measured: tuple[float, float, str], sentence: str
) -> Finding:
    found = frame.finding(kind, Severity.WARNING, measured, 0, 0.9, "always", sentence)
    return found.model_copy(update={"chronic": True, "sentence": sentence})
