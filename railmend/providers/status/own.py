"""Pages that providers build themselves: Google, AWS, Slack, Heroku.

Sources: Google's `incidents.json`, AWS Health's public `currentevents` (status 0 resolved, 1 informational,
2 degraded, 3 disrupted), Slack's "Status API v2.0.0", Heroku's "Status API v4".
All raise `ValueError` for a body in another format.
"""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from railmend.contracts.providers import Impact, ProviderIncident
from railmend.providers.status.shared import Moment, decoded, json_list, json_object, make_incident


class _Titled(BaseModel):
    title: str = ""


class _GoogleUpdate(BaseModel):
    text: str = ""


class _GoogleIncident(BaseModel):
    begin: Moment
    end: Moment | None = None
    external_desc: str = ""
    status_impact: str = ""
    service_name: str = ""
    affected_products: list[_Titled] = []
    most_recent_update: _GoogleUpdate | None = None


GOOGLE_IMPACT = {
    "SERVICE_OUTAGE": Impact.CRITICAL,
    "SERVICE_DISRUPTION": Impact.MAJOR,
    "SERVICE_INFORMATION": Impact.MINOR,
}


def google(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    rows = [_GoogleIncident.model_validate(row) for row in json_list(body)]
    return [
        make_incident(
            provider,
            row.external_desc or row.service_name or "Incident",
            GOOGLE_IMPACT.get(row.status_impact, Impact.MINOR),
            "resolved" if row.end else "open",
            row.begin,
            resolved=row.end,
            components=[product.title for product in row.affected_products],
            latest=row.most_recent_update.text if row.most_recent_update else "",
        )
        for row in rows
    ]


class _AwsLog(BaseModel):
    message: str = ""
    timestamp: float = 0


class _AwsEvent(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    date: float
    summary: str = ""
    status: str = "1"
    service_name: str = ""
    region_name: str = ""
    arn: str = ""
    event_log: list[_AwsLog] = []


AWS_IMPACT = {"1": Impact.NONE, "2": Impact.MINOR, "3": Impact.CRITICAL}


def aws(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    return [_aws_event(provider, _AwsEvent.model_validate(row)) for row in json_list(body)]


def _aws_event(provider: str, row: _AwsEvent) -> ProviderIncident:
    newest = max(row.event_log, key=lambda log: log.timestamp, default=_AwsLog(timestamp=row.date))
    over = row.status == "0"
    region = (row.arn.split(":") + [""] * 4)[3]
    return make_incident(
        provider,
        f"{row.summary or 'Event'} ({row.service_name}, {row.region_name} {region})",
        Impact.MAJOR if over else AWS_IMPACT.get(row.status, Impact.MINOR),
        "resolved" if over else "open",
        _moment(row.date),
        resolved=_moment(newest.timestamp) if over else None,
        components=[part for part in (row.service_name, region) if part],
        url="https://health.aws.amazon.com/health/status",
        latest=newest.message,
    )


def _moment(seconds: float) -> datetime:
    """Seconds since 1970; some feeds count milliseconds."""
    return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)


class _SlackNote(BaseModel):
    body: str = ""


class _SlackIncident(BaseModel):
    title: str
    type: str = "incident"
    status: str = "active"
    date_created: Moment
    date_updated: Moment | None = None
    url: str | None = None
    services: list[str] = []
    notes: list[_SlackNote] = []


SLACK_IMPACT = {
    "outage": Impact.CRITICAL,
    "incident": Impact.MAJOR,
    "notice": Impact.MINOR,
    "maintenance": Impact.MAINTENANCE,
}


def slack(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    """Return the incidents of `current`, or of `history`, which is a bare list."""
    is_history = decoded(body).lstrip().startswith("[")
    rows = list(json_list(body)) if is_history else json_object(body, "active_incidents")["active_incidents"]
    incidents = []
    for row in map(_SlackIncident.model_validate, rows):
        over = row.status in ("resolved", "completed", "cancelled")
        incidents.append(
            make_incident(
                provider,
                row.title,
                SLACK_IMPACT.get(row.type, Impact.MINOR),
                row.status,
                row.date_created,
                resolved=(row.date_updated or row.date_created) if over else None,
                components=row.services,
                url=row.url,
                latest=row.notes[0].body if row.notes else "",
            )
        )
    return incidents


class _HerokuSystem(BaseModel):
    system: str
    status: str


class _HerokuUpdate(BaseModel):
    contents: str = ""


class _HerokuIncident(BaseModel):
    title: str
    state: str = "open"
    created_at: Moment
    updated_at: Moment | None = None
    full_url: str | None = None
    updates: list[_HerokuUpdate] = []


class _Heroku(BaseModel):
    status: list[_HerokuSystem]
    incidents: list[_HerokuIncident] = []


def heroku(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    document = _Heroku.model_validate(json_object(body, "status"))
    colours = {system.status for system in document.status}
    worst = Impact.CRITICAL if "red" in colours else Impact.MAJOR if "orange" in colours else Impact.MINOR
    parts = [system.system for system in document.status if system.status != "green"]
    return [
        make_incident(
            provider,
            row.title,
            worst,
            row.state,
            row.created_at,
            resolved=(row.updated_at or row.created_at) if row.state == "resolved" else None,
            components=parts,
            url=row.full_url,
            latest=row.updates[0].contents if row.updates else "",
        )
        for row in document.incidents
    ]
