"""Verdicts that wait for something are looked at again; what a verdict about code needs is read or said."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.by_reference import EvidenceActivities
from activities.planning import TextActivities
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import EvidenceSource, Facts, IncidentRequest
from railmend.contracts.investigation import Turn, TurnRequest
from railmend.contracts.policy import Policy
from railmend.contracts.scan import FindingKind, ServiceRow
from railmend.diagnosis.router import ALWAYS_NEEDED, NEEDED, RUNNING, decide_by_rule
from tests import kept, samples
from tests.workflows.stand_ins import SOURCES, World
from tests.workflows.story import Stage, row_of, stage
from tests.workflows.test_after_pull_request import until


@pytest.fixture(autouse=True)
def _own_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own packet and rules; only the sources and the model are stand-ins."""
    artifacts = kept.memory_store()
    monkeypatch.setattr(kept, "memory_store", lambda: artifacts)
    monkeypatch.setattr(World, "decide", TextActivities(artifacts).decide)
    monkeypatch.setattr(World, "build_packet", EvidenceActivities(artifacts).build_packet)


async def look(on: Stage, after: timedelta) -> ServiceRow:
    on.later(after)
    row: ServiceRow = row_of(await on.scan(), "checkout")
    return row


async def test_too_little_data_is_looked_at_again_until_there_is_enough(
    temporal: WorkflowEnvironment,
) -> None:
    """Few requests fail, then many: the second verdict follows within the hour, on the same deployment."""
    async with stage(temporal, samples.service("checkout")) as on:
        failing = on.world.findings[0].model_copy(
            update={"kind": FindingKind.ERROR_RATE, "rule": "error_rate.share", "requests": 4}
        )
        on.world.findings = (failing,)
        first = await look(on, timedelta(0))
        assert (first.verdict, first.action) == ("too_little_data", "look_again")
        assert "Next look:" in first.detail
        assert (await look(on, timedelta(minutes=5))).action == "suppressed"
        again = await look(on, timedelta(minutes=30))
        assert (again.verdict, again.action) == ("too_little_data", "look_again")
        on.world.findings = (failing.model_copy(update={"requests": 400}),)
        assert (await look(on, timedelta(minutes=35))).verdict == "code"


async def test_an_incident_of_railways_own_is_waited_out_and_no_longer(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        on.world.blamed = {"id-checkout": "Edge proxies fail in us-west."}
        first = await look(on, timedelta(0))
        assert (first.verdict, first.action) == ("platform_incident", "look_again")
        assert "Edge proxies fail in us-west." in first.detail
        on.world.blamed = {}
        assert (await look(on, timedelta(minutes=16))).verdict == "code"


async def test_a_verdict_that_still_waits_is_notified_of_once(
    temporal: WorkflowEnvironment,
) -> None:
    async with stage(temporal, samples.service("checkout", latest_status="BUILDING")) as on:
        on.world.services = tuple(
            each.model_copy(update={"active_deployment_id": None}) for each in on.world.services
        )
        for _ in range(3):
            on.later(timedelta(minutes=6))
            await on.scan(policy=Policy(notify=True))
        assert [each.verdict for each in on.world.notified] == ["too_little_data"]


@pytest.mark.parametrize("attempts", [3, 99], ids=["back after a while", "stays away"])
async def test_no_code_is_blamed_on_a_packet_that_lacks_what_the_verdict_needs(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    """The settings' changes time out: they are read again, and without them no model is asked."""
    asked: Counter[str] = Counter()

    def source(self: World, name: str) -> object:
        @activity.defn(name=name)
        async def read(request: IncidentRequest) -> ArtifactReference:
            asked[name] += 1
            if name == "drift_facts" and asked[name] <= attempts:
                raise ApplicationError("Railway did not answer.")
            return await self.artifacts.put_model(Facts(items=()))

        return read

    monkeypatch.setattr(World, "_source", source)
    async with stage(temporal, samples.service("checkout")) as on:
        row = row_of(await on.scan(), "checkout")
        assert asked["drift_facts"] == (4 if attempts == 3 else 6)
        assert all(asked[name] == 1 for name in SOURCES if name != "drift_facts")
        if attempts == 3:
            assert (row.verdict, on.world.calls["diagnose"]) == ("code", 1)
            return
        assert (row.verdict, row.action, on.world.calls["diagnose"]) == ("unclear", "look_again", 0)
        assert "the changes of the configuration could not be read" in row.detail
        attempts = 0  # Railway is back at the next look
        assert (await look(on, timedelta(minutes=31))).verdict == "code"


@pytest.mark.parametrize("kind", FindingKind, ids=str)
def test_whatever_a_kind_of_fault_needs_is_missed(kind: FindingKind) -> None:
    """Each source by itself: where the kind needs it there is no verdict about code, else there may be."""
    incident = samples.incident(findings=(samples.finding(kind=kind).model_copy(update={"rule": "other"}),))
    for source in EvidenceSource:
        lacking = samples.packet().model_copy(update={"unread": (source,)})
        decided = decide_by_rule(incident, lacking)
        if source in ALWAYS_NEEDED | NEEDED.get(kind, RUNNING):
            assert decided is not None
            assert decided.verdict.value == "unclear"
            assert decided.again_seconds
            assert source.value in decided.summary
        else:
            assert decided is None


async def test_a_cancelled_investigation_is_no_failed_one(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def never(_: World, request: TurnRequest) -> Turn:
        asked.append(request)
        raise ApplicationError("slow down", next_retry_delay=timedelta(minutes=10))

    monkeypatch.setattr(World, "take_turn", activity.defn(name="take_turn")(never))
    async with stage(temporal, samples.service("checkout")) as on:
        scan = asyncio.ensure_future(on.scan())
        handle = on.client.get_workflow_handle(f"incident/{on.environment_id}/id-checkout")
        await until(lambda: len(asked) > 0)
        await handle.cancel()
        row = row_of(await scan, "checkout")
        assert (row.verdict, row.action) == ("affected", "cancelled")
        ledger = await on.ledger()
        assert [(entry.state, entry.outcome) for entry in ledger.entries] == [("suppressed", "cancelled")]
