"""Summarise one service's build, deploy and HTTP rows together within one budget."""

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
    """A log row read from a file; a stream uses only the fields it has."""

    timestamp: datetime
    severity: str = "info"
    message: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    method: str = ""
    path: str = ""
    status: int = 0
    duration_ms: float = 0.0


def parse_row(raw: Mapping[str, Any]) -> StreamRow:
    """Return a row of JSON lines. Raise `KeyError`, `TypeError` or `ValueError` for any other object."""
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
    """Return one text of `streams` by name: build, deploy, http. Each may use what others left over."""
    present = [name for name in TITLES if streams.get(name)]
    parts: list[str] = []
    left = budget_tokens
    for number, name in enumerate(present):
        rest = present[number + 1 :]
        share = left if not rest else int(left * (1 - HTTP_SHARE if rest == ["http"] else 0.5))
        title = TITLES[name] if len(present) > 1 else ""
        budget = share - (TITLE_TOKENS if title else 0)
        if name == "http":
            text = condense_http(streams[name], budget_tokens=budget, onset=onset).text
        else:
            text = condense_logs(streams[name], budget_tokens=budget, onset=onset, build=name == "build").text
        part = f"{title}:\n{text}" if title else text
        left -= estimate(part) + 2
        parts.append(part)
    return cut("\n\n".join(parts), budget_tokens)
