"""From a plan to a pull request."""

from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from railmend.contracts.base import Contract
from railmend.contracts.incident import IncidentReport
from railmend.contracts.outcome import Judgement
from railmend.contracts.policy import Policy
from railmend.contracts.review import Merge
from railmend.contracts.scan import Autonomy


def repair_key(repository: str, fingerprints: list[str], deployment_id: str | None) -> str:
    """Names branch, marker and coding session: the same trouble always gives the same key (12 hex digits)."""
    text = "\n".join([repository, *sorted(fingerprints), deployment_id or ""])
    return sha256(text.encode()).hexdigest()[:12]


class RepairRequest(Contract):
    """One repair of one repository for one or more incidents of its services."""

    repository: str  # "owner/name"
    key: str
    base_branch: str
    commit: str | None  # of the running deployment; None: head of the base branch
    root_directories: tuple[str, ...]
    incidents: tuple[IncidentReport, ...]
    autonomy: Autonomy
    requested_at: datetime
    project_id: str
    policy: Policy = Policy()

    @property
    def branch(self) -> str:
        return f"railmend/{self.key}"

    @property
    def fingerprints(self) -> tuple[str, ...]:
        return tuple(f.fingerprint for i in self.incidents for f in i.request.findings)


class Workspace(Contract):
    """A prepared work tree. `task_queue` reaches the machine that has it; `base` is its commit."""

    key: str
    repository: str
    task_queue: str
    work_tree: str
    base: str


class WorkspaceRequest(Contract):
    key: str
    repository: str
    base_branch: str
    commit: str | None


class CodingRequest(Contract):
    """The session is found again by `workspace.key`; the prompt is built where it runs."""

    workspace: Workspace
    repair: RepairRequest


# How the agent is asked to start a line when the plan is wrong.
NO_CHANGE = "NO CHANGE:"


class CodingState(StrEnum):
    DONE = "done"
    FAILED = "failed"
    ABORTED = "aborted"


class CodingResult(Contract):
    """How a session ended; `text` is the agent's last word (bounded), `reason` why it failed or was ended."""

    state: CodingState
    session_id: str
    text: str
    reason: str | None = None
    model_calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0

    @property
    def declined(self) -> bool:
        """The agent says that nothing should change; what it left in the tree is not published."""
        return any(line.startswith(NO_CHANGE) for line in self.text.splitlines())


class FileChange(Contract):
    path: str
    status: str  # added, modified, deleted
    additions: int
    deletions: int


class Change(Contract):
    """What the agent left in its work tree. `refused`: the guard's sentences; empty: it may be published."""

    files: tuple[FileChange, ...]
    refused: tuple[str, ...] = ()


class PublishRequest(Contract):
    workspace: Workspace
    repair: RepairRequest
    coding: CodingResult
    change: Change


class Commit(Contract):
    sha: str
    branch: str


class PullRequestRequest(Contract):
    publish: PublishRequest
    commit: Commit


class PullRequest(Contract):
    number: int
    url: str
    head: str
    draft: bool = False
    existed: bool = False


class Approval(Contract):
    """What a person says to a plan; `by` names them, and is kept."""

    by: str
    reason: str = ""
    approved: bool = True


class RepairOutcome(StrEnum):
    """How a repair ended; the first is also what a scan is told as soon as the pull request is open."""

    PULL_REQUEST = "pull_request"
    NO_CHANGE = "no_change"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_ALLOWED = "not_allowed"
    RELATED = "related"  # an open pull request is about it already; commented there
    CLOSED = "closed"  # without a merge, by a person
    NOT_DEPLOYED = "not_deployed"  # merged, and in no deployment that runs
    HELD = "held"
    NOT_HELD = "not_held"
    WORSE = "worse"
    CANNOT_TELL = "cannot_tell"


class RepairResult(Contract):
    """`judgements`: per service, what was measured after the merge. `edited`: people changed it first."""

    outcome: RepairOutcome
    reason: str
    pull_request: PullRequest | None = None
    coding: CodingResult | None = None
    merge: Merge | None = None
    edited: bool = False
    judgements: tuple[Judgement, ...] = ()
    revert: PullRequest | None = None
    action: str = ""  # workflow ID of the rollback that is offered
