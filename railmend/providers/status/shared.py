"""What the formats share: reading a body, and making an incident of bounded size."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator

from railmend.contracts.providers import Impact, ProviderIncident

TITLE, LATEST, COMPONENTS = 300, 600, 20

# Provider id, body, now. Raises `ValueError` for a body that is not of the format.
Parser = Callable[[str, bytes, datetime], list[ProviderIncident]]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_aware)]


def decoded(body: bytes) -> str:
    """AWS sends UTF-16, with a byte order mark; everybody else UTF-8."""
    utf16 = body[:2] in (b"\xff\xfe", b"\xfe\xff")
    return body.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")


def json_object(body: bytes, key: str) -> dict[str, Any]:
    """A JSON object that has the format's main key; a login page or another API's answer has not."""
    document = json.loads(decoded(body))
    if not isinstance(document, dict) or key not in document:
        raise ValueError(f"the answer has no {key!r}")
    return document


def json_list(body: bytes) -> Iterator[Any]:
    document = json.loads(decoded(body))
    if not isinstance(document, list):
        raise ValueError("the answer is not a list")
    yield from document


def incident(
    provider: str,
    title: str,
    impact: Impact,
    state: str,
    started: datetime,
    *,
    resolved: datetime | None = None,
    components: list[str] | None = None,
    url: str | None = None,
    latest: str | None = None,
) -> ProviderIncident:
    return ProviderIncident(
        provider=provider,
        title=title[:TITLE],
        impact=impact,
        state=state[:40],
        started=started,
        resolved=resolved,
        components=tuple(name[:80] for name in (components or [])[:COMPONENTS]),
        url=(url or "")[:300],
        latest=(latest or "")[:LATEST],
    )
