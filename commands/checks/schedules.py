"""The schedules: each project has one, and its scans succeed."""

from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleDescription

from commands.checks.check import CheckResult, bad, ok, warning
from commands.durations import written
from hosting.missed_scans import describe_schedule, find_missed_scans
from railmend.settings import ProjectSettings, Settings


async def scans(client: Client, settings: Settings) -> list[CheckResult]:
    return [
        await check_scans(client, project, await describe_schedule(client, project))
        for project in settings.watched()
    ]


async def check_scans(
    client: Client, project: ProjectSettings, schedule: ScheduleDescription | None
) -> CheckResult:
    """Return whether a project has a schedule, and its scans succeed; with the next step where not."""
    (result,) = await _scans(client, project, schedule)
    return result


async def _scans(
    client: Client, project: ProjectSettings, schedule: ScheduleDescription | None
) -> list[CheckResult]:
    name, option = f"scans, project {project.name}", f"--project {project.name}"
    if schedule is None:
        hint = f"starter.py schedule create {option}"
        return warning(name, "no schedule: scans run only when you start them", hint)
    if schedule.schedule.state.paused:
        note = schedule.schedule.state.note
        return warning(name, f"paused: {note}", f"starter.py schedule resume {option}")
    if missed := await find_missed_scans(client, project, schedule):
        return bad(name, missed.sentence, missed.next_step)
    every = ", ".join(written(spec.every) for spec in schedule.schedule.spec.intervals)
    if _without_limit(schedule):
        hint = f"starter.py schedule create --every {every} {option}"
        return warning(name, "the schedule is of an earlier version: a scan that hangs blocks it", hint)
    return ok(name, f"every {every}")


def _without_limit(schedule: ScheduleDescription) -> bool:
    action = schedule.schedule.action
    return isinstance(action, ScheduleActionStartWorkflow) and not action.execution_timeout
