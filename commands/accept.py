"""`starter.py accept`: what was always bad is the normal of a service, because a person says so."""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import JsonOption, ProjectOption, answer, run

if TYPE_CHECKING:
    from railmend.contracts.scan import FindingKind

# Without an end of its own, somebody looks again after a year.
LONGEST = timedelta(days=365)


def accept(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="Its name or id.")],
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Kind of the chronic finding: latency, ...")],
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The last day (UTC), 2027-01-31; default: in a year.")
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept in the ledger.")] = "",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept a chronic finding as normal for a service.

    It is neither reported nor investigated until then. If it gets worse, that is an incident again.
    """
    fingerprint, end = run(_accept(service, kind, until, reason, project))
    text = f"{fingerprint}: accepted until {end:%Y-%m-%d %H:%M} UTC."
    answer({"fingerprint": fingerprint, "until": end}, text, as_json=as_json)


async def _accept(
    service: str, kind: str, until: str | None, reason: str, project: str | None
) -> tuple[str, datetime]:
    """Return fingerprint and end. Raises `ConfigurationError` for an unknown service, kind or date."""
    from commands import ledgers
    from commands.scan_request import choose_project
    from railmend.contracts.scan import fingerprint
    from railmend.settings_file import load_settings

    wanted, end = _kind(kind), _end(until, datetime.now(UTC))
    watched = choose_project(load_settings(), project)
    service_id = await _service_id(service, project)
    accepted = fingerprint(watched.environment_id, service_id, wanted, chronic=True)
    await ledgers.suppress([accepted], end - datetime.now(UTC), reason[:200], accepted=True)
    return accepted, end


def _kind(text: str) -> "FindingKind":
    from railmend.contracts.scan import CHRONIC_KINDS, FindingKind
    from railmend.settings import ConfigurationError

    if text in CHRONIC_KINDS:
        return FindingKind(text)
    kinds = ", ".join(CHRONIC_KINDS)
    if text not in {kind.value for kind in FindingKind}:
        raise ConfigurationError(f"{text!r} is not a kind of finding; {kinds} can be accepted.")
    raise ConfigurationError(
        f"{text} is never normal for a service, so it cannot be accepted; {kinds} can. "
        "To silence one finding for a while: `starter.py ledger suppress`."
    )


def _end(until: str | None, now: datetime) -> datetime:
    from railmend.settings import ConfigurationError

    if until is None:
        return now + LONGEST
    try:
        end = datetime.combine(date.fromisoformat(until), time.max, UTC)
    except ValueError as error:
        raise ConfigurationError(f"--until {until!r} is not a date: write 2027-01-31.") from error
    if end <= now:
        raise ConfigurationError(f"--until {until} is over.")
    return end


async def _service_id(service: str, project: str | None) -> str:
    """Return the id of a service of the project's environment, by its name or id."""
    from commands.scan_request import scan_request
    from hosting import clients
    from railmend.scan_settings import scan_settings
    from railmend.settings import ConfigurationError
    from railmend.settings_file import load_settings

    settings = load_settings()
    request = scan_request(settings, project=project)
    window = scan_settings(settings, request).window(datetime.now(UTC))
    pool = clients.railway(settings)
    try:
        client = await pool.client_for(request.environment_id)
        survey = await client.surveyor.survey(request.project_id, request.environment_id, window)
    finally:
        await pool.aclose()
    for each in survey.services:
        if service in (each.name, each.service_id):
            return each.service_id
    names = ", ".join(sorted(each.name for each in survey.services))
    where = survey.environment_name
    raise ConfigurationError(f"{service!r} is not a service of {where}; its services are {names}.")
