"""The table of formats: what is asked of a status page, and who reads the answer."""

from typing import NamedTuple

from railmend.providers.registry import StatusFormat, StatusPage
from railmend.providers.status.feed import feed
from railmend.providers.status.own import aws, google, heroku, slack
from railmend.providers.status.shared import Parser
from railmend.providers.status.vendors import betterstack, instatus, statusio, statuspage


class Format(NamedTuple):
    """`paths` are put behind the page's address; without any, the registry's endpoint is asked."""

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
    """What to fetch: the state now first, then, where the format has it, the past."""
    if page.endpoint:
        return (page.endpoint,)
    return tuple(page.page.rstrip("/") + path for path in FORMATS[page.format].paths)
