"""What a person allows, and for how much. Travels with requests: a run keeps what it started with."""

from datetime import timedelta

from pydantic import Field

from railmend.contracts.autonomy import EarnedAutonomy
from railmend.contracts.base import Contract
from railmend.contracts.ledger import Budget


class FollowUp(Contract):
    """What happens to a pull request after it is open.

    `poll_seconds`: between two looks at it. `rounds`: follow-ups in answer to reviewers and checks.
    `retries`: new pull requests after a merged fix that did not hold. `watch_days`: how long a review may
    take. `reopen_seconds`: how long a closed one may be opened again. `closed_days`: silence after that.
    `outcome_seconds`: after the deployment, when the fix is measured; the last one decides. `labels`,
    `reviewers` (logins, or `org/team`): of each new one. `draft_unproven`: without a proof it is a draft.
    """

    poll_seconds: int = Field(240, ge=1, le=300)
    rounds: int = Field(3, ge=0, le=10)
    retries: int = Field(1, ge=0, le=3)
    watch_days: int = Field(30, ge=1, le=90)
    reopen_seconds: int = Field(24 * 3600, ge=0, le=7 * 24 * 3600)
    closed_days: int = Field(14, ge=1, le=365)
    outcome_seconds: tuple[int, ...] = Field((30 * 60, 24 * 3600), min_length=1, max_length=5)
    labels: tuple[str, ...] = ("railmend",)
    reviewers: tuple[str, ...] = ()
    draft_unproven: bool = True


class Policy(Contract):
    """`diagnosis_usd`, `session_usd`: most that one diagnosis, one coding session may cost; reserved before.

    `sceptic`: a second pass tries to refute a `code` verdict. `approval_days`: how long a plan waits for a
    person. `approve_by_comment`: it is shown on an issue of its repository too, where a writer's comment
    decides. `notify`: somebody wants to be told of state changes. `earned`: what earlier fixes allow.
    """

    budget: Budget = Budget()
    diagnosis_usd: float = Field(0.5, ge=0)
    session_usd: float = Field(5.0, ge=0)
    sceptic: bool = True
    approval_days: int = Field(7, ge=1, le=30)
    approve_by_comment: bool = False
    notify: bool = False
    follow_up: FollowUp = FollowUp()
    earned: EarnedAutonomy = EarnedAutonomy()

    def longest_repair(self) -> timedelta:
        """Return how long a repair may live: approval, then for each fix its review and its measurement.

        Half of it is added for what no setting bounds: budgets and machines that are waited for.
        """
        follow = self.follow_up
        measured = timedelta(seconds=3 * max(follow.outcome_seconds) + follow.reopen_seconds)
        one_fix = timedelta(days=follow.watch_days) + measured
        return 1.5 * (timedelta(days=self.approval_days) + (follow.retries + 1) * one_fix)
