"""The numbers of `starter.py incidents --stats`: counts, money and what became of the fixes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from commands.incident_list import IncidentList
from railmend.contracts.ledger import SpendingTotal
from railmend.contracts.track_record import FaultRecord

# How a fix may end, in the order in which it is shown; `closed` is without a merge.
ENDINGS = ("closed", "held", "not_held", "worse", "cannot_tell", "not_deployed")
# Of these a win rate is made: what nobody can judge says nothing.
JUDGED = ("held", "not_held", "worse", "closed")
MEASURED = ("held", "not_held", "worse")


def statistics(incidents: IncidentList, now: datetime | None = None) -> dict[str, Any]:
    """Count incidents as they are remembered, fixes and money as they were counted from the beginning.

    USD of the day and the month (UTC) of `now` by project. Seconds are medians of the newest fixes, from
    the onset of the fault. None: nothing to divide by yet.
    """
    today = f"{now or datetime.now(UTC):%Y-%m-%d}"
    records = [record for track in incidents.tracks.values() for record in track.records]
    held = sum(record.outcomes.get("held", 0) for record in records)
    spent = sum(total.usd for total in incidents.totals.values())
    return {
        "incidents": len(incidents.rows),
        "by_state": Counter(row.state for row in incidents.rows),
        "by_kind": Counter(row.kind for row in incidents.rows),
        "by_outcome": Counter(row.outcome for row in incidents.rows if row.outcome),
        "pull_requests": len({row.pull_request for row in incidents.rows if row.pull_request}),
        "usd_today": {name: usd_of(days, today) for name, days in incidents.days.items()},
        "usd_this_month": {name: usd_of(days, today[:7]) for name, days in incidents.days.items()},
        "fixes": _fixes(records),
        "proof": _proof(track.proofs for track in incidents.tracks.values()),
        "usd_per_held_fix": round(spent / held, 4) if held else None,
        "seconds_to_pull_request": _median(track.opened_seconds for track in incidents.tracks.values()),
        "seconds_to_recovery": _median(track.recovered_seconds for track in incidents.tracks.values()),
        "win_rates": [rate for record in records if (rate := _rate(record))],
    }


def usd_of(days: Sequence[SpendingTotal], period: str) -> float:
    return round(sum(day.usd for day in days if day.key.startswith(period)), 4)


def _fixes(records: Sequence[FaultRecord]) -> dict[str, int]:
    merged, edited = sum(record.merged for record in records), sum(record.edited for record in records)
    endings = {name: sum(record.outcomes.get(name, 0) for record in records) for name in ENDINGS}
    return {"merged_unchanged": merged - edited, "merged_edited": edited, **endings}


def _proof(tracks: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Compare what proofs came to before the merge with what was measured after it.

    `predicted`: proven ones that held, and failed ones that did not; `of`: all that said either.
    """
    ended: Counter[str] = Counter()
    for proofs in tracks:
        ended.update(proofs)
    right = {"proven": ("held",), "failed": ("not_held", "worse")}
    return {
        "predicted": sum(ended[f"{said}/{name}"] for said, names in right.items() for name in names),
        "of": sum(ended[f"{said}/{name}"] for said in right for name in MEASURED),
        "unproven_held": ended["unproven/held"],
        "unproven": sum(ended[f"unproven/{name}"] for name in MEASURED),
    }


def _median(tracks: Iterable[Sequence[int]]) -> float | None:
    seconds = [value for track in tracks for value in track]
    return float(median(seconds)) if seconds else None


def _rate(record: FaultRecord) -> dict[str, Any] | None:
    judged = sum(record.outcomes.get(name, 0) for name in JUDGED)
    if not judged:
        return None
    held = record.outcomes.get("held", 0)
    return {
        "repository": record.repository or "others",
        "kind": record.kind or "others",
        "held": held,
        "of": judged,
        "share": round(held / judged, 3),
    }


def print_statistics(incidents: IncidentList, console: Console) -> None:
    numbers = statistics(incidents)
    rates = numbers.pop("win_rates")
    for name, value in numbers.items():
        text = ", ".join(f"{key} {n}" for key, n in value.items()) if isinstance(value, dict) else value
        console.print(f"{name.replace('_', ' ')}: {'-' if text in ('', None) else text}", highlight=False)
    if not rates:
        return
    table = Table(box=None, pad_edge=False)
    for column in ("repository", "trouble", "held", "of", "win rate"):
        table.add_column(column, overflow="fold")
    for rate in rates:
        cells = (rate["repository"], rate["kind"], str(rate["held"]), str(rate["of"]))
        table.add_row(*map(escape, cells), f"{rate['share']:.0%}")
    console.print(table)
