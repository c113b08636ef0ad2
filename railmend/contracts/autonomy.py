"""How far Railmend may go alone, and how it earns to go further."""

from typing import Self

from pydantic import Field, model_validator

from railmend.contracts.base import Contract, OpenEnum


class Autonomy(OpenEnum):
    """How far Railmend may go alone, from reporting to an open pull request."""

    REPORT = "report"
    PLAN = "plan"
    DRAFT = "draft"
    PULL_REQUEST = "pull_request"


# From the least to the most that Railmend may do alone.
LADDER = (Autonomy.REPORT, Autonomy.PLAN, Autonomy.DRAFT, Autonomy.PULL_REQUEST)


def level_of(autonomy: Autonomy) -> int:
    """Return its place on the ladder; what a later version added counts as the lowest."""
    return LADDER.index(autonomy) if autonomy.known else 0


class EarnedAutonomy(Contract):
    """What became of earlier fixes of one kind in one repository bounds the next one; see `earned`.

    `start`: before `fixes` of them are settled. `draft_share`, `pull_request_share`: how many of the newest
    `fixes` must have held for it. The configured autonomy is never exceeded.
    """

    enabled: bool = False
    start: Autonomy = Autonomy.DRAFT
    fixes: int = Field(4, ge=1, le=20)
    draft_share: float = Field(0.5, ge=0, le=1)
    pull_request_share: float = Field(0.75, ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.draft_share > self.pull_request_share:
            raise ValueError("draft_share must not be greater than pull_request_share")
        if self.start is Autonomy.REPORT:
            raise ValueError("start must be plan, draft or pull_request: with report nothing is ever earned")
        return self
