"""The guard over all rounds of a pull request: what one round may not do, several together may not either."""

from collections.abc import Iterable
from dataclasses import dataclass

from railmend.coding.diff import ChangedFile
from railmend.coding.git import TrustedRepository
from railmend.coding.guard import Plan, review
from railmend.coding.guard_settings import GuardSettings


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
