"""The track record: what became of fixes, by repository and kind of fault. It stays small for years."""

from datetime import datetime

from pydantic import Field

from railmend.contracts.autonomy import Autonomy, EarnedAutonomy
from railmend.contracts.base import Contract


class FixRecord(Contract):
    """One decided pull request. `kind`: of the gravest finding. `outcome`: as the repair's.

    Seconds are counted from the onset of the trouble. `opened_seconds`: to the pull request, of a first
    attempt; `recovered_seconds`: to the deployment of a fix that held. `proof`: what it came to for the
    commits that were merged; empty where none was made, or people changed them.
    """

    repository: str
    kind: str
    outcome: str
    merged: bool = False
    edited: bool = False
    proof: str = ""
    at: datetime
    opened_seconds: int | None = None
    recovered_seconds: int | None = None


class FaultRecord(Contract):
    """The record of one kind of fault in one repository; both empty: of all that were folded together.

    `outcomes`: how many ended how. `edited`: of those `merged`, with changes by people. `recent`: the newest
    ones that count for autonomy, newest last, by the first letter of held, not held, worse, closed.
    """

    repository: str
    kind: str
    outcomes: dict[str, int] = Field(default_factory=dict)
    merged: int = 0
    edited: int = 0
    recent: str = ""
    at: datetime


class TrackRecord(Contract):
    """All records of one project. The seconds are of the newest fixes, whatever their kind.

    `proofs`: of fixes that were merged as they were proved, how many ended how, by `proof/outcome`.
    """

    records: tuple[FaultRecord, ...] = ()
    proofs: dict[str, int] = Field(default_factory=dict)
    opened_seconds: tuple[int, ...] = ()
    recovered_seconds: tuple[int, ...] = ()


class AutonomyQuery(Contract):
    """A query: how far may the next fix go? `configured`: the most that a person has allowed."""

    repository: str
    kind: str
    configured: Autonomy
    policy: EarnedAutonomy


class AutonomyDecision(Contract):
    """`reason`: why it is less than configured, for a person; empty where it is not."""

    autonomy: Autonomy
    reason: str = ""
