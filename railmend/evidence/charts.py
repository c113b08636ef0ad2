"""Small charts of a service's slice in block characters, each with its extremes and its last value."""

from datetime import datetime, timedelta

from railmend.railway.model import Series, Slice, last_value, thinned

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"
COLUMNS = 30
CLASSES = ("2xx", "3xx", "4xx", "5xx")
# A chart of the past needs samples in at least this share of its steps.
MIN_PAST_SHARE = 0.25


def past(measured: Slice, onset: datetime | None = None) -> str:
    """Return `charts` of a longer past; empty where the service is too young."""
    steps = measured.cpu or measured.memory_gb
    sampled = sum(value is not None for value in steps)
    return charts(measured, onset) if sampled >= MIN_PAST_SHARE * max(len(steps), 1) else ""


def charts(measured: Slice, onset: datetime | None = None) -> str:
    """Return one line for each series that has samples; empty without any."""
    rows = [
        _row("CPU", "vCPU", measured.cpu, last_value(measured.cpu_limit)),
        _row("memory", "GB", measured.memory_gb, last_value(measured.memory_limit_gb)),
    ]
    rows += [_row(f"{name} a minute", "", measured.requests_a_minute(name), None) for name in CLASSES]
    rows += [_row(name, "ms", measured.latency.get(name, []), None) for name in ("p50", "p95", "p99")]
    shown = [row for row in rows if row]
    if not shown:
        return ""
    steps = max(
        len(measured.cpu), len(measured.memory_gb), *(len(series) for series in measured.http.values()), 1
    )
    end = measured.start + timedelta(seconds=steps * measured.step_seconds)
    head = (
        f"{measured.start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC, left to right; {GAP} no sample"
    )
    return "\n".join([head, *_marker(measured, onset, end), *shown])


def _row(name: str, unit: str, series: Series, limit: float | None) -> str:
    values = [value for value in series if value is not None]
    if not values or not any(values):
        return ""
    top = max(max(values), 1e-9)
    bars = "".join(_bar(column, top) for column in thinned(series, COLUMNS))
    extremes = f"min {_short(min(values))}, max {_short(max(values))}, last {_short(values[-1])}"
    bound = f", limit {_short(limit)}" if limit else ""
    return f"{name:<13} {bars} {extremes}{bound}{' ' + unit if unit else ''}"


def _bar(value: float | None, top: float) -> str:
    if value is None:
        return GAP
    return BLOCKS[min(int(max(value, 0.0) / top * len(BLOCKS)), len(BLOCKS) - 1)]


def _marker(measured: Slice, onset: datetime | None, end: datetime) -> list[str]:
    """Return a line that points at the onset, where it lies within the slice."""
    if onset is None or not measured.start <= onset <= end or end == measured.start:
        return []
    column = min(int((onset - measured.start) / (end - measured.start) * COLUMNS), COLUMNS - 1)
    return [f"{'onset':<13} {' ' * column}v {onset:%H:%M:%S}"]


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
