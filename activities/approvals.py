"""Plans that wait: shown on an issue of their repository, and decided by a writer's comment there."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.heartbeat import working
from railmend.contracts.approval import PlanDecided, PlanIssue, PlanIssueRequest
from railmend.contracts.repair import Approval
from railmend.notifying.delivery import post_plan
from railmend.publishing.github import GitHubClient
from railmend.publishing.github.decision import PlanThread


class ApprovalActivities:
    """GitHub's client blocks, so it is called in threads."""

    def __init__(self, github: GitHubClient) -> None:
        self._github = github

    @activity.defn
    async def open_plan_issue(self, request: PlanIssueRequest) -> PlanIssue:
        """Return where the plan is shown; it is shown once, however often it is tried."""
        async with working():
            return await asyncio.to_thread(post_plan, self._github, request)

    @activity.defn
    async def find_decision(self, issue: PlanIssue) -> Approval:
        """Return what a person decided. While nobody has, fail and be tried again: that is the polling.

        A retry is one action of Temporal's and no event, where a timer and an activity are two and ten.
        """
        async with working():
            decision = await asyncio.to_thread(lambda: PlanThread(self._github, issue).decision())
        if decision is None:
            raise ApplicationError(
                "Nobody has decided yet.", type="Undecided", category=ApplicationErrorCategory.BENIGN
            )
        return decision

    @activity.defn
    async def close_plan_issue(self, decided: PlanDecided) -> None:
        async with working():
            await asyncio.to_thread(
                lambda: PlanThread(self._github, decided.issue).conclude(decided.sentence)
            )
