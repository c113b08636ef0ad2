"""What the settings say about one scan."""

from railmend.contracts.autonomy import LADDER, Autonomy
from railmend.contracts.scan import ScanRequest, ScanSettings
from railmend.railway.errors import NotWatched
from railmend.settings import ProjectSettings, Settings


def scan_settings(settings: Settings, request: ScanRequest) -> ScanSettings:
    """Return what holds for this scan. Raise `NotWatched` where the environment is not in the settings.

    What was asked for once replaces the project's autonomy; a service that may do less keeps to that.
    """
    project = project_of(settings, request)
    once = request.autonomy_once
    own = {name: service.autonomy for name, service in project.services.items() if service.autonomy}
    return ScanSettings(
        window_seconds=request.window_seconds_once or settings.railmend_window_seconds,
        step_seconds=settings.railmend_step_seconds,
        settle_seconds=settings.railmend_settle_seconds,
        autonomy=once or settings.autonomy_of(project),
        service_autonomy={name: _least(level, once or level) for name, level in own.items()},
        pull_request_environment=project.pull_request_environment,
        policy=settings.policy(),
    )


def project_of(settings: Settings, request: ScanRequest) -> ProjectSettings:
    for project in settings.watched():
        if project.environment_id == request.environment_id:
            return project
    names = ", ".join(project.name for project in settings.watched()) or "none"
    raise NotWatched(
        f"Environment {request.environment_id} is not in the settings of this worker (projects: {names}). "
        "Add it to railmend.toml; or, if it is not to be watched any more, remove its schedule: "
        f"`starter.py schedule delete --project {request.environment_id}`."
    )


def _least(*levels: Autonomy) -> Autonomy:
    return min(levels, key=LADDER.index)
