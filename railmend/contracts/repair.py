"""Models of a repair: its request, workspace, coding session, checks, pull request and result."""

import json
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.autonomy import Autonomy, EarnedAutonomy
from railmend.contracts.base import Contract, OpenEnum
from railmend.contracts.checks import CheckReport, Verification
from railmend.contracts.incident import Diagnosis, IncidentReport
from railmend.contracts.measurement import MeasurementResult
from railmend.contracts.policy import Policy
from railmend.contracts.proof import Proof, SideReport
from railmend.contracts.review import Merge, Note
from railmend.contracts.scan import FindingKind, Severity, fingerprint
from railmend.contracts.track_record import AutonomyDecision, AutonomyQuery


def repair_key(repository: str, fingerprints: list[str], deployment_id: str | None) -> str:
    """Return the key of branch, marker and session (12 hex digits): the same for the same incidents."""
    text = "\n".join([repository, *sorted(fingerprints), deployment_id or ""])
    return sha256(text.encode()).hexdigest()[:12]


# More than these are too much for one prompt and one pull request. Their diagnoses share so many bytes: they
# travel to each activity of the repair, together with the session's answer, its change and its checks.
MOST_SERVICES, DIAGNOSES_BYTES = 5, 18_000


def _plan_of(diagnosis: Diagnosis) -> tuple[object, ...]:
    """Return what an agent is told to do, and why."""
    causes = [(cause.text, cause.evidence) for cause in diagnosis.causes]
    files = (diagnosis.suspected_files, diagnosis.plan)
    return (diagnosis.summary, causes, *files, diagnosis.verify, diagnosis.risk, diagnosis.assumes)


class LeftOutService(Contract):
    """A service that is in trouble too, and that a repair with `MOST_SERVICES` others names and claims."""

    service_id: str
    name: str
    kinds: tuple[FindingKind, ...]
    chronic: bool = False  # all of it was always so


def fitted(reports: Sequence[IncidentReport]) -> tuple[IncidentReport, ...]:
    """Return the reports with their diagnoses cut, where they are too long together."""
    share = DIAGNOSES_BYTES // max(len(reports), 1)
    return tuple(r.model_copy(update={"diagnosis": r.diagnosis.within(share)}) for r in reports)


def worst_first(reports: Sequence[IncidentReport]) -> list[IncidentReport]:
    """Return the reports, those with critical findings first, then those that began first."""

    def rank(report: IncidentReport) -> tuple[bool, datetime, str]:
        findings = report.request.findings
        critical = any(finding.severity is Severity.CRITICAL for finding in findings)
        return not critical, min(finding.onset for finding in findings), report.request.service.service_id

    return sorted(reports, key=rank)


class RepairRequest(Contract):
    """One repair of one repository for one or more incidents of its services, the worst first.

    `left_out`: what is in trouble too, beyond `MOST_SERVICES`: claimed by this repair, and shown to people.
    """

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
    fix_number: int = 1  # one more for each merged fix that did not hold
    bounded_by: str = ""  # why the autonomy is less than configured
    left_out: tuple[LeftOutService, ...] = ()

    @property
    def kind(self) -> str:
        """The kind of the most severe finding; the track record is kept by it."""
        findings = [finding for incident in self.incidents for finding in incident.request.findings]
        return min(findings, key=lambda finding: finding.severity is not Severity.CRITICAL).kind.value

    @property
    def needs_approval(self) -> bool:
        """Whether a person allows it first: so with `plan`, and with what a later version added."""
        return self.autonomy not in (Autonomy.DRAFT, Autonomy.PULL_REQUEST)

    @property
    def plan_hash(self) -> str:
        """Return what names exactly this plan (16 hex digits), for whoever approves it.

        Another text, base, service or request has another. The fields are listed, so that one which a later
        version adds changes no plan that waits.
        """
        plans = [
            (report.request.service.service_id, *_plan_of(report.diagnosis)) for report in self.incidents
        ]
        place = (self.repository, self.key, self.base_branch, self.commit, self.root_directories)
        text = json.dumps((place, self.autonomy.value, self.requested_at.isoformat(), plans))
        return sha256(text.encode()).hexdigest()[:16]

    @property
    def onset(self) -> datetime:
        return min(f.onset for incident in self.incidents for f in incident.request.findings)

    def autonomy_query(self, policy: EarnedAutonomy) -> AutonomyQuery:
        return AutonomyQuery(
            repository=self.repository, kind=self.kind, configured=self.autonomy, policy=policy
        )

    def bounded(self, decision: AutonomyDecision | None) -> "RepairRequest":
        """Return the request with no more autonomy than earlier fixes earned."""
        if decision is None:
            return self
        return self.model_copy(update={"autonomy": decision.autonomy, "bounded_by": decision.reason})

    def next_fix(self) -> "RepairRequest":
        """Return the request for a fix on top of one that was merged and did not hold."""
        return self.model_copy(update={"fix_number": self.fix_number + 1, "commit": None})

    @property
    def workflow_id(self) -> str:
        return f"repair/{self.repository}/{self.key}"

    @property
    def branch(self) -> str:
        return f"railmend/{self.key}" + (f"-{self.fix_number}" if self.fix_number > 1 else "")

    @property
    def fingerprints(self) -> tuple[str, ...]:
        own = tuple(fp for incident in self.incidents for fp in incident.request.fingerprints)
        environment = self.incidents[0].request.environment_id
        others = (
            fingerprint(environment, s.service_id, kind, chronic=s.chronic)
            for s in self.left_out
            for kind in s.kinds
        )
        return (*own, *others)


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
    """The session is found again by `workspace.key`; the prompt is built where it runs.

    `turn` 0 asks for the plan; later turns, in the same session, say in `complaints` what must be fixed, or
    in `notes` what reviewers and checks say, or in `measurements` that a merged fix did not hold. `reviewed`:
    the git tree that the guard has seen, where one is to be checked. `text`: what the session said of it.
    `on_base`: what the base did, where the change is to be proved. `requests`: the sample of production's.
    `checks`: what is run without the change and with it, and how it went without, a sentence each;
    `unchecked`: why nothing of it can be run, a sentence and the output that shows it.
    """

    workspace: Workspace
    repair: RepairRequest
    turn: int = 0
    complaints: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    measurements: tuple[MeasurementResult, ...] = ()
    reviewed: str = ""
    text: str = ""
    on_base: SideReport | None = None
    requests: ArtifactReference | None = None
    checks: tuple[str, ...] = ()
    unchecked: str = ""


# How the agent is asked to start a line when the plan is wrong.
NO_CHANGE = "NO CHANGE:"


class CodingState(OpenEnum):
    DONE = "done"
    FAILED = "failed"
    ABORTED = "aborted"


class CodingResult(Contract):
    """How a session ended. `text`: the agent's last message, bounded. `reason`: why it was ended."""

    state: CodingState
    session_id: str
    text: str
    reason: str | None = None
    model_calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0

    @property
    def declined(self) -> bool:
        """Whether the agent says that nothing should change; what it left in the tree is not published."""
        return any(line.startswith(NO_CHANGE) for line in self.text.splitlines())


class FileChange(Contract):
    path: str
    status: str  # added, modified, deleted
    additions: int
    deletions: int


class WorkspaceChange(Contract):
    """What the agent left in its work tree. `refused`: the guard's sentences; empty: it may be published.

    `tree`: the git tree that was reviewed; it alone may be committed. `draft_allowed`: a change that
    is refused twice may still become a draft that lists why. `more_files`: changed too, and not listed.
    """

    files: tuple[FileChange, ...]
    more_files: int = 0
    refused: tuple[str, ...] = ()
    tree: str = ""
    draft_allowed: bool = False


class CodingRound(Contract):
    """What the coding loop came to: the last turn of the session, its change, and what was verified.

    `turn`: the number of that turn. `doubts`: why a person must look twice. `proof`: None before PROOF.
    """

    turn: int
    coding: CodingResult
    change: WorkspaceChange = WorkspaceChange(files=())
    verification: Verification = Verification(before=CheckReport(), after=CheckReport())
    doubts: tuple[str, ...] = ()
    proof: Proof | None = None

    def unpublishable(self) -> "RepairResult | None":
        """Return why there is nothing to publish; None where there is."""
        coding, change = self.coding, self.change
        if coding.state is not CodingState.DONE:
            reason = f"The coding session ended early: {coding.reason}"
            return RepairResult(outcome=RepairOutcome.FAILED, reason=reason, coding=coding)
        if coding.declined or not change.files:
            return RepairResult(outcome=RepairOutcome.NO_CHANGE, reason=coding.text, coding=coding)
        if change.refused and not change.draft_allowed:
            reason = "The guard refused the change: " + " ".join(change.refused)
            return RepairResult(outcome=RepairOutcome.REFUSED, reason=reason, coding=coding)
        return None


class PublishRequest(Contract):
    workspace: Workspace
    repair: RepairRequest
    coding: CodingResult
    change: WorkspaceChange
    verification: Verification
    # Why a person must look twice; not empty: the pull request is a draft that lists them.
    doubts: tuple[str, ...] = ()
    # What a follow-up commit answers; empty: it is the fix itself.
    notes: tuple[Note, ...] = ()
    # Each incident's window in numbers, for the charts: artifacts (`WindowMetrics`); one each, or none.
    measured: tuple[ArtifactReference, ...] = ()
    # None: nobody tried, because a run of 0.1.0 made the change, or it is a follow-up.
    proof: Proof | None = None


class Commit(Contract):
    sha: str
    branch: str


class PullRequestRequest(Contract):
    publish: PublishRequest
    commit: Commit


class RelatedComment(Contract):
    """A comment on an open pull request about the same incident, in place of a pull request of our own."""

    publish: PublishRequest
    number: int
    why: str


class PullRequest(Contract):
    number: int
    url: str
    head: str
    draft: bool = False
    existed: bool = False


class Approval(Contract):
    """A person's decision on a plan or an action.

    `by`: whoever GitHub says wrote `comment` (its address); from the command line, where there is none, what
    the caller's machine calls them. `plan`: the hash of the plan that they saw; empty: whichever waits.
    """

    by: str
    reason: str = ""
    approved: bool = True
    plan: str = ""
    comment: str = ""


class RepairOutcome(OpenEnum):
    """How a repair ended; `pull_request` is also its state as soon as the pull request is open."""

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
    """`measurements`: per service, what was measured after the merge. `edited`: people changed it first."""

    outcome: RepairOutcome
    reason: str
    pull_request: PullRequest | None = None
    coding: CodingResult | None = None
    merge: Merge | None = None
    edited: bool = False
    measurements: tuple[MeasurementResult, ...] = ()
    revert: PullRequest | None = None
    action: str = ""  # workflow ID of the rollback that is offered

    def but(self, more: str) -> "RepairResult":
        """Return the same ending, with what was tried after it added to its reason."""
        return self.model_copy(update={"reason": f"{self.reason} {more}".strip()})
