"""The settings as they are now: their files are read again when they change, without a restart."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog
from dotenv import dotenv_values

from railmend.secrets import ENV_FILE
from railmend.settings import ConfigurationError, Settings, config_file, secret_variables
from railmend.settings_file import load_settings

log = structlog.get_logger(__name__)

T = TypeVar("T")
Stamp = tuple[int, int, int] | None


class CurrentSettings:
    """What was read last and could be used. Files that cannot be used change nothing: the log tells why.

    `problem`: what is wrong with the files as they are now; empty where nothing is.
    """

    def __init__(self, settings: Settings, load: Callable[[], Settings] = load_settings) -> None:
        self._settings = settings
        self._load = load
        # Nothing is seen yet: whatever changed since `settings` were loaded is read at the first use.
        self._stamps: dict[Path, Stamp] = dict.fromkeys(_files(settings))
        self.problem = ""

    def get(self) -> Settings:
        stamps = {file: _stamp(file) for file in self._stamps}
        if stamps != self._stamps:
            self._stamps = stamps
            self._read()
            if not self.problem:
                self._stamps = {file: stamps.get(file) for file in _files(self._settings)}
        return self._settings

    def derive(self, make: Callable[[Settings], T]) -> Callable[[], T]:
        """Return a function that returns what `make` builds of the current settings, built once a reading."""
        kept: list[tuple[Settings, T]] = []

        def current() -> T:
            settings = self.get()
            if not kept or kept[0][0] is not settings:
                kept[:] = [(settings, make(settings))]
            return kept[0][1]

        return current

    def _read(self) -> None:
        try:
            settings = self._load()
        except (ConfigurationError, OSError, ValueError) as error:
            self.problem = str(error)
            log.error("settings refused, the last good ones stay in force", problem=self.problem)
            return
        if self.problem or settings != self._settings:
            log.info("settings read again", projects=[project.name for project in settings.watched()])
        self._settings, self.problem = settings, ""


def _files(settings: Settings) -> tuple[Path, ...]:
    """Return every file that settings come from, those of secrets included."""
    given = {**dotenv_values(ENV_FILE), **os.environ}
    tokens = (f"{project.token_env}_FILE" for project in settings.watched())
    secrets = (name for name in secret_variables() if name.endswith("_FILE"))
    named = (given.get(name) for name in (*secrets, *tokens))
    return (config_file(), Path(ENV_FILE), *(Path(file) for file in dict.fromkeys(named) if file))


def _stamp(file: Path) -> Stamp:
    """Return what changes with each writing and each replacing of the file; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size
