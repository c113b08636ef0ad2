"""Every threshold of the rules, with its default and where it comes from."""

from pydantic import BaseModel, ConfigDict, Field


class AssessmentSettings(BaseModel):
    """Durations are minutes. A slice shorter than `shortest_minutes` is judged at its own pace (a demo, a
    load test): one step counts as a minute there, and as it shows no past, absolute limits decide.

    Sources: SRE = Google's "Site Reliability Workbook", chapter 5; USE = Gregg's "Systems Performance",
    utilisation, saturation, errors; K8s = Kubernetes' defaults; field = chosen between what recorded
    incidents and recorded healthy behaviour show, with room on both sides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shortest_minutes: float = Field(20, gt=0)
    # What decides is the newest stretch; an incident may have ended a little before the end. (field)
    recent_minutes: float = Field(15, gt=0)
    ended_minutes: float = Field(9, gt=0)
    # A symptom must last this long; shorter ones count where users are hit hard. (field; SRE: short window)
    lasting_minutes: float = Field(5, gt=0)
    # Least past of a service that anything can be compared with. (field)
    past_minutes: float = Field(10, gt=0)

    # -- memory. Rises are shares of the limit; without a limit, of the level.
    # Share of rising pairs (Mann-Kendall) and rise over noise (MAD) that make a trend. (field)
    leak_rising_share: float = Field(0.85, ge=0.5, le=1)
    leak_rise_over_noise: float = Field(5, gt=0)
    leak_min_rise: float = Field(0.04, gt=0)
    leak_min_rise_of_level: float = Field(0.2, gt=0)
    # Shorter rises than this tell a leak only where the limit is near (`leak_urgent_minutes`). (field)
    leak_min_minutes: float = Field(20, gt=0)
    leak_sure_minutes: float = Field(50, gt=0)
    leak_urgent_minutes: float = Field(60, gt=0)
    # A curve whose second half rises slower than this share of its first is levelling off: a cache. (field)
    leak_levelled_share: float = Field(0.6, gt=0)
    leak_horizon_hours: float = Field(24, gt=0)
    leak_critical_minutes: float = Field(90, gt=0)
    # Correlation with traffic that explains a rise; two thirds of it after both trends are taken off. (field)
    leak_traffic_correlation: float = Field(0.9, ge=0, le=1)
    # From here on the kernel kills (USE; cgroup memory.max), and below it a fall is the garbage collector's.
    memory_near_limit: float = Field(0.9, gt=0, le=1)
    memory_share: float = Field(0.95, gt=0, le=1)
    # Flat memory must be this near to its limit; below it many runtimes live for good. (field)
    memory_flat_share: float = Field(0.97, gt=0, le=1)
    # On the way: this high, higher than ever, and at its pace at the limit within these minutes. (field)
    surge_share: float = Field(0.85, gt=0, le=1)
    surge_rise: float = Field(0.2, gt=0, le=1)
    surge_minutes: float = Field(10, gt=0)
    # A fall by this share in one step is a restart. (field)
    restart_fall: float = Field(0.5, gt=0, le=1)
    collected_fall: float = Field(0.1, gt=0, le=1)

    # -- CPU, share of the limit (USE: queues grow without bound towards 1)
    cpu_share: float = Field(0.75, gt=0, le=1)
    cpu_alone_share: float = Field(0.88, gt=0, le=1)
    # Busy is not trouble: latency must rise by this factor, or errors appear. (field)
    cpu_latency_ratio: float = Field(1.8, gt=1)
    # Without HTTP there is nothing to corroborate: it must last, and be new. (field)
    cpu_alone_minutes: float = Field(20, gt=0)
    cpu_usual_share: float = Field(0.05, ge=0, le=1)

    # -- requests. An error budget of 0.1 % that burns six times too fast (SRE: pages).
    error_share: float = Field(0.006, gt=0, le=1)
    # Shares up to this one must also be well above the service's own past. (field)
    error_usual_share: float = Field(0.02, gt=0, le=1)
    error_over_past: float = Field(2.5, gt=1)
    error_min_errors: int = Field(5, ge=1)
    error_min_minutes: float = Field(3, gt=0)
    # Where there is little traffic an hour is taken together, and fewer errors tell more. (SRE: low traffic)
    sparse_requests: int = Field(60, ge=1)
    sparse_minutes: float = Field(60, gt=0)
    sparse_min_errors: int = Field(3, ge=1)
    sparse_share: float = Field(0.05, gt=0, le=1)
    # The most that the slice alone makes usual: it may have failed since its first deployment. (field)
    sparse_usual_share: float = Field(0.08, gt=0, le=1)
    error_critical_share: float = Field(0.12, gt=0, le=1)
    error_critical_errors: int = Field(20, ge=1)
    # 4xx: a jump of the share, and successes that are missing. (field)
    client_jump: float = Field(0.1, gt=0, le=1)
    client_min_errors: int = Field(20, ge=1)
    # Of as many as were refused, so many successes must be missing, beyond their own variation. (field)
    client_lost_share: float = Field(0.65, gt=0)
    client_sigmas: float = Field(1.5, gt=0)
    # Scans end; a client that is refused tries on. (field)
    client_ended_minutes: float = Field(3, gt=0)
    # Nearly nothing but 5xx is an outage.
    outage_share: float = Field(0.9, gt=0, le=1)
    outage_requests: int = Field(20, ge=1)
    # Traffic: what is left of the least that was usual; gone; critical. (field)
    traffic_left: float = Field(0.6, gt=0, le=1)
    traffic_gone: float = Field(0.02, gt=0, le=1)
    traffic_critical_left: float = Field(0.3, gt=0, le=1)
    traffic_min_requests: float = Field(30, gt=0)
    # A process that stops after this many requests failed to come was put to sleep, not lost. (field)
    idle_requests: float = Field(4, gt=0)
    traffic_past_minutes: float = Field(20, gt=0)
    # Samples get lost for less than this. (field)
    silent_minutes: float = Field(10, gt=0)
    # A worker must have worked without a pause for so long before its silence is an outage. (field)
    steady_minutes: float = Field(45, gt=0)
    worker_share: float = Field(0.02, gt=0, le=1)

    # -- latency, milliseconds. Nielsen 1993: 100 ms feels instant, 1 s breaks the flow.
    latency_floor_ms: float = Field(100, gt=0)
    latency_ratio: float = Field(2.5, gt=1)
    latency_critical_ratio: float = Field(3.2, gt=1)
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

    # -- restarts: this many within `loop_minutes` are a loop (K8s: back-off reaches 5 min after 5 crashes)
    loop_restarts: int = Field(3, ge=2)
    loop_minutes: float = Field(45, gt=0)

    # -- disk, share of the volume
    disk_share: float = Field(0.9, gt=0, le=1)
    disk_critical_share: float = Field(0.97, gt=0, le=1)
    disk_horizon_hours: float = Field(24, gt=0)
