"""What a scan is asked for: one project of the settings, and how far to go and to look back."""

import getpass
from typing import TYPE_CHECKING, Any

from railmend.contracts.autonomy import Autonomy
from railmend.contracts.scan import ScanRequest
from railmend.settings import ConfigurationError, ProjectSettings, Settings, require

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowHandle

    from railmend.contracts.scan import HealthReport


def choose_project(settings: Settings, name: str | None) -> ProjectSettings:
    """Return the project of that name, or the only one. Raises `ConfigurationError` that lists the names."""
    projects = settings.watched()
    if not projects:
        require(settings, "railway_project_id", "railway_environment_id")
    matching = [project for project in projects if name in (None, project.name)]
    if len(matching) != 1:
        names = ", ".join(project.name for project in projects)
        problem = f"--project {name} is not among" if name else "Choose with --project one of"
        raise ConfigurationError(f"{problem} the projects of railmend.toml: {names}.")
    return matching[0]


def scan_request(
    settings: Settings,
    autonomy: Autonomy | None = None,
    window_seconds: int | None = None,
    project: str | None = None,
) -> ScanRequest:
    """`autonomy` and `window_seconds` are for this one scan; without them the settings hold."""
    watched = choose_project(settings, project)
    return ScanRequest(
        project_id=watched.project_id,
        environment_id=watched.environment_id,
        autonomy_once=autonomy,
        window_seconds_once=window_seconds,
    )


async def start_scan(
    client: "Client", request: ScanRequest, name: str, summary: str, command: str
) -> "WorkflowHandle[Any, HealthReport]":
    """Start a scan that a person asked for with `command`. `name`: the end of its workflow ID."""
    from commands.runs import SCAN
    from railmend.contracts.scan import HealthReport
    from workflows.shared.start import ORCHESTRATION_QUEUE, SCAN_TIMEOUT

    return await client.start_workflow(
        SCAN,
        request,
        result_type=HealthReport,
        id=f"scan/{request.environment_id}/{name}",
        task_queue=ORCHESTRATION_QUEUE,
        execution_timeout=SCAN_TIMEOUT,
        static_summary=summary,
        static_details=f"Started by {getpass.getuser()} with `starter.py {command}`.",
    )
