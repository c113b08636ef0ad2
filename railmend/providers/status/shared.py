"""What the formats share: decoding a body, and incidents of bounded size."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator

from railmend.contracts.providers import Impact, ProviderIncident

TITLE, LATEST, COMPONENTS = 300, 600, 20

# Takes provider id, body and now. Raises `ValueError` for a body in another format.
Parser = Callable[[str, bytes, datetime], list[ProviderIncident]]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_aware)]


def decoded(body: bytes) -> str:
    """Return the body's text: UTF-16 if it has that byte order mark, as AWS's, else UTF-8."""
    utf16 = body[:2] in (b"\xff\xfe", b"\xfe\xff")
    return body.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")


def json_object(body: bytes, key: str) -> dict[str, Any]:
    """Return a JSON object with the format's main key. Raise `ValueError` for any other body."""
    document = json.loads(decoded(body))
    if not isinstance(document, dict) or key not in document:
        raise ValueError(f"the answer has no {key!r}")
    return document


def json_list(body: bytes) -> Iterator[Any]:
    """Yield the items of a JSON list. Raise `ValueError` for any other body."""
    document = json.loads(decoded(body))
    if not isinstance(document, list):
        raise ValueError("the answer is not a list")
    yield from document


def make_incident(
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
    """Return an incident with its texts and components cut to their limits."""
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
