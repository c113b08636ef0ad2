"""Models of the ledger: claims, settlements, budgets and its state."""

from datetime import datetime
from hashlib import sha256
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from railmend.contracts.base import Contract, OpenEnum
from railmend.contracts.track_record import AutonomyDecision, AutonomyQuery, FixRecord, TrackRecord

# The error type with which a paused ledger refuses.
PAUSED_ERROR = "Paused"
OPEN, SETTLED = "open", "suppressed"  # states of an entry
ACCEPTED = "accepted"  # the outcome of an entry that a person accepted


class ClaimState(OpenEnum):
    GRANTED = "granted"
    HELD = "held"  # someone else has it open
    SUPPRESSED = "suppressed"  # settled a short while ago; not to be raised again yet
    PAUSED = "paused"  # a person has stopped Railmend
    FULL = "full"  # no room for another fault: what is open is never forgotten


class ClaimRequest(Contract):
    """A claim on fingerprints. `claim_id` is deterministic: asked again it gives the same answer.

    `holder` and `first_run_id`: who asks; a continue-as-new and a reset keep both. `replaces`: numbers of
    grants that end with this one. `handed_by`, `handed_by_run`: the scan that hands its claims to a repair
    which has no run yet; until that repair asks itself, either of them holds. `deployment`: the one that
    serves now; another than at the settlement may end a cool-down early. `autonomy_query`: asked for a
    repair. `again`: by who has the claim, or had it and was reset since: what came of its own work does not
    refuse it. `by_person`: somebody wants it looked at now, so no cool-down refuses it. `stuck`: the holder
    fails its workflow task, and a person is to be told.
    """

    claim_id: str
    fingerprints: tuple[str, ...]
    holder: str  # workflow ID
    first_run_id: str = ""
    at: datetime
    replaces: tuple[int, ...] = ()
    handed_by: str = ""
    handed_by_run: str = ""
    deployment: str | None = None
    autonomy_query: AutonomyQuery | None = None
    again: bool = False
    by_person: bool = False
    stuck: bool = False


class RunReference(Contract):
    """One run of a workflow."""

    workflow_id: str
    run_id: str


class PastRepair(Contract):
    """What came of an earlier incident of the same service."""

    at: datetime
    outcome: str
    summary: str
    pull_request: str | None = None  # its address


class ClaimAnswer(Contract):
    """`holder` and what follows: of the claim as it is now. `grant`: its number.

    `past`: what is remembered of the claimed service, newest first; only with a claim that was granted.
    `tell`: nobody was told yet today that its holder is stuck.
    """

    state: ClaimState
    holder: str
    first_run_id: str = ""
    handed_by: str = ""
    handed_by_run: str = ""
    grant: int = 0
    fingerprint: str = ""  # the one that is refused
    detail: str = ""
    tell: bool = False
    accepted: bool = False  # a person said that this is the service's normal
    past: tuple[PastRepair, ...] = ()
    autonomy: AutonomyDecision | None = None


class SettleRequest(Contract):
    """The end of a claim. The fingerprints stay quiet for `cooldown_seconds` after `at` whatever happens.

    They do so for `unchanged_cooldown_seconds` as long as the same deployment serves. An empty `outcome`:
    nothing came of it, and the fingerprints are as they were before the claim.
    `fixes`: pull requests that it came to.
    """

    settle_id: str
    fingerprints: tuple[str, ...]
    holder: str
    first_run_id: str = ""
    outcome: str
    detail: str = Field(max_length=500)
    cooldown_seconds: int
    unchanged_cooldown_seconds: int = 0
    at: datetime
    pull_request: str = ""
    fixes: tuple[FixRecord, ...] = ()


class SuppressRequest(Contract):
    """A person wants not to hear of these fingerprints for a while, whatever is deployed.

    `accepted`: because what was found is the service's normal.
    """

    fingerprints: tuple[str, ...]
    by: str
    reason: str = Field("", max_length=200)
    seconds: int = Field(gt=0)
    at: datetime
    accepted: bool = False


class Pause(Contract):
    """A person has stopped Railmend: nothing new begins, what waits goes on after the resume."""

    by: str
    since: datetime
    reason: str = Field("", max_length=200)

    def __str__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        return f"Railmend is paused by {self.by} since {self.since:%Y-%m-%d %H:%M} UTC{reason}"


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


def spending_key(fingerprint: str) -> str:
    """Return the short key (12 hex digits) by which the ledger remembers what a fault has cost."""
    return sha256(fingerprint.encode()).hexdigest()[:12] if "/" in fingerprint else fingerprint


class LedgerEntry(Contract):
    """One fingerprint. `until`: end of the cool-down while the deployment stays the same; None: open.

    `grant`: number of the claim, `told_at`: when a person was told that its holder is stuck. Defaults are
    not stored: hundreds of entries are kept.
    """

    fingerprint: str
    holder: str
    first_run_id: str = ""
    handed_by: str = ""
    handed_by_run: str = ""
    grant: int = 0
    state: str  # open, suppressed; suppressed entries that have run out are kept as memory
    since: datetime
    until: datetime | None = None
    cooldown_until: datetime | None = None  # whatever is deployed
    deployment: str | None = None
    outcome: str = ""
    detail: str = ""
    pull_request: str = ""
    times: int = 1
    told_at: datetime | None = None

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        stored: dict[str, Any] = serialize(self)
        return {
            name: value
            for name, value in stored.items()
            if name not in fields or fields[name].is_required() or value != fields[name].default
        }

    def alive(self, now: datetime) -> bool:
        """Whether it is open or in its cool-down."""
        return self.state == OPEN or (self.until is not None and self.until > now)


class SpendingTotal(Contract):
    """Totals of one day, or of one fingerprint."""

    key: str  # "2026-11-25", or the fingerprint's short key
    usd: float = 0.0
    diagnoses: int = 0
    sessions: int = 0
    last: datetime | None = None


class Reservation(Contract):
    """`settled`: its real cost is known; kept a while so that a repeated call counts once."""

    reserve_id: str
    fingerprints: tuple[str, ...]  # their short keys; none once it is settled
    kind: SpendingKind
    usd: float
    day: str
    settled: bool = False


class LedgerState(Contract):
    """All that a ledger knows, or one part of it: a new run gets several, each a payload of its own.

    `grants`: how many were made. `total`: all that was ever spent. `track`: what became of all fixes.
    """

    project_id: str
    grants: int = 0
    paused: Pause | None = None
    entries: tuple[LedgerEntry, ...] = ()
    days: tuple[SpendingTotal, ...] = ()
    incidents: tuple[SpendingTotal, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    total: SpendingTotal = SpendingTotal(key="total")
    track: TrackRecord = TrackRecord()
