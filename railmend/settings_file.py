"""Loads the settings, of which `.env` is a part, and reports all errors together: file, line, what to do."""

import difflib
import os
import re
import stat
import tomllib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from railmend.secrets import ENV_FILE
from railmend.settings import (
    CONFIG_VARIABLE,
    MORE_THAN_ONCE,
    ConfigurationError,
    ProjectSettings,
    RestOfSettings,
    Settings,
    config_file,
    secret_variables,
)

Location = tuple[str | int, ...]
HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?")
KEY = re.compile(r"""^\s*([A-Za-z0-9_."'-]+)\s*=""")
TWICE = "is already in line"
TOKEN_DEFAULT = ProjectSettings.model_fields["token_env"].default
ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
OURS = "RAILMEND_"
# A provider's key, read by its own client.
SECRET = re.compile(r"(?:TOKEN|KEYS?|PASSWORD|SECRET)$")
# RAILWAY_TOKN is RAILWAY_TOKEN; OPENAI_API_KEY is not MODEL_API_KEY.
NEAR = 0.85


def load_settings() -> Settings:
    """Load the settings from environment, `.env` and file.

    Raise `ConfigurationError` with one line per problem.
    """
    if problem := _encoding_problem():
        raise ConfigurationError(problem)
    problems: list[str] = []
    settings: Settings | None = None
    try:
        settings = Settings()
    except ConfigurationError as error:
        problems += [*str(error).splitlines(), *_rest()]
    except ValidationError as error:
        problems += described(error)
    if twice := list(_twice()):
        problems = [problem for problem in problems if MORE_THAN_ONCE not in problem] + twice
    problems += _misspelt(_variables())
    problems = problems or _exposed({*secret_variables(), *_tokens()})
    if problems or settings is None:
        raise ConfigurationError("\n".join(dict.fromkeys(problems)))
    return settings


def _variables() -> set[str]:
    """Every variable that is read: of the settings, of the projects' tokens, and of the file's place."""
    tokens = _tokens()
    names = {name.upper() for name in Settings.model_fields} | tokens | {CONFIG_VARIABLE}
    return names | set(secret_variables()) | {f"{name}_FILE" for name in tokens}


def _tokens() -> set[str]:
    return {str(project.get("token_env", TOKEN_DEFAULT)) for _, project in _projects()}


def _rest() -> list[str]:
    """Return what else is wrong than unknown names; nothing where the file cannot be read at all."""
    try:
        RestOfSettings()
    except ValidationError as error:
        return described(error)
    except ConfigurationError:
        return []
    return []


def described(error: ValidationError) -> list[str]:
    """One line per error of the settings: `railmend.toml:12: projects.autonomy: ...`."""
    lines = _lines()
    return [_line(detail["loc"], *_message(detail), lines) for detail in error.errors()]


def _message(error: ErrorDetails) -> tuple[str, str]:
    """Return the message and its value; that of an unknown name may be a secret and is not shown."""
    if error["type"] == "extra_forbidden":
        return "there is no such setting here; see docs/settings.md", ""
    value = error.get("input")
    shown = isinstance(value, str | int | float | bool) and not _secret(error["loc"])
    return error["msg"].removeprefix("Value error, "), f" (given: {value!r})" if shown else ""


def _line(loc: Location, message: str, given: str, lines: dict[Location, int]) -> str:
    name = ".".join(str(part) for part in loc if not isinstance(part, int))
    if loc and (str(loc[0]).upper() in os.environ or str(loc[0]).upper() in dotenv_values(ENV_FILE)):
        variable = str(loc[0]).upper()
        source = "environment" if variable in os.environ else f"{ENV_FILE}:{_env_lines().get(variable, 1)}"
        return f"{source}: {variable}: {message}{given}"
    at = next((lines[loc[:size]] for size in range(len(loc), 0, -1) if loc[:size] in lines), None)
    where = f"{config_file()}:{at}: " if at else ""
    return f"{where}{name}: {message}{given}" if name else f"{where}{message}"


def _secret(loc: Location) -> bool:
    field = Settings.model_fields.get(str(loc[0])) if loc else None
    return field is not None and "SecretStr" in str(field.annotation)


def _lines() -> dict[Location, int]:
    try:
        return positions(config_file().read_text(encoding="utf-8"))
    except OSError:
        return {}


def positions(text: str) -> dict[Location, int]:
    """Return the line of each table and key of a TOML text, by path; inline tables count as one key."""
    lines: dict[Location, int] = {}
    counts: Counter[Location] = Counter()
    table: Location = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            path = _inside(_parts(header[2]), counts)
            if header[1] == "[[":
                counts[path] += 1
                path = (*path, counts[path] - 1)
            table = path
            lines.setdefault(table, number)
        elif key := KEY.match(line):
            lines.setdefault((*table, *_parts(key[1])), number)
    return lines


def _parts(text: str) -> Location:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def _inside(path: Location, counts: Counter[Location]) -> Location:
    """Return a table's path: one below an array belongs to the array's last element."""
    built: Location = ()
    for position, part in enumerate(path):
        built = (*built, part)
        if counts[built] and position < len(path) - 1:
            built = (*built, counts[built] - 1)
    return built


def _projects() -> list[tuple[int, dict[str, Any]]]:
    """Return the file's tables `[[projects]]` by their number, as they stand there."""
    try:
        projects = tomllib.loads(config_file().read_text(encoding="utf-8")).get("projects", [])
    except (OSError, tomllib.TOMLDecodeError):
        return []
    numbered = enumerate(projects if isinstance(projects, list) else [])
    return [(number, project) for number, project in numbered if isinstance(project, dict)]


def _twice() -> Iterator[str]:
    """Names and environments that stand there twice."""
    lines = _lines()
    seen: dict[tuple[str, str], int] = {}
    for number, project in _projects():
        at = lines.get(("projects", number), 1)
        for what in ("name", "environment_id"):
            value = str(project.get(what))
            line = lines.get(("projects", number, what), at)
            if (what, value) in seen:
                yield (
                    f"{config_file()}:{line}: projects.{what}: {value!r} {TWICE} "
                    f"{seen[what, value]}. Each project needs its own."
                )
            seen.setdefault((what, value), line)


def _env_lines() -> dict[str, int]:
    """Return each name's last line number, which is the one that counts; empty without a file."""
    try:
        text = Path(ENV_FILE).read_text(encoding="utf-8")
    except OSError:
        return {}
    matches = ((ASSIGNED.match(line), number) for number, line in enumerate(text.splitlines(), 1))
    return {match[1]: number for match, number in matches if match}


def _encoding_problem() -> str:
    """Return why the file cannot be read; empty where it can be, or is not there.

    Editors of Windows write UTF-16, code pages, and marks with which the first name is lost.
    """
    try:
        content = Path(ENV_FILE).read_bytes()
        if "\0" not in content.decode() and not content.startswith(BOM_UTF8):
            return ""
    except OSError:
        return ""
    except UnicodeDecodeError:
        pass
    return f"{ENV_FILE} is not plain UTF-8: save it as UTF-8, without a byte order mark."


def _misspelt(names: Collection[str]) -> list[str]:
    """Return a line for each name not in `names` that is meant for Railmend: similar, or with its prefix.

    The file may also hold what Docker Compose, OpenTelemetry or a model's provider read.
    """
    messages = []
    for name, number in _env_lines().items():
        near = difflib.get_close_matches(name, names, 1, NEAR)
        if name in names or not (near or name.startswith(OURS)):
            continue
        meant = f"Did you mean {near[0]}?" if near else "All are listed in docs/settings.md."
        messages.append(f"{ENV_FILE}:{number}: {name} is not a setting. {meant}")
    return messages


def _exposed(secrets: Collection[str]) -> list[str]:
    """Return a line if somebody else can read a secret in the file. `secrets`: names of variables."""
    file = Path(ENV_FILE)
    held = [name for name, value in dotenv_values(file).items() if value and _is_secret(name, secrets)]
    mode = stat.S_IMODE(file.stat().st_mode) if held else 0
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    return [
        f"{ENV_FILE} holds {held[0]}, and others can read it (mode {mode:03o}): run `chmod 600 {ENV_FILE}`."
    ]


def _is_secret(name: str, secrets: Collection[str]) -> bool:
    return not name.endswith("_FILE") and (name in secrets or bool(SECRET.search(name)))
