"""The guard: what a change may do. Each refusal is a sentence for a person and for the agent.

A repair may touch source code, tests, documents and the application's data, inside the service's directory;
everything else is a person's to change, unless the plan names the file.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict

from railmend.coding.git.diff import ChangedFile, joined_moves, readable
from railmend.coding.git.repository import TrustedRepository
from railmend.coding.guard.added_secrets import secrets_in
from railmend.coding.guard.file_kinds import forbidden, is_migration, is_outside, is_test, unexpected
from railmend.coding.guard.manifest_changes import manifest_refusals
from railmend.coding.guard.tables import pattern
from railmend.coding.guard.weakened_tests import test_refusals
from railmend.coding.settings import GuardSettings

FORBIDDEN_MODES = {"120000": "a symbolic link", "160000": "a submodule"}
# A file is called rewritten from this size on, when so much of it is gone.
REWRITTEN_LINES, DELETED_LINES, REWRITTEN_SHARE = 40, 100, 0.8
LFS_POINTER = "version https://git-lfs"
OPENED, GUARDED, UNSEEN, LOOK_ALIKE = map(pattern, ("opened", "guarded", "unseen", "look_alike"))


class Plan(BaseModel):
    """What was asked for: the plan's text, the files it suspects, the services' directories."""

    model_config = ConfigDict(frozen=True)

    text: str = ""
    files: tuple[str, ...] = ()
    root_directories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Round:
    """The `files` that differ between the commit `head` and the git tree `tree`.

    `merge_base`: where the branch left its base branch; None in the first round. `author`: mail address of
    the guarded commits.
    """

    files: list[ChangedFile]
    head: str
    tree: str
    merge_base: str | None
    author: str


def review_rounds(
    repository: TrustedRepository, current: Round, plan: Plan, settings: GuardSettings
) -> tuple[str, ...]:
    """Return the refusals of this round, and of all rounds together. Blocking.

    Files that somebody else has changed in between are judged by this round alone, and so is everything once
    a pull request was opened with refusals: whoever reviews it has seen them.
    """
    refused = review(current.files, plan, settings)
    base, head = current.merge_base, current.head
    if base is None or base == head:
        return refused
    authors = repository.authors(base, head)

    def own(files: Iterable[ChangedFile]) -> list[ChangedFile]:
        return [file for file in files if authors.get(file.path, {current.author}) == {current.author}]

    if review(own(repository.changed_files(head, base)), plan, settings):
        return refused
    together = review(own(repository.changed_files(current.tree, base)), plan, settings)
    return (*refused, *(f"With the rounds before: {reason}" for reason in together if reason not in refused))


def review(files: Sequence[ChangedFile], plan: Plan, settings: GuardSettings) -> tuple[str, ...]:
    """Return the refusals, of each file and then of the change as a whole; empty: it may be published."""
    joined = joined_moves(files)
    refused = [
        f"{readable(file.path)} {reason}." for file in files for reason in _of_place(file, plan, settings)
    ]
    refused += [f"{readable(file.path)} {reason}." for file in joined for reason in _of_content(file)]
    refused += manifest_refusals(files, plan.text)
    refused += test_refusals(joined)
    refused += _size(joined, settings)
    refused += secrets_in(joined)
    return tuple(dict.fromkeys(map(readable, refused)))


def never_published(files: Sequence[ChangedFile]) -> bool:
    """Return whether a push alone would do harm: publish a secret, or run a workflow with CI's secrets.

    What could not be read may hold either.
    """
    return bool(secrets_in(joined_moves(files))) or any(
        file.unread or file.mode in FORBIDDEN_MODES or forbidden(file.path) is not None for file in files
    )


def _of_place(file: ChangedFile, plan: Plan, settings: GuardSettings) -> Iterator[str]:
    if kind := FORBIDDEN_MODES.get(file.mode):
        yield f"is {kind}"
    elif kind := forbidden(file.path):
        yield f"may not be touched: {kind}"
    elif any(PurePosixPath(file.path).match(pattern) for pattern in settings.also_forbidden):
        yield "may not be touched: forbidden by setting"
    elif is_migration(file.path, (file.before or "") + (file.after or "")):
        if not settings.allow_migrations:
            yield "is a database migration; a person must write those (allow_migrations is off)"
    elif file.path in plan.files:
        return
    elif kind := unexpected(file.path):
        yield f"is not what a fix may touch: {kind}, and the plan does not name it"
    elif is_outside(file.path, plan.root_directories):
        yield f"lies outside the service's directory ({', '.join(plan.root_directories)})"


def _of_content(file: ChangedFile) -> Iterator[str]:
    if file.unread:
        yield f"cannot be judged: {file.unread}"
    elif file.additions < 0:
        yield "is a binary file"
    lines = len((file.before or "").splitlines())
    most = DELETED_LINES if file.status == "deleted" else REWRITTEN_LINES
    if lines >= most and file.deletions >= REWRITTEN_SHARE * lines and not is_test(file.path):
        what = "was deleted" if file.status == "deleted" else "was rewritten"
        yield f"{what}: {file.deletions} of its {lines} lines are gone"
    texts = [text for _, text in file.added]
    if texts and texts[0].startswith(LFS_POINTER):
        yield "is a pointer to a file elsewhere (Git LFS), which cannot be judged"
    # Tests are given such letters as data.
    disguises = (UNSEEN,) if is_test(file.path) else (UNSEEN, LOOK_ALIKE)
    if any(any(map(each.search, texts)) and not each.search(file.before or "") for each in disguises):
        yield "holds characters that make it read otherwise than it runs"
    opened = [
        text for text in texts if OPENED.search(text) and text.strip() not in map(str.strip, file.removed)
    ]
    lost = sum(map(bool, map(GUARDED.search, file.removed))) - sum(map(bool, map(GUARDED.search, texts)))
    if (opened or lost > 0) and not is_test(file.path) and not file.path.endswith((".md", ".rst")):
        yield "turns off a protection (certificates, origins or authentication)"


def _size(files: Sequence[ChangedFile], settings: GuardSettings) -> Iterator[str]:
    if len(files) > settings.max_files:
        yield f"The change touches {len(files)} files; at most {settings.max_files} are allowed."
    lines = sum(max(file.additions, 0) + max(file.deletions, 0) for file in files)
    if lines > settings.max_lines:
        yield f"The change has {lines} lines; at most {settings.max_lines} are allowed."
