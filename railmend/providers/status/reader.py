"""Fetch status pages: in parallel, cached, bounded, and only from the registry's hosts. No page raises."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx

from railmend.contracts.providers import ProviderIncident
from railmend.contracts.scan import Window
from railmend.providers.registry import Provider, StatusFormat, StatusPage
from railmend.providers.status.feed import feed
from railmend.providers.status.formats import (
    aws,
    betterstack,
    google,
    heroku,
    instatus,
    slack,
    statusio,
    statuspage,
)
from railmend.providers.status.shared import Parser
from railmend.railway.transport import USER_AGENT

TIMEOUT_SECONDS = 8.0
CACHE_SECONDS = 60.0
MAX_PARALLEL = 8
MAX_REDIRECTS = 2
# Google's list of all incidents is the largest, at a few megabytes.
MAX_BYTES = 8_000_000
# People update status pages some time after an incident began.
LAG = timedelta(minutes=30)


class Format(NamedTuple):
    """A format's parser, and the paths behind the page's address; without paths the endpoint is fetched."""

    parser: Parser
    paths: tuple[str, ...] = ()


FORMATS: dict[StatusFormat, Format] = {
    "statuspage": Format(statuspage, ("/api/v2/summary.json", "/api/v2/incidents.json")),
    "instatus": Format(instatus, ("/summary.json",)),
    "statusio": Format(statusio),
    "betterstack": Format(betterstack, ("/index.json",)),
    "google": Format(google),
    "aws": Format(aws),
    "slack": Format(slack, ("/api/v2.0.0/current", "/api/v2.0.0/history")),
    "heroku": Format(heroku, ("/api/v4/current-status",)),
    "feed": Format(feed),
}


def addresses(page: StatusPage) -> tuple[str, ...]:
    """Return what to fetch: the current state first, then the past if the format has it."""
    if page.endpoint:
        return (page.endpoint,)
    return tuple(page.page.rstrip("/") + path for path in FORMATS[page.format].paths)


class _UnreadablePage(Exception):
    """Why a page could not be read, in words for a person."""


@dataclass
class StatusView:
    """Incidents, and in `unseen` one sentence for each page that could not be read."""

    incidents: list[ProviderIncident] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


@dataclass
class _PageResult:
    until: float = 0.0
    incidents: list[ProviderIncident] = field(default_factory=list)
    problem: str | None = None


class StatusReader:
    """Reads status pages; one per process. `overrides`: base addresses by provider id, for tests."""

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
        self._cache: dict[str, _PageResult] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(MAX_PARALLEL)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def incidents(self, providers: Iterable[Provider], window: Window) -> StatusView:
        """Return incidents that overlap the window, or began up to `LAG` after it."""
        providers = list(providers)
        pages = [(provider, provider.status) for provider in providers if provider.status]
        views = await asyncio.gather(*(self._view(provider, page, window) for provider, page in pages))
        combined = StatusView()
        for view in views:
            combined.incidents += view.incidents
            combined.unseen += view.unseen
        if without_page := [provider.name for provider in providers if provider.status is None]:
            combined.unseen.append(
                f"No status page that a program can read is known for {', '.join(without_page)}."
            )
        return combined

    async def _view(self, provider: Provider, page: StatusPage, window: Window) -> StatusView:
        base = self._overrides.get(provider.id)
        urls = [_rebased(url, base) if base else url for url in addresses(page)]
        results = await asyncio.gather(*(self._cached(provider, page, url) for url in urls))
        view = StatusView()
        seen: set[tuple[str, datetime]] = set()
        for result in results:
            for incident in result.incidents:
                key = (incident.title, incident.started)
                if overlaps(incident, window) and key not in seen:
                    seen.add(key)
                    view.incidents.append(incident)
        problems = [result.problem for result in results if result.problem]
        if problems:
            how = "could be seen only in part" if len(problems) < len(results) else "could not be seen"
            view.unseen.append(f"The status page of {provider.name} ({page.page}) {how}: {problems[0]}.")
        return view

    async def _cached(self, provider: Provider, page: StatusPage, url: str) -> _PageResult:
        """Failures are cached too, so that not every investigation fetches a page that is down."""
        async with self._locks.setdefault(url, asyncio.Lock()):
            result = self._cache.get(url)
            if result is None or result.until < time.monotonic():
                result = await self._read(provider, page, url)
                result.until = time.monotonic() + self._cache_seconds
                self._cache[url] = result
        return result

    async def _read(self, provider: Provider, page: StatusPage, url: str) -> _PageResult:
        parser = FORMATS[page.format].parser
        try:
            async with self._slots, asyncio.timeout(self._timeout):
                body = await self._fetch(url, self._allowed(provider, page))
            incidents = await asyncio.to_thread(parser, provider.id, body, datetime.now(UTC))
        except TimeoutError:
            return _PageResult(problem=f"no answer within {self._timeout:g} s")
        except httpx.HTTPError as error:
            return _PageResult(problem=f"no answer, {type(error).__name__}")
        except _UnreadablePage as error:
            return _PageResult(problem=str(error))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            # Not in this format: errors of JSON and pydantic, another shape, a time out of range.
            why = (str(error).splitlines() or [type(error).__name__])[0][:120]
            return _PageResult(problem=f"its answer is not understood ({why})")
        return _PageResult(incidents=incidents)

    def _allowed(self, provider: Provider, page: StatusPage) -> frozenset[tuple[str, str]]:
        """Scheme and host of every address that may be fetched for this provider."""
        base = self._overrides.get(provider.id)
        if base:
            parts = urlsplit(base)
            return frozenset({(parts.scheme, parts.netloc)})
        return frozenset(("https", host) for host in page.hosts())

    async def _fetch(self, url: str, allowed: frozenset[tuple[str, str]]) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            if (parts.scheme, parts.netloc) not in allowed:
                raise _UnreadablePage(
                    f"it leads to {parts.netloc or 'nowhere'}, which is not in the registry"
                )
            async with self._http.stream("GET", url) as response:
                if response.is_redirect:
                    url = urljoin(url, response.headers.get("location", ""))
                    continue
                if response.status_code != httpx.codes.OK:
                    raise _UnreadablePage(f"it answered HTTP {response.status_code}")
                return await self._body(response)
        raise _UnreadablePage("it redirects without end")

    async def _body(self, response: httpx.Response) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self._max_bytes:
                raise _UnreadablePage(f"its answer is larger than {self._max_bytes} bytes")
            parts.append(part)
        return b"".join(parts)


def overlaps(incident: ProviderIncident, window: Window) -> bool:
    """Return whether an incident overlaps the window; its page may be up to `LAG` late."""
    if incident.started > window.end + LAG:
        return False
    return incident.resolved is None or incident.resolved >= window.start


def _rebased(url: str, base: str) -> str:
    """Return the path of `url` at the address `base`."""
    parts, target = urlsplit(url), urlsplit(base)
    return urlunsplit((target.scheme, target.netloc, target.path.rstrip("/") + parts.path, parts.query, ""))
