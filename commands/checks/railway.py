"""Railway: the token of each project, its kind, and whether it reaches the environment."""

from datetime import UTC, datetime, timedelta

from commands.checks.check import Check, CheckFailed, CheckResult, ok
from hosting import clients
from railmend.contracts.scan import Window
from railmend.railway.errors import RailwayError
from railmend.railway.survey import Survey
from railmend.settings import ConfigurationError, ProjectSettings, Settings

# Enough for one sample at Railway's coarsest plan; the survey is asked for the services, not the numbers.
SURVEY_LENGTH = timedelta(minutes=10)


def checks(settings: Settings) -> tuple[Check, ...]:
    projects = settings.watched()
    if not projects:
        return (Check("railway", _none),)
    return tuple(_check(settings, project) for project in projects)


async def _none() -> list[CheckResult]:
    raise CheckFailed(
        "no project to watch",
        "set RAILWAY_PROJECT_ID and RAILWAY_ENVIRONMENT_ID, or write [[projects]] into railmend.toml",
    )


def _check(settings: Settings, project: ProjectSettings) -> Check:
    name = f"railway, project {project.name}"

    async def run() -> list[CheckResult]:
        survey, kind = await reach(settings, project)
        return ok(
            name,
            f"{kind} token reaches {survey.project_name} / {survey.environment_name}, "
            f"{len(survey.services)} services",
        )

    return Check(name, run)


async def reach(settings: Settings, project: ProjectSettings) -> tuple[Survey, str]:
    """Return what the project's token sees, and its kind. Raises `CheckFailed`."""
    alone = settings.model_copy(update={"projects": (project,)})
    try:
        pool = clients.railway(alone)
    except ConfigurationError as error:
        message, _, hint = str(error).partition(". ")
        raise CheckFailed(message, hint) from error
    end = datetime.now(UTC) - timedelta(seconds=settings.railmend_settle_seconds)
    try:
        client = await pool.client_for(project.environment_id)
        window = Window(start=end - SURVEY_LENGTH, end=end, step_seconds=60)
        survey = await client.surveyor.survey(project.project_id, project.environment_id, window)
        return survey, await pool.kind_of(project.environment_id)
    except RailwayError as error:
        raise CheckFailed(str(error)) from error
    finally:
        await pool.aclose()


async def repositories(settings: Settings) -> set[str]:
    """Return the repositories of the services, of every project that can be reached."""
    names: set[str] = set()
    for project in settings.watched():
        try:
            survey, _ = await reach(settings, project)
        except CheckFailed:
            continue  # the project's own check reports it
        names.update(service.repository for service in survey.services if service.repository)
    return names
