"""Find failed calls to providers in log lines."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from railmend.providers.names import Names
from railmend.providers.registry import Provider

MAX_LINE = 2000
MAX_EVENT_LINES = 60
# A line that continues the one before: frames, causes, the printed fields of an error.
CONTINUES = re.compile(
    r"^(?:\s|[}\])]|Caused by|\.{3} \d+ more|The above exception|During handling|goroutine )"
)
FAILURE = re.compile(
    r"\b(?:ECONNREFUSED|ECONNRESET|ECONNABORTED|ETIMEDOUT|ESOCKETTIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH"
    r"|ENETUNREACH|UND_ERR_\w+)\b"
    r"|(?i:\b(?:timed? ?out|deadline exceeded|socket hang up|fetch failed|no such host|broken pipe"
    r"|max retries exceeded|name or service not known|name resolution|tls handshake|service unavailable"
    r"|bad gateway|internal server error|overloaded|connection (?:refused|reset|error|aborted|closed|failed)"
    r"|(?:could not|failed to|unable to|cannot|can't) (?:connect|reach|resolve|establish)))"
    r"|(?:Timeout|Connection|Connect|ServiceUnavailable|APIStatus|InternalServer|Overloaded)"
    r"(?:Error|Exception)\b"
    r"|(?:^|[\s\"'=:/(\[])5(?:00|02|03|04|2[0-9])(?=$|[\s\"',;)\]])(?!\s*(?:ms|s|bytes|B|KB|rows|items)\b)"
)
# A trace or an error's name shows the library, even if no host is named.
LIBRARY = re.compile(
    r"node_modules/((?:@[\w.-]+/)?[\w.-]+)/|(?:site|dist)-packages/([\w]+)|(?:^|[\s(])(\w+)(?:\.\w+){0,4}"
    r"\.\w*(?:Error|Exception|Timeout)\b|/gems/([\w-]+?)-\d[\w.]*/"
)
# Categories of libraries whose frames wrap the calls of others in every trace.
WRAPPERS = frozenset({"observability", "analytics", "flags"})


@dataclass
class FailedCalls:
    """Failed calls to one provider: the number of log events, also by host."""

    events: int = 0
    hosts: dict[str, int] = field(default_factory=dict)

    def add(self, events: int, hosts: Mapping[str, int]) -> None:
        """Count further events, with their number by host."""
        self.events += events
        for host, count in hosts.items():
            self.hosts[host] = self.hosts.get(host, 0) + count


def events(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield lines that were printed together, at most `MAX_EVENT_LINES` of each event."""
    current: list[str] = []
    in_traceback = False
    for raw in lines:
        line = raw[:MAX_LINE]
        closes_traceback = in_traceback and not CONTINUES.match(line)
        if current and not closes_traceback and not CONTINUES.match(line):
            yield current
            current = []
        if len(current) < MAX_EVENT_LINES or closes_traceback:
            current.append(line)
        if closes_traceback:
            in_traceback = False
        elif line.startswith("Traceback (most recent call last)"):
            in_traceback = True
    if current:
        yield current


def failing_calls(lines: Iterable[str], names: Names) -> dict[str, FailedCalls]:
    """Return failed calls by provider id: events with words of a failure, and a host or a library."""
    calls_by_provider: dict[str, FailedCalls] = {}
    for event in events(lines):
        text = "\n".join(event)
        if not FAILURE.search(text):
            continue
        hosts: dict[str, set[str]] = {}
        for _, host, provider in names.hosts_in(text, runtime=True):
            hosts.setdefault(provider.id, set()).add(host)
        if not hosts:
            hosts = {provider.id: set() for provider in islice(_libraries(text, names), 1)}
        for provider_id, seen in hosts.items():
            calls_by_provider.setdefault(provider_id, FailedCalls()).add(1, dict.fromkeys(seen, 1))
    return calls_by_provider


def _libraries(text: str, names: Names) -> Iterator[Provider]:
    for match in LIBRARY.finditer(text):
        npm, site, error, gem = match.groups()
        provider = (
            (names.package("npm", npm) if npm else None)
            or (names.imported("python", site or error) if site or error else None)
            or (names.package("rubygems", gem) if gem else None)
        )
        if provider and provider.category not in WRAPPERS:
            yield provider
