"""A service's slice as small charts of block characters, each with its extremes and its last value."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from railmend.railway.model import Series, Slice

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"
COLUMNS = 30
CLASSES = ("2xx", "3xx", "4xx", "5xx")


# Of a longer past at least this share of the steps must have a sample, or it tells nothing.
ENOUGH_PAST = 0.25


def past(one: Slice, onset: datetime | None = None) -> str:
    """As `charts`; empty where the service is too young."""
    sampled = sum(value is not None for value in one.cpu or one.memory_gb)
    return charts(one, onset) if sampled >= ENOUGH_PAST * max(len(one.cpu or one.memory_gb), 1) else ""


def charts(one: Slice, onset: datetime | None = None) -> str:
    """One line per series that has samples; empty without any."""
    rows = [
        _row("CPU", "vCPU", one.cpu, _last(one.cpu_limit)),
        _row("memory", "GB", one.memory_gb, _last(one.memory_limit_gb)),
    ]
    per_minute = 60 / one.step_seconds
    for name in CLASSES:
        series = [None if value is None else value * per_minute for value in one.http.get(name, [])]
        rows.append(_row(f"{name} a minute", "", series, None))
    rows += [_row(name, "ms", one.latency.get(name, []), None) for name in ("p50", "p95", "p99")]
    shown = [row for row in rows if row]
    if not shown:
        return ""
    steps = max(len(one.cpu), len(one.memory_gb), *(len(series) for series in one.http.values()), 1)
    end = one.start + timedelta(seconds=steps * one.step_seconds)
    head = f"{one.start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC, left to right; {GAP} no sample"
    return "\n".join([head, *_marker(one, onset, end), *shown])


def _row(name: str, unit: str, series: Series, limit: float | None) -> str:
    values = [value for value in series if value is not None]
    if not values or not any(values):
        return ""
    top = max(max(values), 1e-9)
    bars = "".join(_bar(column, top) for column in _columns(series))
    said = f"min {_short(min(values))}, max {_short(max(values))}, last {_short(values[-1])}"
    bound = f", limit {_short(limit)}" if limit else ""
    return f"{name:<13} {bars} {said}{bound}{' ' + unit if unit else ''}"


def _columns(series: Series) -> list[float | None]:
    """At most `COLUMNS` values: the highest of each stretch, so that no spike is lost."""
    width = max(-(-len(series) // COLUMNS), 1)
    return [_highest(series[at : at + width]) for at in range(0, len(series), width)]


def _highest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _bar(value: float | None, top: float) -> str:
    if value is None:
        return GAP
    return BLOCKS[min(int(max(value, 0.0) / top * len(BLOCKS)), len(BLOCKS) - 1)]


def _marker(one: Slice, onset: datetime | None, end: datetime) -> list[str]:
    """A line that points at the onset, where it lies within the slice."""
    if onset is None or not one.start <= onset <= end or end == one.start:
        return []
    column = min(int((onset - one.start) / (end - one.start) * COLUMNS), COLUMNS - 1)
    return [f"{'onset':<13} {' ' * column}v {onset:%H:%M:%S}"]


def _last(series: Series) -> float | None:
    return next((value for value in reversed(series) if value is not None), None)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
