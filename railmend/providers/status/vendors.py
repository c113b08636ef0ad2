"""Pages of status page vendors: Atlassian Statuspage, Instatus, status.io, Better Stack.

Sources: Statuspage's "Status API v2" (which incident.io's pages answer too), Instatus' `summary.json`,
status.io's "Public Status API 1.0", Better Stack's `index.json`.
Pure; `ValueError` for a body that is not of the format.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from railmend.contracts.providers import Impact, ProviderIncident
from railmend.providers.status.shared import Moment, incident, json_object


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
    """`summary.json` or `incidents.json`. Where parts are down and no incident is open, the parts speak."""
    # incident.io's summary has no incidents; they are in the other document.
    document = _Statuspage.model_validate(json_object(body, "page"))
    found = [_statuspage_incident(provider, one) for one in document.incidents]
    found += [
        _statuspage_incident(provider, one)
        for one in document.scheduled_maintenances
        if one.status in ("in_progress", "verifying")
    ]
    if not any(one.is_open and one.impact is not Impact.MAINTENANCE for one in found):
        found += _without_incident(provider, document)
    return found


def _statuspage_incident(provider: str, one: _StatuspageIncident) -> ProviderIncident:
    over = one.status in ("resolved", "postmortem", "completed")
    latest = one.incident_updates[0].body if one.incident_updates else None
    return incident(
        provider,
        one.name,
        _impact(one.impact),
        one.status,
        one.started_at or one.scheduled_for or one.created_at,
        resolved=(one.resolved_at or one.created_at) if over else None,
        components=[component.name for component in one.components or []],
        url=one.shortlink,
        latest=latest,
    )


def _without_incident(provider: str, document: _Statuspage) -> list[ProviderIncident]:
    page = document.page or _Page()
    down = [one for one in document.components if one.status in COMPONENT_IMPACT and not one.group]
    indicator = document.status or _Indicator()
    impact = max(
        [_impact(indicator.indicator), *(COMPONENT_IMPACT[one.status] for one in down)],
        key=list(Impact).index,
    )
    since = min((one.updated_at for one in down if one.updated_at), default=page.updated_at)
    if impact in (Impact.NONE, Impact.MAINTENANCE) or since is None:
        return []
    title = indicator.description or "Components are not operational"
    parts = [f"{one.name} ({one.status.replace('_', ' ')})" for one in down]
    return [incident(provider, title, impact, "no incident posted", since, components=parts, url=page.url)]


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
        incident(
            provider,
            one.name,
            INSTATUS_IMPACT.get(one.impact, Impact.MINOR),
            one.status.lower(),
            one.started,
            url=one.url,
        )
        for one in document.active
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
    """Codes: 300 degraded, 400 partial disruption, 500 disruption, 600 security event."""
    document = _StatusIo.model_validate(json_object(body, "result"))
    found = []
    for one in document.result.incidents:
        newest = one.messages[-1] if one.messages else _StatusIoMessage(status=300)
        impact = (
            Impact.CRITICAL
            if newest.status >= 500
            else Impact.MAJOR
            if newest.status >= 400
            else Impact.MINOR
        )
        parts = [part.name for part in one.components_affected]
        found.append(
            incident(
                provider, one.name, impact, "open", one.datetime_open, components=parts, latest=newest.details
            )
        )
    return found


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
    """A page that is not operational speaks for itself where no report is open."""
    document = json_object(body, "data")
    page = _PageState.model_validate(document["data"]["attributes"])
    current = BETTERSTACK_IMPACT.get(page.aggregate_state, Impact.NONE)
    found = []
    for row in document.get("included") or []:
        if row.get("type") != "status_report":
            continue
        report = _Report.model_validate(row["attributes"])
        planned = report.report_type == "maintenance"
        impact = BETTERSTACK_IMPACT.get(
            report.aggregate_state, current if not report.ends_at else Impact.MINOR
        )
        if report.starts_at <= now:
            found.append(
                incident(
                    provider,
                    report.title or "Incident",
                    Impact.MAINTENANCE if planned else impact,
                    "resolved" if report.ends_at and report.ends_at <= now else "open",
                    report.starts_at,
                    resolved=report.ends_at if report.ends_at and report.ends_at <= now else None,
                )
            )
    if current is not Impact.NONE and not any(one.is_open for one in found):
        title = f"The page says: {page.aggregate_state}"
        found.append(incident(provider, title, current, "no report posted", page.updated_at))
    return found
