"""Models of a scan: its request, the screening, findings and the report."""

from datetime import datetime, timedelta

from pydantic import Field

from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.base import Contract, OpenEnum
from railmend.contracts.policy import Policy


class Severity(OpenEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class FindingKind(OpenEnum):
    """Kinds of trouble, in the words of the assessment benchmark plus the platform's own."""

    MEMORY_LEAK = "memory_leak"
    MEMORY_SATURATION = "memory_saturation"
    CPU_SATURATION = "cpu_saturation"
    ERROR_RATE = "error_rate"
    CLIENT_ERRORS = "client_errors"
    LATENCY = "latency"
    CRASH_LOOP = "crash_loop"
    OUTAGE = "outage"
    TRAFFIC_DROP = "traffic_drop"
    DISK_FILLING = "disk_filling"
    DEPLOYMENT_FAILED = "deployment_failed"
    RESTART = "restart"


class ServiceKind(OpenEnum):
    WEB = "web"
    WORKER = "worker"
    CRON = "cron"
    DATABASE = "database"
    FUNCTION = "function"


class Service(Contract):
    """One service in one environment; `commit` is the commit of the deployment that serves now."""

    service_id: str
    name: str
    kind: ServiceKind
    repository: str | None = None  # "owner/name"
    branch: str | None = None
    root_directory: str = ""
    image: str | None = None
    active_deployment_id: str | None = None
    latest_deployment_id: str | None = None
    latest_status: str | None = None
    commit: str | None = None
    asleep: bool = False
    sleeps_when_idle: bool = False  # the first request after a while may fail or be slow
    replicas: int = 1
    region: str | None = None
    health_check: str | None = None
    depends_on: tuple[str, ...] = ()  # service ids, from variable references
    volume_fill: float | None = None  # share, 0..1
    volume_gb: float | None = None  # its size

    @property
    def serves_http(self) -> bool:
        """Only a service with a domain has HTTP series."""
        return self.kind is ServiceKind.WEB


class Window(Contract):
    """The stretch of time one scan looks at; the end lies a little in the past, samples arrive late."""

    start: datetime
    end: datetime
    step_seconds: int

    @property
    def length(self) -> timedelta:
        return self.end - self.start


def fingerprint(environment_id: str, service_id: str, kind: FindingKind) -> str:
    return f"{environment_id}/{service_id}/{kind.value}"


class Symptom(Contract):
    """What a report says of a finding."""

    kind: FindingKind
    severity: Severity
    sentence: str


class Finding(Symptom):
    """One measured symptom of one service, in plain numbers.

    `requests`: how many the window holds in all; None where no HTTP traffic is measured.
    """

    environment_id: str
    service_id: str
    service_name: str
    value: float
    threshold: float
    unit: str
    onset: datetime
    confidence: float  # 0..1
    rule: str
    requests: int | None = None

    @property
    def fingerprint(self) -> str:
        """The identity of the trouble: two findings with one fingerprint are the same."""
        return fingerprint(self.environment_id, self.service_id, self.kind)


class ScanRequest(Contract):
    """What a schedule holds: whom to look at. How, the settings say when the scan begins.

    `autonomy_once`, `window_seconds_once`: of one scan that a person asked for, instead of the settings'.
    `again`: service ids; only these are taken up, whatever their cool-downs, because a person wants it.
    """

    # Schedules of earlier versions also stored settings: these are kept, and no longer read.
    project_id: str
    environment_id: str
    autonomy_once: Autonomy | None = None
    again: tuple[str, ...] = ()
    window_seconds_once: int | None = None


class ScanSettings(Contract):
    """What the settings said when a scan began; it keeps to this.

    `window_seconds` and `step_seconds` bound what is read; the end lies `settle_seconds` back.
    """

    window_seconds: int = 180 * 60
    step_seconds: int = 60
    settle_seconds: int = 60
    autonomy: Autonomy = Autonomy.PULL_REQUEST
    service_autonomy: dict[str, Autonomy] = Field(default_factory=dict)  # by service name, where it differs
    pull_request_environment: bool = False
    policy: Policy = Policy()

    def autonomy_of(self, service: Service) -> Autonomy:
        return self.service_autonomy.get(service.name, self.autonomy)

    def window(self, now: datetime) -> Window:
        end = now.replace(microsecond=0) - timedelta(seconds=self.settle_seconds)
        start = end - timedelta(seconds=self.window_seconds)
        return Window(start=start, end=end, step_seconds=self.step_seconds)


class ScreenRequest(Contract):
    scan: ScanRequest
    window: Window
    pull_request_environment: bool = False


class DownstreamEffect(Contract):
    """A service whose trouble comes from one that it depends on and that is in trouble itself."""

    service_id: str
    root_cause_service_id: str
    sentence: str


class Screening(Contract):
    """The prefilter's result. `decided`: the project is small enough that the findings are final.

    Else the `candidates` are to be examined in detail. Of the others only the names are kept: `healthy`,
    `asleep`. Bounded: `unseen` says when candidates were left out. `more`: further candidates with their
    findings, each reference a `CandidatePage`.
    """

    project_name: str
    environment_name: str
    candidates: tuple[Service, ...]
    decided: bool
    healthy: tuple[str, ...] = ()
    asleep: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    more: tuple[ArtifactReference, ...] = ()
    downstream_effects: tuple[DownstreamEffect, ...] = ()
    platform_incident: str | None = None
    unseen: tuple[str, ...] = ()


# Services of one page: with a few findings each it is about 25 KiB.
PAGE = 12


class CandidatePage(Contract):
    """Some of a scan's candidates with their findings: a wide incident does not fit one payload."""

    services: tuple[Service, ...]
    findings: tuple[Finding, ...]


class CandidatePages(Contract):
    pages: tuple[ArtifactReference, ...]


class DownstreamEffects(Contract):
    effects: tuple[DownstreamEffect, ...] = ()


class CandidatesRequest(Contract):
    environment_id: str
    services: tuple[Service, ...]
    window: Window


class Assessment(Contract):
    """Findings of the window. `unseen` says, one sentence each, what could not be measured.

    `page`: the same services and findings as an artifact, for whoever needs those of all pages.
    """

    findings: tuple[Finding, ...]
    page: ArtifactReference | None = None
    downstream_effects: tuple[DownstreamEffect, ...] = ()
    unseen: tuple[str, ...] = ()


class ServiceRow(Contract):
    """One affected service in the report. `bounded_by`: why a repair may do less than is configured."""

    service_id: str
    name: str
    findings: tuple[Symptom, ...] = ()
    verdict: str = "affected"
    action: str = "none"
    detail: str = ""
    repair_workflow_id: str | None = None
    bounded_by: str = ""

    def shortened(self, most: int) -> "ServiceRow":
        """Return the row with its texts within `most` characters, half of them for the gravest findings.

        Findings that find no room keep their kind alone.
        """
        left, findings = most // 2, []
        for finding in sorted(self.findings, key=lambda finding: finding.severity is not Severity.CRITICAL):
            symptom = Symptom(
                kind=finding.kind, severity=finding.severity, sentence=finding.sentence[: max(left, 0)]
            )
            left -= len(symptom.sentence)
            findings.append(symptom)
        return self.model_copy(update={"findings": tuple(findings), "detail": self.detail[: most // 2]})


class HealthReport(Contract):
    """A scan's report. `rows`: the affected services; of the others only the names are kept."""

    project_name: str
    environment_name: str
    window: Window
    rows: tuple[ServiceRow, ...]
    healthy: tuple[str, ...] = ()
    asleep: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
