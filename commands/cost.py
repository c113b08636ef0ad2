"""`starter.py cost`: what a month costs, with the settings, schedules and ledgers at hand."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.options import JsonOption, ProjectOption, emit, run

if TYPE_CHECKING:
    from temporalio.client import Client

    from railmend.settings import ProjectSettings


def cost(
    project: ProjectOption = None,
    services: Annotated[
        int | None, typer.Option(min=1, help="Services of a project; default: as the last scan saw them.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a month costs: Temporal, Railway's limits, models.

    Scans are counted from the schedules; diagnoses, sessions and dollars from the ledgers' last 30 days.
    """
    told = run(_read(project, services))
    if as_json:
        emit(told)
        return
    for name, value in told.items():
        typer.echo(f"{name.replace('_', ' ')}: {value:,}")


async def _read(name: str | None, services: int | None) -> dict[str, Any]:
    import asyncio

    from commands.ledgers import projects_of
    from commands.runs import connected
    from railmend import costs

    settings, client = await connected()
    loads = await asyncio.gather(
        *(_load(client, project, services) for project in projects_of(settings, name))
    )
    bills = [costs.bill(load) for load in loads]
    actions, requests = sum(each.actions for each in bills), sum(each.requests for each in bills)
    return {
        "projects": len(loads),
        "services": sum(load.services for load in loads),
        "scans": sum(each.scans for each in bills),
        "temporal_actions": actions,
        "of_these_by_quiet_scans": sum(each.idle for each in bills),
        "temporal_cloud_usd": round(costs.price(actions / 1e6), 2),
        "railway_requests_an_hour": round(requests, 1),
        "diagnoses": sum(load.diagnoses for load in loads),
        "coding_sessions": sum(load.sessions for load in loads),
        "models_usd": round(sum(load.usd for load in loads), 2),
        "models_usd_at_most": sum(settings.policy().budget.month.usd or 0.0 for _ in loads),
    }


async def _load(client: "Client", project: "ProjectSettings", services: int | None) -> Any:
    from datetime import UTC, datetime

    from commands.ledgers import ledger_state
    from commands.runs import newest_report
    from hosting.missed_scans import describe_schedule
    from railmend import costs

    schedule = await describe_schedule(client, project)
    intervals = [spec.every for spec in schedule.schedule.spec.intervals] if schedule else []
    newest = await newest_report(client, project.environment_id)
    first = f"{datetime.now(UTC) - costs.MONTH:%Y-%m-%d}"
    days = [day for day in (await ledger_state(client, project.project_id)).days if day.key >= first]
    counts = newest.report.counts if newest else {}
    return costs.Load(
        projects=1 if intervals else 0,
        services=services or sum(counts.values()),
        every=min(intervals, default=costs.MONTH),
        known=float(bool(counts.get("affected"))),
        diagnoses=sum(day.diagnoses for day in days),
        sessions=sum(day.sessions for day in days),
        usd=sum(day.usd for day in days),
    )
