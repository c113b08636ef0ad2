"""Every threshold of the rules, with its default and its source."""

from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field, model_validator

from railmend.contracts.scan import Finding, FindingKind, Service


class AssessmentSettings(BaseModel):
    """Thresholds of all rules; durations are minutes.

    In a slice shorter than `shortest_minutes` (a demo, a load test) one step counts as a minute, and
    absolute limits decide, because there is no past to compare with.

    Sources: SRE = Google's "Site Reliability Workbook", chapter 5; USE = Gregg's "Systems Performance",
    utilisation, saturation, errors; K8s = Kubernetes' defaults; field = chosen between what recorded
    incidents and recorded healthy behaviour show, with room on both sides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    shortest_minutes: float = Field(20, gt=0)
    # The newest stretch decides; an incident may have ended shortly before the end of the slice. (field)
    recent_minutes: float = Field(15, gt=0)
    ended_minutes: float = Field(9, gt=0)
    # A symptom must last this long; shorter ones count where users are hit hard. (field; SRE: short window)
    lasting_minutes: float = Field(5, gt=0)
    # Shortest past that anything is compared with. (field)
    past_minutes: float = Field(10, gt=0)

    # -- memory. Rises are shares of the limit; without a limit, of the level.
    # Share of rising pairs (Mann-Kendall) and rise over noise (MAD) that make a trend. (field)
    leak_rising_share: float = Field(0.85, ge=0.5, le=1)
    leak_rise_over_noise: float = Field(5, gt=0)
    leak_min_rise: float = Field(0.04, gt=0)
    leak_min_rise_of_level: float = Field(0.2, gt=0)
    # A shorter rise is a leak only if the limit is near (`leak_urgent_minutes`). (field)
    leak_min_minutes: float = Field(20, gt=0)
    leak_sure_minutes: float = Field(50, gt=0)
    leak_urgent_minutes: float = Field(60, gt=0)
    # A curve whose second half rises slower than this share of its first is levelling off: a cache. (field)
    leak_levelled_share: float = Field(0.6, gt=0)
    leak_horizon_hours: float = Field(24, gt=0)
    # A limit may be a ceiling that nothing ever reaches: growth is judged by the service's own level too, and
    # memory that doubles within these hours is a leak whatever the limit. (field)
    leak_doubling_hours: float = Field(8, gt=0)
    leak_critical_minutes: float = Field(90, gt=0)
    # Correlation with traffic that explains a rise; two thirds of it once both are detrended. (field)
    leak_traffic_correlation: float = Field(0.9, ge=0, le=1)
    # From here on the kernel kills (USE; cgroup memory.max); below it a drop is garbage collection.
    memory_near_limit: float = Field(0.9, gt=0, le=1)
    memory_share: float = Field(0.95, gt=0, le=1)
    # Flat memory must be this near to its limit; many runtimes stay below it permanently. (field)
    memory_flat_share: float = Field(0.97, gt=0, le=1)
    # Surge: this high, higher than ever, and at the limit within these minutes at its pace. (field)
    surge_share: float = Field(0.85, gt=0, le=1)
    surge_rise: float = Field(0.2, gt=0, le=1)
    surge_minutes: float = Field(10, gt=0)
    # A drop by this share in one step is a restart. (field)
    restart_fall: float = Field(0.5, gt=0, le=1)
    # Near the limit a smaller one is: a new process may begin at half of it. (field)
    killed_fall: float = Field(0.25, gt=0, le=1)
    collected_fall: float = Field(0.1, gt=0, le=1)

    # -- CPU, share of the limit (USE: queues grow without bound towards 1)
    cpu_share: float = Field(0.75, gt=0, le=1)
    cpu_alone_share: float = Field(0.88, gt=0, le=1)
    # High CPU alone is no incident: latency must rise by this factor, or errors appear. (field)
    cpu_latency_ratio: float = Field(1.8, gt=1)
    # Without HTTP nothing corroborates it: it must last, and be new. (field)
    cpu_alone_minutes: float = Field(20, gt=0)
    cpu_usual_share: float = Field(0.05, ge=0, le=1)

    # -- requests. An error budget of 0.1 % that burns six times too fast (SRE: pages).
    error_share: float = Field(0.006, gt=0, le=1)
    # Shares up to this one must also be well above the service's own past. (field)
    error_usual_share: float = Field(0.02, gt=0, le=1)
    error_over_past: float = Field(2.5, gt=1)
    error_min_errors: int = Field(5, ge=1)
    error_min_minutes: float = Field(3, gt=0)
    # With little traffic a whole hour is judged, and fewer errors suffice. (SRE: low traffic)
    sparse_requests: int = Field(60, ge=1)
    sparse_minutes: float = Field(60, gt=0)
    sparse_min_errors: int = Field(3, ge=1)
    sparse_share: float = Field(0.05, gt=0, le=1)
    # Cap on what the slice alone makes usual: it may have failed since its first deployment. (field)
    sparse_usual_share: float = Field(0.08, gt=0, le=1)
    error_critical_share: float = Field(0.12, gt=0, le=1)
    error_critical_errors: int = Field(10, ge=1)
    # 4xx: a jump of the share, and missing successes. (field)
    client_jump: float = Field(0.1, gt=0, le=1)
    client_min_errors: int = Field(20, ge=1)
    # Missing successes as a share of the refused requests: nearer to all of them than to none, and beyond
    # their own variation.
    client_lost_share: float = Field(0.5, gt=0)
    client_sigmas: float = Field(1.5, gt=0)
    # Scanners stop; a client that is refused keeps trying. (field)
    client_ended_minutes: float = Field(3, gt=0)
    # Almost only 5xx is an outage.
    outage_share: float = Field(0.9, gt=0, le=1)
    outage_requests: int = Field(6, ge=1)
    # Remaining share of the usual minimum: a drop; none; critical. (field)
    traffic_left: float = Field(0.6, gt=0, le=1)
    traffic_gone: float = Field(0.02, gt=0, le=1)
    traffic_critical_left: float = Field(0.3, gt=0, le=1)
    traffic_min_requests: float = Field(30, gt=0)
    # A process that stops after at least this many expected requests did not arrive was put to sleep. (field)
    idle_requests: float = Field(4, gt=0)
    traffic_past_minutes: float = Field(20, gt=0)
    # Gaps shorter than this are dropped samples. (field)
    silent_minutes: float = Field(10, gt=0)
    # A worker must have worked without a pause for this long before its silence is an outage. (field)
    steady_minutes: float = Field(45, gt=0)
    worker_share: float = Field(0.02, gt=0, le=1)

    # -- latency, milliseconds. Nielsen 1993: 100 ms feels instant, 1 s breaks the flow.
    latency_floor_ms: float = Field(100, gt=0)
    latency_ratio: float = Field(2.5, gt=1)
    latency_critical_ratio: float = Field(3.2, gt=1)
    # Where this share of minutes had requests as slow before, the rest must be slower by this factor. (field)
    latency_sort_share: float = Field(0.2, gt=0, le=1)
    latency_rest_ratio: float = Field(1.5, gt=1)
    latency_usual_share: float = Field(0.4, gt=0, le=1)
    latency_min_requests: int = Field(20, ge=1)
    # A slow share below 5 % shows in the p99 alone. (field)
    tail_floor_ms: float = Field(1000, gt=0)
    tail_ratio: float = Field(6, gt=1)
    # Bursts: few minutes, far beyond anything usual. (field)
    burst_minutes: float = Field(3, gt=0)
    burst_floor_ms: float = Field(200, gt=0)
    burst_ratio: float = Field(5, gt=1)
    burst_sigmas: float = Field(4, gt=0)
    # Without a past, slower than this is slow.
    latency_ms: float = Field(1000, gt=0)
    latency_critical_ms: float = Field(5000, gt=0)

    # -- chronic: bad throughout at least this window, so that nothing is there to compare with. Nielsen 1993:
    # after 10 s attention is gone, half of that where it is each answer; SRE: 99 % is the laxest usual SLO;
    # more refusals than answers is no use of a service.
    chronic_minutes: float = Field(150, gt=0)
    chronic_latency_ms: float = Field(5000, gt=0)
    chronic_failed: float = Field(0.01, gt=0, le=1)
    chronic_refused: float = Field(0.4, gt=0, le=1)

    # -- restarts: this many within `loop_minutes` are a loop (K8s: back-off reaches 5 min after 5 crashes)
    loop_restarts: int = Field(3, ge=2)
    loop_minutes: float = Field(45, gt=0)

    # -- disk, share of the volume
    disk_share: float = Field(0.9, gt=0, le=1)
    disk_critical_share: float = Field(0.97, gt=0, le=1)
    disk_horizon_hours: float = Field(24, gt=0)


class Ignore(BaseModel):
    """Ignore findings of this kind (None: of any) for matching services until the end of a day (UTC)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str = Field(min_length=1, description="name or id; * and ? stand for anything")
    kind: FindingKind | None = None
    until: date
    reason: str = ""

    def covers(self, finding: Finding, at: datetime) -> bool:
        if at > datetime.combine(self.until, time.max, UTC) or self.kind not in (None, finding.kind):
            return False
        return any(fnmatchcase(name, self.service) for name in (finding.service_name, finding.service_id))


class AssessmentRules(AssessmentSettings):
    """The table `[assessment]` of railmend.toml: thresholds, those of single services, and what to ignore."""

    services: dict[str, dict[str, float]] = Field({}, description="thresholds by the service's name or id")
    ignore: tuple[Ignore, ...] = ()

    @model_validator(mode="after")
    def _services_are_right(self) -> "AssessmentRules":
        for name, thresholds in self.services.items():
            unknown = sorted(set(thresholds) - set(AssessmentSettings.model_fields))
            if unknown:
                raise ValueError(f"services.{name}: no such threshold: {', '.join(unknown)}")
            AssessmentSettings(**thresholds)
        return self

    def settings_for(self, service: Service) -> AssessmentSettings:
        """Return the thresholds of one service; those by its id win over those by its name."""
        own = self.services.get(service.name, {}) | self.services.get(service.service_id, {})
        return self.model_copy(update=own) if own else self

    def over(self, project: "AssessmentRules") -> "AssessmentRules":
        """Return these rules overridden by a project's own; ignore rules and services add up."""
        own = {name: getattr(project, name) for name in project.model_fields_set}
        services = {name: {**self.services.get(name, {}), **t} for name, t in project.services.items()}
        return self.model_copy(
            update={
                **own,
                "services": self.services | services,
                "ignore": (*self.ignore, *project.ignore),
            }
        )

    def ignores(self, finding: Finding, at: datetime) -> bool:
        """Return whether an ignore rule that has not expired at this time covers the finding."""
        return any(ignore.covers(finding, at) for ignore in self.ignore)
