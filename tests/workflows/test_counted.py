"""What Temporal bills, counted by the server itself, and how long histories are."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import accumulate, islice, takewhile

import pytest

from activities.heartbeat import paces
from activities.ledger import LedgerActivities
from railmend import costs
from railmend.contracts.incident import Verdict
from railmend.contracts.ledger import ClaimBatch, ClaimRequest, ClaimState
from railmend.contracts.policy import FollowUp, Policy
from tests import samples
from tests.server_metrics import Metered, metered
from tests.workflows import test_wide_incident as wide
from tests.workflows.review_stage import MERGED, OPEN
from tests.workflows.story import stage
from tests.workflows.test_after_pull_request import repairing
from workflows.shared import policies

# A schedule's own action, for each run that it starts.
SCHEDULED = 1


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Metered]:
    async with metered() as started:
        yield started


async def test_a_project_with_nothing_wrong_costs_four_actions_a_scan(server: Metered) -> None:
    async with stage(server.temporal, samples.service("healthy")) as on:
        before = await server.actions()
        report = await on.scan()
        assert report.counts["healthy"] == 1
        assert total(await server.actions() - before) + SCHEDULED == costs.IDLE_SCAN


async def test_twenty_known_troubles_cost_nine_actions_a_scan(server: Metered) -> None:
    names = [f"service-{number}" for number in range(20)]
    verdicts = dict.fromkeys(names, Verdict.UNCLEAR)  # no repair acts beside the second scan
    async with stage(server.temporal, *map(samples.service, names), decided=True, verdicts=verdicts) as on:
        await on.scan()
        before = await server.actions()
        report = await on.scan()
        assert {row.action for row in report.rows} == {"suppressed"}
        assert total(await server.actions() - before) + SCHEDULED <= 9


async def test_an_investigation_and_a_repair_cost_what_the_model_of_costs_says(server: Metered) -> None:
    cost = {}
    for verdict in (Verdict.UNCLEAR, Verdict.CODE):
        verdicts = {"checkout": verdict}
        async with stage(server.temporal, samples.service("checkout"), decided=True, verdicts=verdicts) as on:
            before = await server.actions()
            report = await on.scan(policy=Policy(follow_up=FollowUp(outcome_seconds=(60,))))
            for row in report.rows:
                if row.repair_workflow_id:
                    await on.repair(row.repair_workflow_id)
            cost[verdict] = total(await server.actions() - before) + SCHEDULED
    investigation, repair = (
        cost[Verdict.UNCLEAR] - costs.IDLE_SCAN,
        cost[Verdict.CODE] - cost[Verdict.UNCLEAR],
    )
    assert 0.7 * costs.INVESTIGATION < investigation <= costs.INVESTIGATION
    assert 0.7 * costs.REPAIR < repair <= costs.REPAIR


async def test_a_scan_of_two_hundred_services_with_twenty_in_trouble_has_a_short_history(
    server: Metered,
) -> None:
    async with stage(server.temporal) as on:
        affected = [
            wide.service(number).model_copy(update={"repository": f"{on.environment_id}/{number}"})
            for number in range(20)
        ]
        on.world.services = (*affected, *(samples.service(f"well-{number}") for number in range(180)))
        on.world.findings = tuple(
            finding for each in affected for finding in wide.findings(each, on.environment_id)
        )
        report = await on.scan(policy=wide.POLICY)
        repairs = {row.repair_workflow_id for row in report.rows}
        (history,) = (found := await wide.histories(on.client, *on.scans)).values()
        assert len(repairs) == 20
        assert len(history.events) < 250
        assert max(wide.largest(found).values()) < wide.LIMIT


async def test_a_look_at_a_pull_request_costs_two_actions(server: Metered) -> None:
    async def cost(looks: int) -> Counter[str]:
        async with repairing(server.temporal, views=[*[OPEN] * looks, MERGED]) as on:
            before = await server.actions()
            await on.ends(outcome_seconds=(60,))
            return await server.actions() - before

    few, many = await cost(1), await cost(11)
    each_look = Counter(command_StartTimer=10, command_ScheduleActivityTask=10)
    if many - few != each_look:  # a loaded machine repeats what was late, and the server counts it
        few, many = await cost(1), await cost(11)
    assert many - few == each_look
    assert few - many == Counter()


def test_a_session_of_forty_minutes_beats_seldom_and_is_missed_within_a_minute() -> None:
    timeout = policies.SESSION["heartbeat_timeout"]
    seconds = list(takewhile(lambda at: at < 40 * 60, accumulate(paces(timeout))))
    assert len(seconds) < 130
    assert timeout <= timedelta(minutes=1)
    # One beat may be lost or late, and the attempt is not given up.
    assert max(2 * pace for pace in islice(paces(timeout), 100)) < timeout.total_seconds()


async def test_two_hundred_updates_of_one_ledger_at_once_are_all_taken(server: Metered) -> None:
    async with stage(server.temporal, samples.service("healthy")) as on:
        ledger = LedgerActivities(on.client, on.world.queue)

        async def ask(number: int) -> ClaimState:
            claim = ClaimRequest(
                claim_id=f"claim {number}",
                fingerprints=(f"env/{number}/latency",),
                holder="a",
                at=samples.NOW,
            )
            asked = ClaimBatch(project_id=on.environment_id, claims=(claim,))
            return (await ledger.claim(asked)).answers[0].state

        await ask(0)  # opens the ledger
        before = server.refused()
        answers = await asyncio.gather(*map(ask, range(1, 201)))
        assert set(answers) == {ClaimState.GRANTED}
        assert server.refused() == before
        assert len((await on.ledger()).entries) == 201


def total(actions: Counter[str]) -> int:
    return sum(actions.values())
