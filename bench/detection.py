"""Generate labelled slices: an ordinary service with an incident, or a healthy pattern, laid over it.

Deterministic by seed. The format is that of `starter.py backtest`; labels say what must be found.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Json = dict[str, object]
START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
LENGTHS = (25, 45, 60, 90, 120, 180, 180, 180, 240, 360)
# Share of successful responses with 3xx.
REDIRECTED = 0.1
# Shortest slice in minutes for incidents that develop slowly.
LONG = 90


@dataclass
class ServiceSeries:
    """One service's series per minute. Latency consists of a median, a spread and a slow share."""

    random: np.random.Generator
    minutes: int
    cpu_limit: float
    memory_limit: float
    web: bool
    cpu: Numbers
    memory: Numbers
    requests: Numbers
    refused: Numbers
    failed: Numbers
    p50: Numbers
    tail: Numbers  # p95 over p50
    gone: NDArray[np.bool_]
    slow: dict[str, Numbers] = field(default_factory=dict)

    @property
    def t(self) -> Numbers:
        return np.arange(self.minutes, dtype=np.float64)

    def since(self, low: float, high: float) -> int:
        """Return an onset between `low` and `high` minutes before the end."""
        before = min(float(self.random.uniform(low, high)), self.minutes * 0.5)
        return self.minutes - max(int(before), 1)


def ordinary(random: np.random.Generator, minutes: int, *, web: bool | None = None) -> ServiceSeries:
    """Generate sparse or dense traffic, with or without a daily cycle, and matching resources."""
    web = bool(random.random() < 0.85) if web is None else web
    t = np.arange(minutes, dtype=np.float64)
    rate = float(random.choice([3, 15, 60, 400, 1500])) * float(random.uniform(0.7, 1.4))
    swing = float(random.choice([0, 0, 0.2, 0.4]))
    cycle = 1 + swing * np.sin(2 * np.pi * (t / 1440 + random.random()))
    clumps = random.choice([1, 1, 4]) if rate < 100 else 1
    requests = random.poisson(rate * cycle / clumps).astype(float) * clumps
    requests *= 1 + 0.04 * random.standard_normal(minutes) if rate > 100 else 1
    limit = float(random.choice([0.5, 1, 2, 8]))
    load = float(random.uniform(0.03, 0.45))
    cpu = limit * load * (0.6 + 0.4 * requests / max(rate, 1)) * random.lognormal(0, 0.12, minutes)
    memory_limit = float(random.choice([0.5, 1, 2, 4, 8]))
    level = float(random.uniform(0.05, 0.7)) * memory_limit
    heavy = bool(random.random() < 0.2)
    p50 = float(random.choice([4, 20, 40, 200])) * random.lognormal(0, 0.05, minutes)
    tail = 1.6 * random.lognormal(0, 0.08, minutes)
    if heavy:  # occasional requests that are slow in themselves
        spikes = random.random(minutes) < 0.1
        tail[spikes] *= random.uniform(3, 10, int(spikes.sum()))
    return ServiceSeries(
        random=random,
        minutes=minutes,
        cpu_limit=limit,
        memory_limit=memory_limit,
        web=web,
        cpu=cpu,
        memory=level * (1 + 0.003 * random.standard_normal(minutes)),
        requests=np.maximum(np.round(requests), 0),
        refused=random.poisson(np.maximum(requests, 0) * float(random.choice([0.001, 0.01, 0.04]))).astype(
            float
        ),
        failed=random.poisson(np.maximum(requests, 0) * float(random.choice([0, 0.0003, 0.001]))).astype(
            float
        ),
        p50=p50,
        tail=tail,
        gone=np.zeros(minutes, dtype=np.bool_),
    )


# -- incidents


def leak(series: ServiceSeries) -> None:
    start = series.since(60, 300)
    to = float(series.random.uniform(0.75, 0.98)) * series.memory_limit
    series.memory[start:] += np.linspace(
        0, max(to - series.memory[start], 0.2 * series.memory_limit), series.minutes - start
    )
    np.minimum(series.memory, 0.99 * series.memory_limit, out=series.memory)


def leak_killed(series: ServiceSeries) -> None:
    period, low = series.random.integers(30, 80), 0.2 * series.memory_limit
    phase = (series.t + series.random.integers(10, 25)) % period
    series.memory[:] = low + (0.98 * series.memory_limit - low) * phase / period
    killed = np.flatnonzero(np.diff(phase) < 0) + 1
    series.failed[killed] += 0.5 * series.requests[killed]


def full(series: ServiceSeries) -> None:
    start = series.since(12, 40)
    ramp = np.clip((series.t - start) / 6, 0, 1)
    series.memory[:] = series.memory + ramp * (0.985 * series.memory_limit - series.memory)
    series.p50[start:] *= 1 + 2 * ramp[start:]


def throttled(series: ServiceSeries) -> None:
    start = series.since(8, 50) if series.web else series.since(25, 60)
    series.cpu[start:] = series.cpu_limit * series.random.uniform(0.93, 1.0, series.minutes - start)
    series.p50[start:] *= float(series.random.uniform(2.5, 8))


def failing(series: ServiceSeries) -> None:
    """Fail between one endpoint of many and nearly everything."""
    start, share = series.since(9, 60), float(series.random.choice([0.02, 0.04, 0.1, 0.3, 0.6]))
    series.failed[start:] = series.random.binomial(series.requests[start:].astype(int), share)


def refusing(series: ServiceSeries) -> None:
    start, share = series.since(12, 40), float(series.random.uniform(0.25, 0.7))
    series.refused[start:] = series.random.binomial(series.requests[start:].astype(int), share)


def slower(series: ServiceSeries) -> None:
    start, factor = series.since(9, 50), float(series.random.uniform(4, 12))
    series.p50[start:] *= factor
    series.p50 *= max(1.0, 60 / float(np.median(series.p50)))


def creeping(series: ServiceSeries) -> None:
    start = series.since(60, 120)
    series.p50 *= max(1.0, 40 / float(np.median(series.p50)))
    series.p50[start:] *= np.linspace(1, float(series.random.uniform(4, 6)), series.minutes - start)


def slow_share(series: ServiceSeries) -> None:
    start = series.since(10, 60)
    series.slow["p95"] = np.full(series.minutes, np.nan)
    series.slow["p95"][start:] = series.random.uniform(4000, 12000) * series.random.lognormal(
        0, 0.1, series.minutes - start
    )


def stalls(series: ServiceSeries) -> None:
    """Make every request wait for a few minutes."""
    start = series.minutes - int(series.random.integers(6, 10))
    series.p50[start : start + 4] = float(series.random.uniform(1500, 9000))


def crashing(series: ServiceSeries) -> None:
    start, period = series.since(20, 45), int(series.random.integers(3, 6))
    phase = (np.arange(series.minutes - start)) % period
    series.memory[start:] *= 0.2 + 0.5 * phase / period
    series.gone[start:] = phase >= period - 2
    down = np.where(phase >= period - 2, 0.95, 0.4)
    series.failed[start:] = series.random.binomial(series.requests[start:].astype(int), down)


def down(series: ServiceSeries) -> None:
    start = series.since(8, 40)
    series.gone[start:] = True
    if series.random.random() < 0.5:
        series.failed[start:] = series.requests[start:]
    else:
        series.requests[start:] = series.refused[start:] = series.failed[start:] = 0


def deserted(series: ServiceSeries) -> None:
    start = series.since(10, 60)
    for counts in (series.requests, series.refused, series.failed):
        counts[start:] = np.round(counts[start:] * float(series.random.uniform(0.05, 0.3)))


# -- healthy patterns that resemble them


def nothing(series: ServiceSeries) -> None:
    """Leave an ordinary day as it is."""


def batch(series: ServiceSeries) -> None:
    period, busy = int(series.random.integers(25, 50)), int(series.random.integers(5, 13))
    on = (series.t + series.random.integers(0, period)) % period < busy
    series.cpu[on] = series.cpu_limit * series.random.uniform(0.85, 0.97, int(on.sum()))
    series.memory[on] *= 1.3


def burst(series: ServiceSeries) -> None:
    start, length = series.since(5, 50), int(series.random.integers(8, 20))
    series.requests[start : start + length] *= float(series.random.uniform(2, 4))
    series.cpu[start : start + length] *= 2


def collector(series: ServiceSeries) -> None:
    period, top = (
        int(series.random.integers(8, 70)),
        float(series.random.uniform(0.5, 0.85)) * series.memory_limit,
    )
    phase = (series.t + series.random.integers(0, period)) % period / period
    series.memory[:] = top * (float(series.random.uniform(0.5, 0.75)) + 0.25 * phase)


def cache(series: ServiceSeries) -> None:
    tau = float(series.random.uniform(0.08, 0.22)) * series.minutes
    series.memory[:] = series.memory_limit * (0.25 + 0.5 * (1 - np.exp(-series.t / tau)))
    series.memory *= 1 + 0.003 * series.random.standard_normal(series.minutes)


def high_and_flat(series: ServiceSeries) -> None:
    series.memory[:] = series.memory_limit * float(series.random.uniform(0.82, 0.92))
    series.memory *= 1 + 0.004 * series.random.standard_normal(series.minutes)


def growth(series: ServiceSeries) -> None:
    """Add users and memory; requests are served well."""
    factor = 1 + float(series.random.uniform(0.4, 1.0)) / (
        1 + np.exp(-(series.t - 0.6 * series.minutes) / (0.08 * series.minutes))
    )
    series.requests[:] = np.round(series.requests * factor)
    series.memory[:] = 0.5 * series.memory_limit * (1 + 0.6 * (factor - 1))
    series.memory *= 1 + 0.003 * series.random.standard_normal(series.minutes)


def deploy(series: ServiceSeries) -> None:
    start = series.since(3, 50)
    series.memory[start:] *= 1 - 0.7 * np.exp(-(np.arange(series.minutes - start)) / 5)
    series.cpu[start : start + 2] = 0.9 * series.cpu_limit
    series.failed[start : start + 1] += np.minimum(2, series.requests[start : start + 1])
    series.gone[start : start + 1] = True


def scan(series: ServiceSeries) -> None:
    start, length = series.since(5, 40), int(series.random.integers(5, 25))
    added = series.random.poisson(
        float(series.random.uniform(0.5, 3)) * np.median(series.requests), length
    ).astype(float)
    added = added[: series.minutes - start]
    series.refused[start : start + length] += added
    series.requests[start : start + length] += added


def habitual(series: ServiceSeries) -> None:
    """Make the service slow and full of 404s all the time."""
    series.p50 *= 2500 / float(np.median(series.p50))
    series.refused[:] = series.random.binomial(series.requests.astype(int), 0.2)


def quick(series: ServiceSeries) -> None:
    """Multiply a latency that stays tiny."""
    series.p50 *= 5 / float(np.median(series.p50))
    series.p50[series.since(10, 50) :] *= 3.5


def healed(series: ServiceSeries) -> None:
    start = max(series.minutes - 110, 5)
    end = max(series.minutes - 75, start + 1)
    series.failed[start:end] = np.round(0.4 * series.requests[start:end])
    series.p50[start:end] *= 6


def lost_samples(series: ServiceSeries) -> None:
    for _ in range(3):
        start = int(series.random.integers(0, series.minutes - 3))
        series.gone[start : start + int(series.random.integers(2, 7))] = True


@dataclass(frozen=True)
class Case:
    overlay: Callable[[ServiceSeries], None]
    kinds: tuple[str, ...] = ()  # kinds that count as correct; empty: healthy
    web: bool | None = True
    least: int = 25
    dense: bool = False


CASES = {
    "leak": Case(leak, ("memory_leak", "memory_saturation"), None, LONG),
    "leak_killed": Case(leak_killed, ("memory_leak", "memory_saturation", "crash_loop"), True, LONG),
    "full": Case(full, ("memory_saturation", "memory_leak"), None, 45),
    "throttled": Case(throttled, ("cpu_saturation", "latency"), None, LONG),
    "failing": Case(failing, ("error_rate", "outage"), True, 25, True),
    "refusing": Case(refusing, ("client_errors", "error_rate"), True, 45, True),
    "slower": Case(slower, ("latency",), True, 45, True),
    "creeping": Case(creeping, ("latency",), True, 120, True),
    "slow_share": Case(slow_share, ("latency",), True, 45, True),
    "stalls": Case(stalls, ("latency",), True, 45, True),
    "crashing": Case(crashing, ("crash_loop", "error_rate", "outage"), True, 60, True),
    "down": Case(down, ("outage", "error_rate", "crash_loop", "traffic_drop"), True, 60, True),
    "deserted": Case(deserted, ("traffic_drop", "outage"), True, 60, True),
    "nothing": Case(nothing, (), None),
    "batch": Case(batch, (), None, 60),
    "burst": Case(burst),
    "collector": Case(collector, (), None),
    "cache": Case(cache, (), None),
    "high_and_flat": Case(high_and_flat, (), None),
    "growth": Case(growth, (), True, LONG, True),
    "deploy": Case(deploy),
    "scan": Case(scan),
    "habitual": Case(habitual),
    "quick": Case(quick),
    "healed": Case(healed, (), True, 120),
    "lost_samples": Case(lost_samples, (), None),
}


def generate(each: int, seed: int = 7, lengths: tuple[int, ...] = LENGTHS) -> Iterator[tuple[Json, Json]]:
    """Yield slices and labels: `each` of every case, with lengths in minutes."""
    for index, (name, case) in enumerate(CASES.items()):
        for number in range(each):
            random = np.random.default_rng([seed, index, number])
            length = int(random.choice([minutes for minutes in lengths if minutes >= case.least]))
            series = ordinary(random, length, web=case.web)
            while case.dense and float(np.median(series.requests)) < 40:
                series = ordinary(random, length, web=case.web)
            case.overlay(series)
            label: Json = {
                "id": f"{name}-{number}",
                "affected": bool(case.kinds),
                "accept": list(case.kinds),
                "variant": name,
            }
            yield row(f"{name}-{number}", series), label


def row(name: str, series: ServiceSeries) -> Json:
    """Return the slice in the format of `backtest`."""
    served = series.requests - series.refused - series.failed
    moved = np.floor(REDIRECTED * np.maximum(served, 0))
    http = {"2xx": served - moved, "3xx": moved, "4xx": series.refused, "5xx": series.failed}
    p95 = np.fmax(series.p50 * series.tail, series.slow.get("p95", np.nan))
    latency = {"p50": series.p50, "p90": 0.5 * (series.p50 + p95), "p95": p95, "p99": 1.4 * p95}
    quiet = series.requests <= 0
    return {
        "id": name,
        "service": name,
        "start": START.isoformat(),
        "step_seconds": 60,
        "minutes": series.minutes,
        "cpu": _listed(np.minimum(series.cpu, series.cpu_limit), series.gone),
        "cpu_limit": series.cpu_limit,
        "memory_gb": _listed(series.memory, series.gone),
        "memory_limit": series.memory_limit,
        "http": {k: _listed(np.maximum(v, 0), None) for k, v in http.items()} if series.web else None,
        "latency_ms": {k: _listed(v, quiet) for k, v in latency.items()} if series.web else None,
    }


def _listed(values: Numbers, missing: "NDArray[np.bool_] | None") -> list[float | None]:
    rounded = [round(float(value), 4) for value in values]
    return rounded if missing is None else [None if m else v for v, m in zip(rounded, missing, strict=True)]
