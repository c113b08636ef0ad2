"""Production's own requests, asked of the base and of the change: what is sampled, and what answers show.

It proves nothing alone, for an answer without an error may be wrong; but what it breaks, a change has broken.
"""

import asyncio
import json
import re
import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import cycle, zip_longest
from statistics import median

import httpx

from railmend.coding.proof.load import LoadRecord, compared
from railmend.coding.sandbox.bounded_http import BoundedTransport
from railmend.coding.sandbox.interface import SERVER_SOCKET, RepairPaths, short_path
from railmend.contracts.proof import (
    SERVER_ERROR,
    Answers,
    ProofRow,
    ProofVerdict,
    SampledRequest,
    SideReport,
)
from railmend.evidence.http import UPGRADED, HttpRow
from railmend.evidence.templates import route

# Requests of a sample that failed, that were slow, and that were well.
MOST_FAILED, MOST_SLOW, MOST_HEALTHY = 8, 8, 24
MAX_PATH = 200
SAFE_METHODS = ("GET", "HEAD")
# Each is asked so often; seconds for one answer, and for all.
TIMES, ANSWER_SECONDS, REPLAY_SECONDS = 3, 5.0, 45.0
# Seconds more of the same, for what they cost: at least, and at most until it was measured often enough.
LOAD_SECONDS, MOST_LOAD_SECONDS = 3.0, 20.0
# So many routes beside the faulty ones must answer here as in production.
LEAST_ROUTES = 2
# A slow request shows its fault by so many times the time of the healthy ones, and by no less than this.
TIMES_SLOWER, LEAST_MS = 5.0, 50.0
# What a person or a token could be told by; each is replaced by the same shape.
DIGITS = re.compile(r"\d{5,}")
TOKEN = re.compile(r"[0-9A-Za-z_-]{16,}|[^/?&=]*@[^/?&=]*")
# Statuses that say that something comes with them.
WITH_BODY = range(200, 204)
PLAIN = re.compile(r"/[\w\-./~%?&=+,:;@!$'()*]*")
WHAT = "production's requests"


def sample(
    rows: Iterable[HttpRow], slow_ms: float, methods: Collection[str] = SAFE_METHODS
) -> tuple[SampledRequest, ...]:
    """Choose requests of some methods, spread over the routes: failed, slow and healthy ones.

    `rows`: redacted; a path in which something was is left out.
    """
    groups: tuple[dict[str, list[SampledRequest]], ...] = (
        defaultdict(list),
        defaultdict(list),
        defaultdict(list),
    )
    for row in rows:
        if row.method not in methods or row.status == UPGRADED or len(row.path) > MAX_PATH:
            continue
        if PLAIN.fullmatch(row.path) is None:
            continue
        slow, path = row.duration_ms >= slow_ms, _shaped(row.path)
        request = SampledRequest(
            method=row.method,
            path=path,
            route=f"{row.method} {route(path)}",
            status=row.status,
            duration_ms=round(row.duration_ms, 1),
            slow=slow and row.status < SERVER_ERROR,
        )
        groups[0 if request.failed else 1 if slow else 2][request.route].append(request)
    bounds = (MOST_FAILED, MOST_SLOW, MOST_HEALTHY)
    return tuple(each for group, most in zip(groups, bounds, strict=True) for each in _spread(group, most))


def _shaped(path: str) -> str:
    """Return the path with ids and what could tell a person replaced by the same shape."""
    shaped = TOKEN.sub(
        lambda found: re.sub(r"[a-z]", "a", re.sub(r"[A-Z]", "A", re.sub(r"\d", "1", found[0]))), path
    )
    return DIGITS.sub(lambda found: "1" * len(found[0]), shaped)


def _spread(by_route: dict[str, list[SampledRequest]], most: int) -> list[SampledRequest]:
    """Return each route's newest, then each one's second newest, and so on; no path twice."""
    newest = (list({each.path: each for each in reversed(rows)}.values()) for rows in by_route.values())
    return [each for row in zip_longest(*newest) for each in row if each is not None][:most]


async def ask(paths: RepairPaths, requests: Sequence[SampledRequest], record: LoadRecord) -> list[Answers]:
    """Ask the service that listens in the sandbox each request a few times, in turns, within bounds.

    Then go on for a while, so that what they cost can be told: `record`.
    """
    # A service that answers to what nobody has ever asked for answers to anything. Last: it tells who asks.
    unknown = f"/{secrets.token_hex(12)}"
    control = SampledRequest(method="GET", path=unknown, route=CONTROL, status=404, duration_ms=0)
    asked = [*requests, control]
    answers: dict[int, list[tuple[int, float, str, bool]]] = defaultdict(list)
    with short_path(paths.sockets, SERVER_SOCKET) as address, suppress(TimeoutError):
        async with client(address) as asking:
            async with asyncio.timeout(REPLAY_SECONDS):
                for _ in range(TIMES):
                    for index, request in enumerate(asked):
                        answers[index].append(await _answer(asking, request))
            enough = asyncio.get_running_loop().time() + LOAD_SECONDS
            async with asyncio.timeout(MOST_LOAD_SECONDS):
                for request in cycle(asked):
                    record.answers.append((await _answer(asking, request))[:2])
                    if record.measured and asyncio.get_running_loop().time() > enough:
                        break
    return [
        Answers(
            request=request,
            statuses=tuple(status for status, _, _, _ in answers[index]),
            durations_ms=tuple(duration for _, duration, _, _ in answers[index]),
            bodies=tuple(body for _, _, body, _ in answers[index]),
            nothing=tuple(nothing for _, _, _, nothing in answers[index]),
        )
        for index, request in enumerate(asked)
    ]


CONTROL = "a path that does not exist"
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "203.0.113.7",
}


def client(address: str) -> httpx.AsyncClient:
    """Return a client whose requests share nothing: a service may close a connection at any time.

    They look like a browser's behind Railway's proxy, which has ended TLS. The host is the one that Railway's
    health checks name (docs.railway.com/reference/healthchecks), so that a service which admits few takes it.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    transport = BoundedTransport(httpx.AsyncHTTPTransport(uds=address, verify=False, limits=limits))
    return httpx.AsyncClient(
        base_url="http://healthcheck.railway.app",
        headers=HEADERS,
        transport=transport,
        timeout=ANSWER_SECONDS,
    )


async def _answer(asking: httpx.AsyncClient, request: SampledRequest) -> tuple[int, float, str, bool]:
    asking.cookies.clear()
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            got = await asking.request(request.method, request.path)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return 0, round((loop.time() - began) * 1000, 1), "", False
    body = sha256(got.content).hexdigest()[:12]
    nothing = request.method == "GET" and got.status_code in WITH_BODY and holds_nothing(got.content)
    return got.status_code, round((loop.time() - began) * 1000, 1), body, nothing


def holds_nothing(content: bytes) -> bool:
    """Return whether a body is empty, or JSON in which no text is and no number but 0."""
    try:
        values = [json.loads(content)] if content.strip() else []
    except (ValueError, RecursionError):
        return False
    while values:
        value = values.pop()
        if isinstance(value, dict | list):
            values += value.values() if isinstance(value, dict) else value
        elif value and value is not True:
            return False
    return True


def replay_row(base: SideReport, change: SideReport) -> ProofRow:
    """Return what the requests show: what the change broke, whether the fault was there, and is gone."""
    row = _judged(base, change)
    if base.cost is None or change.cost is None:
        return row
    return row.model_copy(update={"reason": f"{row.reason} {compared(base.cost, change.cost)}"})


def _judged(base: SideReport, change: SideReport) -> ProofRow:
    why = base.unasked or change.unasked
    if why:
        return _row("-", "-", ProofVerdict.NOT_HAD, why)
    pairs = _pairs(base, change)
    well = [(old, new) for old, new in pairs if _as_production(old)]
    if broken := [(old, new) for old, new in well if _broken(old, new)]:
        cells = f"{len(well)} healthy answer", f"{len(broken)} of them do not"
        return _row(*cells, ProofVerdict.FAILED, _otherwise(*broken[0]))
    least = _slow_from(well)
    faulty = [(old, new) for old, new in pairs if all(_wrong(old, least))]
    routes = {old.request.route for old, _ in well} - {old.request.route for old, _ in faulty} - {CONTROL}
    if not faulty:
        told = any(old.request.failed or old.request.slow for old, _ in pairs)
        why = "the base answers them well" if told else "the sample holds none that failed or was slow"
        return _row("no fault", "-", ProofVerdict.NOT_HAD, f"Not reproducible here: {why}.")
    shown = f"{len(faulty)} show the fault"
    if len(routes) < LEAST_ROUTES:
        reason = (
            f"Of other routes {len(routes)} answer here as in production: too few to see what else breaks."
        )
        return _row(shown, "-", ProofVerdict.NOT_HAD, reason)
    if not all(new.statuses for _, new in faulty):
        return _row(shown, "-", ProofVerdict.NOT_HAD, "With the change there was no time to ask them.")
    left = [old.request.route for old, new in faulty if any(_wrong(new, least))]
    if left:
        reason = f"{left[0]} shows it with the change too."
        return _row(shown, f"{len(left)} show it", ProofVerdict.FAILED, reason)
    if nothing := emptied(base, change):
        return _row(shown, "none shows it", ProofVerdict.NOT_HAD, nothing)
    healthy = [old for old, _ in well if old.request.route in routes and not old.request.slow]
    reason = f"{len(healthy)} healthy ones of {len(routes)} other routes answer as before."
    return _row(shown, "none shows it", ProofVerdict.PASSED, reason)


def emptied(base: SideReport, change: SideReport) -> str | None:
    """Return how the change answers what failed on the base with nothing; empty: each with something.

    None: it is not known. What is usual on the route is not counted.
    """
    pairs = _pairs(base, change)
    failed = [(old, new) for old, new in pairs if old.request.failed and all(_wrong(old, 0))]
    if not failed or not all(new.nothing and set(new.statuses) <= set(WITH_BODY) for _, new in failed):
        return None
    usual = {old.request.route for old, _ in pairs if _as_production(old) and any(old.nothing)}
    route = next((old.request.route for old, new in failed if any(new.nothing)), "")
    if not route or route in usual:
        return None if route else ""
    return f"{route} failed, and answers with nothing with the change: a person must say if it may."


def _pairs(base: SideReport, change: SideReport) -> list[tuple[Answers, Answers]]:
    after = {(each.request.method, each.request.route, each.request.path): each for each in change.answers}
    return [(each, _same(each, after)) for each in base.answers]


def _same(old: Answers, after: dict[tuple[str, str, str], Answers]) -> Answers:
    """Return the change's answers to the same request; the control has another path each time."""
    if old.request.route == CONTROL:
        return next(
            (each for each in after.values() if each.request.route == CONTROL), Answers(request=old.request)
        )
    return after.get((old.request.method, old.request.route, old.request.path), Answers(request=old.request))


def _as_production(answers: Answers) -> bool:
    """Return whether a healthy request is answered here as there, each time."""
    request = answers.request
    return not request.failed and bool(answers.statuses) and set(answers.statuses) == {request.status}


def _broken(old: Answers, new: Answers) -> bool:
    """Return whether the change answers otherwise, where the base always said the same."""
    if not new.statuses:
        return False
    stable = len(set(old.bodies)) == 1 and old.request.route != CONTROL and not old.request.slow
    return set(new.statuses) != set(old.statuses) or (stable and set(new.bodies) != set(old.bodies))


def _otherwise(old: Answers, new: Answers) -> str:
    was = old.statuses[0]
    said = next((status for status in new.statuses if status != was), None)
    if said is None:
        return f"{old.request.route} answers with something else with the change."
    return f"{old.request.route} answered {was}, and answers {said or 'nothing'} with the change."


def _wrong(answers: Answers, least_ms: float) -> list[bool]:
    """Return of each answer whether it shows what production showed; of slow ones their median counts."""
    if answers.request.failed:
        return [status == 0 or status >= SERVER_ERROR for status in answers.statuses] or [False]
    slow = answers.request.slow and bool(answers.statuses)
    return [slow and median(answers.durations_ms) >= least_ms]


def _slow_from(well: Sequence[tuple[Answers, Answers]]) -> float:
    """Return the milliseconds from which an answer of the base is slow, against its healthy ones."""
    # The quickest of each: a busy machine adds to the others, and never takes away.
    healthy = [min(old.durations_ms) for old, _ in well if not old.request.slow]
    return max(LEAST_MS, TIMES_SLOWER * median(healthy)) if healthy else LEAST_MS


def _row(base: str, change: str, verdict: ProofVerdict, reason: str) -> ProofRow:
    return ProofRow(what=WHAT, base=base, change=change, verdict=verdict, reason=reason)
