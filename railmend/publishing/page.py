"""Incidents as one HTML page, from charts to pull request: self-contained, no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from railmend.contracts.incident import EvidencePacket, IncidentReport
from railmend.contracts.status import RepairStatus
from railmend.evidence.escaping import visible
from railmend.publishing.page_charts import Chart, charts
from railmend.railway.model import Slice


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
        request = self.report.request
        return f"{request.environment_id}-{request.service.service_id}"

    @property
    def rank(self) -> int:
        """Return the place among others, as `status` orders: what waits, what is open, the rest."""
        return 2 if self.repair is None or self.repair.ended else 0 if self.repair.waits else 1

    @property
    def charts(self) -> list[Chart]:
        onset = min(finding.onset for finding in self.report.request.findings)
        return charts(self.series, onset) if self.series else []

    @property
    def cited(self) -> set[str]:
        """Return the IDs of the evidence that a cause cites."""
        return {evidence_id for cause in self.report.diagnosis.causes for evidence_id in cause.evidence}


def _make_visible(value: Any) -> Any:
    # What a template has rendered itself is markup, a type of its own.
    return visible(value) if type(value) is str else value


ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    finalize=_make_visible,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_page(incidents: Sequence[ReportedIncident], made: datetime, status: str = "") -> str:
    """Return a whole HTML document; `status`: the screen of `starter.py status`, as text, to begin with.

    Text from production is escaped, and odd characters made visible.
    """
    ordered = sorted(incidents, key=lambda incident: incident.rank)
    return ENVIRONMENT.get_template("page.html.j2").render(incidents=ordered, made=made, status=status)
