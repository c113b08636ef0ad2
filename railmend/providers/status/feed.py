"""RSS 2.0 and Atom: the last resort, as a feed states neither an incident's impact nor whether it is over."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html import unescape
from xml.etree.ElementTree import Element, ParseError

from railmend.contracts.providers import Impact, ProviderIncident
from railmend.providers.status.shared import PostedIncident, decoded
from railmend.xml import local_name, parse_xml

TAG = re.compile(r"<[^<>]{0,500}>")
OVER = re.compile(r"(?i)\b(?:resolved|completed|mitigated|restored|operating normally|closed)\b")
OUTAGE = re.compile(r"(?i)\b(?:major|outage|down|unavailable|unable to)\b")
PLANNED = re.compile(r"(?i)\b(?:scheduled|maintenance|planned)\b")
# Feeds keep old entries: one that was not updated for a day counts as over.
MAX_AGE = timedelta(hours=24)


def feed(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    """Return the incidents of a feed. Raise `ValueError` for any other body."""
    try:
        root = parse_xml(decoded(body).strip())
    except ParseError as error:
        raise ValueError(f"the answer is no feed ({error})") from error
    entries = [element for element in root.iter() if local_name(element) in ("item", "entry")]
    if not entries and local_name(root) not in ("rss", "feed", "RDF"):
        raise ValueError("the answer is no feed")
    incidents = (_incident(provider, entry, now) for entry in entries)
    return [incident for incident in incidents if incident]


def _incident(provider: str, entry: Element, now: datetime) -> ProviderIncident | None:
    """None for an entry without a date."""
    started = _moment(_text(entry, "published", "pubDate", "updated"))
    if started is None:
        return None
    updated = _moment(_text(entry, "updated")) or started
    title = _text(entry, "title")
    latest = unescape(TAG.sub(" ", unescape(_text(entry, "description", "content", "summary")))).strip()
    text = f"{title} {latest[:400]}"
    over = bool(OVER.search(text)) or now - updated > MAX_AGE
    impact = (
        Impact.MAINTENANCE if PLANNED.search(title) else Impact.MAJOR if OUTAGE.search(text) else Impact.MINOR
    )
    row = PostedIncident(
        title=title or "Incident",
        started=started,
        state="resolved" if over else "open",
        ended=updated,
        url=_link(entry),
        latest=" ".join(latest.split()),
    )
    return row.incident(provider, impact)


def _text(entry: Element, *tags: str) -> str:
    """Of the first of the tags that has any."""
    for tag in tags:
        for child in entry:
            if local_name(child) == tag and (text := "".join(child.itertext()).strip()):
                return text
    return ""


def _link(entry: Element) -> str:
    for child in entry:
        if local_name(child) == "link":
            return child.attrib.get("href") or (child.text or "").strip()
    return ""


def _moment(text: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
        except (ValueError, TypeError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
