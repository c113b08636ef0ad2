"""Railmend's own check on the head of a pull request. Blocking.

GitHub takes check runs from apps alone, whatever a token may do: https://docs.github.com/rest/checks/runs.
With a token, or an app without the permission, it is a commit status. That both are refused is only logged.
"""

import logging
from collections.abc import Callable
from functools import partial

from github.CheckRun import CheckRun
from github.CommitStatus import CommitStatus
from github.GithubObject import NotSet
from github.Repository import Repository

from railmend.publishing.github.checks import PROOF_STATUS
from railmend.publishing.github.errors import unless_refused
from railmend.publishing.proof import NO_PROOF, RUNNING, HeadCheck

COMPLETED = "completed"
MAX_DETAILS = 65_535  # GitHub refuses longer ones


class HeadChecks:
    """`app`: the name of Railmend's app; None: a token. Writes nothing that stands there already.

    Of several runs of one name, or statuses of one context, the newest counts. An app edits only its own.
    """

    def __init__(self, repository: Repository, app: str | None) -> None:
        self._repository = repository
        self._app = app

    def show(self, sha: str, check: HeadCheck, url: str) -> None:
        """Show it with a link. What runs is begun once, and ended by the next that does not run."""
        self._by_run_else_status(
            sha, partial(self._show_run, sha, check, url), partial(self._set, sha, check, url)
        )

    def settle(self, sha: str) -> None:
        """End what runs: the commit is again what it was said to be before."""
        self._by_run_else_status(sha, partial(self._settle_run, sha), partial(self._settle_status, sha))

    def _by_run_else_status(
        self, sha: str, by_run: Callable[[], bool], by_status: Callable[[], None]
    ) -> None:
        """Call the second where there is no app, its run is refused, or the first returns False."""
        name = f"Check {PROOF_STATUS} of {sha[:12]}"
        if self._app is None or not unless_refused(name, by_run, False, logging.DEBUG):
            unless_refused(name, by_status, None)

    def _settle_run(self, sha: str) -> bool:
        """Return whether a run was under way."""
        runs = self._runs(sha)
        if not runs or runs[0].status == COMPLETED:
            return False
        earlier = next((run for run in runs if run.status == COMPLETED), None)
        if earlier is None:
            _end(runs[0], NO_PROOF.conclusion, NO_PROOF.said, NO_PROOF.said)
        else:
            _end(runs[0], earlier.conclusion, earlier.output.title, earlier.output.summary)
        return True

    def _settle_status(self, sha: str) -> None:
        rows = self._statuses(sha)
        if rows and _runs(rows[0].description):
            row = next((row for row in rows if not _runs(row.description)), None)
            before = HeadCheck("", row.state, row.description or "") if row else NO_PROOF
            self._set(sha, before, rows[0].target_url)

    def _show_run(self, sha: str, check: HeadCheck, url: str) -> bool:
        """Return True. A run that is under way, for a review or of a lost attempt, is taken up."""
        newest = next(iter(self._runs(sha)), None)
        under_way = newest is not None and newest.status != COMPLETED
        said = (check.said, (check.details or check.said)[:MAX_DETAILS])
        if newest is not None and under_way:
            if check.conclusion:
                _end(newest, check.conclusion, *said)
        elif newest is None or (newest.conclusion, newest.output.title) != (check.conclusion, check.said):
            self._repository.create_check_run(
                PROOF_STATUS,
                sha,
                details_url=url,
                status=COMPLETED if check.conclusion else "in_progress",
                conclusion=check.conclusion or NotSet,
                output={"title": said[0], "summary": said[1]},
            )
        return True

    def _runs(self, sha: str) -> list[CheckRun]:
        """Return our own runs, newest first; any other app may have named one of its own like them."""
        found = self._repository.get_commit(sha).get_check_runs(check_name=PROOF_STATUS, filter="all")
        own = [run for run in found if run.app is not None and run.app.slug == self._app]
        return sorted(own, key=lambda run: run.id, reverse=True)

    def _statuses(self, sha: str) -> list[CommitStatus]:
        """Return what was said, newest first, as GitHub lists it."""
        return [row for row in self._repository.get_commit(sha).get_statuses() if row.context == PROOF_STATUS]

    def _set(self, sha: str, check: HeadCheck, url: str) -> None:
        newest = next(iter(self._statuses(sha)), None)
        if newest is not None:
            both_run = _runs(check.said) and _runs(newest.description)
            if both_run or (newest.state, newest.description) == (check.state, check.said):
                return
        self._repository.get_commit(sha).create_status(
            check.state, target_url=url, description=check.said, context=PROOF_STATUS
        )


def _end(run: CheckRun, conclusion: str, title: str, summary: str) -> None:
    run.edit(status=COMPLETED, conclusion=conclusion, output={"title": title, "summary": summary})


def _runs(said: str | None) -> bool:
    return (said or "").startswith(RUNNING)
