"""What a worker needs to be set: all that is missing is told at once, before anything is reached."""

from collections.abc import Callable, Collection

from hosting import clients
from hosting.workers import Role
from railmend.settings import ConfigurationError, Settings

# What each role builds of its settings; a builder names what it lacks.
BUILT: dict[Role, tuple[Callable[[Settings], object], ...]] = {
    Role.ORCHESTRATION: (clients.watched, clients.github_credentials),
    Role.PLANNING: (clients.model, clients.github_credentials),
    Role.CODING: (clients.toolbox, clients.coding_model, clients.github_credentials),
}
# A server that somebody else runs has its own model.
NEEDED_WITHOUT_SERVER = (clients.coding_model,)


def check(settings: Settings, roles: Collection[Role]) -> None:
    """Raises `ConfigurationError` with one line for each thing that is missing."""
    problems: list[str] = []
    for build in dict.fromkeys(build for role in roles for build in BUILT[role]):
        if settings.opencode_url and build in NEEDED_WITHOUT_SERVER:
            continue
        try:
            build(settings)
        except ConfigurationError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError("\n".join(dict.fromkeys(problems)))
