"""What the checks of a commit came to: check runs, or the jobs of GitHub Actions, and commit statuses.

Check runs need the permission Checks, which no fine-grained token can have; jobs of GitHub Actions are also
check runs, and are read in their place.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from github.CheckRun import CheckRun
from github.Commit import Commit
from github.CommitStatus import CommitStatus
from github.Repository import Repository
from github.WorkflowJob import WorkflowJob

from railmend.publishing.github.errors import unless_refused

FAILED = frozenset({"failure", "timed_out", "startup_failure", "error"})
# These wait for a person, not for a machine: https://docs.github.com/rest/guides/using-the-rest-api-to-interact-with-checks
WAITS_FOR_PEOPLE = frozenset({"waiting", "requested"})
# A failure is heard at once when all others have ended, and after this when one of them does not end.
PATIENCE = timedelta(minutes=10)
JOBS_INSTEAD = (
    "Check runs: GitHub does not show them to this token (a fine-grained one cannot have Checks). "
    "Jobs of GitHub Actions and commit statuses are read instead; checks of other apps are not seen."
)
NO_JOBS = "Check runs and jobs of GitHub Actions: the token needs Actions (read), an app Checks (read)."
# What Railmend itself says of a commit: no check to be answered.
PROOF_STATUS = "railmend/proof"
NO_STATUSES = "Commit statuses: the token needs Commit statuses (read)."


@dataclass(frozen=True)
class CheckOutcome:
    """`conclusion`: empty while it runs. `details`: what the check says of it."""

    name: str
    conclusion: str
    ended_at: datetime | None
    details: str

    @property
    def failed(self) -> bool:
        return self.conclusion in FAILED

    def number(self, sha: str) -> int:
        """Return its number in Railmend's notes: the same for each run of one check on one commit."""
        return int(sha256(f"{sha}/{self.name}".encode()).hexdigest()[:12], 16)


@dataclass(frozen=True)
class CommitChecks:
    """The newest outcome of each check. `unseen`: a sentence for each kind that may not be read."""

    outcomes: tuple[CheckOutcome, ...]
    unseen: tuple[str, ...]

    def failed(self, now: datetime) -> list[CheckOutcome]:
        """Return what failed and is to be heard by now."""
        running = any(not outcome.conclusion for outcome in self.outcomes)
        since = now - PATIENCE if running else datetime.max.replace(tzinfo=UTC)
        return [o for o in self.outcomes if o.failed and (o.ended_at is None or o.ended_at <= since)]


def read_checks(repository: Repository, sha: str) -> CommitChecks:
    """Read all that the token may see. Raise PyGithub's errors, refusals apart."""
    commit = repository.get_commit(sha)
    unseen = []
    found = _if_allowed(lambda: [_of_run(run) for run in commit.get_check_runs() if run.name != PROOF_STATUS])
    if found is None:
        found = _if_allowed(lambda: list(_jobs(repository, sha)))
        unseen.append(NO_JOBS if found is None else JOBS_INSTEAD)
    statuses = _if_allowed(lambda: list(_statuses(commit)))
    if statuses is None:
        unseen.append(NO_STATUSES)
    return CommitChecks(outcomes=(*(found or ()), *(statuses or ())), unseen=tuple(unseen))


def _if_allowed(read: Callable[[], list[CheckOutcome]]) -> list[CheckOutcome] | None:
    return unless_refused("Checks", read, None, logging.DEBUG)


def _jobs(repository: Repository, sha: str) -> Iterator[CheckOutcome]:
    for run in repository.get_workflow_runs(head_sha=sha):
        for job in run.jobs():
            steps = [step.name for step in job.steps if step.conclusion in FAILED]
            details = [f"Failed steps: {', '.join(steps)}"] if steps else []
            yield _outcome(job, [*details, job.html_url])


def _of_run(run: CheckRun) -> CheckOutcome:
    output = run.output
    return _outcome(run, [output.title, output.summary, output.text] if output else [])


def _outcome(run: CheckRun | WorkflowJob, details: list[str | None]) -> CheckOutcome:
    ended = run.status == "completed" or run.status in WAITS_FOR_PEOPLE
    conclusion = (run.conclusion or "neutral") if ended else ""
    return CheckOutcome(run.name, conclusion, run.completed_at, "\n".join(filter(None, details)))


def _statuses(commit: Commit) -> Iterator[CheckOutcome]:
    rows = commit.get_combined_status().statuses
    return (_of_status(row) for row in rows if row.context != PROOF_STATUS)


def _of_status(status: CommitStatus) -> CheckOutcome:
    conclusion = "" if status.state == "pending" else status.state
    details = "\n".join(filter(None, (status.description, status.target_url)))
    return CheckOutcome(status.context, conclusion, status.updated_at, details)
