"""Pages of status page vendors: Atlassian Statuspage, Instatus, status.io, Better Stack.

Sources: Statuspage's "Status API v2" (which incident.io's pages answer too), Instatus' `summary.json`,
status.io's "Public Status API 1.0", Better Stack's `index.json`.
All raise `ValueError` for a body in another format.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from railmend.contracts.providers import Impact, ProviderIncident
from railmend.providers.status.shared import Moment, json_object, make_incident


class _Update(BaseModel):
    body: str | None = None


class _Component(BaseModel):
    name: str
    status: str = "operational"
    updated_at: Moment | None = None
    group: bool | None = False


class _StatuspageIncident(BaseModel):
    name: str
    status: str
    impact: str = "none"
    started_at: Moment | None = None
    created_at: Moment
    resolved_at: Moment | None = None
    shortlink: str | None = None
    components: list[_Component] | None = None
    incident_updates: list[_Update] | None = None
    scheduled_for: Moment | None = None


class _Indicator(BaseModel):
    indicator: str = "none"
    description: str = ""


class _Page(BaseModel):
    url: str | None = None
    updated_at: Moment | None = None


class _Statuspage(BaseModel):
    page: _Page | None = None
    status: _Indicator | None = None
    components: list[_Component] = []
    incidents: list[_StatuspageIncident] = []
    scheduled_maintenances: list[_StatuspageIncident] = []


COMPONENT_IMPACT = {
    "major_outage": Impact.CRITICAL,
    "full_outage": Impact.CRITICAL,
    "partial_outage": Impact.MAJOR,
    "degraded_performance": Impact.MINOR,
}


def statuspage(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    """Return the incidents of `summary.json` or `incidents.json`.

    If components are down but no incident is open, the components make one.
    """
    # incident.io's summary has no incidents; they are in `incidents.json`.
    document = _Statuspage.model_validate(json_object(body, "page"))
    active = [row for row in document.scheduled_maintenances if row.status in ("in_progress", "verifying")]
    incidents = [_statuspage_incident(provider, row) for row in (*document.incidents, *active)]
    if not any(incident.is_open and incident.impact is not Impact.MAINTENANCE for incident in incidents):
        incidents += _without_incident(provider, document)
    return incidents


def _statuspage_incident(provider: str, row: _StatuspageIncident) -> ProviderIncident:
    over = row.status in ("resolved", "postmortem", "completed")
    latest = row.incident_updates[0].body if row.incident_updates else None
    return make_incident(
        provider,
        row.name,
        _impact(row.impact),
        row.status,
        row.started_at or row.scheduled_for or row.created_at,
        resolved=(row.resolved_at or row.created_at) if over else None,
        components=[component.name for component in row.components or []],
        url=row.shortlink,
        latest=latest,
    )


def _without_incident(provider: str, document: _Statuspage) -> list[ProviderIncident]:
    page = document.page or _Page()
    down = [part for part in document.components if part.status in COMPONENT_IMPACT and not part.group]
    indicator = document.status or _Indicator()
    impact = max(
        [_impact(indicator.indicator), *(COMPONENT_IMPACT[part.status] for part in down)],
        key=list(Impact).index,
    )
    since = min((part.updated_at for part in down if part.updated_at), default=page.updated_at)
    if impact in (Impact.NONE, Impact.MAINTENANCE) or since is None:
        return []
    title = indicator.description or "Components are not operational"
    parts = [f"{part.name} ({part.status.replace('_', ' ')})" for part in down]
    return [
        make_incident(provider, title, impact, "no incident posted", since, components=parts, url=page.url)
    ]


def _impact(word: str) -> Impact:
    return Impact(word) if word in set(Impact) else Impact.NONE


# -- Instatus


class _InstatusIncident(BaseModel):
    name: str
    started: Moment
    status: str = "INVESTIGATING"
    impact: str = ""
    url: str | None = None


class _Instatus(BaseModel):
    page: dict[str, Any]
    active: list[_InstatusIncident] = Field([], alias="activeIncidents")


INSTATUS_IMPACT = {
    "MAJOROUTAGE": Impact.CRITICAL,
    "PARTIALOUTAGE": Impact.MAJOR,
    "DEGRADEDPERFORMANCE": Impact.MINOR,
}


def instatus(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    document = _Instatus.model_validate(json_object(body, "page"))
    return [
        make_incident(
            provider,
            row.name,
            INSTATUS_IMPACT.get(row.impact, Impact.MINOR),
            row.status.lower(),
            row.started,
            url=row.url,
        )
        for row in document.active
    ]


# -- status.io


class _StatusIoContainer(BaseModel):
    name: str


class _StatusIoMessage(BaseModel):
    details: str = ""
    status: int = 100


class _StatusIoIncident(BaseModel):
    name: str
    datetime_open: Moment
    messages: list[_StatusIoMessage] = []
    components_affected: list[_StatusIoContainer] = []


class _StatusIoResult(BaseModel):
    incidents: list[_StatusIoIncident] = []


class _StatusIo(BaseModel):
    result: _StatusIoResult


def statusio(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    """Return the open incidents.

    Codes: 300 degraded, 400 partial disruption, 500 disruption, 600 security event.
    """
    document = _StatusIo.model_validate(json_object(body, "result"))
    incidents = []
    for row in document.result.incidents:
        newest = row.messages[-1] if row.messages else _StatusIoMessage(status=300)
        impact = (
            Impact.CRITICAL
            if newest.status >= 500
            else Impact.MAJOR
            if newest.status >= 400
            else Impact.MINOR
        )
        parts = [part.name for part in row.components_affected]
        incidents.append(
            make_incident(
                provider, row.name, impact, "open", row.datetime_open, components=parts, latest=newest.details
            )
        )
    return incidents


# -- Better Stack


class _Report(BaseModel):
    title: str = ""
    starts_at: Moment
    ends_at: Moment | None = None
    report_type: str = ""
    aggregate_state: str = ""


class _PageState(BaseModel):
    aggregate_state: str
    updated_at: Moment


BETTERSTACK_IMPACT = {
    "downtime": Impact.CRITICAL,
    "degraded": Impact.MINOR,
    "maintenance": Impact.MAINTENANCE,
}


def betterstack(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    """Return the reports, or one of the page's own state if it is not operational and no report is open."""
    document = json_object(body, "data")
    page = _PageState.model_validate(document["data"]["attributes"])
    current = BETTERSTACK_IMPACT.get(page.aggregate_state, Impact.NONE)
    incidents = []
    for row in document.get("included") or []:
        if row.get("type") != "status_report":
            continue
        report = _Report.model_validate(row["attributes"])
        planned = report.report_type == "maintenance"
        impact = BETTERSTACK_IMPACT.get(
            report.aggregate_state, current if not report.ends_at else Impact.MINOR
        )
        if report.starts_at <= now:
            incidents.append(
                make_incident(
                    provider,
                    report.title or "Incident",
                    Impact.MAINTENANCE if planned else impact,
                    "resolved" if report.ends_at and report.ends_at <= now else "open",
                    report.starts_at,
                    resolved=report.ends_at if report.ends_at and report.ends_at <= now else None,
                )
            )
    if current is not Impact.NONE and not any(incident.is_open for incident in incidents):
        title = f"The page says: {page.aggregate_state}"
        incidents.append(make_incident(provider, title, current, "no report posted", page.updated_at))
    return incidents
