"""Before anything is connected: all settings of a worker are there, and other users cannot read its files."""

import os
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

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
OTHERS = stat.S_IRWXG | stat.S_IRWXO
# The users of repairs walk through, where they are users of this machine; they list nothing.
WALKED = stat.S_IXGRP | stat.S_IXOTH


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


def keep_private(settings: Settings) -> None:
    """Close the state folder, and what lies directly in it, to other users; new files are closed from now on.

    Raise `ConfigurationError` when it belongs to somebody else.
    """
    os.umask(OTHERS)
    folder = settings.state_dir()
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    walked = settings.railmend_sandbox == "user"
    _close(folder, walked=walked)
    for child in folder.iterdir():
        if not child.is_symlink():
            _close(child, walked=walked and child.name == "repairs")


def _close(path: Path, *, walked: bool) -> None:
    status = path.stat()
    wanted = stat.S_IMODE(status.st_mode) & ~OTHERS | (WALKED if walked else 0)
    if stat.S_IMODE(status.st_mode) == wanted:
        return
    try:
        path.chmod(wanted)
    except PermissionError as error:
        raise ConfigurationError(
            f"Other users can read {path}, and it belongs to user {status.st_uid}: give it to the worker's "
            "own user (chown), or choose another RAILMEND_STATE_DIR."
        ) from error
