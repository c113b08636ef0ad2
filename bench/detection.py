"""Recorded-looking slices with known trouble: a service's ordinary life, and what is laid over it.

Deterministic by seed. The format is that of `starter.py backtest`, the labels say what must be found.
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
# Share of what is served that is answered with 3xx.
REDIRECTED = 0.1
# Troubles that need some length to show, in minutes.
LONG = 90


@dataclass
class Life:
    """One service over some minutes. Latency is made of a median, a spread and a slow share."""

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
        """An onset so many minutes before the end."""
        before = min(float(self.random.uniform(low, high)), self.minutes * 0.5)
        return self.minutes - max(int(before), 1)


def life(random: np.random.Generator, minutes: int, *, web: bool | None = None) -> Life:
    """Traffic with a daily cycle or none, sparse or dense, and resources that go with it."""
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
    if heavy:  # now and then a request that is slow in itself
        spikes = random.random(minutes) < 0.1
        tail[spikes] *= random.uniform(3, 10, int(spikes.sum()))
    return Life(
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


# -- trouble


def leak(one: Life) -> None:
    start = one.since(60, 300)
    to = float(one.random.uniform(0.75, 0.98)) * one.memory_limit
    one.memory[start:] += np.linspace(
        0, max(to - one.memory[start], 0.2 * one.memory_limit), one.minutes - start
    )
    np.minimum(one.memory, 0.99 * one.memory_limit, out=one.memory)


def leak_killed(one: Life) -> None:
    period, low = one.random.integers(30, 80), 0.2 * one.memory_limit
    phase = (one.t + one.random.integers(10, 25)) % period
    one.memory[:] = low + (0.98 * one.memory_limit - low) * phase / period
    killed = np.flatnonzero(np.diff(phase) < 0) + 1
    one.failed[killed] += 0.5 * one.requests[killed]


def full(one: Life) -> None:
    start = one.since(12, 40)
    ramp = np.clip((one.t - start) / 6, 0, 1)
    one.memory[:] = one.memory + ramp * (0.985 * one.memory_limit - one.memory)
    one.p50[start:] *= 1 + 2 * ramp[start:]


def throttled(one: Life) -> None:
    start = one.since(8, 50) if one.web else one.since(25, 60)
    one.cpu[start:] = one.cpu_limit * one.random.uniform(0.93, 1.0, one.minutes - start)
    one.p50[start:] *= float(one.random.uniform(2.5, 8))


def failing(one: Life) -> None:
    """From one endpoint of many to nearly everything."""
    start, share = one.since(9, 60), float(one.random.choice([0.02, 0.04, 0.1, 0.3, 0.6]))
    one.failed[start:] = one.random.binomial(one.requests[start:].astype(int), share)


def refusing(one: Life) -> None:
    start, share = one.since(12, 40), float(one.random.uniform(0.25, 0.7))
    one.refused[start:] = one.random.binomial(one.requests[start:].astype(int), share)


def slower(one: Life) -> None:
    start, factor = one.since(9, 50), float(one.random.uniform(4, 12))
    one.p50[start:] *= factor
    one.p50 *= max(1.0, 60 / float(np.median(one.p50)))


def creeping(one: Life) -> None:
    start = one.since(60, 120)
    one.p50 *= max(1.0, 40 / float(np.median(one.p50)))
    one.p50[start:] *= np.linspace(1, float(one.random.uniform(4, 6)), one.minutes - start)


def slow_share(one: Life) -> None:
    start = one.since(10, 60)
    one.slow["p95"] = np.full(one.minutes, np.nan)
    one.slow["p95"][start:] = one.random.uniform(4000, 12000) * one.random.lognormal(
        0, 0.1, one.minutes - start
    )


def stalls(one: Life) -> None:
    """A few minutes in which everything waits."""
    start = one.minutes - int(one.random.integers(6, 10))
    one.p50[start : start + 4] = float(one.random.uniform(1500, 9000))


def crashing(one: Life) -> None:
    start, period = one.since(20, 45), int(one.random.integers(3, 6))
    phase = (np.arange(one.minutes - start)) % period
    one.memory[start:] *= 0.2 + 0.5 * phase / period
    one.gone[start:] = phase >= period - 2
    down = np.where(phase >= period - 2, 0.95, 0.4)
    one.failed[start:] = one.random.binomial(one.requests[start:].astype(int), down)


def down(one: Life) -> None:
    start = one.since(8, 40)
    one.gone[start:] = True
    if one.random.random() < 0.5:
        one.failed[start:] = one.requests[start:]
    else:
        one.requests[start:] = one.refused[start:] = one.failed[start:] = 0


def deserted(one: Life) -> None:
    start = one.since(10, 60)
    for series in (one.requests, one.refused, one.failed):
        series[start:] = np.round(series[start:] * float(one.random.uniform(0.05, 0.3)))


# -- what only looks like it


def nothing(one: Life) -> None:
    """An ordinary day."""


def batch(one: Life) -> None:
    period, busy = int(one.random.integers(25, 50)), int(one.random.integers(5, 13))
    on = (one.t + one.random.integers(0, period)) % period < busy
    one.cpu[on] = one.cpu_limit * one.random.uniform(0.85, 0.97, int(on.sum()))
    one.memory[on] *= 1.3


def burst(one: Life) -> None:
    start, length = one.since(5, 50), int(one.random.integers(8, 20))
    one.requests[start : start + length] *= float(one.random.uniform(2, 4))
    one.cpu[start : start + length] *= 2


def collector(one: Life) -> None:
    period, top = int(one.random.integers(8, 70)), float(one.random.uniform(0.5, 0.85)) * one.memory_limit
    phase = (one.t + one.random.integers(0, period)) % period / period
    one.memory[:] = top * (float(one.random.uniform(0.5, 0.75)) + 0.25 * phase)


def cache(one: Life) -> None:
    tau = float(one.random.uniform(0.08, 0.22)) * one.minutes
    one.memory[:] = one.memory_limit * (0.25 + 0.5 * (1 - np.exp(-one.t / tau)))
    one.memory *= 1 + 0.003 * one.random.standard_normal(one.minutes)


def high_and_flat(one: Life) -> None:
    one.memory[:] = one.memory_limit * float(one.random.uniform(0.82, 0.92))
    one.memory *= 1 + 0.004 * one.random.standard_normal(one.minutes)


def growth(one: Life) -> None:
    """More users, more memory, served well."""
    factor = 1 + float(one.random.uniform(0.4, 1.0)) / (
        1 + np.exp(-(one.t - 0.6 * one.minutes) / (0.08 * one.minutes))
    )
    one.requests[:] = np.round(one.requests * factor)
    one.memory[:] = 0.5 * one.memory_limit * (1 + 0.6 * (factor - 1))
    one.memory *= 1 + 0.003 * one.random.standard_normal(one.minutes)


def deploy(one: Life) -> None:
    start = one.since(3, 50)
    one.memory[start:] *= 1 - 0.7 * np.exp(-(np.arange(one.minutes - start)) / 5)
    one.cpu[start : start + 2] = 0.9 * one.cpu_limit
    one.failed[start : start + 1] += np.minimum(2, one.requests[start : start + 1])
    one.gone[start : start + 1] = True


def scan(one: Life) -> None:
    start, length = one.since(5, 40), int(one.random.integers(5, 25))
    added = one.random.poisson(float(one.random.uniform(0.5, 3)) * np.median(one.requests), length).astype(
        float
    )
    added = added[: one.minutes - start]
    one.refused[start : start + length] += added
    one.requests[start : start + length] += added


def habitual(one: Life) -> None:
    """Always slow, and always with many 404s."""
    one.p50 *= 2500 / float(np.median(one.p50))
    one.refused[:] = one.random.binomial(one.requests.astype(int), 0.2)


def quick(one: Life) -> None:
    """Latency that multiplies and stays tiny."""
    one.p50 *= 5 / float(np.median(one.p50))
    one.p50[one.since(10, 50) :] *= 3.5


def healed(one: Life) -> None:
    start = max(one.minutes - 110, 5)
    end = max(one.minutes - 75, start + 1)
    one.failed[start:end] = np.round(0.4 * one.requests[start:end])
    one.p50[start:end] *= 6


def lost_samples(one: Life) -> None:
    for _ in range(3):
        start = int(one.random.integers(0, one.minutes - 3))
        one.gone[start : start + int(one.random.integers(2, 7))] = True


@dataclass(frozen=True)
class Case:
    overlay: Callable[[Life], None]
    kinds: tuple[str, ...] = ()  # those that count as right; none: healthy
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
    """Slices and their labels: so many of every case, of these lengths in minutes."""
    for place, (name, case) in enumerate(CASES.items()):
        for number in range(each):
            random = np.random.default_rng([seed, place, number])
            length = int(random.choice([one for one in lengths if one >= case.least]))
            one = life(random, length, web=case.web)
            while case.dense and float(np.median(one.requests)) < 40:
                one = life(random, length, web=case.web)
            case.overlay(one)
            label: Json = {
                "id": f"{name}-{number}",
                "affected": bool(case.kinds),
                "accept": list(case.kinds),
                "variant": name,
            }
            yield row(f"{name}-{number}", one), label


def row(name: str, one: Life) -> Json:
    """The slice as `backtest` reads it."""
    served = one.requests - one.refused - one.failed
    moved = np.floor(REDIRECTED * np.maximum(served, 0))
    http = {"2xx": served - moved, "3xx": moved, "4xx": one.refused, "5xx": one.failed}
    p95 = np.fmax(one.p50 * one.tail, one.slow.get("p95", np.nan))
    latency = {"p50": one.p50, "p90": 0.5 * (one.p50 + p95), "p95": p95, "p99": 1.4 * p95}
    quiet = one.requests <= 0
    return {
        "id": name,
        "service": name,
        "start": START.isoformat(),
        "step_seconds": 60,
        "minutes": one.minutes,
        "cpu": _listed(np.minimum(one.cpu, one.cpu_limit), one.gone),
        "cpu_limit": one.cpu_limit,
        "memory_gb": _listed(one.memory, one.gone),
        "memory_limit": one.memory_limit,
        "http": {k: _listed(np.maximum(v, 0), None) for k, v in http.items()} if one.web else None,
        "latency_ms": {k: _listed(v, quiet) for k, v in latency.items()} if one.web else None,
    }


def _listed(values: Numbers, missing: "NDArray[np.bool_] | None") -> list[float | None]:
    rounded = [round(float(value), 4) for value in values]
    return rounded if missing is None else [None if m else v for v, m in zip(rounded, missing, strict=True)]
