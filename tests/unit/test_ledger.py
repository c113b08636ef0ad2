"""What a ledger answers over days and months: claims, silence, memory and budget."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

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
    SuppressRequest,
)
from railmend.contracts.ledger_parts import merge, split
from railmend.contracts.track_record import FixRecord, TrackRecord
from tests.samples import NOW
from workflows.ledger.budget import MOST_INCIDENTS, BudgetStore
from workflows.ledger.claims import MOST_BYTES, ClaimStore
from workflows.ledger.track_record import MOST_RECORDS, TrackRecordStore

FAULT = "env/service/memory_leak"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OPEN = Limit()


def request(holder: str = "a", at: datetime = NOW, run: str = "r1", **more: Any) -> ClaimRequest:
    known: dict[str, Any] = {"fingerprints": (FAULT,), "deployment": "d1"}
    return ClaimRequest(claim_id="c", holder=holder, first_run_id=run, at=at, **{**known, **more})


def claim(
    claims: ClaimStore, holder: str = "a", at: datetime = NOW, deployment: str = "d1", **more: Any
) -> ClaimState:
    return claims.claim(request(holder, at, deployment=deployment, **more)).state


def settle(claims: ClaimStore, holder: str = "a", at: datetime = NOW, **more: Any) -> bool:
    known: dict[str, Any] = {"fingerprints": (FAULT,), "outcome": "unclear", "first_run_id": "r1"}
    return claims.settle(
        SettleRequest(
            settle_id="s",
            holder=holder,
            detail="nobody knows",
            cooldown_seconds=6 * 3600,
            unchanged_cooldown_seconds=7 * 86400,
            at=at,
            **{**known, **more},
        )
    )


def test_a_fault_is_held_until_it_settles_however_long_that_takes() -> None:
    claims = ClaimStore(())
    assert claim(claims) is ClaimState.GRANTED
    assert claim(claims) is ClaimState.GRANTED, "asked again by the same holder"
    assert claim(claims, "b", NOW + 365 * DAY) is ClaimState.HELD
    settle(claims, at=NOW + 365 * DAY)
    assert claim(claims, "b", NOW + 373 * DAY) is ClaimState.GRANTED


def test_a_workflow_started_anew_under_the_same_id_is_another_holder() -> None:
    claims = ClaimStore(())
    claim(claims)
    assert claim(claims, run="r2") is ClaimState.HELD
    assert not settle(claims, first_run_id="r2")
    assert claim(claims, "b") is ClaimState.HELD


def test_of_two_who_replace_the_same_stale_grant_one_succeeds() -> None:
    claims = ClaimStore(())
    stale = claims.claim(request()).grant
    assert claim(claims, "b", replaces=(stale,)) is ClaimState.GRANTED
    assert claim(claims, "c", replaces=(stale,)) is ClaimState.HELD
    assert claim(claims) is ClaimState.HELD, "who lost it is told so"
    assert not settle(claims), "and can settle nothing"


def test_a_hand_over_succeeds_only_while_the_scan_has_its_grant() -> None:
    claims = ClaimStore(())
    grant = claims.claim(request("scan/a")).grant
    handing = {"run": "", "handed_by": "scan/a", "handed_by_run": "r1", "replaces": (grant,)}
    assert claim(claims, "repair/x", **handing) is ClaimState.GRANTED
    answer = claims.claim(request("scan/b"))
    assert (answer.state, answer.holder, answer.handed_by) == (ClaimState.HELD, "repair/x", "scan/a")
    assert claim(claims, "repair/x", run="r7") is ClaimState.GRANTED, "the repair asks with its own run"
    assert claims.claim(request("scan/b")).handed_by == "", "and is the holder alone from then on"
    assert claim(claims, "repair/y", **handing) is ClaimState.HELD


def test_a_released_claim_leaves_the_fault_as_it_was() -> None:
    claims = ClaimStore(())
    claim(claims)
    assert settle(claims, outcome="")
    assert claims.entries(NOW) == ()
    claim(claims)
    settle(claims)
    claim(claims, "b", NOW + 8 * DAY)
    settle(claims, "b", NOW + 8 * DAY, outcome="")
    (entry,) = claims.entries(NOW + 8 * DAY)
    assert (entry.outcome, entry.times, entry.alive(NOW + 8 * DAY)) == ("unclear", 1, False)


def test_a_repair_that_is_reset_after_its_end_has_its_claim_again_unless_another_was_since() -> None:
    claims = ClaimStore(())
    claim(claims)
    settle(claims)
    assert claim(claims) is ClaimState.SUPPRESSED, "a scan that is reset does not begin anew"
    assert claim(claims, again=True) is ClaimState.GRANTED
    settle(claims)
    assert claim(claims, "b", NOW + 8 * DAY) is ClaimState.GRANTED
    settle(claims, "b", NOW + 8 * DAY)
    assert claim(claims, at=NOW + 8 * DAY, again=True) is ClaimState.SUPPRESSED


def test_what_a_person_accepts_is_told_apart_and_hides_no_incident_of_its_kind() -> None:
    claims, always = ClaimStore(()), f"{FAULT}.chronic"
    claims.suppress(
        SuppressRequest(
            fingerprints=(always,), by="ada", reason="streams", seconds=86400, at=NOW, accepted=True
        )
    )
    refused = claims.claim(request(at=NOW + 20 * HOUR).model_copy(update={"fingerprints": (always,)}))
    assert (refused.state, refused.accepted, refused.holder) == (ClaimState.SUPPRESSED, True, "person/ada")
    assert claim(claims, at=NOW + 20 * HOUR) is ClaimState.GRANTED
    ended = claims.claim(request(at=NOW + 25 * HOUR).model_copy(update={"fingerprints": (always,)}))
    assert ended.state is ClaimState.GRANTED


def test_what_a_person_suppresses_stays_quiet_whatever_is_deployed() -> None:
    claims = ClaimStore(())
    claims.suppress(SuppressRequest(fingerprints=(FAULT,), by="ada", seconds=86400, at=NOW))
    assert claim(claims, at=NOW + 23 * HOUR, deployment="d2") is ClaimState.SUPPRESSED
    assert claim(claims, at=NOW + 25 * HOUR, deployment="d2") is ClaimState.GRANTED


def test_a_person_is_told_of_a_stuck_holder_once_a_day() -> None:
    claims = ClaimStore(())
    claim(claims)
    told = [claims.claim(request("b", NOW + after, stuck=True)).tell for after in (HOUR, 2 * HOUR, 26 * HOUR)]
    assert told == [True, False, True]
    assert not claims.claim(request("b", NOW + 99 * DAY)).tell


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
    (entry,) = claims.entries(NOW + 8 * DAY)
    assert (entry.state, entry.outcome, entry.detail, entry.times) == ("open", "unclear", "nobody knows", 2)


def test_a_claim_tells_what_came_of_earlier_troubles_of_the_same_service() -> None:
    claims = ClaimStore(())
    claim(claims)
    settle(claims)
    same = request("b", NOW + DAY, fingerprints=("env/service/latency",))
    (past,) = claims.claim(same).past
    assert (past.outcome, past.summary) == ("memory_leak: unclear", "nobody knows")
    assert claims.claim(request("b", NOW + DAY, fingerprints=("env/other/latency",))).past == ()


def reserve(
    spendings: BudgetStore,
    budget: Budget,
    number: int | str = 0,
    at: datetime = NOW,
    kind: SpendingKind = SpendingKind.DIAGNOSIS,
    fault: str = FAULT,
) -> str:
    """The limit that refused it; empty when it was granted."""
    asked = ReserveRequest(
        reserve_id=f"r{number}", fingerprints=(fault,), kind=kind, usd=1.0, budget=budget, at=at
    )
    return spendings.reserve(asked).limit


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


def test_a_month_begins_on_its_first_day_and_ends_with_its_last() -> None:
    budget = Budget(incident=OPEN, day=OPEN, month=Limit(diagnoses=2))
    first, last = NOW.replace(month=12, day=1), NOW.replace(month=12, day=31)
    spendings = BudgetStore((), (), ())
    assert reserve(spendings, budget, 0, NOW) == "", "of November"
    assert [reserve(spendings, budget, n, first, fault=f"f{n}") for n in (1, 2)] == ["", ""]
    kept = BudgetStore(spendings.days(last), (), ())
    assert reserve(kept, budget, 3, last) == "2 diagnoses a month", "its first day still counts"
    assert reserve(kept, budget, 4, last + DAY) == "", "a new month begins with nothing"


def test_what_is_reserved_counts_and_is_corrected_in_the_next_run() -> None:
    spendings = BudgetStore((), (), ())
    budget = Budget(incident=Limit(usd=1.5), day=Limit(usd=1.5), month=OPEN)
    assert reserve(spendings, budget, 0) == ""
    kept = restarted(spendings)
    assert reserve(kept, budget, 0) == "", "asked again"
    assert reserve(kept, budget, 1) == "1.5 USD an incident (1.00 spent or reserved)"
    kept.spend(SpendRequest(reserve_id="r0", usd=0.25))
    assert reserve(kept, budget, 1) == ""
    assert (kept.total.usd, kept.days(NOW)[0].usd, kept.incidents(NOW)[0].usd) == (1.25, 1.25, 1.25)
    again = restarted(kept)
    again.spend(SpendRequest(reserve_id="r0", usd=9.0))
    assert reserve(again, budget, 0) == ""
    assert again.total.usd == 1.25, "nothing that is repeated counts twice"


def test_every_fault_of_a_repair_pays_and_is_corrected() -> None:
    spendings = BudgetStore((), (), ())
    budget = Budget(incident=Limit(usd=1.0), day=OPEN, month=OPEN)
    both = ReserveRequest(
        reserve_id="r",
        fingerprints=("env/a/latency", "env/b/latency"),
        kind=SpendingKind.SESSION,
        usd=1.0,
        budget=budget,
        at=NOW,
    )
    assert spendings.reserve(both).granted
    assert [reserve(spendings, budget, n, fault=f"env/{n}/latency") for n in "ab"] == [
        "1 USD an incident (1.00 spent or reserved)"
    ] * 2
    spendings.spend(SpendRequest(reserve_id="r", usd=0.0))
    assert [reserve(spendings, budget, n, fault=f"env/{n}/latency") for n in "ab"] == ["", ""]
    assert spendings.incidents(NOW)[0].sessions == 1


def test_costs_of_more_than_a_month_ago_are_not_added_again() -> None:
    spendings = BudgetStore((), (), ())
    budget = Budget(incident=Limit(diagnoses=2), day=OPEN, month=OPEN)
    assert [reserve(spendings, budget, n) for n in range(2)] == ["", ""]
    later = NOW + 31 * DAY
    assert reserve(spendings, budget, 2, later) == ""
    assert reserve(spendings, budget, 3, later) == "", "it is the second of this month, not the fourth"


def test_a_full_ledger_refuses_new_costs_and_forgets_none() -> None:
    spendings = BudgetStore((), (), ())
    budget = Budget(incident=Limit(diagnoses=1), day=OPEN, month=OPEN)
    for n in range(MOST_INCIDENTS):
        assert reserve(spendings, budget, n, fault=f"env/{n}/latency") == ""
        spendings.spend(SpendRequest(reserve_id=f"r{n}", usd=0.1))
    assert reserve(spendings, budget, -1, fault="env/new/latency").startswith(f"{MOST_INCIDENTS} incidents")
    kept = restarted(spendings)
    assert len(kept.incidents(NOW)) == MOST_INCIDENTS
    for n in (0, MOST_INCIDENTS - 1):
        assert reserve(kept, budget, -2, fault=f"env/{n}/latency") == "1 diagnoses an incident"
    assert reserve(kept, budget, -3, NOW + 31 * DAY, fault="env/new/latency") == "", "a month later"


def restarted(spendings: BudgetStore) -> BudgetStore:
    """As the next run of the ledger has it."""
    state = LedgerState(
        project_id="p",
        days=spendings.days(NOW),
        incidents=spendings.incidents(NOW),
        reservations=spendings.reservations(NOW),
        total=spendings.total,
    )
    state = merge([part.model_dump(mode="json") for part in split(state)])
    return BudgetStore(state.days, state.incidents, state.reservations, state.total)


def uuid_of(n: int) -> str:
    return str(UUID(int=n * 10**30 + n))


def wide(n: int, at: datetime) -> ClaimRequest:
    """As long as claims are: ids of Railway, a long name of a repository."""
    return ClaimRequest(
        claim_id="c",
        fingerprints=(f"{uuid_of(7)}/{uuid_of(n)}/memory_saturation",),
        holder=f"repair/acme-incorporated/{'r' * 30}/{n:012}",
        first_run_id=uuid_of(n),
        at=at,
        deployment=uuid_of(n + 1),
    )


def test_a_ledger_of_a_large_project_keeps_all_that_is_open_and_paid_in_small_payloads() -> None:
    """400 claims are open; 400 faults have cost something; 100 repositories have a record."""
    claims, spendings, records = ClaimStore(()), BudgetStore((), (), ()), TrackRecordStore(TrackRecord())
    for n in range(400):
        at = NOW - n * HOUR
        claimed = wide(n, at)
        assert claims.claim(claimed).state is ClaimState.GRANTED
        reserve(spendings, Budget(incident=OPEN, day=OPEN, month=OPEN), n, at, fault=claimed.fingerprints[0])
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
        grants=claims.grants,
        entries=claims.entries(NOW + HOUR),
        days=spendings.days(NOW),
        incidents=spendings.incidents(NOW),
        reservations=spendings.reservations(NOW),
        total=spendings.total,
        track=records.track(),
    )
    assert (len(state.entries), len(state.incidents)) == (400, 400)
    assert len(state.track.records) == MOST_RECORDS
    parts = split(state)
    assert max(len(part.model_dump_json()) for part in parts) < 64 * 1024
    assert merge(parts) == state


def test_a_full_ledger_refuses_new_claims_and_forgets_nothing_that_is_open() -> None:
    claims = ClaimStore(())
    granted = 0
    while (answer := claims.claim(wide(granted, NOW))).state is ClaimState.GRANTED:
        granted += 1
    assert granted > 400
    assert answer.state is ClaimState.FULL
    assert f"{granted} faults are open" in answer.detail
    assert claims.claim(wide(3, NOW)).state is ClaimState.GRANTED, "what is open may be asked for again"
    for n in range(granted):
        claims.settle(
            SettleRequest(
                settle_id="s",
                fingerprints=wide(n, NOW).fingerprints,
                holder=wide(n, NOW).holder,
                first_run_id=wide(n, NOW).first_run_id,
                outcome="pull_request",
                detail="x" * 500,
                cooldown_seconds=3600,
                at=NOW,
                pull_request="https://github.com/acme-incorporated/repository/pull/1234",
            )
        )
    entries = claims.entries(NOW)
    assert len(entries) == granted, "there is room for what comes of each"
    parts = split(LedgerState(project_id="p", entries=entries))
    assert sum(len(entry.model_dump_json()) + 1 for entry in entries) <= MOST_BYTES
    assert max(len(part.model_dump_json()) for part in parts) < 64 * 1024
    assert len(claims.entries(NOW + 2 * HOUR)) < 100, "what is over is only remembered where there is room"
    assert claim(claims, at=NOW + 2 * HOUR) is ClaimState.GRANTED


def test_what_an_earlier_version_stored_is_read() -> None:
    old = {
        "project_id": "p",
        "entries": [
            {
                "fingerprint": FAULT,
                "holder": "incident/env/service",
                "state": "open",
                "since": "2026-11-24T09:00:00Z",
                "until": "2026-11-24T11:00:00Z",
                "times": 2,
            }
        ],
        "incidents": [{"key": FAULT, "usd": 2.5, "diagnoses": 1, "last": "2026-11-24T09:00:00Z"}],
    }
    state = merge([old])
    claims = ClaimStore(state.entries, state.grants)
    answer = claims.claim(request("b"))
    assert (answer.state, answer.holder) == (ClaimState.HELD, "incident/env/service")
    assert claim(claims, "b", replaces=(answer.grant,)) is ClaimState.GRANTED
    spendings = BudgetStore(state.days, state.incidents, state.reservations, state.total)
    budget = Budget(incident=Limit(usd=3.0), day=OPEN, month=OPEN)
    assert reserve(spendings, budget, 0) == "3 USD an incident (2.50 spent or reserved)"
