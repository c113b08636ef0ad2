"""Checks that all settings of a worker's roles are there, before anything is connected."""

from collections.abc import Callable, Collection

from hosting import clients
from hosting.workers import Role
from railmend.settings import ConfigurationError, Settings

# What each role builds from the settings; a builder raises an error that names what is missing.
BUILT: dict[Role, tuple[Callable[[Settings], object], ...]] = {
    Role.ORCHESTRATION: (clients.watched, clients.github_credentials, clients.artifacts),
    Role.PLANNING: (clients.model, clients.github_credentials, clients.artifacts),
    Role.CODING: (clients.toolbox, clients.coding_model, clients.github_credentials, clients.artifacts),
}
# A server that somebody else runs has its own model.
NEEDED_WITHOUT_SERVER = (clients.coding_model,)


def check(settings: Settings, roles: Collection[Role]) -> None:
    """Raise `ConfigurationError` with one line for each thing that is missing."""
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
