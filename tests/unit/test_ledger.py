"""What a ledger answers over days and months: claims, silence, memory and budget."""

from datetime import datetime, timedelta

import pytest

from railmend.contracts.ledger import (
    Budget,
    ClaimRequest,
    ClaimState,
    LedgerState,
    Limit,
    ReserveRequest,
    SettleRequest,
    SpendingKind,
    SpendRequest,
)
from railmend.contracts.track_record import FixRecord, TrackRecord
from tests.samples import NOW
from workflows.ledger.budget import BudgetStore
from workflows.ledger.claims import ClaimStore
from workflows.ledger.ledger import MAX_ENTRIES
from workflows.ledger.track_record import MOST_RECORDS, TrackRecordStore

FAULT = "env/service/memory_leak"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OPEN = Limit()


def claim(
    claims: ClaimStore, holder: str = "a", at: datetime = NOW, deployment: str = "d1", **more: str
) -> ClaimState:
    request = ClaimRequest(
        claim_id="c",
        fingerprints=(FAULT,),
        holder=holder,
        at=at,
        lease_seconds=3600,
        deployment=deployment,
        **more,  # type: ignore[arg-type]
    )
    return claims.claim(request).state


def settle(claims: ClaimStore, holder: str = "a", at: datetime = NOW) -> None:
    claims.settle(
        SettleRequest(
            settle_id="s",
            fingerprints=(FAULT,),
            holder=holder,
            outcome="unclear",
            detail="nobody knows",
            cooldown_seconds=6 * 3600,
            unchanged_cooldown_seconds=7 * 86400,
            at=at,
        )
    )


def test_a_fault_is_held_by_one_until_it_settles_or_its_lease_runs_out() -> None:
    claims = ClaimStore(())
    assert claim(claims) is ClaimState.GRANTED
    assert claim(claims) is ClaimState.GRANTED, "asked again by the same holder"
    assert claim(claims, "b") is ClaimState.HELD
    assert claim(claims, "b", takes_over_from="a") is ClaimState.GRANTED
    assert claim(claims, "a") is ClaimState.HELD
    assert claim(claims, "a", NOW + 2 * HOUR) is ClaimState.GRANTED


@pytest.mark.parametrize(
    ("after", "deployment", "state"),
    [
        (1 * HOUR, "d1", ClaimState.SUPPRESSED),
        (1 * HOUR, "d2", ClaimState.SUPPRESSED),  # a new deployment alone does not make it urgent
        (7 * HOUR, "d2", ClaimState.GRANTED),
        (6 * DAY, "d1", ClaimState.SUPPRESSED),
        (8 * DAY, "d1", ClaimState.GRANTED),
    ],
)
def test_an_unchanged_fault_stays_silent_longer_than_one_under_a_new_deployment(
    after: timedelta, deployment: str, state: ClaimState
) -> None:
    claims = ClaimStore(())
    claim(claims)
    settle(claims)
    assert claim(claims, "b", NOW + after, deployment) is state


def test_only_the_holder_settles() -> None:
    claims = ClaimStore(())
    claim(claims)
    settle(claims, "somebody else")
    assert claim(claims, "b") is ClaimState.HELD


def test_what_became_of_a_fault_is_remembered_when_it_comes_back() -> None:
    claims = ClaimStore(())
    claim(claims)
    settle(claims)
    claim(claims, "b", NOW + 8 * DAY)
    (entry,) = claims.entries(NOW + 8 * DAY, MAX_ENTRIES)
    assert (entry.state, entry.outcome, entry.detail, entry.times) == ("open", "unclear", "nobody knows", 2)


def test_a_claim_tells_what_came_of_earlier_troubles_of_the_same_service() -> None:
    claims = ClaimStore(())
    claim(claims)
    settle(claims)
    request = ClaimRequest(
        claim_id="c",
        fingerprints=("env/service/latency",),
        holder="b",
        at=NOW + DAY,
        lease_seconds=60,
    )
    (past,) = claims.claim(request).past
    assert (past.outcome, past.summary) == ("memory_leak: unclear", "nobody knows")
    other = request.model_copy(update={"fingerprints": ("env/other/latency",)})
    assert claims.claim(other).past == ()


def reserve(
    spendings: BudgetStore,
    budget: Budget,
    number: int = 0,
    at: datetime = NOW,
    kind: SpendingKind = SpendingKind.DIAGNOSIS,
    fault: str = FAULT,
) -> str:
    """The limit that refused it; empty when it was granted."""
    request = ReserveRequest(
        reserve_id=f"r{number}", fingerprints=(fault,), kind=kind, usd=1.0, budget=budget, at=at
    )
    return spendings.reserve(request).limit


def test_runs_are_bounded_per_day_and_come_back_the_next_day() -> None:
    spendings = BudgetStore((), (), ())
    budget = Budget(incident=OPEN, day=Limit(diagnoses=2), month=OPEN)
    assert [reserve(spendings, budget, n, fault=f"f{n}") for n in range(3)] == ["", "", "2 diagnoses a day"]
    assert reserve(spendings, budget, 3, kind=SpendingKind.SESSION) == "", (
        "the other kind has a limit of its own"
    )
    answer = spendings.reserve(
        ReserveRequest(
            reserve_id="r9", fingerprints=(FAULT,), kind=SpendingKind.DIAGNOSIS, usd=0, budget=budget, at=NOW
        )
    )
    assert answer.again_at == datetime(2026, 11, 25, tzinfo=NOW.tzinfo)
    assert reserve(spendings, budget, 4, answer.again_at) == ""


def test_money_is_counted_when_it_is_reserved_and_corrected_when_it_is_spent() -> None:
    spendings = BudgetStore((), (), ())
    budget = Budget(incident=OPEN, day=Limit(usd=2.0), month=OPEN)
    assert reserve(spendings, budget, 0) == reserve(spendings, budget, 1) == ""
    assert reserve(spendings, budget, 2) == "2 USD a day (2.00 spent or reserved)"
    for _ in range(2):
        spendings.spend(SpendRequest(reserve_id="r0", usd=0.1))
    assert reserve(spendings, budget, 2) == "2 USD a day (1.10 spent or reserved)"
    spendings.spend(SpendRequest(reserve_id="r1", usd=0.2))
    assert reserve(spendings, budget, 2) == ""


def test_one_reservation_counts_once_however_often_it_is_asked_for() -> None:
    spendings = BudgetStore((), (), ())
    budget = Budget(incident=OPEN, day=Limit(diagnoses=1), month=OPEN)
    assert [reserve(spendings, budget, 0) for _ in range(3)] == ["", "", ""]
    assert spendings.days(NOW)[0].diagnoses == 1


def test_a_month_sums_its_days_and_an_incident_its_own() -> None:
    spendings = BudgetStore((), (), ())
    month = Budget(incident=OPEN, day=OPEN, month=Limit(diagnoses=3))
    for n in range(3):
        assert reserve(spendings, month, n, NOW - n * DAY, fault=f"f{n}") == ""
    assert reserve(spendings, month, 3) == "3 diagnoses a month"
    incident = Budget(incident=Limit(diagnoses=1), day=OPEN, month=OPEN)
    assert reserve(spendings, incident, 4, fault="f1") == "1 diagnoses an incident"
    assert reserve(spendings, incident, 5, fault="f9") == ""
    assert reserve(spendings, incident, 6, NOW + 40 * DAY, fault="f1") == "", "a month of quiet starts anew"


def test_a_ledger_of_a_large_project_stays_a_small_payload() -> None:
    claims, spendings, records = ClaimStore(()), BudgetStore((), (), ()), TrackRecordStore(TrackRecord())
    for n in range(400):
        fault = f"{'e' * 36}/{'s' * 36}-{n}/memory_saturation"
        at = NOW - n * HOUR
        claims.claim(
            ClaimRequest(
                claim_id="c",
                fingerprints=(fault,),
                holder=f"repair/acme-incorporated/{'r' * 30}/{n:012}",
                at=at,
                lease_seconds=60,
                deployment="d" * 36,
            )
        )
        claims.settle(
            SettleRequest(
                settle_id="s",
                fingerprints=(fault,),
                holder=f"repair/acme-incorporated/{'r' * 30}/{n:012}",
                outcome="pull_request",
                detail="x" * 500,
                cooldown_seconds=60,
                at=at,
                pull_request="https://github.com/acme-incorporated/repository/pull/1234",
            )
        )
        reserve(spendings, Budget(incident=OPEN, day=OPEN, month=OPEN), n, at, fault=fault)
        spendings.spend(SpendRequest(reserve_id=f"r{n}", usd=0.25))
        records.add(
            FixRecord(
                repository=f"acme-incorporated/{'r' * 30}-{n % 100}",
                kind="memory_saturation",
                outcome=outcome,
                at=at,
                opened_seconds=10**6,
                recovered_seconds=10**6,
            )
            for outcome in ("held", "not_held", "worse", "closed", "cannot_tell", "not_deployed")
        )
    state = LedgerState(
        project_id="p",
        entries=claims.entries(NOW + HOUR, MAX_ENTRIES),
        days=spendings.days(NOW),
        incidents=spendings.incidents(NOW),
        reservations=spendings.reservations(NOW),
        total=spendings.total,
        track=records.track(),
    )
    assert len(state.entries) == MAX_ENTRIES
    assert len(state.track.records) == MOST_RECORDS
    assert len(state.model_dump_json()) < 64 * 1024
