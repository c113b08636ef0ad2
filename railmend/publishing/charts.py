"""Mermaid charts of measured series, as GitHub draws them. Pure."""

import html
from collections.abc import Sequence
from datetime import datetime

from railmend.contracts.incident import MeasuredSeries
from railmend.contracts.measurement import WindowMetrics
from railmend.contracts.scan import Finding, FindingKind
from railmend.evidence.safe_text import MarkdownText, PlainText

TITLES = {
    MeasuredSeries.MEMORY_GB: ("memory", "GB"),
    MeasuredSeries.CPU_CORES: ("CPU", "vCPU"),
    MeasuredSeries.P95_MS: ("slowest 5 % of requests", "ms"),
    MeasuredSeries.ERROR_SHARE: ("failing requests", "share"),
    MeasuredSeries.REQUESTS_PER_MINUTE: ("requests a minute", ""),
}
SHOWN: dict[FindingKind, MeasuredSeries] = {
    FindingKind.MEMORY_LEAK: MeasuredSeries.MEMORY_GB,
    FindingKind.MEMORY_SATURATION: MeasuredSeries.MEMORY_GB,
    FindingKind.RESTART: MeasuredSeries.MEMORY_GB,
    FindingKind.CRASH_LOOP: MeasuredSeries.MEMORY_GB,
    FindingKind.CPU_SATURATION: MeasuredSeries.CPU_CORES,
    FindingKind.ERROR_RATE: MeasuredSeries.ERROR_SHARE,
    FindingKind.OUTAGE: MeasuredSeries.ERROR_SHARE,
    FindingKind.LATENCY: MeasuredSeries.P95_MS,
    FindingKind.TRAFFIC_DROP: MeasuredSeries.REQUESTS_PER_MINUTE,
}
# Axis labels that Mermaid can place without overlap need a little room above the highest point.
HEADROOM = 1.1
# A limit further above its series would press that to the ground.
MOST_ABOVE = 3
# Mermaid's charts are 700 pixels wide, and it cuts a longer title or label at both ends.
MAX_NAME = 36
# Its own first colour is all but white. Names: to a forge a digit after # would be a reference.
BAR, LINE, LIMIT = "silver", "royalblue", "crimson"
PALETTE = '%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{}"}}}}}}}}%%'
Plot = tuple[str, str, list[float]]  # bar or line, colour, values


def shown_by(findings: Sequence[Finding]) -> tuple[MeasuredSeries, ...]:
    """Return the series in which these findings can be seen, each once, worst finding first."""
    return tuple(dict.fromkeys(SHOWN[finding.kind] for finding in findings if finding.kind in SHOWN))


def chart(
    name: str, series: MeasuredSeries, measured: WindowMetrics, onset: datetime | None = None
) -> MarkdownText:
    """Draw the series over its window, the limit as a flat line and the onset as a bar, as far as known.

    Empty where there is nothing to draw.
    """
    points = _filled(measured.series.get(series, ()))
    if len(points) < 2:
        return MarkdownText()
    title, unit = TITLES[series]
    length, span = _length(measured)
    plots: list[Plot] = [("line", LINE, points)]
    limit = _limit(series, measured)
    if limit and limit <= max(points) * MOST_ABOVE:
        plots.append(("line", LIMIT, [limit] * len(points)))
        span += f"; flat line: limit {limit:.3g} {unit}"
    passed = (onset - measured.window.start) / measured.window.length if onset else -1.0
    if onset and 0 <= passed < 1:
        top, place = max(max(values) for _, _, values in plots), int(passed * len(points))
        plots.insert(0, ("bar", BAR, [top if number == place else 0 for number in range(len(points))]))
        span += f"; bar: onset {onset:%H:%M:%S} UTC"
    return _xychart(f"{name[:MAX_NAME]}: {title}", span, length, unit, plots)


def _limit(series: MeasuredSeries, measured: WindowMetrics) -> float | None:
    """Return what the service may use of it, which is measured as a share."""
    level, share = {
        MeasuredSeries.MEMORY_GB: (measured.memory_gb, measured.memory_share),
        MeasuredSeries.CPU_CORES: (measured.cpu_cores, measured.cpu_share),
    }.get(series, (None, None))
    return float(f"{level / share:.3g}") if level and share else None


def before_after(
    name: str, series: MeasuredSeries, before: WindowMetrics, after: WindowMetrics
) -> MarkdownText:
    """Draw two series over windows of one length: bars before the fix, a line after it."""
    first, second = _filled(before.series.get(series, ())), _filled(after.series.get(series, ()))
    points = min(len(first), len(second))
    if points < 2:
        return MarkdownText()
    title, unit = TITLES[series]
    length, span = _length(after)
    head = f"{name[:MAX_NAME]}: {title}, before (bars) and after (line)"
    return _xychart(head, span, length, unit, [("bar", BAR, first[:points]), ("line", LINE, second[:points])])


def _xychart(title: str, span: str, length: float, unit: str, plots: Sequence[Plot]) -> MarkdownText:
    top = max(max(values) for _, _, values in plots) * HEADROOM or 1.0
    rows = [f"  {kind} [{', '.join(f'{value:g}' for value in values)}]" for kind, _, values in plots]
    drawn = [
        PALETTE.format(", ".join(colour for _, colour, _ in plots)),
        "xychart-beta",
        f'  title "{_quotable(title)}"',
        f'  x-axis "{span}" 0 --> {length:g}',
        f'  y-axis "{unit}" 0 --> {top:.3g}',
        *rows,
    ]
    return MarkdownText.block("\n".join(drawn), "mermaid")


def _length(measured: WindowMetrics) -> tuple[float, str]:
    seconds = measured.window.length.total_seconds()
    return (seconds, "seconds") if seconds < 300 else (seconds / 60, "minutes")


def _filled(values: Sequence[float | None]) -> list[float]:
    """Fill gaps, which Mermaid has not: with the value before, at the start with the first value there is."""
    last = next((value for value in values if value is not None), None)
    filled = []
    for value in values:
        last = last if value is None else value
        if last is not None:
            filled.append(last)
    return filled


def _quotable(text: str) -> str:
    """Return text for a quoted string of Mermaid, whose directives begin with two percent signs."""
    line = PlainText(text).replace('"', "'").replace("`", "'").replace("%%", "%")
    return html.escape(line[:120], quote=False)
