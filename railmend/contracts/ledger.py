"""Models of the ledger: claims, settlements, budgets and its state."""

from datetime import datetime

from pydantic import Field

from railmend.contracts.base import Contract, OpenEnum
from railmend.contracts.track_record import AutonomyDecision, AutonomyQuery, FixRecord, TrackRecord


class ClaimState(OpenEnum):
    GRANTED = "granted"
    HELD = "held"  # someone else has it open
    SUPPRESSED = "suppressed"  # settled a short while ago; not to be raised again yet


class ClaimRequest(Contract):
    """A claim on fingerprints. `claim_id` is deterministic: asked again it gives the same answer.

    A claim nobody settles runs out after `lease_seconds`, so that a scan that was terminated does not
    suppress a fault for ever. `takes_over_from`: the holder that transfers its claim. `deployment`: the one
    that serves now; another than at the settlement may end a cool-down early.
    `autonomy_query`: asked for a repair.
    """

    claim_id: str
    fingerprints: tuple[str, ...]
    holder: str  # workflow ID
    at: datetime
    lease_seconds: int
    takes_over_from: str | None = None
    deployment: str | None = None
    autonomy_query: AutonomyQuery | None = None


class PastRepair(Contract):
    """What came of an earlier incident of the same service."""

    at: datetime
    outcome: str
    summary: str
    pull_request: str | None = None  # its address


class ClaimAnswer(Contract):
    """`past`: what is remembered of the claimed service, newest first; only with a claim that was granted."""

    state: ClaimState
    holder: str
    detail: str = ""
    past: tuple[PastRepair, ...] = ()
    autonomy: AutonomyDecision | None = None


class SettleRequest(Contract):
    """The end of a claim. The fingerprints stay quiet for `cooldown_seconds` after `at` whatever happens.

    They do so for `unchanged_cooldown_seconds` as long as the same deployment serves.
    `fixes`: pull requests that it came to.
    """

    settle_id: str
    fingerprints: tuple[str, ...]
    holder: str
    outcome: str
    detail: str = Field(max_length=500)
    cooldown_seconds: int
    unchanged_cooldown_seconds: int = 0
    at: datetime
    pull_request: str = ""
    fixes: tuple[FixRecord, ...] = ()


class ClaimBatch(Contract):
    """Many claims of one project in one call: a wide scan keeps a short history."""

    project_id: str
    claims: tuple[ClaimRequest, ...]


class ClaimAnswers(Contract):
    """In the order of the claims."""

    answers: tuple[ClaimAnswer, ...]


class SettlementBatch(Contract):
    project_id: str
    settlements: tuple[SettleRequest, ...]


class SpendingKind(OpenEnum):
    DIAGNOSIS = "diagnosis"
    SESSION = "session"


class Limit(Contract):
    """Most that may be spent in one period; None: no limit. `usd` counts both kinds of spending."""

    usd: float | None = Field(None, ge=0)
    diagnoses: int | None = Field(None, ge=0)
    sessions: int | None = Field(None, ge=0)


class Budget(Contract):
    """Per incident (one fingerprint, over a month), per day and per month (UTC)."""

    incident: Limit = Limit(usd=10.0, diagnoses=5, sessions=3)
    day: Limit = Limit(usd=25.0, diagnoses=40, sessions=10)
    month: Limit = Limit(usd=250.0, diagnoses=400, sessions=100)


class ReserveRequest(Contract):
    """Asked before money is spent: `usd` is the most it may become. The same `reserve_id` counts once."""

    reserve_id: str
    fingerprints: tuple[str, ...]
    kind: SpendingKind
    usd: float = Field(ge=0)
    budget: Budget
    at: datetime


class ReserveAnswer(Contract):
    """Refused: `limit` says which one is reached, `again_at` when it may be asked again."""

    granted: bool
    limit: str = ""
    again_at: datetime | None = None


class SpendRequest(Contract):
    """What a reservation came to; it replaces the reserved sum."""

    reserve_id: str
    usd: float = Field(ge=0)


class Reserve(Contract):
    project_id: str
    reservation: ReserveRequest


class Spend(Contract):
    project_id: str
    spending: SpendRequest


class LedgerEntry(Contract):
    """One fingerprint. `until`: end of the lease or of the cool-down while the deployment stays the same."""

    fingerprint: str
    holder: str
    state: str  # open, suppressed; silent entries that have run out are kept as memory
    since: datetime
    until: datetime
    cooldown_until: datetime | None = None  # whatever is deployed
    deployment: str | None = None
    outcome: str = ""
    detail: str = ""
    pull_request: str = ""
    times: int = 1


class SpendingTotal(Contract):
    """Totals of one day, or of one fingerprint."""

    key: str  # "2026-11-25", or the fingerprint
    usd: float = 0.0
    diagnoses: int = 0
    sessions: int = 0
    last: datetime | None = None


class Reservation(Contract):
    """`settled`: its real cost is known; kept a while so that a repeated call counts once."""

    reserve_id: str
    fingerprints: tuple[str, ...]
    kind: SpendingKind
    usd: float
    day: str
    settled: bool = False


class LedgerState(Contract):
    """`total`: all that was ever spent. `track`: what became of all fixes."""

    project_id: str
    entries: tuple[LedgerEntry, ...] = ()
    days: tuple[SpendingTotal, ...] = ()
    incidents: tuple[SpendingTotal, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    total: SpendingTotal = SpendingTotal(key="total")
    track: TrackRecord = TrackRecord()
