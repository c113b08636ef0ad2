"""What a person allows, and for how much. Travels with requests: a run keeps what it started with."""

from pydantic import Field

from railmend.contracts.base import Contract
from railmend.contracts.ledger import Budget


class Policy(Contract):
    """`diagnosis_usd`, `session_usd`: most that one diagnosis, one coding session may cost; reserved before.

    `sceptic`: a second pass tries to refute a `code` verdict. `approval_days`: how long a plan waits for a
    person.
    """

    budget: Budget = Budget()
    diagnosis_usd: float = Field(0.5, ge=0)
    session_usd: float = Field(5.0, ge=0)
    sceptic: bool = True
    approval_days: int = Field(7, ge=1, le=30)
