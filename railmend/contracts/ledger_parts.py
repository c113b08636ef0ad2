"""The state of a ledger in several payloads, so that each stays below 64 KiB however much is open."""

from collections.abc import Iterable
from typing import Any

from railmend.contracts.base import stored
from railmend.contracts.ledger import LedgerEntry, LedgerState

# Of entries in one payload, as JSON; what stands round them is less than a KiB.
PART_BYTES = 60 * 1024


def split(state: LedgerState) -> list[LedgerState]:
    """Return the state without entries and incidents, then the incidents, then the entries in parts."""
    core = state.model_copy(update={"entries": (), "incidents": ()})
    parts = [core, LedgerState(project_id=state.project_id, incidents=state.incidents)]
    return parts + [
        LedgerState(project_id=state.project_id, entries=entries) for entries in _packed(state.entries)
    ]


def merge(parts: Iterable[Any]) -> LedgerState:
    """Return the state whose parts these are, as models or as stored; the first has what is in no other."""
    with stored():
        core, *others = known = [LedgerState.model_validate(part) for part in parts]
    if not others:
        return core
    return core.model_copy(
        update={
            "entries": tuple(entry for part in known for entry in part.entries),
            "incidents": tuple(total for part in known for total in part.incidents),
        }
    )


def _packed(entries: Iterable[LedgerEntry]) -> list[tuple[LedgerEntry, ...]]:
    packed: list[tuple[LedgerEntry, ...]] = []
    room = 0
    for entry in entries:
        size = len(entry.model_dump_json().encode()) + 1
        if size > room:
            packed.append(())
            room = PART_BYTES
        packed[-1] = (*packed[-1], entry)
        room -= size
    return packed
