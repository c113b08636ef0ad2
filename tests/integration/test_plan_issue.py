"""A plan on its issue, and whose comment decides, against the forge."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.github import GitHubActivities
from railmend.contracts.approval import PlanDecided, PlanIssue, PlanIssueRequest
from railmend.contracts.notification import approval_notification
from railmend.contracts.repair import Approval, RepairRequest
from railmend.notifying.delivery import post_issue
from railmend.publishing.github import GitHubClient
from railmend.publishing.github.thread import marker_of
from railyard.forge import Forge
from tests import samples
from tests.integration.test_forge import REPOSITORY, TOKEN, address, forge, github
from tests.integration.test_forge_reviews import ADA, EVE, People, people

__all__ = ["address", "forge", "github", "people"]
pytestmark = pytest.mark.integration
BOB, APP = "ghp_" + "b" * 36, "ghs_" + "d" * 36


class Plan:
    """A plan that is shown on issue 1 of a repository; `comment` writes there, and `decision` looks once."""

    def __init__(self, github: GitHubClient, forge: Forge, people: People) -> None:
        forge.tokens |= {BOB: "bob", APP: "dependabot[bot]"}
        self.forge, self.people = forge, people
        self.activities = GitHubActivities(github, MagicMock())
        self.repair = samples.repair().model_copy(update={"repository": REPOSITORY})
        self.shown = self.show(self.repair)

    def show(self, repair: RepairRequest, run_id: str = "run") -> PlanIssue:
        notification = approval_notification(repair, f"repair/{REPOSITORY}/{repair.key}", run_id)
        request = PlanIssueRequest(repair=repair, notification=notification, until=samples.NOW)
        return self._run(self.activities.open_plan_issue, request)

    def comment(self, token: str, text: str, **row: object) -> dict[str, object]:
        """`row`: what the forge knows of the comment beside."""
        written = self.people(token, "POST", "/issues/1/comments", body=text)
        self.forge.repo(REPOSITORY)["comments"][str(written["id"])].update(row)
        return written

    def approve(self, token: str, plan: str = "", **row: object) -> dict[str, object]:
        return self.comment(token, f"/railmend approve {plan or self.shown.plan}", **row)

    def edit(self, token: str, comment: dict[str, object]) -> None:
        """Make an approval of it, in the second in which it was written: REST tells nothing then."""
        path, text = f"/issues/comments/{comment['id']}", f"/railmend approve {self.shown.plan}"
        self.people(token, "PATCH", path, body=text)
        row = self.forge.repo(REPOSITORY)["comments"][str(comment["id"])]
        row["updated_at"] = row["created_at"]

    def role(self, login: str, role: str) -> None:
        self.forge.repo(REPOSITORY)["roles"] = {login: role}

    def decision(self) -> Approval | None:
        try:
            return self._run(self.activities.find_decision, self.shown)
        except ApplicationError as error:
            if error.type != "Undecided" or error.non_retryable:
                raise
            return None

    def said(self) -> list[str]:
        """What Railmend commented, beside what tests let its account say."""
        rows: Any = self.people(TOKEN, "GET", "/issues/1/comments")
        return [
            row["body"]
            for row in rows
            if (row["user"] or {}).get("login") == "railmend[bot]" and not row["body"].startswith("/")
        ]

    def _run(self, activity, request):  # type: ignore[no-untyped-def]
        return asyncio.run(ActivityEnvironment().run(activity, request))


@pytest.fixture
def plan(github: GitHubClient, forge: Forge, people: People) -> Plan:
    return Plan(github, forge, people)


def test_a_writers_comment_approves_exactly_the_plan_that_is_shown(plan: Plan) -> None:
    issue = plan.people(TOKEN, "GET", "/issues/1")
    assert f"`/railmend approve {plan.repair.plan_hash}`" in issue["body"]
    for step in plan.repair.incidents[0].diagnosis.plan:
        assert step in issue["body"]
    assert plan.decision() is None
    written = plan.approve(ADA)
    assert plan.decision() == Approval(
        by="ada", plan=plan.repair.plan_hash, comment=str(written["html_url"]), approved=True
    )
    assert plan.said() == []


def test_a_rejection_and_its_reason_are_kept(plan: Plan) -> None:
    plan.comment(ADA, f"/railmend reject {plan.shown.plan} Not this\r\nweek.")
    decision = plan.decision()
    assert decision is not None
    assert (decision.by, decision.approved, decision.reason) == ("ada", False, "Not this week.")


Write = Callable[[Plan], object]
NOBODYS: dict[str, Write] = {
    "a reader": lambda plan: plan.approve(EVE),
    "a stranger": lambda plan: plan.approve(ADA, user="mallory"),
    "who may triage": lambda plan: (
        plan.forge.repo(REPOSITORY).update(roles={"ada": "triage"}) or plan.approve(ADA)
    ),
    "a bot": lambda plan: plan.approve(APP),
    "the token of a CI job": lambda plan: plan.approve(ADA, user="github-actions[bot]"),
    "Railmend's account": lambda plan: plan.approve(TOKEN),
    "a quotation": lambda plan: plan.comment(ADA, f"> /railmend approve {plan.shown.plan}\n\nIs this safe?"),
    "a deleted account": lambda plan: plan.approve(ADA, user=None),
}


def test_what_is_no_writers_command_decides_nothing_and_gets_no_answer(plan: Plan) -> None:
    for who, write in NOBODYS.items():
        write(plan)
        assert plan.decision() is None, who
    assert plan.said() == []
    plan.approve(BOB)
    assert plan.decision() is not None


def test_a_persons_account_that_railmend_has_or_had_decides_nothing(plan: Plan, address: str) -> None:
    of_bob: Any = plan.approve(BOB)
    with_ada = GitHubClient(
        f"{address}/api/v3", SecretStr(ADA), former_ids=[of_bob["user"]["id"]], pace=False
    )
    plan.approve(ADA)
    plan.activities = GitHubActivities(with_ada, MagicMock())
    assert plan.decision() is None


def test_who_loses_the_right_to_write_decides_nothing_any_more(plan: Plan) -> None:
    plan.approve(ADA)
    plan.role("ada", "read")
    assert plan.decision() is None
    plan.approve(BOB)
    assert (decision := plan.decision()) is not None
    assert decision.by == "bob"


EARLIER = "2020-01-01T00:00:00Z"
LATER = "2099-01-01T00:00:00Z"
NEARLY: dict[str, tuple[Write, str]] = {
    "edited": (lambda plan: plan.edit(ADA, plan.comment(ADA, "Looks good.")), "was edited"),
    "by an app": (lambda plan: plan.approve(ADA, app={"id": 1, "slug": "helper"}), "An app wrote this"),
    "of another plan": (lambda plan: plan.approve(ADA, "f" * 16), "ffffffffffffffff is not the plan"),
    "with more words": (
        lambda plan: plan.comment(ADA, f"/railmend approve {plan.shown.plan} but later"),
        "no command",
    ),
    "below a quotation": (
        lambda plan: plan.comment(ADA, f"> Risk: none.\n\n/railmend approve {plan.shown.plan}"),
        "no command",
    ),
    "a block of code": (
        lambda plan: plan.comment(ADA, f"```\n/railmend approve {plan.shown.plan}\n```"),
        "no command",
    ),
    "without a hash": (lambda plan: plan.comment(ADA, "/railmend approve"), "no command"),
}


def test_a_writers_command_that_does_not_count_is_answered_once_with_the_one_that_does(plan: Plan) -> None:
    for what, (write, why) in NEARLY.items():
        before = plan.said()
        write(plan)
        assert [plan.decision(), plan.decision()] == [None, None], what
        (answer,) = [answer for answer in plan.said() if answer not in before]
        assert why in answer
        assert f"`/railmend approve {plan.shown.plan}`" in answer
    plan.approve(ADA)
    assert plan.decision() is not None


def test_a_comment_that_changed_without_an_edit_counts_where_github_tells(plan: Plan) -> None:
    """A reaction, or hiding and showing, moves its time."""
    plan.approve(ADA, updated_at=LATER)
    plan.forge.faults.append({"method": "POST", "path": "/graphql", "times": 1, "status": 403})
    assert plan.decision() is None, "it may have been an edit"
    (answer,) = plan.said()
    assert "was edited" in answer
    plan.approve(ADA, updated_at=LATER)
    assert plan.decision() is not None


def test_a_stranger_who_poses_as_having_answered_takes_no_approval_away(plan: Plan) -> None:
    written = plan.approve(ADA)
    plan.comment(EVE, marker_of(f"decision/{written['id']}") + "\n\nThis decides nothing.")
    assert plan.decision() is not None


def test_a_plan_that_somebody_edited_is_not_approved_by_its_hash(plan: Plan) -> None:
    body = plan.people(TOKEN, "GET", "/issues/1")["body"]
    plan.people(BOB, "PATCH", "/issues/1", body=body.replace("cache", "comment"))
    plan.approve(ADA)
    assert plan.decision() is None
    (answer,) = plan.said()
    assert "is not what Railmend wrote" in answer
    later = plan.repair.model_copy(update={"requested_at": plan.repair.requested_at + timedelta(hours=1)})
    plan.shown = plan.show(later, "another run")
    plan.approve(ADA)
    assert plan.decision() is not None, "it was shown anew, in a comment"


def test_a_rejection_outweighs_approvals_whatever_came_first(plan: Plan) -> None:
    plan.approve(ADA)
    plan.comment(BOB, f"/railmend reject {plan.shown.plan} It is the cache of payments.")
    plan.approve(ADA)
    decision = plan.decision()
    assert decision is not None
    assert (decision.by, decision.approved) == ("bob", False)


def test_strangers_who_comment_without_end_cost_a_bounded_number_of_requests(plan: Plan) -> None:
    for number in range(30):
        plan.approve(ADA, user=f"sock-puppet-{number}")
    asked: list[str] = []
    role = plan.forge.role
    plan.forge.role = lambda name, login: asked.append(login) or role(name, login)  # type: ignore[method-assign, func-returns-value]
    plan.approve(BOB)
    assert (decision := plan.decision()) is not None
    assert decision.by == "bob"
    assert len(asked) == 20


def test_a_plan_is_shown_once_and_another_one_on_the_same_issue(plan: Plan) -> None:
    assert plan.show(plan.repair) == plan.shown
    plan.approve(ADA, created_at=EARLIER, updated_at=EARLIER)
    plan.approve(ADA, created_at=EARLIER, updated_at=LATER)
    later = plan.repair.model_copy(update={"requested_at": plan.repair.requested_at + timedelta(hours=1)})
    first, plan.shown = plan.shown, plan.show(later, "another run")
    assert (plan.shown.number, plan.shown.plan) != (first.number, first.plan)
    assert plan.decision() is None, "an approval of the plan before"
    (shown,) = plan.said()
    assert f"`/railmend approve {later.plan_hash}`" in shown


def test_the_plan_takes_the_place_of_its_notification_where_both_go_to_one_issue(
    plan: Plan, github: GitHubClient
) -> None:
    notification = approval_notification(plan.repair, f"repair/{REPOSITORY}/{plan.repair.key}", "run")
    post_issue(github, REPOSITORY, notification, "")
    assert plan.said() == []
    assert len(plan.people(TOKEN, "GET", "/issues?state=all")) == 1


def test_what_became_of_it_is_said_once_and_the_issue_closed_until_the_next_plan(plan: Plan) -> None:
    decided = PlanDecided(issue=plan.shown, sentence="ada rejected the plan. Nothing was changed.")
    for _ in range(2):
        plan._run(plan.activities.close_plan_issue, decided)
    (said,) = plan.said()
    assert "ada rejected the plan." in said
    assert plan.people(TOKEN, "GET", "/issues/1")["state"] == "closed"
    plan.show(plan.repair.model_copy(update={"commit": "e" * 40}), "another run")
    assert plan.people(TOKEN, "GET", "/issues/1")["state"] == "open"


def test_a_strangers_issue_with_the_marks_is_not_where_a_plan_is_shown(plan: Plan) -> None:
    body = plan.people(TOKEN, "GET", "/issues/1")["body"]
    plan.people(EVE, "POST", "/issues", title="A plan", body=body, labels=["railmend-incident"])
    assert plan.show(plan.repair, "another run").number == 1
