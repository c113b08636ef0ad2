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
    CRON_FAILED = "cron_failed"


class ServiceKind(OpenEnum):
    WEB = "web"
    WORKER = "worker"
    CRON = "cron"
    DATABASE = "database"
    FUNCTION = "function"


class CronRun(Contract):
    """One execution of a cron service; `ended` is None while it runs."""

    status: str
    started: datetime
    ended: datetime | None = None


class Service(Contract):
    """One service in one environment; `commit` is the commit of the deployment that serves now.

    `latest_...`: the newest deployment that decided something, which one that was skipped, waits or is built
    has not; its status is in `under_way`. `active_...`: the deployment that serves. `instances`: states of
    the processes of that one. `tcp`: it is reached through a TCP proxy, as far as that is known.
    """

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
    latest_since: datetime | None = None
    active_status: str | None = None
    active_since: datetime | None = None
    instances: tuple[str, ...] = ()
    under_way: str | None = None
    under_way_since: datetime | None = None
    commit: str | None = None
    asleep: bool = False
    sleeps_when_idle: bool = False  # the first request after a while may fail or be slow
    replicas: int = 1
    region: str | None = None
    health_check: str | None = None
    start_command: str | None = None  # of the deployment that serves
    pre_deploy_command: str | None = None  # likewise: what ran before it, as migrations
    depends_on: tuple[str, ...] = ()  # service ids, from variable references
    volume_fill: float | None = None  # share, 0..1
    volume_gb: float | None = None  # its size
    public: bool = False  # has a domain
    tcp: bool = False
    runs: tuple[CronRun, ...] = ()  # of a cron, newest first
    next_run_at: datetime | None = None
    unread: tuple[str, ...] = ()  # what could not be read of it, so that it cannot be called healthy

    @property
    def coming(self) -> tuple[str | None, datetime | None]:
        """Return status and beginning of the newest deployment."""
        if self.under_way is not None:
            return self.under_way, self.under_way_since
        return self.latest_status, self.latest_since

    @property
    def serves_http(self) -> bool:
        """Only a service with a domain has HTTP series."""
        return self.public or self.kind is ServiceKind.WEB


class Window(Contract):
    """The stretch of time one scan looks at; the end lies a little in the past, samples arrive late."""

    start: datetime
    end: datetime
    step_seconds: int

    @property
    def length(self) -> timedelta:
        return self.end - self.start


# What can be a service's normal, however bad: what has always been so is told apart (`chronic`).
CHRONIC_KINDS = (
    FindingKind.CPU_SATURATION,
    FindingKind.ERROR_RATE,
    FindingKind.CLIENT_ERRORS,
    FindingKind.LATENCY,
)
# Ends the fingerprint of what was always bad, so that silence about it hides no incident of its kind.
CHRONIC = ".chronic"


def fingerprint(environment_id: str, service_id: str, kind: FindingKind, *, chronic: bool = False) -> str:
    return f"{environment_id}/{service_id}/{kind.value}{CHRONIC if chronic else ''}"


class Symptom(Contract):
    """What a report says of a finding. `chronic`: it was always so; nothing began."""

    kind: FindingKind
    severity: Severity
    sentence: str
    chronic: bool = False


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
        return fingerprint(self.environment_id, self.service_id, self.kind, chronic=self.chronic)


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


class ScreenRequest(Contract):
    scan: ScanRequest
    window: Window
    pull_request_environment: bool = False


class UnknownServices(Contract):
    """Services of which nobody can say whether they are well; `reason` says why, and what to do."""

    reason: str
    services: tuple[str, ...]


class PlatformIncident(Contract):
    """An incident of Railway's own; if anything names what is affected, `message` does."""

    message: str
    url: str = ""
    status: str = ""
    begun: datetime | None = None


class DownstreamEffect(Contract):
    """A service whose trouble comes from one that it depends on and that is in trouble itself."""

    service_id: str
    root_cause_service_id: str
    sentence: str


def service_url(project_id: str, service_id: str) -> str:
    """Return the page of a service in Railway."""
    return f"https://railway.com/project/{project_id}/service/{service_id}"


class Screening(Contract):
    """The prefilter's result. `decided`: the project is small enough that the findings are final.

    Else the `candidates` are to be examined in detail, over `window`, which ends earlier than what was asked
    for where samples are late. Of the others only the names are kept: `healthy`, `asleep`, `unknown`.
    Candidates that are too many are `unknown`. `more`: further candidates with their findings, each reference
    a `CandidatePage`. `unlisted`: why not even the services could be listed; those known from before are
    `unknown`. `needed`: the names of what candidates need, by service id, where that is no candidate.
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
    platform: PlatformIncident | None = None
    blamed: dict[str, str] = Field(default_factory=dict)
    unknown: tuple[UnknownServices, ...] = ()
    window: Window | None = None
    unseen: tuple[str, ...] = ()
    needed: dict[str, str] = Field(default_factory=dict)
    unlisted: str = ""


class ScanBeginning(ScanRequest):
    """`at`: when it began, by the server's clock; a scan of before 0.2.0 says nothing, and asks twice."""

    at: datetime | None = None


class ScanSettings(Contract):
    """What the settings said when a scan began; it keeps to this.

    `window_seconds` and `step_seconds` bound what is read; the end lies `settle_seconds` back. `screening`:
    what they let the scan see, where it asked for that too. `own_repository`: what Railmend itself is built
    from.
    """

    window_seconds: int = 180 * 60
    step_seconds: int = 60
    settle_seconds: int = 60
    autonomy: Autonomy = Autonomy.PULL_REQUEST
    service_autonomy: dict[str, Autonomy] = Field(default_factory=dict)  # by service name, where it differs
    pull_request_environment: bool = False
    policy: Policy = Policy()
    screening: Screening | None = None
    own_repository: str = ""

    def autonomy_of(self, service: Service) -> Autonomy:
        """Return how far Railmend may go; its own services it only reports, for a repair would restart it."""
        if self.own_repository and service.repository == self.own_repository:
            return Autonomy.REPORT
        return self.service_autonomy.get(service.name, self.autonomy)

    def window(self, now: datetime) -> Window:
        end = now.replace(microsecond=0) - timedelta(seconds=self.settle_seconds)
        start = end - timedelta(seconds=self.window_seconds)
        return Window(start=start, end=end, step_seconds=self.step_seconds)


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
    platform: PlatformIncident | None = None


class Assessment(Contract):
    """Findings of the window. `unseen` says, one sentence each, what could not be measured.

    `page`: the same services and findings as an artifact, for whoever needs those of all pages. `blamed`: by
    service id, the incident of Railway's own that explains its findings.
    """

    findings: tuple[Finding, ...]
    page: ArtifactReference | None = None
    downstream_effects: tuple[DownstreamEffect, ...] = ()
    blamed: dict[str, str] = Field(default_factory=dict)
    unknown: tuple[UnknownServices, ...] = ()
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

    @property
    def chronic(self) -> bool:
        """Whether all that was found was always so."""
        return bool(self.findings) and all(finding.chronic for finding in self.findings)

    def shortened(self, most: int) -> "ServiceRow":
        """Return the row with its texts within `most` characters, half of them for the gravest findings.

        Findings that find no room keep their kind alone.
        """
        left, findings = most // 2, []
        for finding in sorted(self.findings, key=lambda finding: finding.severity is not Severity.CRITICAL):
            symptom = Symptom(
                kind=finding.kind,
                severity=finding.severity,
                sentence=finding.sentence[: max(left, 0)],
                chronic=finding.chronic,
            )
            left -= len(symptom.sentence)
            findings.append(symptom)
        return self.model_copy(update={"findings": tuple(findings), "detail": self.detail[: most // 2]})


class HealthReport(Contract):
    """A scan's report. `rows`: the affected services; of the others only the names are kept.

    `unknown`: what could not be read or was not examined, which is never called healthy. `unlisted`: why not
    even the services could be listed.
    """

    project_name: str
    environment_name: str
    window: Window
    rows: tuple[ServiceRow, ...]
    healthy: tuple[str, ...] = ()
    asleep: tuple[str, ...] = ()
    unknown: tuple[UnknownServices, ...] = ()
    unseen: tuple[str, ...] = ()
    unlisted: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Return how many services are in each state; chronic ones only where there are some."""
        chronic = sum(row.chronic for row in self.rows)
        affected = sum(bool(row.findings) for row in self.rows) - chronic
        unknown = {name for group in self.unknown for name in group.services}
        return {
            "affected": affected,
            **({"chronic": chronic} if chronic else {}),
            "healthy": len(self.healthy),
            "asleep": len(self.asleep),
            "unknown": len(unknown),
        }

    @property
    def headline(self) -> str:
        """Return the number of services in each state, in one sentence."""
        count = sum(self.counts.values())
        states = ", ".join(f"{number} {state}" for state, number in self.counts.items())
        if self.unlisted and not count:
            return "every service is unknown: they could not be listed."
        return f"{count} service{'' if count == 1 else 's'}: {states}."
