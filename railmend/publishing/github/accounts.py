"""Whose words count: Railmend's own account, those it had before, and people who may write."""

from collections.abc import Callable, Collection

from github import GithubException
from github.NamedUser import NamedUser
from github.Organization import Organization
from github.Repository import Repository

User = NamedUser | Organization
WRITERS = frozenset({"admin", "maintain", "write"})


class Accounts:
    """The accounts of one repository, each asked about once. Raise what PyGithub raises.

    `own_ids` returns the ids of Railmend's account and of those it had before, and is asked when first
    needed. A login can be taken over, an id cannot.
    """

    def __init__(self, repository: Repository, own_ids: Callable[[], Collection[int]]) -> None:
        self._repository = repository
        self._own_ids = own_ids
        self._writers: dict[str, bool] = {}

    def own(self, user: User | None) -> bool:
        return user is not None and self.has_id(user.id)

    def has_id(self, number: int) -> bool:
        """Return whether an account's id is one of Railmend's own."""
        return number in self._own_ids()

    def writes(self, user: User | None) -> bool:
        """Return whether somebody may write here; never true of a guest with `read` or `triage`."""
        return user is not None and (self.own(user) or self._has_write(user.login))

    def _has_write(self, login: str) -> bool:
        if login not in self._writers:
            try:
                permission = self._repository.get_collaborator_permission(login)
                self._writers[login] = permission in WRITERS
            except GithubException as error:
                if error.status != 404:
                    raise
                self._writers[login] = False
        return self._writers[login]
