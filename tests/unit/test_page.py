"""The HTML report: a document that a browser opens by itself, whatever production says."""

import html
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from io import StringIO
from xml.etree import ElementTree

import pytest

from commands import status_screen
from commands.page_content import MOST_POINTS, shown_window
from commands.terminal import SafeConsole
from railmend.contracts.incident import EvidenceItem
from railmend.contracts.measurement import MeasurementResult, MeasurementStatus
from railmend.contracts.proof import Proof, ProofRow, ProofVerdict
from railmend.contracts.repair import PullRequest, RepairOutcome, RepairResult
from railmend.contracts.scan import Window
from railmend.contracts.status import RepairStatus, status_of_result
from railmend.publishing import page_charts
from railmend.publishing.page import ENVIRONMENT, Live, ReportedIncident, WorkDetail, moment, render_page
from railmend.publishing.screen import IncidentRow, ProjectStatus, StatusScreen, WorkRow
from railmend.railway.model import Slice
from tests import samples
from tests.unit.test_status_screen import COMMAND, ID, SCREEN

EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>"
VOID = {"meta", "br", "img", "link", "input"}


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


def test_the_page_begins_with_what_waits_and_its_incidents_are_in_that_order() -> None:
    opened = RepairResult(
        outcome=RepairOutcome.PULL_REQUEST, reason="", pull_request=PullRequest(number=1, url="u", head="a")
    )
    stand = {
        "ended": status_of_result(RepairResult(outcome=RepairOutcome.HELD, reason="")),
        "coding": RepairStatus(label="a fix is being written"),
        "waits": status_of_result(opened).model_copy(update={"ended": False}),
    }
    incidents = [incident(repair=status, repair_id=f"repair/{name}") for name, status in stand.items()]
    text = render_page(incidents, samples.NOW, SCREEN)
    places = [text.index(f"repair/{name}<") for name in ("waits", "coding", "ended")]
    assert places == sorted(places)
    headings = (
        "Waits for you",
        "Project shop",
        "Open incidents",
        "Repairs",
        "Incidents",
        "Could not be seen",
    )
    found = [text.index(f">{heading}</h2>") for heading in headings]
    assert found == sorted(found)
    assert text.index(COMMAND) < found[1]


def test_the_page_has_all_that_the_terminal_shows() -> None:
    out = StringIO()
    status_screen.render(SCREEN, SafeConsole(file=out, width=2000))
    shown = html.unescape(re.sub(r"<[^>]*>|\s+", " ", render_page([], samples.NOW, SCREEN)))
    words = {word.strip("(:;,.)") for word in re.sub(r"\s+", " ", out.getvalue()).split()}
    missing = {word for word in words if word not in shown}
    # The page says it in other words: the terminal's marks, its seconds, and that all its times are UTC.
    assert missing == {"!", "09:00:00", "started", "are", "times"}


def plan(**changes: object) -> dict[str, WorkDetail]:
    return {ID: WorkDetail(request=samples.repair(), **changes)}  # type: ignore[arg-type]


def test_a_plan_that_waits_is_shown_whole_beside_its_decision() -> None:
    text = render_page([incident()], samples.NOW, SCREEN, plan(), Live("ada"))
    waiting = text[text.index('id="waits"') : text.index('id="projects"')]
    report = samples.repair().incidents[0]
    for shown in (
        report.diagnosis.summary,
        *report.diagnosis.plan,
        samples.repair().plan_hash,
        "acme/checkout",
    ):
        assert html.escape(shown) in waiting
    (form,) = re.findall(r"<form.*?</form>", waiting, re.DOTALL)
    assert f'name="id" value="{ID}"' in form
    assert f'name="plan" value="{samples.repair().plan_hash}"' in form
    assert re.findall(r'name="decision" value="(\w+)"', form) == ["approve", "reject"]
    assert "<form" not in render_page([incident()], samples.NOW, SCREEN, plan()), "a file decides nothing"
    unseen = render_page([incident()], samples.NOW, SCREEN, live=Live("ada"))
    assert "<form" not in unseen, "nobody approves what is not shown"
    assert COMMAND in unseen


def test_proof_and_measurement_of_a_repair_stand_with_it() -> None:
    row = ProofRow(what="regression test", base="fails", change="passes", verdict=ProofVerdict.PASSED)
    measured = MeasurementResult(status=MeasurementStatus.HELD, sentence="Memory is level.")
    text = render_page(
        [], samples.NOW, SCREEN, plan(proved="unproven", proof=Proof(rows=(row,)), measurements=(measured,))
    )
    for shown in (
        "<b>Proof:</b> unproven",
        "<td>regression test</td><td>fails</td><td>passes</td>",
        "Memory is level.",
    ):
        assert shown in text
    assert "Measured in production" not in render_page([], samples.NOW, SCREEN, plan())


def test_a_person_elsewhere_reads_the_time_of_the_place_too(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 1, 1, 23, 30, tzinfo=UTC)
    try:
        for zone, shown in (
            ("UTC", ""),
            ("Europe/Berlin", " (01-02 00:30 CET)"),
            ("America/Lima", " (18:30 -05)"),
        ):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert moment(at) == f"2026-01-01 23:30 UTC{shown}"
            (first, *_) = page_charts.charts(slice_of(cpu=[1.0, 2.0]), None)
            assert len(first.times[0][2]) == (1 if zone == "UTC" else 2)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_small_chart_is_the_one_in_which_the_finding_shows() -> None:
    leak = incident(series=slice_of(cpu=[0.1, 0.2], memory_gb=[0.1, 0.3], memory_limit_gb=[0.5, 0.5]))
    assert leak.main_chart is not None
    assert leak.main_chart.summary == "memory, GB: 0.1 to 0.3, limit 0.5"
    assert incident(series=None).main_chart is None


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
    status = RepairStatus(label=HOSTILE, detail=HOSTILE, waits=True, command=HOSTILE, link=HOSTILE)
    row = WorkRow(id=HOSTILE, services=[HOSTILE], started=samples.NOW, status=status)
    project = ProjectStatus(
        project=HOSTILE, services={"affected": [HOSTILE]}, problems=[HOSTILE], unseen=[HOSTILE]
    )
    known = dict.fromkeys(IncidentRow.model_fields, HOSTILE) | {
        "since": samples.NOW,
        "until": None,
        "times": 1,
    }
    fault = IncidentRow.model_validate(known)
    screen = StatusScreen(
        at=samples.NOW, waiting=[row], projects=[project], incidents=[fault], work=[row], unseen=[HOSTILE]
    )
    proof = Proof(
        rows=(
            ProofRow(what=HOSTILE, base=HOSTILE, change=HOSTILE, verdict=ProofVerdict.PASSED, reason=HOSTILE),
        )
    )
    measured = MeasurementResult(status=MeasurementStatus.HELD, sentence=HOSTILE)
    request = samples.repair().model_copy(update={"incidents": (report,), "repository": HOSTILE})
    details = {HOSTILE: WorkDetail(request=request, proved=HOSTILE, proof=proof, measurements=(measured,))}
    shown = incident(
        report=report, packet=packet, repair_id=HOSTILE, repair=RepairStatus(label="x", link=HOSTILE)
    )
    text = render_page([shown, incident()], samples.NOW, screen, details, Live(HOSTILE, HOSTILE))
    read = Reader(text)
    assert read.open == []
    assert "img" not in read.tags
    assert read.fetched == ["/page.js"]
    assert 'onerror="' not in text
    assert "{{ 7*7 }}" in text
    assert read.targets <= read.ids


def test_what_nobody_sees_is_made_visible() -> None:
    report = samples.report()
    diagnosis = report.diagnosis.model_copy(update={"summary": "approve \u202eetorw yltcaxe\u200b"})
    text = render_page([incident(report=report.model_copy(update={"diagnosis": diagnosis}))], samples.NOW)
    assert "approve " in text
    assert not {"\u202e", "\u200b"} & set(text)
