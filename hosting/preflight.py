"""Checks that all settings of a worker's roles are there, before anything is connected."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from hosting import clients, models
from hosting.workers import Role
from railmend.settings import ConfigurationError, Settings

# What each role builds from the settings; a builder raises an error that names what is missing.
BUILT: dict[Role, tuple[Callable[[Settings], object], ...]] = {
    Role.ORCHESTRATION: (clients.watched, clients.github_credentials, clients.artifacts),
    Role.PLANNING: (models.model, clients.github_credentials, clients.artifacts),
    Role.CODING: (clients.toolbox, models.coding_model, clients.github_credentials, clients.artifacts),
}
# A server that somebody else runs has its own model.
NEEDED_WITHOUT_SERVER = (models.coding_model,)


@dataclass(frozen=True)
class Start:
    """What a worker starts. `report_only`: why it only measures and reports, empty if it may do more."""

    roles: tuple[Role, ...]
    report_only: str = ""


def start(settings: Settings, asked_for: Collection[Role]) -> Start:
    """Return the roles to start: those that were asked for, else all, as far as the settings carry them.

    Raise `ConfigurationError` where one that was asked for cannot start, or nothing can be watched. Watching
    needs a token of Railway's and nothing else.
    """
    if asked_for:
        check(settings, asked_for)
        return Start(tuple(asked_for))
    clients.watched(settings)
    try:
        check(settings, tuple(Role))
    except ConfigurationError as error:
        return Start((Role.ORCHESTRATION,), report_only=str(error))
    return Start(tuple(Role))


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
