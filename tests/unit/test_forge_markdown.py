"""The miniature GitHub shows a body as GitHub does, charts included."""

import base64
import re
from xml.etree import ElementTree

import pytest

from railmend.contracts.incident import MeasuredSeries
from railmend.publishing.charts import before_after, chart
from railyard.forge.markdown import render, xychart
from tests.unit.test_measurement import numbers

SVG = "{http://www.w3.org/2000/svg}"
MEASURED = numbers(memory_gb=0.25, memory_share=0.5, series={MeasuredSeries.MEMORY_GB: (0.1, None, 0.3, 0.4)})


def test_what_a_pull_request_is_made_of_is_shown_and_nothing_else_is_live() -> None:
    body = (
        "<!-- railmend {} -->\n| a | b |\n| --- | --- |\n| 1 | <code>x_</code> |\n\n"
        "<details><summary>E1: log</summary>\n\n```\n<code>&lt;</code>\n```\n\n</details>\n\n"
        "> one\n> two\n\nhttps://forge.example/1 <script>alert(1)</script><img src=x onerror=alert(1)>"
    )
    shown = render(body)
    for part in (
        "<td><code>x_</code></td>",
        "<details><summary>E1: log</summary>",
        "<pre><code>&lt;code&gt;&amp;lt;&lt;/code&gt;",
        "one<br>\ntwo",
        '<a href="https://forge.example/1"',
    ):
        assert part in shown, shown
    for part in ("railmend", "script", "onerror", "alert"):
        assert part not in shown


@pytest.mark.parametrize(
    ("text", "bars", "lines"),
    [
        (chart("web", MeasuredSeries.MEMORY_GB, MEASURED, MEASURED.window.start), 1, 2),
        (before_after("web", MeasuredSeries.MEMORY_GB, MEASURED, MEASURED), 4, 1),
    ],
    ids=["incident", "measurement"],
)
def test_a_chart_of_the_product_is_a_picture_with_its_title(text: str, bars: int, lines: int) -> None:
    shown = render(text)
    (source,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', shown)
    drawing = ElementTree.fromstring(base64.b64decode(source))  # noqa: S314 - made here
    assert len(list(drawing.iter(f"{SVG}polyline"))) == lines
    assert sum(rect.get("x") is not None for rect in drawing.iter(f"{SVG}rect")) == bars
    assert 'alt="web: memory' in shown
    assert "xychart" not in shown


@pytest.mark.parametrize("text", ["pie", "xychart-beta\n x", 'xychart-beta\n  x-axis "a" 0 --> b', ""])
def test_a_chart_that_cannot_be_drawn_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"chart|understood|unpack|float"):
        xychart(text or "\n")
    assert "Unable to render rich display" in render(f"```mermaid\n{text}\n```")
