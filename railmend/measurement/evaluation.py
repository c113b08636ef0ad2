"""The verdict on one service: its own symptoms and the plan's criteria first, then what got worse."""

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

# Fewer requests than these say nothing about shares and percentiles; a fix that is hardly used is untried.
MIN_REQUESTS = 30
MIN_TRAFFIC_SHARE = 0.25
# Samples in at least so many of the steps.
MIN_KNOWN = 0.5
# A rise of memory that is down to this share of what it was is no leak any more.
LEVELLED_SHARE = 0.25
# Worse: more failing requests than chance explains (two-proportion z test, one-sided p < 0.001), and by so
# much that users notice; slower by half, and by at least this.
Z = 3.1
WORSE_SHARE = 0.02
WORSE_FACTOR = 1.5
WORSE_MS = 100.0

# Which number shows each symptom, and its unit. Others are judged by whether they are found again.
SHOWN_BY: dict[FindingKind, tuple[str, str]] = {
    FindingKind.MEMORY_LEAK: ("memory_slope_gb_per_hour", "GB/h"),
    FindingKind.MEMORY_SATURATION: ("memory_share", "of the limit"),
    FindingKind.CPU_SATURATION: ("cpu_share", "of the limit"),
    FindingKind.ERROR_RATE: ("error_share", "of requests"),
    FindingKind.CLIENT_ERRORS: ("client_error_share", "of requests"),
    FindingKind.LATENCY: ("p95_ms", "ms"),
}
UNITS = {
    MeasuredSeries.MEMORY_GB: "GB",
    MeasuredSeries.MEMORY_SLOPE_GB_PER_HOUR: "GB/h",
    MeasuredSeries.CPU_CORES: "vCPU",
    MeasuredSeries.ERROR_SHARE: "of requests",
    MeasuredSeries.P95_MS: "ms",
    MeasuredSeries.REQUESTS_PER_MINUTE: "a minute",
}


def evaluate(of: MeasurementInput) -> MeasurementResult:
    """`worse` needs no patience; anything else does where too little was seen."""
    rows = (*(_symptom(finding, of) for finding in of.findings), *(_criterion(c, of) for c in of.criteria))
    outcome, sentence = _verdict(of, rows)
    return MeasurementResult(
        outcome=outcome,
        sentence=sentence,
        service_name=of.service_name,
        rows=rows,
        before=of.before,
        after=of.after,
    )


def _verdict(of: MeasurementInput, rows: Sequence[MeasurementRow]) -> tuple[MeasurementStatus, str]:
    harm = _harm(of)
    if harm:
        return MeasurementStatus.WORSE, f"{of.service_name} is worse than before: {harm}"
    little = _too_little(of)
    if little:
        return MeasurementStatus.CANNOT_TELL, f"It cannot be told yet whether the fix holds: {little}"
    bad = [row for row in rows if row.good is False]
    if bad:
        named = "; ".join(f"{row.name} is {_format_value(row.after, row.unit)} ({row.bound})" for row in bad)
        return MeasurementStatus.NOT_HELD, f"The fix did not hold for {of.service_name}: {named}."
    if not any(row.good for row in rows):
        return (
            MeasurementStatus.CANNOT_TELL,
            f"Nothing that shows the trouble of {of.service_name} could be measured.",
        )
    return MeasurementStatus.HELD, (
        f"The fix holds for {of.service_name}: the trouble is gone, over {_minutes(of.after)} under "
        "comparable traffic."
    )


def _symptom(finding: Finding, of: MeasurementInput) -> MeasurementRow:
    """Gone: not found again, and its own number is within its own threshold."""
    again = any(one.kind is finding.kind for one in of.again)
    name = finding.kind.value.replace("_", " ")
    shown = SHOWN_BY.get(finding.kind)
    if shown is None:
        found = 1.0 if again else 0.0
        return MeasurementRow(
            name=name, before=1.0, after=found, bound="must not be found again", good=not again
        )
    field, unit = shown
    before, after = getattr(of.before, field), getattr(of.after, field)
    bound = finding.threshold or LEVELLED_SHARE * finding.value
    good = None if after is None else not again and after <= bound
    return MeasurementRow(
        name=name,
        before=before,
        after=after,
        bound=f"at most {_format_value(bound, unit)}" + (", and it is found again" if again else ""),
        good=good,
        unit=unit,
    )


def _criterion(criterion: Criterion, of: MeasurementInput) -> MeasurementRow:
    """Not met and not due yet: nobody can tell."""
    after, unit = of.after.value(criterion.series), UNITS[criterion.series]
    good: bool | None = None
    if after is not None:
        good = after <= criterion.threshold if criterion.below else after >= criterion.threshold
        if not good and of.minutes_up < criterion.within_minutes:
            good = None
    words = "below" if criterion.below else "above"
    return MeasurementRow(
        name=criterion.series.value.replace("_", " "),
        before=of.before.value(criterion.series),
        after=after,
        bound=f"{words} {_format_value(criterion.threshold, unit)} within {criterion.within_minutes} min",
        good=good,
        unit=unit,
    )


def _too_little(of: MeasurementInput) -> str:
    before, after = of.before, of.after
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


def _harm(of: MeasurementInput) -> str:
    """What is worse, in words; empty where nothing is."""
    before, after = of.before, of.after
    known = {finding.kind for finding in of.findings}
    new = [one for one in of.again if one.kind in HARM and one.kind not in known]
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
    """Two-proportion z test with pooled variance: https://en.wikipedia.org/wiki/Two-proportion_Z-test"""
    p, q, n, m = before.error_share, after.error_share, before.requests, after.requests
    if p is None or q is None or not n or not m or q - p < WORSE_SHARE:
        return False
    pooled = (p * n + q * m) / (n + m)
    spread = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return spread == 0 or (q - p) / spread > Z


def _minutes(one: WindowMetrics) -> str:
    seconds = one.window.length.total_seconds()
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def _format_value(value: float | None, unit: str) -> str:
    if value is None:
        return "not known"
    return f"{value:.1%} {unit}" if unit.startswith("of ") else f"{short(value)} {unit}".strip()


def short(value: float) -> str:
    """Three significant digits, never in powers of ten for what people count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
