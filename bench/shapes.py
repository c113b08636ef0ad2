"""Simulate shapes of trouble, and of what only looks like it, that users of such platforms report in public.

Each is a day and three hours of one service, request by request in numbers, of which the newest minutes are
assessed: at any length and phase, with the day before or without it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
END = datetime(2026, 3, 2, 14, 7, tzinfo=UTC)
DAY, WINDOW = 1440, 180
# Minutes of the whole simulation, the last one being the newest; negative times lie before now.
T = np.arange(-DAY - WINDOW, 0, dtype=np.float64)
SHARES = np.array([0.5, 0.9, 0.95, 0.99])
RATES = (1.0, 12.0, 150.0, 2000.0)  # requests a minute


@dataclass
class Service:
    """What one service does each minute: shares are 0..1, `slow` is the share that takes `slow_ms`."""

    random: np.random.Generator
    rate: Numbers
    phase: int = 0
    cpu_limit: float = 8.0
    memory_limit: float = 8.0
    web: bool = True
    failing: Numbers = field(default_factory=lambda: np.full(len(T), 0.0005))
    refused: Numbers = field(default_factory=lambda: np.full(len(T), 0.01))
    median_ms: Numbers = field(default_factory=lambda: np.full(len(T), 80.0))
    slow: Numbers = field(default_factory=lambda: np.zeros(len(T)))
    slow_ms: float = 30_000.0
    cpu: Numbers = field(default_factory=lambda: np.full(len(T), 0.05))
    memory: Numbers = field(default_factory=lambda: np.full(len(T), 0.22))

    def every(self, period: int, length: int = 1) -> NDArray[np.bool_]:
        """Return the mask of `length` minutes in each period, at this service's phase."""
        return np.asarray((T + self.phase) % period < length)


def since(minutes: float) -> NDArray[np.bool_]:
    return np.asarray(-minutes <= T)


def yesterday(minutes: float, length: float) -> NDArray[np.bool_]:
    """Return the mask of a stretch that began so many minutes ago, today and on the day before."""
    return np.asarray((-minutes <= T) | (-minutes - DAY <= T) & (-minutes - DAY + length > T))


def comes_and_goes(s: Service) -> None:
    s.failing[s.every(3) & since(60)] = 0.5


def comes_and_goes_since_ever(s: Service) -> None:
    s.failing[s.every(3)] = 0.5


def slow_now_and_then(s: Service) -> None:
    s.median_ms[s.every(3) & since(70)] = 600


def worker_blocked(s: Service) -> None:
    s.median_ms[s.every(5) & since(80)] = 2500


def refused_in_bursts(s: Service) -> None:
    s.refused[s.every(3) & since(60)] = 0.8


def half_succeed(s: Service) -> None:
    s.failing[s.every(2) & since(50)] = 1.0


def all_fail(s: Service) -> None:
    s.failing[since(25)] = 1.0


def heap_limit(s: Service, minutes: int = 40) -> None:
    grown = ((T + s.phase) % minutes) / minutes
    s.memory = 0.2 + 1.8 * grown
    s.failing[s.every(minutes)] = 0.4


def heap_limit_of_a_worker(s: Service) -> None:
    heap_limit(s, 25)
    s.web = False


def small_and_killed(s: Service) -> None:
    """Die at 256 MB, with 130 MB at the beginning."""
    s.memory_limit = 0.256
    s.memory = 0.13 + 0.122 * ((T + s.phase) % 30) / 30
    s.failing[s.every(30)] = 0.4


def leak_under_a_ceiling(s: Service) -> None:
    s.memory_limit = 32.0
    s.memory = np.where(since(160), 0.25 + (T + 160) / 60, 0.25)


def slow_leak_under_a_ceiling(s: Service) -> None:
    s.memory = np.where(since(170), 0.25 + 0.1 * (T + 170) / 60, 0.25)


def worker_stopped(s: Service) -> None:
    s.web, s.cpu_limit = False, 32.0
    s.cpu = np.where(since(20), 0.002, 0.5)


def tiny_and_broken(s: Service) -> None:
    s.rate[:] = 1.0
    s.failing[since(45)] = 0.45


def gone_quiet(s: Service) -> None:
    s.rate[since(15)] *= 0.05


# -- from single public reports; each was labelled before it was first assessed


def each_half_hour(s: Service) -> None:
    """Fail for four minutes of each half hour, as behind a job that locks tables."""
    s.failing[s.every(30, 4)] = 0.5


def each_hour_at_one(s: Service) -> None:
    """Degrade at the top of each hour for eight minutes (brettmeyerowitz/homeassistant-homgar#82)."""
    bad = s.every(60, 8)
    s.failing[bad], s.median_ms[bad] = 0.3, 4000


def spins_without_its_queue(s: Service) -> None:
    """Spin after the queue's connection was lost (gresrun/jesque#6)."""
    s.web, s.cpu_limit = False, 1.0
    s.cpu = np.where(since(40), 0.99, 0.15)


def pool_exhausted(s: Service) -> None:
    """Wait 30 s for a connection, and fail (ultical/ultical#7, ontop/ontop#299)."""
    s.slow_ms = 30_000
    s.slow[since(25)], s.failing[since(25)] = 0.7, 0.6


def grows_without_traffic(s: Service) -> None:
    """Grow on an idle instance until it is full (scoutapp/scout_apm_ruby#208)."""
    s.memory_limit = 0.512
    s.memory = np.where(since(120), 0.2 + 0.29 * (T + 120) / 120, 0.2)


def replicas_take_turns(s: Service) -> None:
    """Lose one of four replicas at its heap limit every nine minutes (mozilla/addons#11181)."""
    grown = ((T + s.phase) % 9) / 9
    s.memory = 4.2 + 1.2 * grown
    s.failing[s.every(9)] = 0.25


def dies_at_its_start(s: Service) -> None:
    """Die 38 s after each start, before it listens (vignesh07/clawdbot-railway-template#19)."""
    bad = since(30)
    s.memory = np.where(bad, np.where(s.every(2), 0.4, 0.1), 0.3)
    s.failing[bad] = 1.0


def uneven_sawtooth(s: Service) -> None:
    """Collect at peaks that differ, far below the limit (DependencyTrack/dependency-track#4963)."""
    s.memory_limit, period = 16.0, 55
    cycle = (T + s.phase) // period
    peak = 3.5 + 5.5 * ((cycle * 0.618) % 1)
    s.memory = 1.2 + (peak - 1.2) * ((T + s.phase) % period) / period


def rotates_as_each_day(s: Service) -> None:
    """Spike for ten minutes with the daily cron jobs (zalando-stups/taupage#434)."""
    s.median_ms[yesterday(11, 10)] = 1500


# -- a second and a third set, labelled before they were first assessed: 88/91 and 97/93 % were judged right


def pool_of_three_seconds(s: Service) -> None:
    """Give up waiting for a connection (aks151/ai-incident-investigator#6)."""
    s.median_ms[since(20)], s.failing[since(20)] = 2500, 0.9


def database_restarts(s: Service) -> None:
    """Fail for the minutes of a failover (glowfic-constellation/glowfic#2883)."""
    s.failing[since(5)] = 0.7


def fails_for_days(s: Service) -> None:
    """Answer 522 to nearly all, since ever (rouges78/GameStringer#179)."""
    s.failing[:] = 0.975


def consumer_wedged(s: Service) -> None:
    """Reconnect, and consume nothing any more (taskforcesh/bullmq#4479, celery/celery#8030)."""
    s.web, s.cpu = False, np.where(since(35), 0.004, 0.12)


def spins_after_reconnect(s: Service) -> None:
    """Loop without a pause (taskforcesh/bullmq#1940)."""
    s.web, s.cpu_limit = False, 1.0
    s.cpu = np.where(since(50), 0.995, 0.04)


def refused_at_random(s: Service) -> None:
    """Answer 429 far below the limit (jdemaeyer/brightsky#162)."""
    s.refused[since(40)] = 0.35


def page_cache_grows(s: Service) -> None:
    """Grow to the limit of the container (docker/for-linux#653)."""
    s.memory_limit = 3.0
    s.memory = 2.2 + 0.18 * np.maximum(T + 170, 0) / 60


def volume_is_low(s: Service) -> None:
    """Take a quarter of the usual work (inngest/website#1912)."""
    s.rate = np.where(since(25), 0.25, 1) * s.rate


def steps_of_browsers(s: Service) -> None:
    """Keep a browser more every ten minutes."""
    s.memory = 0.4 + 0.09 * np.floor(np.maximum(T + 170, 0) / 10)


def waves_of_failures(s: Service) -> None:
    """Fail in waves behind an exhausted pooler (hachyderm/community#609)."""
    s.failing[s.every(10, 6) & since(90)] = 0.08


def requests_hang(s: Service) -> None:
    """Hang to a gateway's time-out, so that few come."""
    s.rate = np.where(since(18), 0.2, 1) * s.rate
    s.failing[since(18)], s.median_ms[since(18)] = 0.97, 30_000


def streams_end_late(s: Service) -> None:
    """Log streams when they end (aprin-labs/archimedes#1436, Wave-RF/WaveHouse#421)."""
    s.slow[:], s.slow_ms, s.median_ms[:] = 0.055, 9000, 46


def deploy_closes_sockets(s: Service) -> None:
    """Close all sockets at once, which is when they are logged (gotempsh/temps#514)."""
    s.slow[:], s.slow_ms = 0.02, 900_000
    s.slow[since(6) & (T < -4)] = 0.3


def deploy_without_check(s: Service) -> None:
    """Answer 502 until a new process listens (ArthurDevel/OpenPaperDigest#34)."""
    s.failing[since(12) & (T < -10)] = 1.0


def crawler_is_limited(s: Service) -> None:
    """Refuse a crawler that came on top (GSA/data.gov#2645)."""
    s.rate = np.where(since(40), 2.2, 1) * s.rate
    s.refused[since(40)] = 0.56


def stays_after_a_spike(s: Service) -> None:
    """Hold what a spike took (Dicklesworthstone/mcp_agent_mail_rust#15, nodejs/node#21332)."""
    s.memory = np.where(since(45), 0.58, 0.405)


def arenas_fill(s: Service) -> None:
    """Fill the allocator's arenas (iden3/go-rapidsnark#28)."""
    s.memory = 0.3 + 0.35 * (1 - np.exp(-np.maximum(T + 150, 0) / 25))


def recycled(s: Service) -> None:
    """Replace the process after so many requests (engageub/InternetIncome#172)."""
    s.memory = 0.35 + 0.5 * ((T + s.phase) % 75) / 75


def fifteen_seconds(s: Service) -> None:
    """Fail for a moment that is over (department-of-veterans-affairs/caseflow-efolder#743)."""
    s.failing[T == -6] = 0.2


def lunch(s: Service) -> None:
    s.rate = s.rate * (1 - 0.6 * np.clip((T + 30) / 22, 0, 1))


def evening(s: Service) -> None:
    s.rate = s.rate * (1 - 0.8 * np.clip((T + 90) / 80, 0, 1))


def uploads_of_one(s: Service) -> None:
    """Begin to upload: slow requests of which less than one runs at a time."""
    s.slow[since(30)], s.slow_ms = 0.08, 20_000


def checks_pause(s: Service) -> None:
    """Take three seconds for a check now and then (jetty/jetty.project#3533)."""
    s.slow[:], s.slow_ms, s.median_ms[:] = 0.25, 3000, 5


# -- what was always bad


def always_slow(s: Service) -> None:
    """Take many slow queries for each answer."""
    s.median_ms[:] = 9000


def always_busy(s: Service) -> None:
    s.cpu_limit, s.cpu = 1.0, np.full(len(T), 0.99)
    s.median_ms[:] = 1200


def always_refused(s: Service) -> None:
    s.refused[:] = 0.6


def always_failing_a_little(s: Service) -> None:
    s.failing[:] = 0.017


# -- what only looks like trouble


def ordinary(s: Service) -> None:
    """Leave a day as it is."""


def heavy_tail(s: Service) -> None:
    s.slow[:], s.slow_ms = 0.02, 3000


def sockets(s: Service) -> None:
    s.slow = np.where(since(80), 0.07, 0.03)


def collected(s: Service) -> None:
    s.memory = 0.2 + 0.25 * ((T + s.phase) % 38) / 38
    s.memory_limit = 1.0


def report_each_hour(s: Service) -> None:
    s.cpu[s.every(60, 6)] = 7.9


def queue_empty_as_each_night(s: Service) -> None:
    s.web = False
    swing = 0.4 + 0.15 * np.sin(2 * np.pi * T / 100)
    s.cpu = np.where(yesterday(45, 300), 0.01, swing)


def batch_as_last_night(s: Service) -> None:
    s.web, s.cpu_limit = False, 1.0
    s.cpu = np.where(yesterday(40, 45), 0.97, 0.03)


def export_as_last_night(s: Service) -> None:
    s.median_ms[yesterday(20, 25)] = 700


def office_closes(s: Service) -> None:
    """Lose visitors over 50 minutes, as on the day before."""
    fall = np.clip((T + 60) / 50, 0, 1)
    before = np.where(T < -400, np.clip((T + 60 + DAY) / 50, 0, 1), 0)
    back = np.where((T > -DAY + 600) & (T < -400), 0, before)
    s.rate = s.rate * (1 - 0.9 * np.maximum(fall, back))


def one_uploads(s: Service) -> None:
    """Let one user upload all along, and a little more of late."""
    s.slow = np.where(since(30), 0.08, 0.04)
    s.slow_ms = 12_000


def scanned(s: Service) -> None:
    s.rate[since(25)] *= 1.5
    s.refused[since(25)] = 0.34


def compiled_then_flat(s: Service) -> None:
    s.memory = np.where(since(100), np.clip(0.2 + 0.4 * (T + 100) / 60, 0, 0.6), 0.6)


@dataclass(frozen=True)
class Shape:
    """`kinds`: those that count as right, none for a healthy one. `web`: requests a minute, by level."""

    simulate: Callable[[Service], None]
    kinds: tuple[str, ...] = ()
    rates: tuple[float, ...] = RATES
    windows: tuple[int, ...] = (30, 60, 180)
    needs_history: bool = False


LEAK = ("memory_leak", "memory_saturation", "crash_loop")
CHRONIC = {
    "latency": always_slow,
    "cpu_saturation": always_busy,
    "client_errors": always_refused,
    "error_rate": always_failing_a_little,
}
SHAPES = {
    "comes_and_goes": Shape(comes_and_goes, ("error_rate",), RATES[1:]),
    "comes_and_goes_since_ever": Shape(comes_and_goes_since_ever, ("error_rate",), RATES[1:]),
    "half_succeed": Shape(half_succeed, ("error_rate",), RATES[1:]),
    "all_fail": Shape(all_fail, ("outage", "error_rate")),
    "tiny_and_broken": Shape(tiny_and_broken, ("error_rate", "outage"), RATES[:1]),
    "slow_now_and_then": Shape(slow_now_and_then, ("latency",), RATES[2:], (180,)),
    "worker_blocked": Shape(worker_blocked, ("latency",), RATES[2:], (180,)),
    "refused_in_bursts": Shape(refused_in_bursts, ("client_errors",), RATES[2:], (180,)),
    "heap_limit": Shape(heap_limit, LEAK, RATES[1:], (180,)),
    "heap_limit_of_a_worker": Shape(heap_limit_of_a_worker, LEAK, RATES[:1], (60, 180)),
    "small_and_killed": Shape(small_and_killed, LEAK, RATES[:3], (60, 180)),
    "leak_under_a_ceiling": Shape(leak_under_a_ceiling, LEAK, RATES[:3], (60, 180)),
    "slow_leak_under_a_ceiling": Shape(slow_leak_under_a_ceiling, LEAK, RATES[:3], (180,)),
    "worker_stopped": Shape(worker_stopped, ("outage",), RATES[:1], (180,)),
    "gone_quiet": Shape(gone_quiet, ("traffic_drop",), RATES[1:3], (60, 180)),
    "each_half_hour": Shape(each_half_hour, ("error_rate",), RATES[1:], (180,)),
    "each_hour_at_one": Shape(each_hour_at_one, ("error_rate", "latency"), RATES[1:], (180,)),
    "spins_without_its_queue": Shape(spins_without_its_queue, ("cpu_saturation",), RATES[:1], (180,)),
    "pool_exhausted": Shape(pool_exhausted, ("error_rate", "latency", "outage"), RATES[1:]),
    "grows_without_traffic": Shape(grows_without_traffic, LEAK, (0.25,), (60, 180)),
    "replicas_take_turns": Shape(replicas_take_turns, ("crash_loop", "error_rate"), RATES[2:]),
    "dies_at_its_start": Shape(dies_at_its_start, ("crash_loop", "outage", "error_rate")),
    "uneven_sawtooth": Shape(uneven_sawtooth, windows=(180,)),
    "rotates_as_each_day": Shape(rotates_as_each_day, rates=RATES[1:], needs_history=True),
    "pool_of_three_seconds": Shape(pool_of_three_seconds, ("error_rate", "outage", "latency"), RATES[:2]),
    "database_restarts": Shape(database_restarts, ("error_rate", "outage"), RATES[1:3]),
    "fails_for_days": Shape(fails_for_days, ("error_rate", "outage"), RATES[:1], (180,)),
    "consumer_wedged": Shape(consumer_wedged, ("outage",), RATES[:1], (180,)),
    "spins_after_reconnect": Shape(spins_after_reconnect, ("cpu_saturation",), RATES[:1], (180,)),
    "refused_at_random": Shape(refused_at_random, ("client_errors",), RATES[2:3], (60, 180)),
    "page_cache_grows": Shape(page_cache_grows, LEAK, RATES[1:2], (180,)),
    "volume_is_low": Shape(volume_is_low, ("traffic_drop",), RATES[2:3], (60, 180)),
    "steps_of_browsers": Shape(steps_of_browsers, LEAK, RATES[1:2], (180,)),
    "waves_of_failures": Shape(waves_of_failures, ("error_rate",), RATES[2:3]),
    "requests_hang": Shape(requests_hang, ("error_rate", "outage", "traffic_drop"), RATES[1:3], (60, 180)),
    "streams_end_late": Shape(streams_end_late, rates=RATES[1:3]),
    "deploy_closes_sockets": Shape(deploy_closes_sockets, rates=RATES[2:3], windows=(60, 180)),
    "deploy_without_check": Shape(deploy_without_check, rates=RATES[:3]),
    "crawler_is_limited": Shape(crawler_is_limited, rates=RATES[1:3], windows=(60, 180)),
    "stays_after_a_spike": Shape(stays_after_a_spike, rates=RATES[1:2]),
    "arenas_fill": Shape(arenas_fill, rates=RATES[1:2], windows=(60, 180)),
    "recycled": Shape(recycled, rates=RATES[1:2], windows=(60, 180), needs_history=True),
    "fifteen_seconds": Shape(fifteen_seconds, rates=RATES[2:3]),
    "lunch": Shape(lunch, rates=RATES[1:3], windows=(60, 180)),
    "evening": Shape(evening, rates=RATES[1:3], windows=(60, 180)),
    "uploads_of_one": Shape(uploads_of_one, rates=RATES[1:2], windows=(60, 180)),
    "checks_pause": Shape(checks_pause, rates=RATES[:1]),
    "ordinary": Shape(ordinary),
    "heavy_tail": Shape(heavy_tail),
    "sockets": Shape(sockets, rates=RATES[1:3]),
    "collected": Shape(collected),
    "report_each_hour": Shape(report_each_hour, rates=RATES[:2]),
    "queue_empty_as_each_night": Shape(queue_empty_as_each_night, rates=RATES[:1], needs_history=True),
    "batch_as_last_night": Shape(batch_as_last_night, rates=RATES[:1], needs_history=True),
    "export_as_last_night": Shape(export_as_last_night, rates=RATES[1:], needs_history=True),
    "office_closes": Shape(office_closes, rates=RATES[1:], needs_history=True),
    "one_uploads": Shape(one_uploads, rates=RATES[2:3]),
    "scanned": Shape(scanned, rates=RATES[1:3]),
    "compiled_then_flat": Shape(compiled_then_flat),
}


def simulated(
    simulate: Callable[[Service], None], rate: float = 150.0, seed: int = 1, phase: int = 0
) -> dict[str, Any]:
    """Return the whole simulation in the format of `backtest`: a day and three hours at one minute."""
    random = np.random.default_rng([seed, int(rate)])
    service = Service(random, np.full(len(T), rate), phase)
    simulate(service)
    clumped = service.rate * random.gamma(8, 1 / 8, len(T))
    requests = random.poisson(clumped)
    failed = random.binomial(requests, service.failing)
    refused = random.binomial(requests - failed, np.minimum(service.refused, 1))
    slow = random.binomial(requests, service.slow)
    latency = _latency(service, requests, slow)
    row: dict[str, Any] = {
        "id": simulate.__name__,
        "service": "app",
        "start": END.timestamp() - 60 * len(T),
        "step_seconds": 60,
        "cpu": (service.cpu * random.lognormal(0, 0.1, len(T))).round(4).tolist(),
        "cpu_limit": service.cpu_limit,
        "memory_gb": (service.memory * (1 + 0.01 * random.standard_normal(len(T)))).round(4).tolist(),
        "memory_limit": service.memory_limit,
        "http": None,
        "latency_ms": None,
    }
    if service.web:
        ok = requests - failed - refused
        row["http"] = {"2xx": ok.tolist(), "4xx": refused.tolist(), "5xx": failed.tolist()}
        row["latency_ms"] = latency
    return row


def _latency(
    service: Service, requests: NDArray[np.int64], slow: NDArray[np.int64]
) -> dict[str, list[float | None]]:
    """Return percentiles by minute, of up to 200 requests in each; None where there was none."""
    kept = np.minimum(requests, 200)
    few = np.rint(slow * kept / np.maximum(requests, 1)).astype(np.int64)
    # In one draw: for each minute its requests, and behind them those of its slow ones.
    drawn = service.random.lognormal(0, 0.5, int((kept + few).sum()))
    first = np.cumsum(kept + few) - (kept + few)
    place = np.arange(kept.max(initial=1))
    begun, many = place < few[:, None], place < kept[:, None]
    numbers = np.where(begun, (first + kept)[:, None] + place, first[:, None] + place)
    factor = np.where(begun, service.slow_ms, service.median_ms[:, None])
    times = np.full(many.shape, np.inf)
    times[many] = factor[many] * drawn[numbers[many]]
    times.sort(axis=1)
    told: list[list[float | None]] = []
    # As `np.percentile` does.
    for share in SHARES:
        at = share * np.maximum(kept - 1, 0)
        low = at.astype(np.int64)
        lower, upper = (
            np.take_along_axis(times, rank[:, None], 1)[:, 0]
            for rank in (low, np.minimum(low + 1, np.maximum(kept - 1, 0)))
        )
        with np.errstate(invalid="ignore"):  # of minutes without requests
            values = (lower + (upper - lower) * (at - low)).tolist()
        told.append([round(value, 1) if count else None for value, count in zip(values, kept, strict=True)])
    return dict(zip(("p50", "p90", "p95", "p99"), told, strict=True))


def newest(row: dict[str, Any], minutes: int) -> dict[str, Any]:
    """Return the newest minutes of a simulation."""
    return between(row, len(T) - minutes, len(T))


def between(row: dict[str, Any], first: int, last: int) -> dict[str, Any]:
    """Return some minutes of a simulation."""

    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: cut(part) for name, part in value.items()}
        return value[first:last] if isinstance(value, list) else value

    return {**{name: cut(value) for name, value in row.items()}, "start": row["start"] + 60 * first}
