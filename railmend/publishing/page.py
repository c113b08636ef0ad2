"""Everything at a glance, and incidents from charts to pull request, as one HTML page: live, or in a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from railmend.contracts.action import ActionRequest
from railmend.contracts.incident import EvidencePacket, IncidentReport
from railmend.contracts.measurement import MeasurementResult
from railmend.contracts.proof import Proof
from railmend.contracts.repair import RepairRequest
from railmend.contracts.status import RepairStatus, capitalized
from railmend.evidence.escaping import visible
from railmend.publishing.charts import shown_by
from railmend.publishing.page_charts import TITLES, Chart, charts
from railmend.publishing.screen import StatusScreen, WorkRow
from railmend.railway.model import Slice

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class ReportedIncident:
    """One incident. `series`: around it; without them `unseen` says why. `repair`: how its repair
    stands; None without one.
    """

    report: IncidentReport
    packet: EvidencePacket
    series: Slice | None = None
    unseen: str = ""
    repair: RepairStatus | None = None
    repair_id: str = ""

    @property
    def anchor(self) -> str:
        return anchor(self.report)

    @property
    def rank(self) -> int:
        """Return the place among others, as `status` orders: what waits, what is open, the rest."""
        return 2 if self.repair is None or self.repair.ended else 0 if self.repair.waits else 1

    @cached_property
    def charts(self) -> list[Chart]:
        onset = min(finding.onset for finding in self.report.request.findings)
        return charts(self.series, onset) if self.series else []

    @cached_property
    def main_chart(self) -> Chart | None:
        """Return the chart in which the worst finding shows, else the first; None without series."""
        titles = [TITLES[series] for series in shown_by(self.report.request.findings)]
        wanted = (chart for title in titles for chart in self.charts if chart.title == title)
        return next(wanted, next(iter(self.charts), None))


@dataclass(frozen=True)
class WorkDetail:
    """What a repair or an action does, as its worker reports: `offer` of an action, the rest of a repair.

    `proved`: what the proof came to; empty: none was made. `proof`: its rows, until the pull request is open.
    """

    request: RepairRequest | None = None
    offer: ActionRequest | None = None
    proved: str = ""
    proof: Proof | None = None
    measurements: tuple[MeasurementResult, ...] = ()


@dataclass(frozen=True)
class Live:
    """A page that is served. `by`: whose decisions its forms send. `notice`: what became of the last one."""

    by: str
    notice: str = ""


def anchor(report: IncidentReport) -> str:
    """Return the ID of an incident's place on the page."""
    return f"{report.request.environment_id}-{report.request.service.service_id}"


def moment(at: datetime) -> str:
    """Return a time in UTC and, where that is another, in this machine's zone."""
    utc, local = at.astimezone(UTC), at.astimezone()
    own = f"{local:%H:%M}" if local.date() == utc.date() else f"{local:%m-%d %H:%M}"
    return f"{utc:%Y-%m-%d %H:%M} UTC" + (f" ({own} {local:%Z})" if local.utcoffset() else "")


def _make_visible(value: Any) -> Any:
    # What a template has rendered itself is markup, a type of its own.
    return visible(value) if type(value) is str else value


ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    finalize=_make_visible,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters |= {"moment": moment, "capitalized": capitalized, "anchor": anchor}


def render_page(
    incidents: Sequence[ReportedIncident],
    made: datetime,
    screen: StatusScreen | None = None,
    details: Mapping[str, WorkDetail] | None = None,
    live: Live | None = None,
) -> str:
    """Return a whole HTML document. `details`: by the ID of a row of the screen. `live`: None in a file.

    Text from production is escaped, and odd characters made visible.
    """
    ordered = sorted(incidents, key=lambda incident: incident.rank)
    known = details or {}
    return ENVIRONMENT.get_template("page.html.j2").render(
        incidents=ordered,
        places={incident.anchor: incident for incident in ordered},
        waiting=_rows(screen.waiting if screen else (), known),
        work=_rows(screen.work if screen else (), known),
        made=made,
        screen=screen,
        live=live,
    )


def _rows(rows: Sequence[WorkRow], known: Mapping[str, WorkDetail]) -> list[tuple[WorkRow, WorkDetail]]:
    return [(row, known.get(row.id, WorkDetail())) for row in rows]
