"""Budgets: what has been spent and what may still be; reserved before, settled after.

Totals are kept by day and by fingerprint, never single expenses, so that a ledger stays small for years.
What was paid is never forgotten within its month: where there is no room for more, nothing more is spent.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from railmend.contracts.ledger import (
    Budget,
    Limit,
    Reservation,
    ReserveAnswer,
    ReserveRequest,
    SpendingKind,
    SpendingTotal,
    SpendRequest,
    spending_key,
)

# A month of days can be summed, and a fault that costs no more for a month starts anew.
KEPT_DAYS = 32
INCIDENT_MEMORY = timedelta(days=30)
# A reservation nobody settled after a week counts as spent for good; settled ones are kept for repeats.
OPEN_FOR = timedelta(days=7)
MOST_SETTLED = 30
# Where there is no room to remember a cost, it is asked for again after this.
FULL_FOR = timedelta(hours=1)
# Totals by fingerprint fill a payload of their own, reservations a part of one; both below 64 KiB, as JSON.
MOST_INCIDENTS = 550
RESERVATION_BYTES = 24 * 1024
# Of a dollar's fraction, so that sums stay short.
DIGITS = 6

NOTHING = SpendingTotal(key="total")


class BudgetStore:
    """`total`: all that was ever spent or is reserved."""

    def __init__(
        self,
        days: Iterable[SpendingTotal],
        incidents: Iterable[SpendingTotal],
        reservations: Iterable[Reservation],
        total: SpendingTotal = NOTHING,
    ) -> None:
        self.total = total
        self._days = {total.key: total for total in days}
        self._incidents = {key: total.model_copy(update={"key": key}) for key, total in _by_key(incidents)}
        self._reservations = {reservation.reserve_id: reservation for reservation in reservations}

    def reserve(self, request: ReserveRequest) -> ReserveAnswer:
        """Grant a request where every limit still holds after it; the reserved sum counts at once."""
        if request.reserve_id in self._reservations:
            return ReserveAnswer(granted=True)
        keys = tuple(map(spending_key, request.fingerprints))
        refused = self._refusal(request, keys) or self._full(request, keys)
        if refused is not None:
            return refused
        day = _day(request.at)
        reservation = Reservation(
            reserve_id=request.reserve_id,
            fingerprints=keys,
            kind=request.kind,
            usd=request.usd,
            day=day,
        )
        self._reservations[request.reserve_id] = reservation
        self._add(reservation, request.usd, 1, request.at)
        return ReserveAnswer(granted=True)

    def spend(self, request: SpendRequest) -> None:
        """Replace the reserved sum by the real cost. Unknown and repeated ids change nothing."""
        reservation = self._reservations.get(request.reserve_id)
        if reservation is None or reservation.settled:
            return
        self._add(reservation, request.usd - reservation.usd, 0, None)
        self._reservations[request.reserve_id] = reservation.model_copy(
            update={"usd": request.usd, "settled": True, "fingerprints": ()}
        )

    def _refusal(self, request: ReserveRequest, keys: Iterable[str]) -> ReserveAnswer | None:
        budget, at = request.budget, request.at
        for key in keys:
            spent = self._of_incident(key, at)
            if (limit := _reached(spent, budget.incident, request, "an incident")) is not None:
                return ReserveAnswer(granted=False, limit=limit, again_at=at + INCIDENT_MEMORY)
        for spent, of_period, period, again in self._periods(budget, at):
            if (limit := _reached(spent, of_period, request, period)) is not None:
                return ReserveAnswer(granted=False, limit=limit, again_at=again)
        return None

    def _full(self, request: ReserveRequest, keys: Iterable[str]) -> ReserveAnswer | None:
        """Refuse where the ledger has no room to remember it."""
        at, again_at = request.at, request.at + FULL_FOR
        known = {total.key for total in self.incidents(at)}
        if len(known.union(keys)) > MOST_INCIDENTS:
            limit = f"{MOST_INCIDENTS} incidents with costs in a month"
            return ReserveAnswer(granted=False, limit=limit, again_at=again_at)
        waiting = [each.model_dump_json() for each in self.reservations(at) if not each.settled]
        if sum(map(len, waiting)) > RESERVATION_BYTES:
            limit = f"{len(waiting)} reservations that wait for their cost"
            return ReserveAnswer(granted=False, limit=limit, again_at=again_at)
        return None

    def _of_incident(self, key: str, at: datetime | None) -> SpendingTotal:
        """Return what a fault has cost; one that cost nothing for a month starts anew."""
        total = self._incidents.get(key, SpendingTotal(key=key))
        if at is not None and total.last is not None and total.last < at - INCIDENT_MEMORY:
            return SpendingTotal(key=key)
        return total

    def _periods(self, budget: Budget, at: datetime) -> list[tuple[SpendingTotal, Limit, str, datetime]]:
        today = self._days.get(_day(at), SpendingTotal(key=_day(at)))
        month = _sum(day for key, day in self._days.items() if key.startswith(_day(at)[:7]))
        return [
            (today, budget.day, "a day", _tomorrow(at)),
            (month, budget.month, "a month", _next_month(at)),
        ]

    def _add(self, of: Reservation, usd: float, count: int, at: datetime | None) -> None:
        self.total = _plus(self.total, of.kind, usd, count, at)
        self._days[of.day] = _plus(self._days.get(of.day, SpendingTotal(key=of.day)), of.kind, usd, count, at)
        for key in map(spending_key, of.fingerprints):
            self._incidents[key] = _plus(self._of_incident(key, at), of.kind, usd, count, at)

    def days(self, now: datetime) -> tuple[SpendingTotal, ...]:
        first = _day(now - timedelta(days=KEPT_DAYS))
        return tuple(self._days[key] for key in sorted(self._days) if key >= first)

    def incidents(self, now: datetime) -> tuple[SpendingTotal, ...]:
        """Return the totals by fingerprint, newest first."""
        begin = now - INCIDENT_MEMORY
        alive = [total for total in self._incidents.values() if total.last is None or total.last >= begin]
        return tuple(sorted(alive, key=lambda total: (total.last or begin, total.key), reverse=True))

    def reservations(self, now: datetime) -> tuple[Reservation, ...]:
        first = _day(now - OPEN_FOR)
        reservations = self._reservations.values()
        waiting = [each for each in reservations if not each.settled and each.day >= first]
        settled = [each for each in reservations if each.settled][-MOST_SETTLED:]
        return (*settled, *waiting)


def _by_key(totals: Iterable[SpendingTotal]) -> list[tuple[str, SpendingTotal]]:
    """Return totals by short key; earlier versions stored whole fingerprints."""
    return [(spending_key(total.key), total) for total in totals]


def _plus(
    spent: SpendingTotal, kind: SpendingKind, usd: float, count: int, at: datetime | None
) -> SpendingTotal:
    counted = "diagnoses" if kind is SpendingKind.DIAGNOSIS else "sessions"
    return spent.model_copy(
        update={
            "usd": round(max(spent.usd + usd, 0.0), DIGITS),
            counted: getattr(spent, counted) + count,
            "last": at or spent.last,
        }
    )


def _sum(days: Iterable[SpendingTotal]) -> SpendingTotal:
    total = SpendingTotal(key="")
    for day in days:
        total = total.model_copy(
            update={
                "usd": total.usd + day.usd,
                "diagnoses": total.diagnoses + day.diagnoses,
                "sessions": total.sessions + day.sessions,
            }
        )
    return total


def _reached(spent: SpendingTotal, limit: Limit, request: ReserveRequest, period: str) -> str | None:
    """Return the limit that would be passed, in words; None where the request fits."""
    if limit.usd is not None and spent.usd + request.usd > limit.usd:
        return f"{limit.usd:g} USD {period} ({spent.usd:.2f} spent or reserved)"
    if request.kind is SpendingKind.DIAGNOSIS and _full(spent.diagnoses, limit.diagnoses):
        return f"{limit.diagnoses} diagnoses {period}"
    if request.kind is SpendingKind.SESSION and _full(spent.sessions, limit.sessions):
        return f"{limit.sessions} coding sessions {period}"
    return None


def _full(count: int, most: int | None) -> bool:
    return most is not None and count >= most


def _day(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d")


def _tomorrow(at: datetime) -> datetime:
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1)


def _next_month(at: datetime) -> datetime:
    first = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
