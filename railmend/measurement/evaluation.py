"""Evaluate the measurement of one service: harm first, then its symptoms and the plan's criteria."""

from collections.abc import Sequence
from math import sqrt

from railmend.contracts.incident import Criterion, MeasuredSeries
from railmend.contracts.measurement import (
    HARM,
    MeasurementInput,
    MeasurementResult,
    MeasurementRow,
    MeasurementStatus,
    WindowMetrics,
)
from railmend.contracts.scan import Finding, FindingKind

# Fewer requests say nothing about shares and percentiles; a fix with hardly any traffic is untested.
MIN_REQUESTS = 30
MIN_TRAFFIC_SHARE = 0.25
# Least share of steps with samples.
MIN_KNOWN = 0.5
# A rise of memory that fell to this share of what it was is no leak any more.
LEVELLED_SHARE = 0.25
# Worse: more failing requests than chance explains (two-proportion z test, one-sided p < 0.001), and enough
# for users to notice; or slower by half, and by at least WORSE_MS.
Z = 3.1
WORSE_SHARE = 0.02
WORSE_FACTOR = 1.5
WORSE_MS = 100.0
RISE = "GB/h"

# The metric that shows each symptom, and its unit. Other kinds are judged by whether they are found again.
SHOWN_BY: dict[FindingKind, tuple[str, str]] = {
    FindingKind.MEMORY_LEAK: ("memory_slope_gb_per_hour", RISE),
    FindingKind.MEMORY_SATURATION: ("memory_share", "of the limit"),
    FindingKind.CPU_SATURATION: ("cpu_share", "of the limit"),
    FindingKind.ERROR_RATE: ("error_share", "of requests"),
    FindingKind.CLIENT_ERRORS: ("client_error_share", "of requests"),
    FindingKind.LATENCY: ("p95_ms", "ms"),
}
UNITS = {
    MeasuredSeries.MEMORY_GB: "GB",
    MeasuredSeries.MEMORY_SLOPE_GB_PER_HOUR: RISE,
    MeasuredSeries.CPU_CORES: "vCPU",
    MeasuredSeries.ERROR_SHARE: "of requests",
    MeasuredSeries.P95_MS: "ms",
    MeasuredSeries.REQUESTS_PER_MINUTE: "a minute",
}


def evaluate(measured: MeasurementInput) -> MeasurementResult:
    """Return the status of one service, with a sentence and the numbers.

    `worse` is concluded at once; everything else needs enough samples and traffic.
    """
    rows = (
        *(_symptom(finding, measured) for finding in measured.findings),
        *(_criterion(c, measured) for c in measured.criteria),
    )
    status, sentence = _verdict(measured, rows)
    return MeasurementResult(
        status=status,
        sentence=sentence,
        service_name=measured.service_name,
        rows=rows,
        before=measured.before,
        after=measured.after,
    )


def _verdict(measured: MeasurementInput, rows: Sequence[MeasurementRow]) -> tuple[MeasurementStatus, str]:
    harm = _harm(measured)
    if harm:
        return MeasurementStatus.WORSE, f"{measured.service_name} is worse than before: {harm}"
    little = _too_little(measured)
    if little:
        return MeasurementStatus.CANNOT_TELL, f"It is not clear yet whether the fix holds: {little}"
    bad = [row for row in rows if row.good is False]
    if bad:
        named = "; ".join(f"{row.name} is {_format_value(row.after, row.unit)} ({row.bound})" for row in bad)
        return MeasurementStatus.NOT_HELD, f"The fix did not hold for {measured.service_name}: {named}."
    if not measured.last and any(
        row.unit == RISE and row.good is None and row.after is not None for row in rows
    ):
        rises = "memory still rises, as it does while a bounded cache fills."
        return MeasurementStatus.CANNOT_TELL, f"It is not clear yet whether the fix holds: {rises}"
    if not any(row.good for row in rows):
        sentence = f"Nothing that shows the trouble of {measured.service_name} could be measured."
        return MeasurementStatus.CANNOT_TELL, sentence
    return MeasurementStatus.HELD, (
        f"The fix holds for {measured.service_name}: the trouble is gone, over {_minutes(measured.after)} "
        "under comparable traffic."
    )


def _symptom(finding: Finding, measured: MeasurementInput) -> MeasurementRow:
    """Compare one symptom: it is gone if it is not found again and its metric is within its threshold."""
    again = any(later.kind is finding.kind for later in measured.again)
    name = finding.kind.value.replace("_", " ")
    shown = SHOWN_BY.get(finding.kind)
    if shown is None:
        return MeasurementRow(
            name=name, before=1.0, after=float(again), bound="must not be found again", good=not again
        )
    field, unit = shown
    before, after = getattr(measured.before, field), getattr(measured.after, field)
    bound = finding.threshold or LEVELLED_SHARE * finding.value
    good = None if after is None else not again and after <= bound
    if _may_level(field, measured):
        good = good or None
    return MeasurementRow(
        name=name,
        before=before,
        after=after,
        bound=f"at most {_format_value(bound, unit)}" + (", and it is found again" if again else ""),
        good=good,
        unit=unit,
    )


def _criterion(criterion: Criterion, measured: MeasurementInput) -> MeasurementRow:
    """Compare one criterion of the plan; not met and not due yet is undecided."""
    after, unit = measured.after.value(criterion.series), UNITS.get(criterion.series, "")
    good: bool | None = None
    if after is not None:
        good = after <= criterion.threshold if criterion.below else after >= criterion.threshold
        if measured.minutes_up < criterion.within_minutes or _may_level(criterion.series.value, measured):
            good = good or None
    words = "below" if criterion.below else "above"
    return MeasurementRow(
        name=criterion.series.value.replace("_", " "),
        before=measured.before.value(criterion.series),
        after=after,
        bound=f"{words} {_format_value(criterion.threshold, unit)} within {criterion.within_minutes} min",
        good=good,
        unit=unit,
    )


def _may_level(field: str, measured: MeasurementInput) -> bool:
    """Whether a rise of memory may still end: a bounded cache fills for hours.

    Not at the last measurement, and not above what the plan allows.
    """
    if field != MeasuredSeries.MEMORY_SLOPE_GB_PER_HOUR.value or measured.last:
        return False
    now = measured.after.value(MeasuredSeries.MEMORY_GB)
    ceilings = [c.threshold for c in measured.criteria if c.series is MeasuredSeries.MEMORY_GB and c.below]
    return now is None or not ceilings or now <= min(ceilings)


def _too_little(measured: MeasurementInput) -> str:
    """Return what there is too little of, in words; empty if there is enough."""
    before, after = measured.before, measured.after
    if after.known < MIN_KNOWN:
        return f"only {after.known:.0%} of {_minutes(after)} were measured."
    if not before.requests:
        return ""
    if (after.requests or 0) < MIN_REQUESTS:
        return f"{after.requests or 0:.0f} requests in {_minutes(after)} are too few."
    share = (after.requests_per_minute or 0) / (before.requests_per_minute or 1)
    if share < MIN_TRAFFIC_SHARE:
        return f"traffic is at {share:.0%} of what it was during the trouble."
    return ""


def _harm(measured: MeasurementInput) -> str:
    """Return what is worse, in words; empty if nothing is."""
    before, after = measured.before, measured.after
    kinds = {finding.kind for finding in measured.findings}
    new = [finding for finding in measured.again if finding.kind in HARM and finding.kind not in kinds]
    if new:
        return new[0].sentence
    if (before.requests or 0) < MIN_REQUESTS or (after.requests or 0) < MIN_REQUESTS:
        return ""
    if _more_fail(before, after):
        return f"{after.error_share:.1%} of the requests fail, {before.error_share:.1%} did before."
    if before.p95_ms is not None and after.p95_ms is not None:
        slower = after.p95_ms > before.p95_ms * WORSE_FACTOR and after.p95_ms > before.p95_ms + WORSE_MS
        if slower:
            return f"the slowest 5 % of requests take {after.p95_ms:.0f} ms, {before.p95_ms:.0f} ms before."
    return ""


def _more_fail(before: WindowMetrics, after: WindowMetrics) -> bool:
    """Apply a two-proportion z test with pooled variance (Wikipedia: Two-proportion Z-test)."""
    p, q, n, m = before.error_share, after.error_share, before.requests, after.requests
    if p is None or q is None or not n or not m or q - p < WORSE_SHARE:
        return False
    pooled = (p * n + q * m) / (n + m)
    spread = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return spread == 0 or (q - p) / spread > Z


def _minutes(metrics: WindowMetrics) -> str:
    seconds = metrics.window.length.total_seconds()
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def _format_value(value: float | None, unit: str) -> str:
    if value is None:
        return "not known"
    return f"{value:.1%} {unit}" if unit.startswith("of ") else f"{short(value)} {unit}".strip()


def short(value: float) -> str:
    """Format with three significant digits, integers from 100 on, never as a power of ten."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
