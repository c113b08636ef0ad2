"""What is open, silent or done in one project."""

from datetime import datetime
from enum import StrEnum

from railmend.contracts.base import Contract


class ClaimState(StrEnum):
    GRANTED = "granted"
    HELD = "held"  # someone else has it open
    SILENT = "silent"  # settled a short while ago; not to be raised again yet


class ClaimRequest(Contract):
    """`claim_id` is deterministic: asked again it gives the same answer.

    A claim nobody settles runs out after `lease_seconds`, so that a scan that was terminated does not
    silence a fault for ever. `takes_over_from`: the holder that hands its claim on.
    """

    claim_id: str
    fingerprints: tuple[str, ...]
    holder: str  # workflow ID
    at: datetime
    lease_seconds: int
    takes_over_from: str | None = None


class ClaimAnswer(Contract):
    state: ClaimState
    holder: str
    detail: str = ""


class SettleRequest(Contract):
    """Ends a claim; `silent_seconds` keeps the fingerprints quiet for that long after `at`."""

    settle_id: str
    fingerprints: tuple[str, ...]
    holder: str
    outcome: str
    detail: str
    silent_seconds: int
    at: datetime


class Claims(Contract):
    """Many claims of one project in one call: a wide scan keeps a short history."""

    project_id: str
    claims: tuple[ClaimRequest, ...]


class ClaimAnswers(Contract):
    """In the order of the claims."""

    answers: tuple[ClaimAnswer, ...]


class Settlements(Contract):
    project_id: str
    settlements: tuple[SettleRequest, ...]


class LedgerEntry(Contract):
    fingerprint: str
    holder: str
    state: str  # open, silent
    since: datetime
    until: datetime  # end of the lease or of the silence
    outcome: str = ""
    detail: str = ""


class LedgerState(Contract):
    project_id: str
    entries: tuple[LedgerEntry, ...] = ()
