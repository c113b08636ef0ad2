"""The guard: rules that a change must pass. Each refusal is a sentence for a person and for the agent."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict

from railmend.coding.diff import ChangedFile
from railmend.coding.guard_dependencies import lacks_manifest, new_dependencies
from railmend.coding.guard_paths import forbidden, is_migration, outside
from railmend.coding.guard_secrets import secrets_in
from railmend.coding.guard_settings import GuardSettings
from railmend.coding.guard_tests import weakened

FORBIDDEN_MODES = {"120000": "a symbolic link", "160000": "a submodule"}
# A file is called rewritten from this size on, when so much of it is gone.
REWRITTEN_LINES, REWRITTEN_SHARE = 40, 0.8


class Plan(BaseModel):
    """What was asked for: the plan's text, the files it suspects, the services' directories."""

    model_config = ConfigDict(frozen=True)

    text: str = ""
    files: tuple[str, ...] = ()
    root_directories: tuple[str, ...] = ()


def review(files: Sequence[ChangedFile], plan: Plan, settings: GuardSettings) -> tuple[str, ...]:
    """Return the refusals, of each file and then of the change as a whole; empty: it may be published."""
    rules: tuple[Callable[[ChangedFile, Plan, GuardSettings], str | None], ...] = (
        _mode,
        _path,
        _migration,
        _directory,
        _unread,
        _binary,
        _rewritten,
        _dependencies,
    )
    refused = [reason for file in files for rule in rules if (reason := rule(file, plan, settings))]
    refused += weakened(files)
    refused += lacks_manifest([file.path for file in files])
    refused += _size(files, settings)
    refused += secrets_in(files)
    return tuple(refused)


def never_published(files: Sequence[ChangedFile]) -> bool:
    """Return whether a push alone would do harm: publish a secret, or run a workflow with CI's secrets.

    What could not be read may hold either.
    """
    return bool(secrets_in(files)) or any(
        file.unread or file.mode in FORBIDDEN_MODES or forbidden(file.path) is not None for file in files
    )


def _mode(file: ChangedFile, _: Plan, __: GuardSettings) -> str | None:
    kind = FORBIDDEN_MODES.get(file.mode)
    return f"{file.path} is {kind}." if kind else None


def _path(file: ChangedFile, _: Plan, settings: GuardSettings) -> str | None:
    kind = forbidden(file.path)
    if kind is None and any(PurePosixPath(file.path).match(p) for p in settings.also_forbidden):
        kind = "forbidden by setting"
    return f"{file.path} may not be touched: {kind}." if kind else None


def _migration(file: ChangedFile, _: Plan, settings: GuardSettings) -> str | None:
    if settings.allow_migrations or not is_migration(file.path):
        return None
    return f"{file.path} is a database migration; a person must write those (allow_migrations is off)."


def _directory(file: ChangedFile, plan: Plan, _: GuardSettings) -> str | None:
    if file.path in plan.files or not outside(file.path, plan.root_directories):
        return None
    return f"{file.path} lies outside the service's directory ({', '.join(plan.root_directories)})."


def _binary(file: ChangedFile, _: Plan, __: GuardSettings) -> str | None:
    return f"{file.path} is a binary file." if file.additions < 0 and file.unread is None else None


def _unread(file: ChangedFile, _: Plan, __: GuardSettings) -> str | None:
    return f"{file.path} cannot be judged: {file.unread}." if file.unread else None


def _rewritten(file: ChangedFile, _: Plan, __: GuardSettings) -> str | None:
    if file.status != "modified" or file.before is None:
        return None
    lines = len(file.before.splitlines())
    if lines < REWRITTEN_LINES or file.deletions < REWRITTEN_SHARE * lines:
        return None
    return f"{file.path} was rewritten: {file.deletions} of its {lines} lines are gone."


def _dependencies(file: ChangedFile, plan: Plan, _: GuardSettings) -> str | None:
    words = plan.text.lower()
    unasked = [
        name for name in new_dependencies(file.path, file.before, file.after) if name.lower() not in words
    ]
    if not unasked:
        return None
    return f"{file.path} adds a dependency that the plan does not name: {', '.join(unasked)}."


def _size(files: Sequence[ChangedFile], settings: GuardSettings) -> list[str]:
    refused = []
    if len(files) > settings.max_files:
        refused.append(f"The change touches {len(files)} files; at most {settings.max_files} are allowed.")
    lines = sum(max(file.additions, 0) + max(file.deletions, 0) for file in files)
    if lines > settings.max_lines:
        refused.append(f"The change has {lines} lines; at most {settings.max_lines} are allowed.")
    return refused
