"""Sixty services of one repository in trouble at once, each with a full packet and a long diagnosis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

import pytest
from temporalio.client import Client, WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from railmend.contracts.checks import CheckReport, CheckRun
from railmend.contracts.incident import Diagnosis, Verdict
from railmend.contracts.ledger import Budget, Limit
from railmend.contracts.measurement import MeasurementStatus
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import (
    DIAGNOSES_BYTES,
    MOST_SERVICES,
    CodingResult,
    CodingState,
    FileChange,
    RepairOutcome,
    RepairResult,
    WorkspaceChange,
    fitted,
)
from railmend.contracts.scan import DownstreamEffect, Finding, FindingKind, HealthReport, Service
from railmend.diagnosis.answer import AnswerCause, AnswerCriterion, AnswerRuledOut, DiagnosisAnswer
from railmend.diagnosis.conversation import begin
from railmend.diagnosis.diagnose import MOST_BYTES, bounded_diagnosis
from tests import samples
from tests.workflows.review_stage import MERGED, OPEN, ReviewStage, commented
from tests.workflows.stand_ins import World
from tests.workflows.story import Stage, stage

LIMIT = 64 * 1024
POLICY = Policy(
    budget=Budget(incident=Limit(), day=Limit(), month=Limit()), follow_up=FollowUp(outcome_seconds=(60,))
)
AFFECTED, WELL = 60, 140
KINDS = (FindingKind.ERROR_RATE, FindingKind.LATENCY, FindingKind.MEMORY_SATURATION)
SENTENCE = (
    "Of 41,200 requests to {} 9.8% failed since 2026-11-24 08:11:00 UTC, which is 12 times the share of the "
    "day before and above the threshold of 2.0%."
)


def uuid(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def service(number: int) -> Service:
    name = f"checkout-worker-of-region-{number:03}"
    return samples.service(
        name,
        service_id=uuid(name),
        active_deployment_id=uuid(f"{name}/active"),
        latest_deployment_id=uuid(f"{name}/latest"),
        root_directory=f"services/{name}",
        depends_on=tuple(uuid(f"needs {n}") for n in range(8)),
    )


SUFFERING, ROOT_CAUSE = service(0), service(AFFECTED - 1)


def findings(one: Service, environment_id: str) -> tuple[Finding, ...]:
    return tuple(
        samples.finding(one.name, kind).model_copy(
            update={
                "environment_id": environment_id,
                "service_id": one.service_id,
                "sentence": SENTENCE.format(one.name),
            }
        )
        for kind in KINDS
    )


def longest_diagnosis() -> Diagnosis:
    text = "The pool of database connections is never given back when a request fails. " * 40
    answer = DiagnosisAnswer(
        summary=text,
        title=text,
        verdict=Verdict.CODE,
        dependency="",
        confidence=0.9,
        assumes=text,
        causes=[AnswerCause(text=text, evidence=[f"E{n}" for n in range(30)], against=["E2"])] * 12,
        ruled_out=[AnswerRuledOut(text=text, against=[f"E{n}" for n in range(30)])] * 12,
        suspected_files=["services/checkout/src/app/database/pool/connection.py"] * 60,
        suspected_commits=["c" * 40] * 20,
        plan=[text] * 40,
        reproduce=text,
        verify=text,
        criteria=[AnswerCriterion(series="error_share", below=True, threshold=0.02, within_minutes=60)] * 9,
        risk=text,
        if_not_fixed=text,
    )
    said = {"model": "openai/a-model-with-a-long-name", "tokens": 52_000, "usd": 0.31}
    result = begin(None, samples.packet(), None).model_copy(update=said)
    return bounded_diagnosis(answer, result).model_copy(update={"sceptic": text[:1000]})


def checks() -> CheckReport:
    run = CheckRun(command="python -m pytest -q", directory="", passed=True, seconds=99.0, output="x" * 200)
    directories = [f"services/checkout-worker-of-region-{n:03}" for n in range(12)]
    return CheckReport(runs=tuple(run.model_copy(update={"directory": one}) for one in directories))


FILES = tuple(
    FileChange(
        path=f"services/checkout/src/app/database/pool_{n}.py", status="modified", additions=9, deletions=9
    )
    for n in range(45)
)
FULL = {
    "evidence": ("x" * 4000,) * 8,
    "diagnosis": longest_diagnosis(),
    "coding": CodingResult(state=CodingState.DONE, session_id="ses_1", text="Gave it back. " * 280),
    "change": WorkspaceChange(files=FILES),
    "before": checks(),
    "after": (checks(),),
}


@asynccontextmanager
async def monorepo(
    temporal: WorkflowEnvironment, affected: int = AFFECTED, **world: object
) -> AsyncIterator[Stage]:
    """A stage whose affected services are all of one repository."""
    async with stage(temporal, **{**FULL, **world}) as on:
        make_wide(on.world, on.environment_id, affected)
        yield on


def make_wide(world: World, environment_id: str, count: int) -> None:
    shared = {"repository": f"{environment_id}/monorepo"}
    affected = [service(number).model_copy(update=shared) for number in range(count)]
    well = [samples.service(f"a-service-that-is-well-{n:03}") for n in range(WELL)]
    world.services = (*affected, *well)
    world.findings = tuple(finding for one in affected for finding in findings(one, environment_id))


async def histories(client: Client, *workflow_ids: str) -> dict[str, WorkflowHistory]:
    return {one: await client.get_workflow_handle(one).fetch_history() for one in workflow_ids}


def largest(found: dict[str, WorkflowHistory]) -> dict[str, int]:
    """The largest event of each workflow: an event holds one payload, or several that count together."""
    return {one: max(event.ByteSize() for event in history.events) for one, history in found.items()}


@dataclass(frozen=True)
class WideIncident:
    """`ended`: the repair that the first scan started, before the one that found it again."""

    on: Stage
    scanned: HealthReport
    ended: RepairResult
    again: HealthReport

    @property
    def repair_id(self) -> str:
        (repair_id,) = {row.repair_workflow_id for row in self.scanned.rows if row.action != "linked"}
        assert repair_id is not None
        return repair_id


@pytest.fixture(scope="module")
async def wide(temporal: WorkflowEnvironment) -> WideIncident:
    """A story with all that makes a state large: a review, a first fix that does not hold, a linked effect.

    Its workers have stopped, as those of the next test serve the same queues.
    """
    after = ReviewStage(
        views=[OPEN, commented(1, "Why? " * 380), MERGED],
        statuses=[MeasurementStatus.NOT_HELD, MeasurementStatus.HELD],
    )
    link = DownstreamEffect(
        service_id=SUFFERING.service_id, root_cause_service_id=ROOT_CAUSE.service_id, sentence="It suffers."
    )
    async with monorepo(temporal, after_pull_request=after, downstream_effects=(link,)) as on:
        report = await on.scan(policy=POLICY)
        ended = await on.repair(report.rows[-1].repair_workflow_id or "")
        return WideIncident(on, report, ended, await on.scan(policy=POLICY))


async def test_a_wide_incident_in_one_repository_is_one_repair_and_no_payload_is_large(
    wide: WideIncident,
) -> None:
    on, rows = wide.on, wide.scanned.rows
    assert len(rows) == AFFECTED
    assert all(row.findings and row.detail for row in rows)
    assert wide.ended.outcome is RepairOutcome.HELD
    first, second = (publish.repair.branch for publish in on.world.published)
    assert second == f"{first}-2", "another pull request only because the first fix did not hold"
    diagnosed = [row for row in rows if row.action != "linked"]
    incidents = [f"incident/{on.environment_id}/{row.service_id}" for row in diagnosed]
    found = await histories(on.client, *on.scans, *incidents, wide.repair_id)
    assert {one: size for one, size in largest(found).items() if size > LIMIT} == {}
    assert {row.action for row in wide.again.rows} == {"suppressed", "linked"}, (
        "those that were left out are claimed too"
    )
    assert on.world.calls["diagnose"] == len(diagnosed) == AFFECTED - 1


async def test_what_a_repair_leaves_out_is_named_in_the_pull_request_and_the_worst_are_in_it(
    wide: WideIncident,
) -> None:
    repair = wide.on.world.published[0].repair
    assert len(repair.incidents) == MOST_SERVICES
    names = {incident.request.service.name for incident in repair.incidents}
    names |= {left.name for left in repair.left_out}
    assert names == {row.name for row in wide.scanned.rows if row.action != "linked"}
    assert len(repair.fingerprints) == (AFFECTED - 1) * len(KINDS)


async def test_effects_are_linked_although_their_root_cause_stands_on_another_page(
    wide: WideIncident,
) -> None:
    linked = next(row for row in wide.scanned.rows if row.service_id == SUFFERING.service_id)
    assert (linked.verdict, linked.action) == ("downstream_effect", "linked")
    assert wide.on.world.calls["link_downstream"] > 0


async def test_candidates_that_are_lost_are_unseen_and_the_others_are_looked_at(
    temporal: WorkflowEnvironment,
) -> None:
    async with monorepo(temporal, decided=True, broken=frozenset({"read_candidates"})) as on:
        report = await on.scan(policy=POLICY)
        assert 0 < len(report.rows) < AFFECTED
        assert sum("look troubled are lost" in sentence for sentence in report.unseen) == 4


def test_the_longest_answer_of_a_model_fits_a_repair() -> None:
    diagnosis = longest_diagnosis()
    assert len(diagnosis.model_dump_json()) < MOST_BYTES + 1200
    alone, *_ = fitted([samples.report().model_copy(update={"diagnosis": diagnosis})])
    assert alone.diagnosis == diagnosis, "one service's diagnosis is not cut"
    many = fitted([alone] * MOST_SERVICES)
    assert sum(len(report.diagnosis.model_dump_json()) for report in many) < DIAGNOSES_BYTES
    assert all(len(step) > 40 for step in many[0].diagnosis.plan)
