"""The guard over all rounds of a pull request: what one round may not do, several together may not either."""

from railmend.coding.diff import ChangedFile
from railmend.coding.git import TrustedRepository
from railmend.coding.guard import Plan, review
from railmend.coding.guard_settings import GuardSettings


def review_all(
    files: list[ChangedFile],
    repository: TrustedRepository,
    tree: str,
    head: str,
    left_at: str | None,
    author: str,
    plan: Plan,
    settings: GuardSettings,
) -> tuple[str, ...]:
    """Refusals of this round, its `files` from `head` to `tree`, and of all by `author` since `left_at`.

    `author`: mail address of the guarded commits. Files that somebody else has touched in between are judged
    by this round alone, and so is everything once a pull request was opened with refusals: whoever reviews it
    has seen them.
    """
    refused = review(files, plan, settings)
    if left_at is None or left_at == head:
        return refused
    authors = repository.authors(left_at, head)

    def own(files: list[ChangedFile]) -> list[ChangedFile]:
        return [file for file in files if authors.get(file.path, {author}) == {author}]

    if review(own(repository.touched(head, left_at)), plan, settings):
        return refused
    together = review(own(repository.touched(tree, left_at)), plan, settings)
    return (*refused, *(f"With the rounds before: {said}" for said in together if said not in refused))
