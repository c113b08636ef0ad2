"""`starter.py accept`: what was always bad becomes a service's normal, and nothing else does."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner, Result

from commands import ledgers
from hosting import clients
from railmend.contracts.ledger import ClaimAnswer, ClaimRequest, ClaimState, SettleRequest, SuppressRequest
from railmend.contracts.scan import FindingKind, fingerprint
from railyard.api.synthetic import ENVIRONMENT, PROJECT
from starter import app
from tests.unit.railway_yard import Yard
from workflows.ledger.claims import ClaimStore

SERVICE = "service-0000"
ALWAYS = fingerprint(ENVIRONMENT, SERVICE, FindingKind.LATENCY, chronic=True)
INCIDENT = fingerprint(ENVIRONMENT, SERVICE, FindingKind.LATENCY)
DAY = timedelta(days=1)
Accept = Callable[..., Result]


@pytest.fixture
def claims() -> ClaimStore:
    return ClaimStore(())


@pytest.fixture
def accept(claims: ClaimStore, monkeypatch: pytest.MonkeyPatch) -> Accept:
    """The command, in front of a project of four services and a ledger of this process."""
    monkeypatch.setenv("RAILWAY_PROJECT_ID", PROJECT)
    monkeypatch.setenv("RAILWAY_ENVIRONMENT_ID", ENVIRONMENT)
    monkeypatch.setattr(clients, "railway", lambda _: Yard(4, 2).pool)

    async def suppress(
        fingerprints: Sequence[str], length: timedelta, reason: str, *, accepted: bool = False
    ) -> datetime:
        now = datetime.now(UTC)
        seconds = int(length.total_seconds())
        claims.suppress(
            SuppressRequest(
                fingerprints=tuple(fingerprints),
                by="ada",
                reason=reason,
                seconds=seconds,
                at=now,
                accepted=accepted,
            )
        )
        return now + length

    monkeypatch.setattr(ledgers, "suppress", suppress)
    return lambda *arguments: CliRunner().invoke(app, ["accept", *arguments])


def _claim(claims: ClaimStore, fault: str, after: timedelta, deployment: str = "d1") -> ClaimAnswer:
    at = datetime.now(UTC) + after
    return claims.claim(
        ClaimRequest(
            claim_id="c", fingerprints=(fault,), holder="scan", first_run_id="r", at=at, deployment=deployment
        )
    )


def test_what_a_person_accepts_is_quiet_over_deployments_until_its_last_day(
    accept: Accept, claims: ClaimStore
) -> None:
    last = (datetime.now(UTC) + 10 * DAY).date()
    done = accept(SERVICE, "latency", "--until", last.isoformat(), "--reason", "answers are streamed")
    assert done.exit_code == 0, done.output
    assert f"{ALWAYS}: accepted until {last} 23:59 UTC." in done.output
    answer = _claim(claims, ALWAYS, 9 * DAY, deployment="d2")
    assert (answer.state, answer.accepted) == (ClaimState.SUPPRESSED, True)
    assert "answers are streamed" in answer.detail
    assert _claim(claims, INCIDENT, DAY).state is ClaimState.GRANTED, "what begins to be worse is an incident"
    assert _claim(claims, ALWAYS, 12 * DAY).state is ClaimState.GRANTED


def test_every_kind_that_can_be_chronic_can_be_accepted_and_no_other(accept: Accept) -> None:
    accepted = {kind.value for kind in FindingKind if accept(SERVICE, kind.value).exit_code == 0}
    assert accepted == {"cpu_saturation", "error_rate", "client_errors", "latency"}


def test_without_a_date_it_is_looked_at_again_after_a_year(accept: Accept, claims: ClaimStore) -> None:
    assert accept(SERVICE, "latency").exit_code == 0
    assert _claim(claims, ALWAYS, 364 * DAY).accepted
    assert _claim(claims, ALWAYS, 366 * DAY).state is ClaimState.GRANTED


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("checkout", "latency"),
            "'checkout' is not a service of production; its services are service-0000, ",
        ),
        ((SERVICE, "slow"), "'slow' is not a kind of finding; cpu_saturation, error_rate, "),
        ((SERVICE, "outage"), "outage is never normal for a service, so it cannot be accepted; "),
        ((SERVICE, "latency", "--until", "tomorrow"), "--until 'tomorrow' is not a date: write 2027-01-31."),
        ((SERVICE, "latency", "--until", "2020-01-31"), "--until 2020-01-31 is over."),
    ],
)
def test_what_cannot_be_accepted_is_named(
    accept: Accept, claims: ClaimStore, arguments: Sequence[str], told: str
) -> None:
    done = accept(*arguments)
    assert done.exit_code == 2
    assert told in " ".join(done.output.split())
    assert claims.entries(datetime.now(UTC)) == ()


def test_what_a_model_calls_healthy_ends_with_the_deployment(claims: ClaimStore) -> None:
    """However long it would be quiet: a log must not silence a service for ever."""
    now = datetime.now(UTC)
    _claim(claims, ALWAYS, timedelta())
    claims.settle(
        SettleRequest(
            settle_id="s",
            fingerprints=(ALWAYS,),
            holder="scan",
            first_run_id="r",
            outcome="healthy",
            detail="streams",
            cooldown_seconds=0,
            unchanged_cooldown_seconds=30 * 86_400,
            at=now,
        )
    )
    same = _claim(claims, ALWAYS, 20 * DAY)
    assert (same.state, same.accepted) == (ClaimState.SUPPRESSED, False)
    assert _claim(claims, ALWAYS, timedelta(hours=1), deployment="d2").state is ClaimState.GRANTED
