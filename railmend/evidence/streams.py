"""One service's build, deploy and HTTP rows condensed together within one budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from railmend.evidence.condense import condense_logs
from railmend.evidence.http import condense_http
from railmend.evidence.tokens import cut, estimate

HTTP_SHARE = 0.35
TITLES = {"build": "Build logs", "deploy": "Deploy logs", "http": "HTTP logs"}
TITLE_TOKENS = 8


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A row of a file, of any stream."""

    timestamp: datetime
    severity: str = "info"
    message: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    method: str = ""
    path: str = ""
    status: int = 0
    duration_ms: float = 0.0


def row(raw: Mapping[str, Any]) -> StreamRow:
    """Raises `KeyError`, `TypeError` or `ValueError` for an object that is no row."""
    at = datetime.fromisoformat(raw.get("ts") or raw["timestamp"])
    if raw.get("stream") == "http":
        return StreamRow(
            at,
            method=raw["method"],
            path=raw["path"],
            status=int(raw["status"]),
            duration_ms=float(raw["duration_ms"]),
        )
    pairs = tuple((str(pair["key"]), str(pair["value"])) for pair in raw.get("attributes") or ())
    return StreamRow(at, raw.get("severity") or raw.get("level") or "info", raw["message"], pairs)


def condense_streams(
    streams: Mapping[str, Sequence[StreamRow]], *, budget_tokens: int, onset: datetime | None = None
) -> str:
    """`streams` by name: build, deploy, http. What one does not use of its share the next may."""
    present = [name for name in TITLES if streams.get(name)]
    parts: list[str] = []
    left = budget_tokens
    for number, name in enumerate(present):
        waiting = present[number + 1 :]
        share = left if not waiting else int(left * (1 - HTTP_SHARE if waiting == ["http"] else 0.5))
        title = TITLES[name] if len(present) > 1 else ""
        most = share - (TITLE_TOKENS if title else 0)
        if name == "http":
            text = condense_http(streams[name], budget_tokens=most, onset=onset).text
        else:
            text = condense_logs(streams[name], budget_tokens=most, onset=onset, build=name == "build").text
        part = f"{title}:\n{text}" if title else text
        left -= estimate(part) + 2
        parts.append(part)
    return cut("\n\n".join(parts), budget_tokens)
