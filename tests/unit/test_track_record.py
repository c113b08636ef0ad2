"""What became of fixes is counted for years, and decides how far the next one may go."""

from datetime import timedelta

import pytest

from railmend.contracts.autonomy import Autonomy, EarnedAutonomy
from railmend.contracts.track_record import AutonomyQuery, FixRecord, TrackRecord
from tests.samples import NOW
from workflows.ledger.track_record import MOST_RECENT, MOST_RECORDS, TrackRecordStore, earned_autonomy

POLICY = EarnedAutonomy(enabled=True)
PLAN, DRAFT, PULL_REQUEST = Autonomy.PLAN, Autonomy.DRAFT, Autonomy.PULL_REQUEST


@pytest.mark.parametrize(
    ("recent", "level"),
    [
        ("", DRAFT),
        ("hhh", DRAFT),
        ("hhhh", PULL_REQUEST),
        ("hhhn", PULL_REQUEST),
        ("hhnn", DRAFT),
        ("hnnn", PLAN),
        ("cccc", PLAN),
        ("w", PLAN),
        ("hhhhw", DRAFT),
        ("hhhhwhhh", DRAFT),
        ("hhhhwhhhh", PULL_REQUEST),
        ("hhhhww", PLAN),
        # From the bottom it rises by one step a fix, however good the newest are.
        ("wnhh", PLAN),
        ("wnhhh", DRAFT),
        ("wnhhhh", PULL_REQUEST),
    ],
)
def test_autonomy_is_earned_step_by_step_and_lost_at_once(recent: str, level: Autonomy) -> None:
    assert earned_autonomy(recent, POLICY) is level


def fix(outcome: str, *, edited: bool = False, repository: str = "acme/checkout", day: int = 0) -> FixRecord:
    return FixRecord(
        repository=repository,
        kind="memory_leak",
        outcome=outcome,
        edited=edited,
        at=NOW + timedelta(days=day),
        opened_seconds=60,
        recovered_seconds=600 if outcome == "held" else None,
    )


def question(configured: Autonomy = PULL_REQUEST, policy: EarnedAutonomy = POLICY) -> AutonomyQuery:
    return AutonomyQuery(repository="acme/checkout", kind="memory_leak", configured=configured, policy=policy)


def test_the_reason_names_the_fixes_it_rests_on() -> None:
    records = TrackRecordStore(TrackRecord())
    decision = records.decide(question())
    assert decision.autonomy is DRAFT
    assert decision.reason == ("draft, because only 0 of 4 fixes of memory_leak in acme/checkout are settled")
    records.add([fix("held"), fix("not_held"), fix("closed"), fix("not_held")])
    decision = records.decide(question())
    assert decision.autonomy is PLAN
    assert decision.reason == "plan, because 1 of the last 4 fixes of memory_leak in acme/checkout held"
    records.add([fix("held"), fix("held"), fix("worse")])
    assert records.decide(question()).reason == (
        "plan, because 2 of the last 4 fixes of memory_leak in acme/checkout held, and 1 made it worse"
    )


def test_what_is_configured_is_never_exceeded_and_is_all_there_is_by_default() -> None:
    records = TrackRecordStore(TrackRecord())
    records.add([fix("worse")] * 4)
    off = records.decide(question(policy=EarnedAutonomy()))
    assert (off.autonomy, off.reason) == (PULL_REQUEST, "")
    records.add([fix("held")] * 8)
    assert records.decide(question()).autonomy is PULL_REQUEST
    decision = records.decide(question(configured=PLAN))
    assert (decision.autonomy, decision.reason) == (PLAN, "")


def test_another_kind_or_repository_earns_nothing_by_it() -> None:
    records = TrackRecordStore(TrackRecord())
    records.add([fix("held")] * 4)
    for other in ({"kind": "latency"}, {"repository": "acme/catalog"}):
        assert records.decide(question().model_copy(update=other)).autonomy is DRAFT


def test_what_people_changed_or_nobody_can_judge_is_counted_but_earns_nothing() -> None:
    records = TrackRecordStore(TrackRecord())
    records.add([fix("held", edited=True)] * 5 + [fix("cannot_tell"), fix("not_deployed")])
    (record,) = records.track().records
    assert (record.outcomes, record.edited, record.recent) == (
        {"held": 5, "cannot_tell": 1, "not_deployed": 1},
        5,
        "",
    )


def test_records_survive_a_new_run_and_no_count_is_lost_when_there_are_too_many() -> None:
    records = TrackRecordStore(TrackRecord())
    for day in range(3 * MOST_RECORDS):
        records.add([fix("held", repository=f"acme/{day}", day=day)])
        records = TrackRecordStore(TrackRecord.model_validate_json(records.track().model_dump_json()))
    track = records.track()
    assert len(track.records) == MOST_RECORDS
    assert sum(record.outcomes["held"] for record in track.records) == 3 * MOST_RECORDS
    assert (track.records[0].repository, track.records[-1].repository) == (
        f"acme/{3 * MOST_RECORDS - 1}",
        "",
    )
    assert track.recovered_seconds == (600,) * MOST_RECENT


@pytest.mark.parametrize("wrong", [{"draft_share": 0.9}, {"start": "report"}, {"fixes": 0}])
def test_thresholds_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="EarnedAutonomy"):
        EarnedAutonomy.model_validate(wrong)
