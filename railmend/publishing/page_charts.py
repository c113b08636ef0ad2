"""A service's series as line charts: the usual time, the onset, after it. `chart.svg.j2` draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from railmend.contracts.incident import MeasuredSeries
from railmend.railway.model import Series, Slice, last_value, thinned

WIDTH, HEIGHT = 640, 162
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 22, 36
# More points than pixels only make the page heavy.
MAX_POINTS = 320
ANCHORS = ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
CLASSES = (("2xx", "ok"), ("3xx", "calm"), ("4xx", "warn"), ("5xx", "bad"))
PERCENTILES = (("p50", "calm"), ("p95", "ok"), ("p99", "bad"))
CPU, MEMORY, REQUESTS, LATENCY = "CPU, vCPU", "memory, GB", "requests a minute", "latency, ms"
# By what a finding shows in: the title of its chart.
TITLES = {
    MeasuredSeries.CPU_CORES: CPU,
    MeasuredSeries.MEMORY_GB: MEMORY,
    MeasuredSeries.P95_MS: LATENCY,
    MeasuredSeries.ERROR_SHARE: REQUESTS,
    MeasuredSeries.REQUESTS_PER_MINUTE: REQUESTS,
}
Named = tuple[str, str, Series]  # what, colour class, values


@dataclass(frozen=True)
class ChartLine:
    """One series; `path` is SVG path data, `colour` a class of the style sheet."""

    name: str
    colour: str
    path: str


@dataclass(frozen=True)
class Chart:
    """One measured quantity, in the pixels of its SVG.

    `summary`: what it shows, in words. `rows`: y and label; `times`: x, text anchor and labels, in UTC and,
    where that is another, in this machine's zone; `onset`: x, text anchor and label.
    """

    title: str
    summary: str
    rows: list[tuple[float, str]]
    times: list[tuple[float, str, list[str]]]
    lines: list[ChartLine]
    limit_y: float | None = None
    onset: tuple[float, str, str] | None = None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def charts(measured: Slice, onset: datetime | None) -> list[Chart]:
    """Return one chart per measured quantity that has samples."""
    requests = [(name, colour, measured.requests_a_minute(name)) for name, colour in CLASSES]
    latency = [(name, colour, measured.latency.get(name, [])) for name, colour in PERCENTILES]
    quantities: list[tuple[str, list[Named], float | None]] = [
        (CPU, [("CPU", "ok", measured.cpu)], last_value(measured.cpu_limit)),
        (MEMORY, [("memory", "ok", measured.memory_gb)], last_value(measured.memory_limit_gb)),
        (REQUESTS, requests, None),
        (LATENCY, latency, None),
    ]
    drawn = (_chart(title, series, limit, measured, onset) for title, series, limit in quantities)
    return [chart for chart in drawn if chart]


def _chart(
    title: str, series: Sequence[Named], limit: float | None, measured: Slice, onset: datetime | None
) -> Chart | None:
    shown = [(name, colour, values) for name, colour, values in series if any(values)]
    if not shown:
        return None
    seen = [value for _, _, values in shown for value in values if value is not None]
    top = max(seen)
    if limit and limit <= top * 3:
        top = max(top, limit)
    top = top * 1.1 or 1.0
    length = timedelta(seconds=max(len(values) for _, _, values in shown) * measured.step_seconds)
    marked = _onset(measured.start, length, onset)
    summary = [f"{title}: {_short(min(seen))} to {_short(max(seen))}"]
    summary += [f"limit {_short(limit)}"] if limit else []
    return Chart(
        title=title,
        summary=", ".join([*summary, *([marked[2]] if marked else [])]),
        rows=[(_y(top * share, top), _short(top * share)) for share in (0.0, 0.5, 1.0)],
        times=_times(measured.start, length),
        lines=[ChartLine(name, colour, _path(values, top)) for name, colour, values in shown],
        limit_y=_y(limit, top) if limit and limit <= top else None,
        onset=marked,
    )


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)


def _times(start: datetime, length: timedelta) -> list[tuple[float, str, list[str]]]:
    form = "%H:%M:%S" if length < timedelta(hours=1) else "%m-%d %H:%M"
    places = ((share, anchor, start + length * share) for share, anchor in ANCHORS)
    return [(_x(share), anchor, _labels(at, form)) for share, anchor, at in places]


def _labels(at: datetime, form: str) -> list[str]:
    local = at.astimezone()
    return [f"{at:{form}} UTC", *([f"{local:{form} %Z}"] if local.utcoffset() else [])]


def _path(values: Series, top: float) -> str:
    """Return a line that is broken where there is no sample."""
    points = thinned(values, MAX_POINTS)
    path, pen = [], "M"
    for number, value in enumerate(points):
        if value is None:
            pen = "M"
            continue
        path.append(f"{pen}{_x((number + 0.5) / len(points))} {_y(value, top)}")
        pen = "L"
    return "".join(path)


def _onset(start: datetime, length: timedelta, onset: datetime | None) -> tuple[float, str, str] | None:
    if onset is None or not length or not start <= onset <= start + length:
        return None
    x = _x((onset - start) / length)
    return x, "end" if x > WIDTH * 0.8 else "start", f"onset {onset:%H:%M:%S} UTC"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == 0 else f"{value:.3g}"
