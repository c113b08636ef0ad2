"""Draw docs/assessment.svg from generated slices: each incident above healthy behaviour that resembles it."""

from pathlib import Path

from bench.detection import generate
from railmend.assessment.recorded import Recorded
from railmend.assessment.rules import assess
from railmend.railway.model import Series

TARGET = Path(__file__).resolve().parent.parent / "docs" / "assessment.svg"
WIDTH, HEIGHT, GAP, TOP = 168, 84, 14, 22
# Case, series, and what it is called; the second of each pair is healthy.
PAIRS = (
    (("leak", "memory", "memory leak"), ("cache", "memory", "cache filling up")),
    (("leak_killed", "memory", "leak, killed"), ("collector", "memory", "garbage collected")),
    (("throttled", "cpu", "CPU saturation"), ("batch", "cpu", "batch work")),
    (("refusing", "4xx", "client errors"), ("scan", "4xx", "a scan for 404s")),
    (("slower", "p95", "latency"), ("quick", "p95", "slower, still quick")),
)


def series(recorded: Recorded, name: str) -> tuple[Series, float | None]:
    """The values, and their limit if they have recorded."""
    if name == "memory":
        return recorded.memory_gb, recorded.memory_limit
    if name == "cpu":
        return recorded.cpu, recorded.cpu_limit
    return ((recorded.latency_ms or {}) | (recorded.http or {}))[name], None


def panel(recorded: Recorded, name: str, title: str, x: int, y: int) -> str:
    values, limit = series(recorded, name)
    top = 1.08 * max(
        [value for value in values if value is not None] + [limit or 0, 400 if name == "p95" else 0]
    )
    findings = assess(recorded.slice(), recorded.subject(), environment_id="picture")
    colour = "#c0392b" if findings else "#2c7a4b"

    def at(value: float) -> float:
        return y + HEIGHT * (1 - value / top)

    points = " ".join(
        f"{x + WIDTH * index / (len(values) - 1):.1f},{at(value):.1f}"
        for index, value in enumerate(values)
        if value is not None
    )
    lines = [
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" fill="#fff" stroke="#d0d4d9"/>',
        f'<text x="{x}" y="{y - 6}" fill="#24292f">{title}</text>',
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>',
    ]
    if limit is not None:
        lines.append(f'<path d="M{x} {at(limit):.1f}h{WIDTH}" stroke="#8a929b" stroke-dasharray="3 3"/>')
    if findings:
        minutes = (findings[0].onset - recorded.start).total_seconds() / 60
        onset = x + WIDTH * minutes / len(values)
        lines.append(f'<path d="M{onset:.1f} {y}v{HEIGHT}" stroke="#c0392b" stroke-width=".8" opacity=".6"/>')
    return "\n".join(lines)


def draw() -> str:
    slices = {str(row["id"]): Recorded.model_validate(row) for row, _ in generate(1, seed=5, lengths=(180,))}
    panels = [
        panel(
            slices[f"{case}-0"],
            name,
            title,
            GAP + column * (WIDTH + GAP),
            TOP + row_number * (HEIGHT + TOP + GAP),
        )
        for column, pair in enumerate(PAIRS)
        for row_number, (case, name, title) in enumerate(pair)
    ]
    width, height = GAP + len(PAIRS) * (WIDTH + GAP), 2 * (HEIGHT + TOP + GAP)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
    return "\n".join(
        [
            f'{head} font-size="12">',
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *panels,
            "</svg>",
        ]
    )


if __name__ == "__main__":
    TARGET.write_text(draw() + "\n")
