"""The JSON of status pages: of vendors, and of providers that build their own.

Sources: Statuspage's "Status API v2" (which incident.io's pages answer too), Instatus' `summary.json`,
status.io's "Public Status API 1.0" (codes: 300 degraded, 400 partial disruption, 500 disruption, 600 security
event), Better Stack's `index.json`, Google's `incidents.json`, AWS Health's public `currentevents` (status 0
resolved, 1 informational, 2 degraded, 3 disrupted), Slack's "Status API v2.0.0", Heroku's "Status API v4".
All raise `ValueError` for a body in another format.
"""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from railmend.contracts.providers import Impact, ProviderIncident
from railmend.providers.status.shared import Moment, PostedIncident, decoded, json_list, json_object

GRADES = {
    "statuspage": {impact.value: impact for impact in Impact},
    "component": {
        "major_outage": Impact.CRITICAL,
        "full_outage": Impact.CRITICAL,
        "partial_outage": Impact.MAJOR,
        "degraded_performance": Impact.MINOR,
    },
    "instatus": {"MAJOROUTAGE": Impact.CRITICAL, "PARTIALOUTAGE": Impact.MAJOR},
    "betterstack": {
        "downtime": Impact.CRITICAL,
        "degraded": Impact.MINOR,
        "maintenance": Impact.MAINTENANCE,
    },
    "statusio": {"400": Impact.MAJOR, "500": Impact.CRITICAL, "600": Impact.CRITICAL},
    "google": {"SERVICE_OUTAGE": Impact.CRITICAL, "SERVICE_DISRUPTION": Impact.MAJOR},
    "aws": {"0": Impact.MAJOR, "1": Impact.NONE, "3": Impact.CRITICAL},
    "slack": {
        "outage": Impact.CRITICAL,
        "incident": Impact.MAJOR,
        "": Impact.MAJOR,
        "maintenance": Impact.MAINTENANCE,
    },
}


def _graded(form: str, word: str, otherwise: Impact = Impact.MINOR) -> Impact:
    """Return the impact that a page's word means."""
    return GRADES[form].get(word, otherwise)


class _Component(BaseModel):
    name: str
    status: str = "operational"
    updated_at: Moment | None = None
    group: bool | None = False


class _Page(BaseModel):
    url: str | None = None
    updated_at: Moment | None = None


class _Indicator(BaseModel):
    indicator: str = "none"
    description: str = ""


class _Statuspage(BaseModel):
    page: _Page | None = None
    status: _Indicator | None = None
    components: list[_Component] = []
    incidents: list[PostedIncident] = []
    scheduled_maintenances: list[PostedIncident] = []


def statuspage(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    """Return the incidents of `summary.json` or `incidents.json`.

    If components are down but no incident is open, the components make one.
    """
    # incident.io's summary has no incidents; they are in `incidents.json`.
    document = _Statuspage.model_validate(json_object(body, "page"))
    active = [row for row in document.scheduled_maintenances if row.state in ("in_progress", "verifying")]
    incidents = [
        row.incident(provider, _graded("statuspage", row.grade, Impact.NONE))
        for row in (*document.incidents, *active)
    ]
    if not any(incident.is_open and incident.impact is not Impact.MAINTENANCE for incident in incidents):
        incidents += _without_incident(provider, document)
    return incidents


def _without_incident(provider: str, document: _Statuspage) -> list[ProviderIncident]:
    page, status = document.page or _Page(), document.status or _Indicator()
    down = [part for part in document.components if part.status in GRADES["component"] and not part.group]
    graded = [_graded("component", part.status) for part in down]
    impact = max([_graded("statuspage", status.indicator, Impact.NONE), *graded], key=list(Impact).index)
    since = min((part.updated_at for part in down if part.updated_at), default=page.updated_at)
    if impact in (Impact.NONE, Impact.MAINTENANCE) or since is None:
        return []
    row = PostedIncident(
        title=status.description or "Components are not operational",
        started=since,
        state="no incident posted",
        components=[f"{part.name} ({part.status.replace('_', ' ')})" for part in down],
        url=page.url or "",
    )
    return [row.incident(provider, impact)]


class _Instatus(BaseModel):
    page: dict[str, Any]
    active: list[PostedIncident] = Field([], validation_alias="activeIncidents")


def instatus(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    document = _Instatus.model_validate(json_object(body, "page"))
    return [row.incident(provider, _graded("instatus", row.grade)) for row in document.active]


class _StatusIoResult(BaseModel):
    incidents: list[PostedIncident] = []


class _StatusIo(BaseModel):
    result: _StatusIoResult


def statusio(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    document = _StatusIo.model_validate(json_object(body, "result"))
    return [row.incident(provider, _graded("statusio", row.grade)) for row in document.result.incidents]


class _Report(BaseModel):
    title: str = ""
    starts_at: Moment
    ends_at: Moment | None = None
    report_type: str = ""
    aggregate_state: str = ""


class _PageState(BaseModel):
    aggregate_state: str
    updated_at: Moment


def betterstack(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    """Return the reports, or one of the page's own state if it is not operational and no report is open."""
    document = json_object(body, "data")
    page = _PageState.model_validate(document["data"]["attributes"])
    current = _graded("betterstack", page.aggregate_state, Impact.NONE)
    rows = [row for row in document.get("included") or [] if row.get("type") == "status_report"]
    reports = [_Report.model_validate(row["attributes"]) for row in rows]
    incidents = [_reported(provider, report, current, now) for report in reports if report.starts_at <= now]
    if current is not Impact.NONE and not any(incident.is_open for incident in incidents):
        title = f"The page says: {page.aggregate_state}"
        row = PostedIncident(title=title, started=page.updated_at, state="no report posted")
        incidents.append(row.incident(provider, current))
    return incidents


def _reported(provider: str, report: _Report, current: Impact, now: datetime) -> ProviderIncident:
    otherwise = Impact.MINOR if report.ends_at else current
    impact = _graded("betterstack", report.aggregate_state, otherwise)
    if report.report_type == "maintenance":
        impact = Impact.MAINTENANCE
    over = report.ends_at is not None and report.ends_at <= now
    row = PostedIncident(
        title=report.title or "Incident",
        started=report.starts_at,
        state="resolved" if over else "open",
        ended=report.ends_at,
    )
    return row.incident(provider, impact)


def google(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    incidents = []
    for row in map(PostedIncident.model_validate, json_list(body)):
        row.state = "resolved" if row.ended else "open"
        incidents.append(row.incident(provider, _graded("google", row.grade)))
    return incidents


class _AwsLog(BaseModel):
    message: str = ""
    timestamp: Moment = datetime.fromtimestamp(0, UTC)


class _AwsEvent(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    date: Moment  # in seconds or, in some feeds, in milliseconds
    summary: str = ""
    status: str = "1"
    service_name: str = ""
    region_name: str = ""
    arn: str = ""
    event_log: list[_AwsLog] = []


def aws(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    return [_aws_event(provider, _AwsEvent.model_validate(row)) for row in json_list(body)]


def _aws_event(provider: str, event: _AwsEvent) -> ProviderIncident:
    newest = max(event.event_log, key=lambda log: log.timestamp, default=_AwsLog(timestamp=event.date))
    region = (event.arn.split(":") + [""] * 4)[3]
    row = PostedIncident(
        title=f"{event.summary or 'Event'} ({event.service_name}, {event.region_name} {region})",
        started=event.date,
        state="resolved" if event.status == "0" else "open",
        ended=newest.timestamp,
        components=[part for part in (event.service_name, region) if part],
        url="https://health.aws.amazon.com/health/status",
        latest=newest.message,
    )
    return row.incident(provider, _graded("aws", event.status))


def slack(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    """Return the incidents of `current`, or of `history`, which is a bare list."""
    is_history = decoded(body).lstrip().startswith("[")
    rows = json_list(body) if is_history else json_object(body, "active_incidents")["active_incidents"]
    return [
        row.incident(provider, _graded("slack", row.grade))
        for row in map(PostedIncident.model_validate, rows)
    ]


class _HerokuSystem(BaseModel):
    system: str
    status: str


class _Heroku(BaseModel):
    status: list[_HerokuSystem]
    incidents: list[PostedIncident] = []


def heroku(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    document = _Heroku.model_validate(json_object(body, "status"))
    colours = {system.status for system in document.status}
    worst = Impact.CRITICAL if "red" in colours else Impact.MAJOR if "orange" in colours else Impact.MINOR
    parts = [system.system for system in document.status if system.status != "green"]
    return [
        row.model_copy(update={"components": parts}).incident(provider, worst) for row in document.incidents
    ]
