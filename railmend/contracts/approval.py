"""Models of the issue on which a plan is shown, and decided by a comment."""

from datetime import datetime

from railmend.contracts.base import Contract
from railmend.contracts.notification import Notification
from railmend.contracts.repair import RepairRequest


class PlanIssueRequest(Contract):
    """Show the plan on the issue of its (first) incident. `notification`: the message that says the same."""

    repair: RepairRequest
    notification: Notification
    until: datetime


class PlanIssue(Contract):
    """Where a plan is shown. `shown_at`: by GitHub's clock; what was written before is about another plan.

    `digest`: of the text that was published; who may write to a repository can edit what others wrote.
    """

    repository: str
    number: int
    url: str
    plan: str
    shown_at: datetime
    digest: str


class PlanDecided(Contract):
    """What became of a plan, in a sentence for its issue."""

    issue: PlanIssue
    sentence: str
