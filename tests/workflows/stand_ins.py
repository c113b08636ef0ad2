"""Activities by name that answer from memory and count what they were asked."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.ledger import LedgerActivities
from activities.railway import paged
from railmend.artifacts import ArtifactStore
from railmend.contracts.approval import PlanDecided, PlanIssue, PlanIssueRequest
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.checks import CheckReport, CheckRun
from railmend.contracts.incident import (
    ChallengeRequest,
    Decision,
    Diagnosis,
    DiagnosisRequest,
    Fact,
    Facts,
    Incident,
    IncidentReport,
    IncidentRequest,
    PacketRequest,
    Verdict,
)
from railmend.contracts.investigation import EvidenceResult, ToolRequest, Turn, TurnRequest
from railmend.contracts.notification import Notification, NotificationBatch
from railmend.contracts.proof import Proof, ProofRow, ProofVerdict, SideReport
from railmend.contracts.repair import (
    Approval,
    CodingRequest,
    CodingResult,
    CodingState,
    Commit,
    FileChange,
    PublishRequest,
    PullRequest,
    PullRequestRequest,
    Workspace,
    WorkspaceChange,
    WorkspaceRequest,
)
from railmend.contracts.review import EarlierPullRequest
from railmend.contracts.scan import (
    Assessment,
    CandidatePage,
    CandidatePages,
    CandidatesRequest,
    DownstreamEffect,
    DownstreamEffects,
    Finding,
    ScanBeginning,
    ScanRequest,
    ScanSettings,
    Screening,
    ScreenRequest,
    Service,
)
from tests import kept, samples
from tests.workflows.review_stage import ReviewStage

DONE = CodingResult(state=CodingState.DONE, session_id="ses_1", text="Bounded the cache.")

SOURCES = (
    *("chart_facts", "deployment_facts", "drift_facts", "state_facts", "change_facts"),
    *("build_log_facts", "deploy_log_facts", "http_log_facts", "provider_facts"),
)
CHECKED = CheckReport(
    runs=(CheckRun(command="make test", directory="", passed=True, seconds=1.0, output="ok"),)
)
FAILING = CheckReport(runs=(CHECKED.runs[0].model_copy(update={"passed": False, "output": "1 failed"}),))
CHANGE = WorkspaceChange(files=(FileChange(path="app.py", status="modified", additions=2, deletions=1),))

_ROW = ProofRow(
    what="regression test tests/test_app.py",
    base="fails 3 of 3",
    change="passes 3 of 3",
    verdict=ProofVerdict.PASSED,
    shows_fault=True,
)
PROVEN = Proof(rows=(_ROW,))
_STILL_FAILS = {
    "change": "fails 3 of 3",
    "verdict": ProofVerdict.FAILED,
    "reason": "It fails with the change too.",
    "shows_fault": False,
}
FAILED_PROOF = Proof(rows=(_ROW.model_copy(update=_STILL_FAILS),))


@dataclass
class ApprovalStage:
    """`decisions`: one per poll of a plan's issue, None where nobody has decided; the last one stays."""

    decisions: list[Approval | None] = field(default_factory=lambda: [None])
    shown: list[PlanIssueRequest] = field(default_factory=list)
    decided: list[PlanDecided] = field(default_factory=list)
    polls: int = 0
    polled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class World:
    """What the outside answers; `calls` counts activities by name."""

    queue: str
    services: tuple[Service, ...]
    findings: tuple[Finding, ...]
    settings: ScanSettings = field(default_factory=ScanSettings)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    coding: CodingResult = DONE
    change: WorkspaceChange = CHANGE
    # What later looks at the change find; the last one stays.
    mended: WorkspaceChange | None = None
    before: CheckReport = CHECKED
    after: tuple[CheckReport, ...] = (CHECKED,)
    # What proofs show, one after the other; the last one stays.
    proofs: tuple[Proof, ...] = (PROVEN,)
    asked: list[CodingRequest] = field(default_factory=list)
    proved: list[CodingRequest] = field(default_factory=list)
    published: list[PublishRequest] = field(default_factory=list)
    decided: bool = False
    hang: bool = False
    broken: frozenset[str] = frozenset()
    survives: bool = True
    downstream_effects: tuple[DownstreamEffect, ...] = ()
    blamed: dict[str, str] = field(default_factory=dict)
    # Texts of a packet, and a diagnosis, in place of the small ones.
    evidence: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None
    artifacts: ArtifactStore = field(default_factory=lambda: kept.memory_store())
    calls: Counter[str] = field(default_factory=Counter)
    removed: list[str] = field(default_factory=list)
    notified: list[Notification] = field(default_factory=list)
    # Diagnoses of these services wait until they are set.
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    prepared: list[WorkspaceRequest] = field(default_factory=list)
    after_pull_request: ReviewStage = field(default_factory=ReviewStage)
    approvals: ApprovalStage = field(default_factory=ApprovalStage)

    def _count(self) -> None:
        name = activity.info().activity_type
        self.calls[name] += 1
        if name in self.broken:
            raise ApplicationError(f"{name} is broken on purpose", non_retryable=True)

    def settings_of(self, request: ScanRequest) -> ScanSettings:
        return self.settings

    @activity.defn
    async def read_scan_settings(self, request: ScanBeginning) -> ScanSettings:
        self._count()
        settings = self.settings_of(request)
        assert request.at is not None
        screened = ScreenRequest(scan=request, window=settings.window(request.at))
        return settings.model_copy(update={"screening": await self.screen(screened)})

    async def screen(self, request: ScreenRequest) -> Screening:
        troubled = {finding.service_id for finding in self.findings}
        candidates = [s for s in self.services if s.service_id in troubled]
        pages = paged(candidates, self.findings if self.decided else ())
        first = pages[0] if pages else CandidatePage(services=(), findings=())
        return Screening(
            project_name="acme",
            environment_name="production",
            healthy=tuple(s.name for s in self.services if s.service_id not in troubled),
            candidates=first.services,
            findings=first.findings,
            more=tuple([await self.artifacts.put_model(page) for page in pages[1:]]),
            decided=self.decided,
            unseen=("Nothing of the moon.",),
            needed={s.service_id: s.name for s in self.services if s.service_id not in troubled},
            blamed=self.blamed,
        )

    @activity.defn
    async def read_candidates(self, reference: ArtifactReference) -> CandidatePage:
        self._count()
        return await self.artifacts.get_model(reference, CandidatePage)

    @activity.defn
    async def link_downstream(self, request: CandidatePages) -> DownstreamEffects:
        self._count()
        return DownstreamEffects(effects=self.downstream_effects)

    @activity.defn
    async def assess_candidates(self, request: CandidatesRequest) -> Assessment:
        self._count()
        ids = {service.service_id for service in request.services}
        findings = tuple(finding for finding in self.findings if finding.service_id in ids)
        page = await self.artifacts.put_model(CandidatePage(services=request.services, findings=findings))
        return Assessment(
            findings=findings, page=page, downstream_effects=self.downstream_effects, blamed=self.blamed
        )

    @activity.defn
    async def finding_facts(self, request: IncidentRequest) -> ArtifactReference:
        self._count()
        facts = Facts(items=(Fact(kind="finding", source="rule", text="memory rises"),))
        return await self.artifacts.put_model(facts)

    def sources(self) -> list[object]:
        """All sources but the findings: empty, and counted."""
        return [self._source(name) for name in SOURCES]

    def _source(self, name: str) -> object:
        @activity.defn(name=name)
        async def source(request: IncidentRequest) -> ArtifactReference:
            self._count()
            return await self.artifacts.put_model(Facts(items=()))

        return source

    @activity.defn
    async def build_packet(self, request: PacketRequest) -> ArtifactReference:
        self._count()
        unseen = tuple(sentence for facts in request.facts for sentence in facts.unseen)
        packet = samples.packet(request.incident.service.name).model_copy(update={"unseen": unseen})
        if self.evidence:
            items = tuple(
                packet.items[0].model_copy(update={"id": f"E{number}", "text": text})
                for number, text in enumerate(self.evidence, start=1)
            )
            packet = packet.model_copy(update={"items": items})
        return await self.artifacts.put_model(packet)

    @activity.defn
    async def decide(self, request: DiagnosisRequest) -> Decision:
        self._count()
        return Decision()

    @activity.defn
    async def take_turn(self, request: TurnRequest) -> Turn:
        """Answer as `diagnose` and `refute` do, at once; counted, and broken, under their names."""
        self.calls["take_turn"] += 1
        if request.question is None:
            raise ApplicationError("nobody was asked for anything", non_retryable=True)
        if request.doubted is None:
            name, question = "diagnose", self.diagnose(request.question)
        else:
            challenged = ChallengeRequest(packet=request.question.packet, diagnosis=request.doubted)
            name, question = "refute", self.refute(challenged)
        if name in self.broken:
            question.close()
            raise ApplicationError(f"{name} is broken on purpose", non_retryable=True)
        return Turn(diagnosis=await question, packet=request.question.packet)

    @activity.defn
    async def use_tool(self, request: ToolRequest) -> EvidenceResult:
        self._count()
        return EvidenceResult(call_id=request.call.id, unseen="Nothing was found.")

    @activity.defn
    async def refute(self, request: ChallengeRequest) -> Diagnosis:
        self.calls["refute"] += 1
        if not self.survives:
            return request.diagnosis.model_copy(update={"verdict": Verdict.UNCLEAR})
        return request.diagnosis

    @activity.defn
    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        self.calls["diagnose"] += 1
        if gate := self.gates.get(request.incident.service.name):
            await gate.wait()
        if self.diagnosis is not None:
            return self.diagnosis
        return samples.diagnosis(self.verdicts.get(request.incident.service.name, Verdict.CODE))

    @activity.defn
    async def describe_incident(self, report: IncidentReport) -> str:
        return report.diagnosis.summary

    @activity.defn
    async def prepare_workspace(self, request: WorkspaceRequest) -> Workspace:
        self._count()
        self.prepared.append(request)
        return Workspace(
            key=request.key,
            repository=request.repository,
            task_queue=self.queue,
            work_tree="/nowhere",
            base="b" * 40,
        )

    @activity.defn
    async def run_session(self, request: CodingRequest) -> CodingResult:
        self._count()
        self.asked.append(request)
        while self.hang:
            activity.heartbeat()
            await asyncio.sleep(0.05)
        return self.coding

    @activity.defn
    async def review_change(self, request: CodingRequest) -> WorkspaceChange:
        self._count()
        return self.mended if request.turn and self.mended else self.change

    @activity.defn
    async def prepare_checks(self, request: CodingRequest) -> CheckReport:
        self._count()
        return self.before

    @activity.defn
    async def run_checks(self, request: CodingRequest) -> CheckReport:
        self._count()
        return self.after[min(self.calls["run_checks"], len(self.after)) - 1]

    @activity.defn
    async def sample_requests(self, request: Incident) -> ArtifactReference:
        self._count()
        return samples.packet_reference()

    @activity.defn
    async def reproduce_on_base(self, request: CodingRequest) -> SideReport:
        self._count()
        return SideReport()

    @activity.defn
    async def prove_change(self, request: CodingRequest) -> Proof:
        self._count()
        self.proved.append(request)
        assert request.reviewed == (self.mended if request.turn and self.mended else self.change).tree
        return self.proofs[min(self.calls["prove_change"], len(self.proofs)) - 1]

    @activity.defn
    async def commit_and_push(self, request: PublishRequest) -> Commit:
        self._count()
        return Commit(sha="a" * 40, branch=request.repair.branch)

    @activity.defn
    async def open_pull_request(self, request: PullRequestRequest) -> PullRequest:
        self._count()
        self.published.append(request.publish)
        url = "http://forge/acme/checkout/pull/1"
        self.after_pull_request.opened[request.commit.branch] = EarlierPullRequest(
            number=1,
            url=url,
            head=request.commit.sha,
            draft=False,
            opened_at=activity.info().scheduled_time,
            rounds=0,
        )
        return PullRequest(number=1, url=url, head=request.commit.sha)

    @activity.defn
    async def delete_workspace(self, workspace: Workspace) -> None:
        self._count()
        self.removed.append(workspace.key)

    @activity.defn
    async def notify(self, request: NotificationBatch) -> None:
        self._count()
        self.notified.extend(request.notifications)

    @activity.defn
    async def open_plan_issue(self, request: PlanIssueRequest) -> PlanIssue:
        self._count()
        self.approvals.shown.append(request)
        return PlanIssue(
            repository=request.repair.repository,
            number=1,
            url="http://forge/acme/checkout/issues/1",
            plan=request.repair.plan_hash,
            shown_at=activity.info().scheduled_time,
            digest="",
        )

    @activity.defn
    async def find_decision(self, issue: PlanIssue) -> Approval:
        self._count()
        stage = self.approvals
        stage.polls += 1
        stage.polled.set()
        decision = stage.decisions[min(stage.polls, len(stage.decisions)) - 1]
        if decision is None:
            raise ApplicationError("Nobody has decided yet.", category=ApplicationErrorCategory.BENIGN)
        return decision

    @activity.defn
    async def close_plan_issue(self, decided: PlanDecided) -> None:
        self._count()
        self.approvals.decided.append(decided)

    def orchestration(self, client: Client) -> list[object]:
        ledger = LedgerActivities(client, self.queue)
        return [
            self.read_scan_settings,
            self.assess_candidates,
            self.read_candidates,
            self.link_downstream,
            self.finding_facts,
            *self.sources(),
            self.build_packet,
            self.use_tool,
            self.describe_incident,
            self.run_session,
            self.review_change,
            self.prepare_checks,
            self.run_checks,
            self.sample_requests,
            self.reproduce_on_base,
            self.prove_change,
            self.commit_and_push,
            self.open_pull_request,
            self.delete_workspace,
            self.prepare_workspace,
            *self.after_pull_request.activities(),
            self.decide,
            self.notify,
            self.open_plan_issue,
            self.find_decision,
            self.close_plan_issue,
            ledger.claim,
            ledger.run_is_open,
            ledger.confirm,
            ledger.settle,
            ledger.reserve,
            ledger.spend,
        ]
