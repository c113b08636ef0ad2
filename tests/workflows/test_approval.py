"""A plan that waits: shown on an issue, decided by a comment or on the command line."""

import asyncio
import gc
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from commands.page_content import PageReader
from commands.run_status import METADATA_QUERY
from commands.web_app import WebPage
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.policy import Policy
from railmend.contracts.repair import Approval, RepairOutcome
from railmend.contracts.status import WAITS_FOR_APPROVAL
from railmend.publishing.page import Live
from railmend.settings import ProjectSettings, Settings
from tests import samples
from tests.patience import PATIENCE
from tests.workflows.story import Stage, row_of, stage
from workflows.repair.repository_repair import RepositoryRepair
from workflows.shared import policies


@pytest.fixture(autouse=True)
def no_task_is_left_alone(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A task that ends with an error which nobody takes is told in a worker's log, at any time later."""
    yield
    gc.collect()
    assert [each.getMessage() for each in caplog.records if "never retrieved" in each.getMessage()] == []


BY_COMMENT = Policy(approve_by_comment=True, notify=True)
APPROVED = Approval(by="ada", comment="http://forge/acme/checkout/issues/1#issuecomment-1")


async def waiting(on: Stage, policy: Policy = BY_COMMENT) -> WorkflowHandle[RepositoryRepair, Any]:
    row = row_of(await on.scan(Autonomy.PLAN, policy=policy), "checkout")
    return on.client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id)


async def test_a_comment_approves_the_plan_and_its_issue_tells_by_whom(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        on.world.approvals.decisions = [None, None, None, APPROVED]
        result = await (await waiting(on)).result()
        assert result.outcome is RepairOutcome.HELD
        (request,), (decided,) = on.world.approvals.shown, on.world.approvals.decided
        assert (request.until - request.repair.requested_at).days >= 6
        assert decided.issue.plan == request.repair.plan_hash
        assert decided.sentence.startswith("ada approved the plan by the comment http://forge/")
        told = next(each for each in on.world.notified if each.kind.value == "approval")
        assert (told.issue, told.plan) == (decided.issue.url, request.repair.plan_hash)


async def test_a_comment_that_rejects_ends_the_repair_with_its_reason(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        on.world.approvals.decisions = [APPROVED.model_copy(update={"approved": False, "reason": "Not now."})]
        result = await (await waiting(on)).result()
        assert (result.outcome, result.reason) == (
            RepairOutcome.NOT_ALLOWED,
            "ada rejected the plan. Not now.",
        )
        assert on.world.calls["prepare_workspace"] == 0
        (decided,) = on.world.approvals.decided
        assert decided.sentence == "ada rejected the plan. Not now. Nothing was changed."


async def test_after_a_decision_nothing_asks_for_one(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        with temporal.with_time_skipping_disabled():
            handle = await waiting(on, Policy())
            status = await handle.query(RepositoryRepair.status)
            assert (status.label, status.waits) == (WAITS_FOR_APPROVAL, True)
            assert status.command.startswith(f"starter.py approve {handle.id} --plan ")
            await handle.execute_update(RepositoryRepair.reject, Approval(by="ada", reason="Not now."))
            await handle.result()
            status = await handle.query(RepositoryRepair.status)
            assert (status.waits, status.command) == (False, "")
            assert status.sentence == "Not carried out. ada rejected the plan. Not now."
            metadata = await handle.query(METADATA_QUERY, result_type=WorkflowMetadata)
            assert metadata.current_details.startswith("Not carried out.")
            assert "starter.py approve" not in metadata.current_details


async def test_polling_adds_no_event(temporal: WorkflowEnvironment) -> None:
    rejected = APPROVED.model_copy(update={"approved": False})
    kinds: list[Counter[EventType]] = []
    for decisions in ([rejected], [*[None] * 5, rejected]):
        async with stage(temporal, samples.service("checkout")) as on:
            on.world.approvals.decisions = decisions
            handle = await waiting(on)
            await handle.result()
            assert on.world.approvals.polls == len(decisions)
            kinds.append(Counter(event.event_type for event in (await handle.fetch_history()).events))
    for kind in (EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, EventType.EVENT_TYPE_TIMER_STARTED):
        assert kinds[0][kind] == kinds[1][kind]


def test_a_week_of_polling_is_a_thousand_actions() -> None:
    retry = policies.DECISION["retry_policy"]
    assert retry.maximum_interval is not None
    looks, pause, age = 0, retry.initial_interval, timedelta(0)
    while age < timedelta(days=7):
        looks, age = looks + 1, age + pause
        pause = min(pause * retry.backoff_coefficient, retry.maximum_interval)
    assert looks < 1_050
    assert policies.DECISION["schedule_to_close_timeout"] > timedelta(days=30), (
        "the most that a plan may wait"
    )


async def test_a_plan_that_nobody_decides_is_closed_with_that(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), broken=frozenset({"find_decision"})) as on:
        assert (await (await waiting(on)).result()).reason == "Nobody approved the plan within 7 days."
        (decided,) = on.world.approvals.decided
        assert decided.sentence == "Nobody approved the plan within 7 days. Nothing was changed."


async def test_the_command_line_decides_while_comments_are_awaited(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        with temporal.with_time_skipping_disabled():
            handle = await waiting(on)
            await on.world.approvals.polled.wait()
            plan = on.world.approvals.shown[0].repair.plan_hash
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await handle.execute_update(RepositoryRepair.approve, Approval(by="eve", plan="f" * 16))
            assert f"The plan that waits is {plan}" in str(refused.value.cause)
            await handle.execute_update(RepositoryRepair.reject, Approval(by="ada", plan=plan))
            assert (await handle.result()).reason == "ada rejected the plan."
        assert len(on.world.approvals.decided) == 1


@pytest.mark.parametrize("broken", ["open_plan_issue", "find_decision"])
async def test_a_repository_that_takes_no_issue_leaves_the_command_line(
    temporal: WorkflowEnvironment, broken: str
) -> None:
    async with stage(temporal, samples.service("checkout"), broken=frozenset({broken})) as on:
        with temporal.with_time_skipping_disabled():
            handle = await waiting(on)
            while on.world.calls[broken] == 0:  # noqa: ASYNC110 - a stand-in's count
                await asyncio.sleep(0.02)
            await handle.execute_update(RepositoryRepair.reject, Approval(by="ada"))
            assert (await handle.result()).reason == "ada rejected the plan."


async def test_a_cancelled_repair_leaves_no_issue_that_waits(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        with temporal.with_time_skipping_disabled():
            handle = await waiting(on)
            await on.world.approvals.polled.wait()
            await handle.cancel()
            while not on.world.approvals.decided:  # noqa: ASYNC110 - a stand-in's list
                await asyncio.sleep(0.02)
        assert on.world.approvals.decided[0].sentence == "The repair was cancelled. Nothing was changed."


async def test_nothing_is_written_to_a_repository_where_nobody_asked_for_it(
    temporal: WorkflowEnvironment,
) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        await (await waiting(on, Policy())).result()
        assert (on.world.approvals.shown, on.world.approvals.polls) == ([], 0)


async def decide_on_page(on: Stage, handle: WorkflowHandle[RepositoryRepair, Any], **form: str) -> str:
    """Read the page as a browser does, send its form, and return what it says then."""
    project = ProjectSettings(name="shop", project_id=on.environment_id, environment_id=on.environment_id)
    settings = Settings(railway_api_url="http://127.0.0.1:1", projects=(project,))
    reader = PageReader(settings, on.client)
    shown = ""
    async with asyncio.timeout(PATIENCE):  # on a busy machine it may not be told yet that something waits
        while f'value="{handle.id}"' not in shown:
            await asyncio.sleep(0.1)
            shown = (await reader.read([project])).render(Live("ada"))
    page = WebPage(on.client, lambda: reader.read([project]), "ada")
    base = "http://127.0.0.1:8020"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=page.app), base_url=base) as browser:
        await browser.get(page.address(""))
        shown = (await browser.get("/")).text
        forms = [dict(FIELD.findall(each)) for each in re.findall("<form.*?</form>", shown, re.DOTALL)]
        (mine,) = [each for each in forms if each["id"] == handle.id]
        data = {"id": mine["id"], "plan": mine["plan"], **form}
        answer = await browser.post("/decide", data=data, headers={"Origin": base}, follow_redirects=True)
    return re.findall('role="alert">(.*?)<', answer.text)[0]


FIELD = re.compile(r'name="(\w+)" value="([^"]*)"')


async def test_the_page_decides_as_the_command_line_does(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        with temporal.with_time_skipping_disabled():
            handle = await waiting(on, Policy())
            refused = await decide_on_page(on, handle, decision="approve", plan="f" * 16)
            assert "The plan that waits is " in refused
            said = await decide_on_page(on, handle, decision="reject", reason="Not <now>.")
            assert said == f"{handle.id}: rejected by ada."
            assert (await handle.result()).reason == "ada rejected the plan. Not <now>."
        assert on.world.calls["prepare_workspace"] == 0


async def test_a_plan_approved_on_the_page_is_approved_by_its_holder(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        with temporal.with_time_skipping_disabled():
            handle = await waiting(on, Policy())
            said = await decide_on_page(on, handle, decision="approve")
            assert said == f"{handle.id}: approved by ada."
            state = await handle.query(RepositoryRepair.state)
            assert (state.approval, state.waits_for_approval) == (
                Approval(by="ada", plan=state.request.plan_hash),
                False,
            )
            await handle.terminate()
