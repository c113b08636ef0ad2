"""A service's series as inline SVG: the usual time, the onset, after it. Needs no script and no network."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

from railmend.railway.model import Series, Slice

WIDTH, HEIGHT = 640, 150
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 22, 24
# More points than pixels only make the page heavy.
MAX_POINTS = 320
CLASSES = (("2xx", "ok"), ("3xx", "calm"), ("4xx", "warn"), ("5xx", "bad"))
PERCENTILES = (("p50", "calm"), ("p95", "ok"), ("p99", "bad"))
Named = tuple[str, str, Series]  # what, colour class, values


def charts(one: Slice, onset: datetime | None, limit: bool = True) -> list[str]:
    """One SVG per measured quantity that has samples; `limit` draws the service's limits, dashed."""
    per_minute = 60 / one.step_seconds
    groups: list[tuple[str, list[Named], float | None]] = [
        ("CPU, vCPU", [("CPU", "ok", one.cpu)], _last(one.cpu_limit) if limit else None),
        ("memory, GB", [("memory", "ok", one.memory_gb)], _last(one.memory_limit_gb) if limit else None),
        (
            "requests a minute",
            [
                (n, c, [None if v is None else v * per_minute for v in one.http.get(n, [])])
                for n, c in CLASSES
            ],
            None,
        ),
        ("latency, ms", [(name, colour, one.latency.get(name, [])) for name, colour in PERCENTILES], None),
    ]
    drawn = (_chart(title, series, bound, one, onset) for title, series, bound in groups)
    return [svg for svg in drawn if svg]


def _chart(
    title: str, series: Sequence[Named], bound: float | None, one: Slice, onset: datetime | None
) -> str:
    shown = [(name, colour, values) for name, colour, values in series if any(values)]
    if not shown:
        return ""
    top = max(value for _, _, values in shown for value in values if value is not None)
    if bound and bound <= top * 3:
        top = max(top, bound)
    top = top * 1.1 or 1.0
    length = max(len(values) for _, _, values in shown)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<text class="title" x="{LEFT}" y="14">{escape(title)}</text>',
        *_axes(top, one, length),
        *(_limit(bound, top) if bound and bound <= top else ()),
        *(_line(values, colour, top) for _, colour, values in shown),
        *_marker(one, length, onset),
        *_legend(shown),
        "</svg>",
    ]
    return "".join(parts)


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)


def _axes(top: float, one: Slice, length: int) -> list[str]:
    end = one.start + timedelta(seconds=length * one.step_seconds)
    form = "%H:%M:%S" if end - one.start < timedelta(hours=1) else "%m-%d %H:%M"
    rows = []
    for share in (0.0, 0.5, 1.0):
        y = _y(top * share, top)
        rows.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        rows.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{_short(top * share)}</text>')
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        at = one.start + (end - one.start) * share
        rows.append(f'<text x="{_x(share)}" y="{HEIGHT - 8}" text-anchor="{anchor}">{at:{form}}</text>')
    return rows


def _limit(bound: float, top: float) -> list[str]:
    y = _y(bound, top)
    return [
        f'<path class="limit" d="M{LEFT} {y}H{WIDTH - RIGHT}"/><text x="{LEFT + 4}" y="{y - 4}">limit</text>'
    ]


def _line(values: Series, colour: str, top: float) -> str:
    """Broken where there is no sample."""
    points = _thinned(values)
    path, pen = [], "M"
    for number, value in enumerate(points):
        if value is None:
            pen = "M"
            continue
        path.append(f"{pen}{_x((number + 0.5) / len(points))} {_y(value, top)}")
        pen = "L"
    return f'<path class="line {colour}" d="{"".join(path)}"/>'


def _thinned(values: Series) -> Series:
    """Return the highest of each stretch, so that no spike is lost."""
    width = max(-(-len(values) // MAX_POINTS), 1)
    stretches = (values[at : at + width] for at in range(0, len(values), width))
    return [max((v for v in stretch if v is not None), default=None) for stretch in stretches]


def _marker(one: Slice, length: int, onset: datetime | None) -> list[str]:
    span = timedelta(seconds=length * one.step_seconds)
    if onset is None or not span or not one.start <= onset <= one.start + span:
        return []
    x = _x((onset - one.start) / span)
    anchor = "end" if x > WIDTH * 0.8 else "start"
    near = x - 4 if anchor == "end" else x + 4
    return [
        f'<path class="onset" d="M{x} {TOP}V{HEIGHT - BOTTOM}"/>',
        f'<text class="onset" x="{near}" y="{TOP + 10}" text-anchor="{anchor}">onset {onset:%H:%M:%S}</text>',
    ]


def _legend(shown: Sequence[Named]) -> list[str]:
    if len(shown) < 2:
        return []
    step = 60
    start = WIDTH - RIGHT - step * len(shown)
    return [
        f'<path class="line {colour}" d="M{start + step * n} 10h14"/>'
        f'<text x="{start + step * n + 18}" y="14">{escape(name)}</text>'
        for n, (name, colour, _) in enumerate(shown)
    ]


def _last(series: Series) -> float | None:
    return next((value for value in reversed(series) if value is not None), None)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == 0 else f"{value:.3g}"
