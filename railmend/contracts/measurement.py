"""Models of the measurement of a merged fix: its deployment, the numbers before and after, the status."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from railmend.contracts.base import Contract, OpenEnum
from railmend.contracts.incident import Criterion, MeasuredSeries
from railmend.contracts.scan import Finding, FindingKind, Service, Window

# Points of one charted series: what a mermaid chart shows legibly, and history bears.
MAX_POINTS = 30


class MeasurementStatus(OpenEnum):
    HELD = "held"
    NOT_HELD = "not_held"
    WORSE = "worse"
    CANNOT_TELL = "cannot_tell"


class DeployState(OpenEnum):
    WAITING = "waiting"  # none carries the merge yet, or it is being built
    UP = "up"
    FAILED = "failed"  # it failed to build or to become healthy
    CRASHED = "crashed"
    SKIPPED = "skipped"  # Railway skipped it, and does not try again by itself


class DeploymentQuestion(Contract):
    """A query: which deployment of the service carries the commit that a merge made?"""

    project_id: str
    environment_id: str
    service_id: str
    repository: str
    commit: str
    merged_at: datetime


class DeploymentView(Contract):
    """`previous`: the deployment that served before, for a rollback. `detail`: why it is in this state."""

    state: DeployState
    deployment_id: str | None = None
    at: datetime | None = None  # when it was made
    previous: str | None = None
    detail: str = ""


class WindowMetrics(Contract):
    """One service over one window. None: nothing was measured. CPU in vCPU, memory in GB, shares 0..1.

    `known`: share of the steps with any sample. `series`: for charts, one value per block of steps.
    """

    window: Window
    known: float
    requests: float | None = None  # in the whole window
    memory_gb: float | None = None
    memory_slope_gb_per_hour: float | None = None
    memory_share: float | None = None  # of the limit
    cpu_cores: float | None = None
    cpu_share: float | None = None
    error_share: float | None = None
    client_error_share: float | None = None
    p95_ms: float | None = None
    requests_per_minute: float | None = None
    series: dict[MeasuredSeries, tuple[float | None, ...]] = Field(default_factory=dict)

    def value(self, series: MeasuredSeries) -> float | None:
        value: float | None = getattr(self, series.value) if series.known else None
        return value


class MeasurementInput(Contract):
    """All that one service's status is decided by. `again`: findings of the window after the fix.

    `last`: no later measurement is planned.
    """

    service_name: str
    findings: tuple[Finding, ...]
    criteria: tuple[Criterion, ...]
    before: WindowMetrics
    after: WindowMetrics
    again: tuple[Finding, ...] = ()
    minutes_up: float
    last: bool = True


class MeasurementRow(Contract):
    """One line of the table. `good` None: it cannot be told."""

    name: str
    before: float | None
    after: float | None
    bound: str
    good: bool | None
    unit: str = ""


class MeasurementResult(Contract):
    """The status of one service after the fix, with a sentence and the numbers."""

    status: MeasurementStatus
    sentence: str
    service_name: str = ""
    rows: tuple[MeasurementRow, ...] = ()
    before: WindowMetrics | None = None
    after: WindowMetrics | None = None

    def without_series(self) -> "MeasurementResult":
        """Return what a state keeps: sentence and numbers; the series were drawn in a comment."""
        return self.model_copy(update={"before": None, "after": None})


class MeasureRequest(Contract):
    """Measure one service over matched windows: as long as can be, at most as long as the incident's.

    `at`: the server's time, as `up_since` is: a worker's clock may be wrong. `last`: no later one is planned.
    """

    environment_id: str
    service: Service
    findings: tuple[Finding, ...]
    criteria: tuple[Criterion, ...]
    window: Window
    up_since: datetime
    at: datetime
    last: bool = True


# Kinds that tell of harm when they appear after a fix and were not there before.
HARM = frozenset(
    {
        FindingKind.ERROR_RATE,
        FindingKind.LATENCY,
        FindingKind.CRASH_LOOP,
        FindingKind.OUTAGE,
        FindingKind.MEMORY_SATURATION,
        FindingKind.DEPLOYMENT_FAILED,
    }
)

# Worst first: the worst service decides how a repair ended.
ORDER = (
    MeasurementStatus.WORSE,
    MeasurementStatus.NOT_HELD,
    MeasurementStatus.CANNOT_TELL,
    MeasurementStatus.HELD,
)


def overall_status(results: Sequence[MeasurementResult]) -> MeasurementStatus:
    """Return the worst status of a repair's services; `cannot_tell` where there is none."""
    statuses = {result.status if result.status.known else MeasurementStatus.CANNOT_TELL for result in results}
    return next((status for status in ORDER if status in statuses), MeasurementStatus.CANNOT_TELL)
