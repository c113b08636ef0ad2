"""The HTML report: a document that a browser opens by itself, whatever production says."""

from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from commands.page_content import MOST_POINTS, shown_window
from railmend.contracts.incident import EvidenceItem
from railmend.contracts.repair import PullRequest, RepairOutcome, RepairResult
from railmend.contracts.scan import Window
from railmend.contracts.status import RepairStatus, status_of_result
from railmend.publishing import page_charts
from railmend.publishing.page import ENVIRONMENT, ReportedIncident, render_page
from railmend.railway.model import Slice
from tests import samples

EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>"
VOID = {"meta", "br", "img", "link"}


class Reader(HTMLParser):
    """Collects tags and attributes, and whether every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = dict(attrs)
        self.fetched += [value for name in ("src", "data", "srcset") if (value := values.get(name))]
        self.ids.add(values.get("id") or "")
        if (values.get("href") or "").startswith("#"):
            self.targets.add((values["href"] or "")[1:])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def slice_of(**series: object) -> Slice:
    base = {"service_id": "id", "start": samples.WINDOW.start, "step_seconds": 60}
    return Slice.model_validate({**base, **series})


def charts(measured: Slice, onset: datetime | None) -> list[str]:
    """The charts as the page draws them."""
    template = ENVIRONMENT.get_template("chart.svg.j2")
    return [template.render(chart=chart, small=False) for chart in page_charts.charts(measured, onset)]


def incident(**changes: object) -> ReportedIncident:
    series = slice_of(cpu=[0.1, None, 0.3], memory_gb=[0.1, 0.2, 0.3])
    return replace(
        ReportedIncident(report=samples.report(), packet=samples.packet(), series=series), **changes
    )  # type: ignore[arg-type]


def test_the_page_needs_nothing_else_and_its_citations_lead_somewhere() -> None:
    read = Reader(render_page([incident()], samples.NOW))
    assert read.open == []
    assert not read.tags & {"script", "link", "iframe", "img"}
    assert read.fetched == []
    assert read.targets
    assert read.targets <= read.ids


def test_what_production_says_stays_text() -> None:
    report = samples.report()
    item = EvidenceItem(id="E1", kind="deploy_log", source=EVIL, text=EVIL)
    report = report.model_copy(
        update={
            "diagnosis": report.diagnosis.model_copy(update={"summary": EVIL, "plan": (EVIL,)}),
        }
    )
    packet = samples.packet().model_copy(update={"items": (item,)})
    text = render_page([incident(report=report, packet=packet)], samples.NOW)
    assert not Reader(text).tags & {"script", "img"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize(
    ("url", "linked"), [("https://github.com/acme/x/pull/1", True), ("javascript:alert(1)", False)]
)
def test_only_an_address_of_the_web_becomes_a_link(url: str, linked: bool) -> None:
    pull = PullRequest(number=1, url=url, head="a")
    repair = status_of_result(RepairResult(outcome=RepairOutcome.PULL_REQUEST, reason="", pull_request=pull))
    assert (f'<a href="{url}">' in render_page([incident(repair=repair)], samples.NOW)) is linked


def test_without_series_the_charts_of_the_evidence_stand_there_and_the_reason() -> None:
    item = EvidenceItem(id="E2", kind="chart", source="series", text="CPU ▁▂▃")
    packet = samples.packet().model_copy(update={"items": (item,)})
    text = render_page([incident(packet=packet, series=None, unseen="Railway was down.")], samples.NOW)
    assert "CPU ▁▂▃" in text
    assert "Railway was down." in text


def test_a_chart_is_valid_breaks_at_a_gap_and_marks_the_onset() -> None:
    measured = slice_of(memory_gb=[0.1, None, 0.3], memory_limit_gb=[0.5, 0.5, 0.5])
    (svg,) = charts(measured, measured.start + timedelta(minutes=1))
    drawing = ElementTree.fromstring(svg)  # noqa: S314 - made here
    paths = {path.get("class"): path.get("d", "") for path in drawing.iter("path")}
    assert paths["line ok"].count("M") == 2
    assert "onset" in paths
    assert "limit" in paths


def test_quantities_without_samples_are_not_drawn() -> None:
    assert charts(slice_of(cpu=[None, None], http={"5xx": [0, 0]}), None) == []


def test_a_spike_survives_the_thinning() -> None:
    values: list[float | None] = [1.0] * 5000
    values[2500] = 9.0
    (svg,) = charts(slice_of(cpu=values), None)
    heights = [
        float(part.split()[1]) for part in svg.split('class="line ok" d="M')[1].split('"')[0].split("L")
    ]
    assert min(heights) < 40 < max(heights)


def test_the_stretch_shown_reaches_before_and_after_the_window() -> None:
    window = Window(start=samples.NOW - timedelta(hours=3), end=samples.NOW, step_seconds=60)
    wide = shown_window(window, samples.NOW + timedelta(days=2))
    assert wide.start == window.start - timedelta(hours=3)
    assert wide.end == window.end + timedelta(hours=6)
    assert wide.length.total_seconds() / wide.step_seconds <= MOST_POINTS + 1
    assert shown_window(window, samples.NOW).end == window.end


def test_the_page_begins_as_the_status_screen_does_and_with_what_waits() -> None:
    opened = RepairResult(
        outcome=RepairOutcome.PULL_REQUEST, reason="", pull_request=PullRequest(number=1, url="u", head="a")
    )
    stand = {
        "ended": status_of_result(RepairResult(outcome=RepairOutcome.HELD, reason="")),
        "coding": RepairStatus(label="a fix is being written"),
        "waits": status_of_result(opened).model_copy(update={"ended": False}),
    }
    incidents = [incident(repair=status, repair_id=f"repair/{name}") for name, status in stand.items()]
    text = render_page(incidents, samples.NOW, "Waits for you\n  <nothing>")
    places = [text.index(f"repair/{name}<") for name in ("waits", "coding", "ended")]
    assert places == sorted(places)
    assert text.index("Waits for you\n  &lt;nothing&gt;") < min(places)


HOSTILE = """'"><script>alert(1)</script><img src=x onerror="alert(1)">{{ 7*7 }}{% raw %}{# c #}"""


def test_nothing_hostile_is_live_wherever_it_stands() -> None:
    report = samples.report()
    service = report.request.service.model_copy(update={"name": HOSTILE, "service_id": HOSTILE})
    item = EvidenceItem(id=HOSTILE, kind="deploy_log", source=HOSTILE, text=HOSTILE)
    cause = report.diagnosis.causes[0].model_copy(
        update={"text": HOSTILE, "evidence": (HOSTILE,), "against": (HOSTILE,)}
    )
    words = dict.fromkeys(("summary", "verify", "risk", "model"), HOSTILE)
    report = report.model_copy(
        update={
            "request": report.request.model_copy(update={"service": service}),
            "diagnosis": report.diagnosis.model_copy(
                update={**words, "plan": (HOSTILE,), "causes": (cause,)}
            ),
        }
    )
    packet = samples.packet().model_copy(update={"items": (item,), "unseen": (HOSTILE,)})
    text = render_page([incident(report=report, packet=packet, repair_id=HOSTILE), incident()], samples.NOW)
    read = Reader(text)
    assert read.open == []
    assert not read.tags & {"script", "img"}
    assert read.fetched == []
    assert 'onerror="' not in text
    assert "{{ 7*7 }}" in text
    assert read.targets <= read.ids
