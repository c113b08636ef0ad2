"""A service's series as line charts: the usual time, the onset, after it. `chart.svg.j2` draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from railmend.railway.model import Series, Slice, last_value, thinned

WIDTH, HEIGHT = 640, 150
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 22, 24
# More points than pixels only make the page heavy.
MAX_POINTS = 320
CLASSES = (("2xx", "ok"), ("3xx", "calm"), ("4xx", "warn"), ("5xx", "bad"))
PERCENTILES = (("p50", "calm"), ("p95", "ok"), ("p99", "bad"))
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

    `rows`: y and label; `times` and `onset`: x, text anchor and label.
    """

    title: str
    rows: list[tuple[float, str]]
    times: list[tuple[float, str, str]]
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
        ("CPU, vCPU", [("CPU", "ok", measured.cpu)], last_value(measured.cpu_limit)),
        ("memory, GB", [("memory", "ok", measured.memory_gb)], last_value(measured.memory_limit_gb)),
        ("requests a minute", requests, None),
        ("latency, ms", latency, None),
    ]
    drawn = (_chart(title, series, limit, measured, onset) for title, series, limit in quantities)
    return [chart for chart in drawn if chart]


def _chart(
    title: str, series: Sequence[Named], limit: float | None, measured: Slice, onset: datetime | None
) -> Chart | None:
    shown = [(name, colour, values) for name, colour, values in series if any(values)]
    if not shown:
        return None
    top = max(value for _, _, values in shown for value in values if value is not None)
    if limit and limit <= top * 3:
        top = max(top, limit)
    top = top * 1.1 or 1.0
    length = timedelta(seconds=max(len(values) for _, _, values in shown) * measured.step_seconds)
    return Chart(
        title=title,
        rows=[(_y(top * share, top), _short(top * share)) for share in (0.0, 0.5, 1.0)],
        times=_times(measured.start, length),
        lines=[ChartLine(name, colour, _path(values, top)) for name, colour, values in shown],
        limit_y=_y(limit, top) if limit and limit <= top else None,
        onset=_onset(measured.start, length, onset),
    )


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)


def _times(start: datetime, length: timedelta) -> list[tuple[float, str, str]]:
    form = "%H:%M:%S" if length < timedelta(hours=1) else "%m-%d %H:%M"
    anchors = ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    return [(_x(share), anchor, f"{start + length * share:{form}}") for share, anchor in anchors]


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
    return x, "end" if x > WIDTH * 0.8 else "start", f"onset {onset:%H:%M:%S}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == 0 else f"{value:.3g}"
