"""Fetches status pages: in parallel, cached, bounded, from the registry's hosts alone. Raises for no page."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx

from railmend.contracts.providers import ProviderIncident
from railmend.contracts.scan import Window
from railmend.providers.registry import Provider, StatusPage
from railmend.providers.status.formats import FORMATS, addresses
from railmend.railway.transport import USER_AGENT

TIMEOUT_SECONDS = 8.0
CACHE_SECONDS = 60.0
AT_ONCE = 8
MAX_REDIRECTS = 2
# Google's list of all incidents is the largest, at a few megabytes.
MAX_BYTES = 8_000_000
# Pages are changed by people, some time after the trouble began.
LAG = timedelta(minutes=30)


class _Unseen(Exception):
    """Why a page could not be read, for people."""


@dataclass
class StatusView:
    """`unseen`: one sentence for each page that could not be seen."""

    incidents: list[ProviderIncident] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


@dataclass
class _Cached:
    until: float = 0.0
    incidents: list[ProviderIncident] = field(default_factory=list)
    problem: str | None = None


class StatusReader:
    """One per process. `overrides`: another base address by provider id, such as a server on this machine."""

    def __init__(
        self,
        overrides: Mapping[str, str] | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = TIMEOUT_SECONDS,
        cache_seconds: float = CACHE_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._overrides = dict(overrides or {})
        self._timeout = timeout
        self._cache_seconds = cache_seconds
        self._max_bytes = max_bytes
        self._http = httpx.AsyncClient(
            headers={"User-Agent": USER_AGENT, "Accept": "application/json, application/xml, */*;q=0.5"},
            transport=transport,
            timeout=timeout,
            follow_redirects=False,
        )
        self._cache: dict[str, _Cached] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._free = asyncio.Semaphore(AT_ONCE)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def incidents(self, providers: Iterable[Provider], window: Window) -> StatusView:
        """Those that overlap the window, or began up to half an hour after it: pages lag behind."""
        wanted = list(providers)
        pages = [(one, one.status) for one in wanted if one.status]
        views = await asyncio.gather(*(self._view(one, page, window) for one, page in pages))
        view = StatusView()
        for one in views:
            view.incidents += one.incidents
            view.unseen += one.unseen
        if silent := [one.name for one in wanted if one.status is None]:
            view.unseen.append(f"No status page that a program can read is known for {', '.join(silent)}.")
        return view

    async def _view(self, provider: Provider, page: StatusPage, window: Window) -> StatusView:
        base = self._overrides.get(provider.id)
        urls = [_moved(url, base) if base else url for url in addresses(page)]
        answers = await asyncio.gather(*(self._cached(provider, page, url) for url in urls))
        view = StatusView()
        seen: set[tuple[str, datetime]] = set()
        for answer in answers:
            for one in answer.incidents:
                if overlaps(one, window) and (one.title, one.started) not in seen:
                    seen.add((one.title, one.started))
                    view.incidents.append(one)
        problems = [answer.problem for answer in answers if answer.problem]
        if problems:
            seen_in_part = (
                "could be seen only in part" if len(problems) < len(answers) else "could not be seen"
            )
            view.unseen.append(
                f"The status page of {provider.name} ({page.page}) {seen_in_part}: {problems[0]}."
            )
        return view

    async def _cached(self, provider: Provider, page: StatusPage, url: str) -> _Cached:
        """Failures are kept as long as answers: a page that is down is not asked by every investigation."""
        async with self._locks.setdefault(url, asyncio.Lock()):
            known = self._cache.get(url)
            if known is None or known.until < time.monotonic():
                known = await self._read(provider, page, url)
                known.until = time.monotonic() + self._cache_seconds
                self._cache[url] = known
        return known

    async def _read(self, provider: Provider, page: StatusPage, url: str) -> _Cached:
        parser = FORMATS[page.format].parser
        try:
            async with self._free, asyncio.timeout(self._timeout):
                body = await self._fetch(url, self._allowed(provider, page))
            found = await asyncio.to_thread(parser, provider.id, body, datetime.now(UTC))
        except TimeoutError:
            return _Cached(problem=f"no answer within {self._timeout:g} s")
        except httpx.HTTPError as error:
            return _Cached(problem=f"no answer, {type(error).__name__}")
        except _Unseen as error:
            return _Cached(problem=str(error))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            # Not the format: errors of JSON and pydantic, another shape, a moment out of range.
            return _Cached(problem=f"its answer is not understood ({_first_line(error)})")
        return _Cached(incidents=found)

    def _allowed(self, provider: Provider, page: StatusPage) -> frozenset[tuple[str, str]]:
        """Scheme and host of all that may be asked about this provider."""
        base = self._overrides.get(provider.id)
        if base:
            parts = urlsplit(base)
            return frozenset({(parts.scheme, parts.netloc)})
        return frozenset(("https", host) for host in page.hosts())

    async def _fetch(self, url: str, allowed: frozenset[tuple[str, str]]) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            if (parts.scheme, parts.netloc) not in allowed:
                raise _Unseen(f"it leads to {parts.netloc or 'nowhere'}, which is not in the registry")
            async with self._http.stream("GET", url) as response:
                if response.is_redirect:
                    url = urljoin(url, response.headers.get("location", ""))
                    continue
                if response.status_code != httpx.codes.OK:
                    raise _Unseen(f"it answered HTTP {response.status_code}")
                return await self._body(response)
        raise _Unseen("it redirects without end")

    async def _body(self, response: httpx.Response) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self._max_bytes:
                raise _Unseen(f"its answer is larger than {self._max_bytes} bytes")
            parts.append(part)
        return b"".join(parts)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def overlaps(one: ProviderIncident, window: Window) -> bool:
    return one.started <= window.end + LAG and (one.resolved is None or one.resolved >= window.start)


def _moved(url: str, base: str) -> str:
    """The path of `url` behind the address `base`."""
    parts, other = urlsplit(url), urlsplit(base)
    return urlunsplit((other.scheme, other.netloc, other.path.rstrip("/") + parts.path, parts.query, ""))
