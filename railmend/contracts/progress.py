"""How far a repair is after its pull request was opened; carried from run to run."""

from datetime import datetime

from pydantic import Field

from railmend.contracts.base import Contract
from railmend.contracts.repair import PullRequest, RepairResult
from railmend.contracts.review import Merge, Note, Seen


class Progress(Contract):
    """`result`: what the scan was told when the pull request was opened.

    `head`: the last commit that Railmend pushed. `rounds`: follow-ups made; `turn`: messages of the coding
    session. `attempt`: 1, and one more for every merged fix that did not hold. `machine`: the task queue of
    the machine that keeps the session. `closed_at`: since when it is closed, while it may be opened again.
    `up_since`: when the merge was seen in production; `checks`: measurements made.
    """

    result: RepairResult
    pull_request: PullRequest
    head: str
    opened_at: datetime
    machine: str
    seen: Seen = Seen()
    rounds: int = 0
    turn: int = 0
    attempt: int = 1
    closed_at: datetime | None = None
    merge: Merge | None = None
    merged_seen_at: datetime | None = None
    previous: tuple[str | None, ...] = ()  # by incident: the deployment that served before
    deployed: tuple[str | None, ...] = ()  # by incident: the one that carries the merge
    up_since: datetime | None = None
    checks: int = 0

    @property
    def edited(self) -> bool:
        """A person's commits were merged with it."""
        return self.merge is not None and self.merge.head != self.head


class AnswersRequest(Contract):
    """One answer for every note: what was done (`commit`), or why nothing was."""

    repository: str
    number: int
    notes: tuple[Note, ...]
    commit: str | None = None
    said: str = Field("", max_length=4000)  # the agent's own words
    refused: tuple[str, ...] = ()  # why what the agent did was not pushed
    limit: str = ""  # which bound is reached, so that a person has to go on
