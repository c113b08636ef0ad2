"""Models of a service: its specification and the platform's records."""

import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field

LOG_ROWS = 20_000
# Metrics are computed from these rows, so they must cover a window: 30 minutes at 50 requests a second.
HTTP_ROWS = 100_000


class RequestProfile(BaseModel):
    """`{n}` in the path becomes a number from 1 to `n_max`."""

    method: str = "GET"
    path: str
    weight: float = Field(1, gt=0)
    n_max: int = Field(1, ge=1)
    body: str = ""


class Spikes(BaseModel):
    """Every `every_seconds` the rate is `factor` times as high, for `seconds`."""

    every_seconds: float = Field(gt=0)
    factor: float = Field(gt=0)
    seconds: float = Field(ge=0)


class TrafficProfile(BaseModel):
    """No request is sent before `starts_at`; None is at once.

    `at_once`: requests under way together; beyond it users wait, as real ones would.
    """

    rate_per_second: float = Field(gt=0)
    at_once: int = Field(64, ge=1)
    requests: list[RequestProfile] = Field(min_length=1)
    spikes: Spikes | None = None
    starts_at: AwareDatetime | None = None


class ServiceSpec(BaseModel):
    """`memory_limit_gb` in GB (10^9 bytes), `cpu_limit` in vCPU; `root_directory` is "/web" or "web"."""

    service_id: str
    name: str
    repo: str  # "owner/name"
    git_dir: Path
    branch: str = "main"
    start_command: list[str]
    memory_limit_gb: float
    cpu_limit: float
    root_directory: str = ""
    traffic: TrafficProfile | None = None


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class LogRow:
    at: datetime
    severity: str  # stdout is "info", everything on stderr "error", as on Railway
    message: str


@dataclass(frozen=True, slots=True)
class HttpRow:
    """`details` is filled when the application did not answer."""

    at: datetime
    deployment_id: str
    method: str
    path: str
    status: int
    total_ms: float
    upstream_ms: float
    request_id: str
    details: str


@dataclass(frozen=True)
class Sample:
    """`cpu` in vCPU, `memory` in GB (10^9 bytes), of the whole process tree."""

    at: float
    cpu: float
    memory: float


@dataclass
class Deployment:
    """`status` and `instance_status` hold the names of the API's enums; logs are oldest first."""

    service_id: str
    meta: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    instance_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "INITIALIZING"
    instance_status: str = "INITIALIZING"
    created_at: datetime = field(default_factory=utc_now)
    status_at: datetime = field(default_factory=utc_now)
    build_logs: deque[LogRow] = field(default_factory=lambda: deque(maxlen=LOG_ROWS))
    logs: deque[LogRow] = field(default_factory=lambda: deque(maxlen=LOG_ROWS))
    restarts: int = 0

    def become(self, status: str, instance_status: str) -> None:
        self.status, self.instance_status, self.status_at = status, instance_status, utc_now()

    def say(self, message: str, severity: str = "info") -> None:
        self.logs.append(LogRow(utc_now(), severity, message))
