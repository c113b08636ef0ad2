"""Markdown as GitHub's pages show it: its dialect, the HTML that it lets through, and Mermaid's charts."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nh3
from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 700, 320, 64, 46, 54, 16
AXIS = re.compile(r'([xy])-axis "([^"]*)" (\S+) --> (\S+)')
SERIES = re.compile(r"(bar|line) \[(.+)\]")
TITLE = re.compile(r'title "([^"]*)"')
PALETTE = re.compile(r'%%\{init: .*"plotColorPalette": "([a-z, ]+)".*\}%%\n')
MERMAIDS = ("#ececff", "#8493a6", "#ffc3a0")
DRAWINGS = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)


def render(body: str | None) -> Markup:
    """Return what a reader sees of a body."""
    return Markup(nh3.clean(MARKDOWN.render(body or ""), url_schemes={"http", "https", "data"}))  # noqa: S704


def xychart(text: str) -> str:
    """Return a chart of Mermaid's as SVG. Raises `ValueError` for what is none, or cannot be drawn."""
    palette = PALETTE.match(text)
    colours = palette[1].split(", ") if palette else MERMAIDS
    head, *lines = text[palette.end() if palette else 0 :].strip().splitlines()
    title, axes, series = "", {}, []
    for line in map(str.strip, lines):
        if match := TITLE.fullmatch(line):
            title = match[1]
        elif match := AXIS.fullmatch(line):
            axes[match[1]] = (match[2], float(match[3]), float(match[4]))
        elif match := SERIES.fullmatch(line):
            series.append((match[1], [float(value) for value in match[2].split(",")]))
        else:
            raise ValueError(f"not understood: {line}")
    if head != "xychart-beta" or set(axes) != {"x", "y"} or not series:
        raise ValueError("no chart")
    return DRAWINGS.get_template("xychart.svg.j2").render(
        title=title, axes=axes, marks=_marks(series, axes["y"][2], colours),
        width=WIDTH, height=HEIGHT, left=LEFT, right=WIDTH - RIGHT, top=TOP, bottom=HEIGHT - BOTTOM,
    )  # fmt: skip


def _marks(
    series: Sequence[tuple[str, list[float]]], most: float, colours: Sequence[str]
) -> list[tuple[str, str, list[Any]]]:
    """Return kind, colour, and a bar's left, top, width and height or a line's points, in Mermaid's order."""
    tall = HEIGHT - TOP - BOTTOM
    found: list[tuple[str, str, list[Any]]] = []
    for (kind, values), colour in zip(series, colours, strict=False):
        step = (WIDTH - LEFT - RIGHT) / len(values)
        points = [
            (round(LEFT + step * (number + 0.5), 1), round(tall * value / most, 1))
            for number, value in enumerate(values)
        ]
        bars = [(x - step * 0.45, HEIGHT - BOTTOM - high, step * 0.9, high) for x, high in points]
        lines = [(x, HEIGHT - BOTTOM - high) for x, high in points]
        found.append((kind, colour, bars if kind == "bar" else lines))
    return found


def _fence(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    if token.info.strip() != "mermaid":
        return renderer.fence(tokens, at, options, env)
    try:
        drawing = xychart(token.content)
    except ValueError as error:
        return f"<p><b>Unable to render rich display</b>: {escape(str(error))}</p>"
    title = drawing.partition("<title>")[2].partition("</title>")[0]  # escaped by its template
    source = base64.b64encode(drawing.encode()).decode()
    return f'<p><img alt="{title}" src="data:image/svg+xml;base64,{source}"></p>'


MARKDOWN = MarkdownIt("gfm-like2", {"breaks": True})
MARKDOWN.add_render_rule("fence", _fence)
