"""What `starter.py status` and the page show of everything: one model, and the words that both use."""

from datetime import datetime

from pydantic import BaseModel

from railmend.contracts.status import RepairStatus


class IncidentRow(BaseModel):
    """One fingerprint. `state`: open (worked on), suppressed (settled, in its cool-down) or closed."""

    project: str
    service: str
    kind: str
    state: str
    since: datetime
    until: datetime | None  # end of the cool-down
    outcome: str
    label: str = ""  # how it stands, in the words of every screen
    command: str = ""  # what answers it, where it waits for a person
    detail: str
    pull_request: str
    times: int
    id: str  # workflow ID of who has it, or had it last
    incident: str  # workflow ID of its investigation


class WorkRow(BaseModel):
    """One repair or action, and how it stands. `incidents`: workflow IDs of its investigations."""

    id: str
    services: list[str]
    started: datetime
    status: RepairStatus
    incidents: list[str] = []

    @property
    def name(self) -> str:
        return ", ".join(self.services) or self.id


class Money(BaseModel):
    """USD spent in a period, and the most that may be; None: no limit."""

    spent: float
    limit: float | None

    def __str__(self) -> str:
        limit = f" of {self.limit:g}" if self.limit is not None else ""
        return f"{self.spent:.2f}{limit} USD"


class ProjectStatus(BaseModel):
    """One project. `services`: names by state. `problems`: of its scans, each with the next step."""

    project: str
    environment: str = ""  # its ID
    scanned: datetime | None = None
    services: dict[str, list[str]] = {}
    next_scan: datetime | None = None
    problems: list[str] = []
    day: Money | None = None
    month: Money | None = None
    reserved: float = 0  # USD of what is spent, for what runs: the most that it may cost
    unseen: list[str] = []

    @property
    def cost(self) -> str:
        """Return what models cost, in a sentence; empty where it is not known."""
        periods = (("today", self.day), ("this month", self.month))
        spent = [f"{money} {period}" for period, money in periods if money]
        reserved = f", {self.reserved:.2f} USD of it reserved for what runs" if self.reserved else ""
        return f"Models cost {' and '.join(spent)}{reserved}." if spent else ""


class StatusScreen(BaseModel):
    """`waiting`: what a person has to decide. `work`: the other repairs and actions, newest first."""

    at: datetime
    waiting: list[WorkRow]
    projects: list[ProjectStatus]
    incidents: list[IncidentRow]
    work: list[WorkRow]
    unseen: list[str]

    @property
    def all_unseen(self) -> list[str]:
        """Return what could not be seen, anywhere, each once."""
        seen = [*self.unseen, *(text for project in self.projects for text in project.unseen)]
        return list(dict.fromkeys(seen))
