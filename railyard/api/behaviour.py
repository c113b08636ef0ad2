"""Faults of the API, switchable while it runs, and counts of its requests."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

POLICY = '"default";q={quota};w=3600'
# A limiter in front of the API holds requests without a query string to this rate.
UNHINTED_PER_SECOND = 10


class RequestError(Exception):
    """A refusal with Railway's message; its code says as little as Railway's."""


class FieldFault(BaseModel):
    """Make a root field fail. `service_id`: only for this service. `named`: the error names the field."""

    field: str
    message: str
    service_id: str | None = None
    named: bool = True
    times: int = 1_000_000


class WholeFault(BaseModel):
    """Make a whole answer fail: a status, a broken body, or no answer for `seconds`; not the first `skip`."""

    kind: str  # "429", "1015", "403", "502", "503", "truncated", "hang"
    skip: int = 0
    retry_after: int | None = None
    seconds: float = 60.0
    times: int = 1


class Behaviour(BaseModel):
    """`latency_seconds` is added to each answer; `quota` requests an hour, `per_second` at most.

    `breadth`: most fields of a document. `points`: most values of a `metrics` result. `missing`: fields that
    the API has lost, as "Type.field". `expires_after`: requests after which the token is refused.
    `clock_ahead_seconds`: of the header `Date`.
    """

    latency_seconds: float = 0.0
    quota: int = 1000
    per_second: int | None = None
    breadth: int | None = None
    points: int | None = None
    missing: list[str] = Field(default_factory=list)
    expires_after: int | None = None
    clock_ahead_seconds: float = 0.0
    fields: list[FieldFault] = Field(default_factory=list)
    wholes: list[WholeFault] = Field(default_factory=list)


class Stats(BaseModel):
    requests: int = 0
    bytes_out: int = 0
    most_aliases: int = 0
    refused: int = 0


class Gatekeeper:
    """Applies a behaviour to each request, and counts requests."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.stats = Stats()
        self._recent: deque[float] = deque(maxlen=1000)
        self._unhinted: deque[float] = deque(maxlen=UNHINTED_PER_SECOND)

    @property
    def headers(self) -> dict[str, str]:
        """Return the only rate-limit header that Railway was observed to send, and the server's time."""
        date = time.time() + self.behaviour.clock_ahead_seconds
        return {
            "RateLimit-Policy": POLICY.format(quota=self.behaviour.quota),
            "Date": formatdate(date, usegmt=True),
        }

    @property
    def expired(self) -> bool:
        after = self.behaviour.expires_after
        return after is not None and self.stats.requests > after

    async def before(self, *, hinted: bool) -> Response | None:
        """Return a refusal in place of an answer, or None."""
        self.stats.requests += 1
        await asyncio.sleep(self.behaviour.latency_seconds)
        now = time.monotonic()
        lately = sum(at > now - 1 for at in self._recent)
        self._recent.append(now)
        if not hinted and self._too_many_unhinted(now):
            return self._refuse(Response("error code: 1015", 429))
        over_rate = self.behaviour.per_second is not None and lately >= self.behaviour.per_second
        if over_rate or self.stats.requests > self.behaviour.quota:
            return self._refuse(JSONResponse({"errors": []}, 429, {"Retry-After": "1"}))
        for fault in self.behaviour.wholes:
            if fault.skip > 0:
                fault.skip -= 1
            elif fault.times > 0:
                fault.times -= 1
                return await self._fail(fault)
        return None

    def _too_many_unhinted(self, now: float) -> bool:
        full = len(self._unhinted) == UNHINTED_PER_SECOND and self._unhinted[0] > now - 1
        self._unhinted.append(now)
        return full

    def _refuse(self, response: Response) -> Response:
        self.stats.refused += 1
        return response

    async def _fail(self, fault: WholeFault) -> Response:
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
        bodies: dict[str, Response] = {
            "429": JSONResponse({}, 429, {"Retry-After": str(fault.retry_after or 1)}),
            "1015": Response("error code: 1015", 429),
            "502": Response("<html>bad gateway</html>", 502),
            "503": Response("<html>unavailable</html>", 503),
            "403": Response("<html>Attention Required! | Cloudflare</html>", 403),
            "truncated": Response('{"data": {"environm', 200),
            "hang": Response("", 504),
        }
        return bodies[fault.kind]

    def after(self, content: Any, aliases: int) -> str:
        """Return the body as text, and count its bytes."""
        text = json.dumps(content)
        self.stats.bytes_out += len(text)
        self.stats.most_aliases = max(self.stats.most_aliases, aliases)
        return text

    def root(self, root: dict[str, Any]) -> dict[str, Any]:
        """Return the resolvers, each behind its faults."""
        return {name: self._guarded(name, resolver) for name, resolver in root.items()}

    def _guarded(self, name: str, resolver: Callable[..., Any]) -> Callable[..., Any]:
        def resolve(info: Any, **arguments: Any) -> Any:
            for fault in self.behaviour.fields:
                same = fault.field == name and fault.service_id in (None, arguments.get("serviceId"))
                if same and fault.times > 0:
                    fault.times -= 1
                    raise RequestError(fault.message) if fault.named else UnnamedError(fault.message)
            result = resolver(info, **arguments)
            most = self.behaviour.points
            if name == "metrics" and most is not None and sum(len(one["values"]) for one in result) > most:
                raise RequestError("Problem processing request")
            return result

        return resolve


class UnnamedError(RequestError):
    """A refusal that does not name its field."""
