"""One state, rendered once: each screen, page, message and comment has the words of `contracts/status.py`."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest

from commands import incident_list, run_status, status_screen
from commands.incident_list import IncidentList
from commands.run_status import RunStatus
from commands.terminal import SafeConsole
from railmend.contracts.approval import PlanIssueRequest
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.comments import MeasurementComment, NotDeployedComment
from railmend.contracts.ledger import ClaimState
from railmend.contracts.measurement import MeasurementResult, MeasurementStatus
from railmend.contracts.notification import approval_notification, outcome_notification
from railmend.contracts.repair import (
    Approval,
    PullRequest,
    RepairOutcome,
    RepairResult,
)
from railmend.contracts.review import Merge, MergeMethod
from railmend.contracts.status import (
    ACTIONS,
    ENDINGS,
    PHASES,
    Phase,
    RepairStatus,
    capitalized,
    ending_label,
    incident_label,
    so_far,
)
from railmend.notifying.text import format_headline
from railmend.publishing.comments import format_measurement_comment, format_not_deployed_comment
from railmend.publishing.page import Live, ReportedIncident, WorkDetail, render_page
from railmend.publishing.screen import IncidentRow, StatusScreen, WorkRow
from railmend.publishing.text import format_plan_issue
from tests import samples
from workflows.repair.state import PublishedFix, RepairState
from workflows.shared.details import format_status
from workflows.shared.search_attributes import SUMMARY, attributes_for_result

PULL = PullRequest(number=7, url="https://forge/acme/checkout/pull/7", head="a" * 40)
MERGE = Merge(sha="c" * 40, method=MergeMethod.SQUASH, head="a" * 40, by="ada", at=samples.NOW)
PLAN = samples.repair().model_copy(update={"autonomy": Autonomy.PLAN})
MEASURED = {outcome.value for outcome in RepairOutcome} & {status.value for status in MeasurementStatus}


def states() -> Iterator[tuple[str, RepairState]]:
    """Yield a repair in each phase, and one with each outcome."""
    fix = PublishedFix(pull_request=PULL, head="a" * 40, opened_at=samples.NOW, merge=MERGE)
    for phase in Phase:
        if phase is not Phase.DONE:
            after = phase in (Phase.REVIEW, Phase.DEPLOYMENT, Phase.MEASUREMENT)
            yield phase.value, RepairState(request=samples.repair(), phase=phase, fix=fix if after else None)
    yield "waits", RepairState(request=PLAN)
    for outcome in RepairOutcome:
        result = RepairResult(outcome=outcome, reason="Because.", pull_request=PULL)
        yield outcome.value, RepairState(request=PLAN, phase=Phase.DONE, result=result)
    yield "second_fix", RepairState(request=samples.repair().next_fix(), phase=Phase.CODING)
    first = RepairResult(outcome=RepairOutcome.NOT_HELD, reason="Still.", pull_request=PULL, merge=MERGE)
    in_vain = RepairState(request=samples.repair().next_fix(), phase=Phase.CODING, result=first)
    in_vain.phase = in_vain.end_with(RepairResult(outcome=RepairOutcome.NO_CHANGE, reason="No idea left."))
    yield "second_fix_in_vain", in_vain


STATES = dict(states())


def printed(row: IncidentRow) -> str:
    out = StringIO()
    incident_list.render(IncidentList(rows=[row], days={}), SafeConsole(file=out, width=200))
    return out.getvalue()


def command_line(state: RepairState) -> str:
    status = state.status()
    row = IncidentRow(
        project="shop",
        service="checkout",
        kind="memory_leak",
        state="suppressed" if status.ended else "open",
        since=samples.NOW,
        until=samples.NOW + timedelta(hours=6),
        outcome=state.result.outcome.value if state.result else "",
        detail="",
        pull_request="",
        times=1,
        id=state.request.workflow_id,
        incident="incident/e/s",
    )
    label = incident_label(row.state, row.outcome, row.until, status)
    return printed(row.model_copy(update={"label": label, "command": status.command}))


def show(status: RepairStatus) -> str:
    out = StringIO()
    run = RunStatus(
        id="repair/acme/checkout/1",
        run_id="run",
        status="completed" if status.ended else "running",
        summary="checkout: code",
        started=samples.NOW,
        ended=None,
        attributes={},
        about="",
        details=str(format_status(status)),
        stands=status,
    )
    run_status.render(run, SafeConsole(file=out, width=200))
    return out.getvalue()


def page(status: RepairStatus) -> str:
    incident = ReportedIncident(
        report=samples.report(), packet=samples.packet(), repair=status, repair_id="repair/acme/checkout/1"
    )
    return render_page([incident], samples.NOW)


def screen(status: RepairStatus) -> StatusScreen:
    """Return the screen that has this repair alone."""
    row = WorkRow(id="repair/acme/checkout/1", services=["checkout"], started=samples.NOW, status=status)
    waiting = [row] if status.waits else []
    work = [] if status.waits else [row]
    return StatusScreen(at=samples.NOW, waiting=waiting, projects=[], incidents=[], work=work, unseen=[])


def terminal(status: RepairStatus) -> str:
    out = StringIO()
    status_screen.render(screen(status), SafeConsole(file=out, width=400))
    return out.getvalue()


def live_page(status: RepairStatus) -> str:
    details = {"repair/acme/checkout/1": WorkDetail(request=PLAN)}
    return render_page([], samples.NOW, screen(status), details, Live("ada"))


def message(state: RepairState) -> str | None:
    """Return the headline of the message that this state sends; most phases send none."""
    if state.phase is Phase.DONE and state.result:
        sent = outcome_notification(PLAN, state.result.outcome.value, "x", "repair/x", "run")
        return str(format_headline(sent))
    if state.status().command:
        return str(format_headline(approval_notification(PLAN, "repair/x", "run")))
    if state.phase is Phase.REVIEW:
        return str(format_headline(outcome_notification(PLAN, "pull_request", PULL.url, "repair/x", "run")))
    return None


def on_github(state: RepairState) -> str | None:
    """Return what the pull request, or the plan's issue, says in this state; None: nothing is written."""
    outcome = state.result.outcome.value if state.result else ""
    if state.status().command:
        shown = approval_notification(PLAN, "repair/x", "run")
        return str(format_plan_issue(PlanIssueRequest(repair=PLAN, notification=shown, until=samples.NOW)))
    if state.phase is Phase.DEPLOYMENT or outcome == "not_deployed":
        until = None if outcome else samples.NOW
        return str(
            format_not_deployed_comment(
                NotDeployedComment(
                    repository="acme/checkout",
                    number=7,
                    service_name="checkout",
                    what="failed",
                    waits_until=until,
                )
            )
        )
    if state.phase is Phase.MEASUREMENT or outcome in MEASURED:
        again = None if outcome else samples.NOW
        return str(
            format_measurement_comment(
                MeasurementComment(
                    repository="acme/checkout",
                    number=7,
                    status=MeasurementStatus(outcome or "held"),
                    measurements=(),
                    merge=MERGE,
                    edited=False,
                    again_at=again,
                )
            )
        )
    return None


def in_lists(state: RepairState) -> str | None:
    """Return what Temporal's lists say (`RailmendSummary`) of a repair that is over; None: it is not."""
    if state.phase is not Phase.DONE or state.result is None:
        return None
    written = {each.key: each.value for each in attributes_for_result(PLAN, state.result)}
    return str(written[SUMMARY])


@pytest.mark.parametrize("name", list(STATES))
def test_command_line_web_ui_report_message_and_pull_request_say_the_same(name: str) -> None:
    state = STATES[name]
    status = state.status()
    assert status.label in command_line(state)
    assert status.sentence in show(status)
    assert str(format_status(status)).startswith(f"{capitalized(status.label)}.")
    assert capitalized(status.label) in page(status)
    assert capitalized(status.label) in live_page(status)
    assert f"checkout: {status.label} (" in terminal(status)
    for said in (message(state), on_github(state)):
        assert said is None or status.label.lower() in said.lower()
    # Of one that is open the number alone is written: what follows writes nothing there.
    ends = "acme/checkout#7" if name == "pull_request" else f": {status.label}"
    assert (in_lists(state) or ends).endswith(ends)


@pytest.mark.parametrize("name", list(STATES))
def test_only_what_waits_asks_for_an_answer(name: str) -> None:
    """After a rejection nothing asks for an approval any more, on no screen."""
    state = STATES[name]
    asks = name == "waits"
    status = state.status()
    shown = (
        *(command_line(state), show(status), terminal(status)),
        *(str(format_status(status)), page(status)),
    )
    assert ["starter.py approve" in each for each in shown] == [asks] * 5
    assert ('value="approve"' in live_page(status)) is asks
    assert state.status().waits == (asks or state.phase is Phase.REVIEW)


def test_every_state_has_words_of_its_own() -> None:
    assert set(PHASES) == set(Phase) - {Phase.DONE}
    assert {outcome.value for outcome in RepairOutcome} <= set(ENDINGS)
    assert {state.value for state in ClaimState} - {"granted"} <= set(ACTIONS)
    labels = [*PHASES.values(), *ENDINGS.values()]
    twice = {label for label in labels if labels.count(label) > 1}
    assert twice == {PHASES[Phase.REVIEW]}, "one label names two states"


def test_a_decided_plan_is_not_waiting() -> None:
    decided = STATES["waits"].model_copy(update={"approval": Approval(by="ada")})
    assert (decided.status().waits, decided.status().command) == (False, "")


def test_a_second_fix_says_that_the_first_did_not_hold() -> None:
    label = STATES["second_fix"].status().label
    assert label == "the fix did not hold, another one is being written"


def test_the_last_word_on_a_second_fix_that_never_came_is_why() -> None:
    status = STATES["second_fix_in_vain"].status()
    assert (status.label, status.link, status.waits) == ("the fix did not hold", PULL.url, False)
    for said in (show(status), str(format_status(status)), page(status)):
        assert "No idea left." in said


def test_a_fix_that_was_announced_and_never_came_is_the_last_word() -> None:
    result = MeasurementResult(service_name="checkout", status=MeasurementStatus.NOT_HELD, sentence="Still.")
    said = format_measurement_comment(
        MeasurementComment(
            repository="acme/checkout",
            number=7,
            status=MeasurementStatus.NOT_HELD,
            measurements=(result,),
            merge=MERGE,
            edited=False,
            no_other_fix="The session ended early: @everyone",
        )
    )
    assert "Railmend tries once more" not in said
    assert "tried once more, and published nothing" in said
    assert " @everyone" not in said


def test_a_measurement_that_is_not_the_last_says_so() -> None:
    assert so_far("held") == "in production, being measured: the fix holds so far"


def test_a_claim_that_somebody_has_is_not_called_a_fix_that_holds() -> None:
    assert ACTIONS[ClaimState.HELD.value] != ending_label("held")
