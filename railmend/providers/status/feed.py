"""RSS 2.0 and Atom: the last resort, as a feed does not say how grave an incident is, nor if it is over."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html import unescape
from xml.etree.ElementTree import Element, ParseError

from railmend.contracts.providers import Impact, ProviderIncident
from railmend.providers.status.shared import decoded, incident
from railmend.xml import local_name, parse_xml

TAG = re.compile(r"<[^<>]{0,500}>")
OVER = re.compile(r"(?i)\b(?:resolved|completed|mitigated|restored|operating normally|closed)\b")
GRAVE = re.compile(r"(?i)\b(?:major|outage|down|unavailable|unable to)\b")
PLANNED = re.compile(r"(?i)\b(?:scheduled|maintenance|planned)\b")
# Feeds keep old entries; one that nobody touched for a day and that does not say it is over is over.
FRESH = timedelta(hours=24)


def feed(provider: str, body: bytes, now: datetime) -> list[ProviderIncident]:
    try:
        root = parse_xml(decoded(body).strip())
    except ParseError as error:
        raise ValueError(f"the answer is no feed ({error})") from error
    entries = [one for one in root.iter() if local_name(one) in ("item", "entry")]
    if not entries and local_name(root) not in ("rss", "feed", "RDF"):
        raise ValueError("the answer is no feed")
    return [made for entry in entries if (made := _incident(provider, entry, now))]


def _incident(provider: str, entry: Element, now: datetime) -> ProviderIncident | None:
    """None for an entry without a date."""
    started = _moment(_text(entry, "published", "pubDate", "updated"))
    if started is None:
        return None
    touched = _moment(_text(entry, "updated")) or started
    title = _text(entry, "title")
    latest = unescape(TAG.sub(" ", unescape(_text(entry, "description", "content", "summary")))).strip()
    said = f"{title} {latest[:400]}"
    over = bool(OVER.search(said)) or now - touched > FRESH
    impact = (
        Impact.MAINTENANCE if PLANNED.search(title) else Impact.MAJOR if GRAVE.search(said) else Impact.MINOR
    )
    return incident(
        provider,
        title or "Incident",
        impact,
        "resolved" if over else "open",
        started,
        resolved=touched if over else None,
        url=_link(entry),
        latest=" ".join(latest.split()),
    )


def _text(entry: Element, *tags: str) -> str:
    """Of the first of the tags that is there."""
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
