"""Structured log rows: where a logger puts the error, its stack, the request, and its own level."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from railmend.evidence.log_level import RANKS, LogLevel

MESSAGE = ("msg", "message", "event", "log", "text")
LEVELS = ("level", "s", "lvl", "severity", "levelname", "log.level", "loglevel")
STACKS = ("stack", "stacktrace", "stack_trace", "exc_info", "traceback", "backtrace", "errorverbose")
ERRORS = (
    "err.message",
    "error.message",
    "exception.message",
    "exc.message",
    "error",
    "err",
    "exception",
    "reason",
    "cause",
)
TYPES = (
    "err.type",
    "error.type",
    "exception.type",
    "err.name",
    "error.name",
    "error.kind",
    "exc.type",
    "exception.class",
)
METHODS = ("req.method", "request.method", "http.method", "http.request.method", "method", "verb")
PATHS = (
    "req.url",
    "request.url",
    "request.path",
    "http.url",
    "http.target",
    "http.path",
    "url.path",
    "url",
    "path",
    "uri",
)
STATUSES = (
    *("res.statuscode", "response.status", "response.statuscode", "http.status_code"),
    *("http.response.status_code", "statuscode", "status_code", "status"),
)
# Said elsewhere, or of no use to a diagnosis.
NOISE = frozenset(
    (
        *("time", "timestamp", "ts", "@timestamp", "pid", "hostname", "host", "logger", "v", "name"),
        *("err.stack", "reqid", "requestid", "request_id", "traceid", "trace_id", "spanid", "span_id"),
        *("req.id", "caller", "thread", "threadname", "process", "dd.trace_id", "dd.span_id"),
        *("responsetime",),
    )
)
TRACE = re.compile(r"Traceback \(|\n\s+at |\n\t\S+\.go:\d|\n\s+from \S+\.rb:|\n#\d+ ")
MAX_STACK = 120
MAX_VALUE = 200
MAX_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Structured:
    """The row as lines of text (message, exception, stack), the logger's own level, and what else it said."""

    lines: list[str]
    gravity: LogLevel
    rest: Mapping[str, str]


def read(text: str, pairs: Sequence[tuple[str, str]]) -> Structured | None:
    """None: a plain line, whose level is no more than the stream it was written to."""
    fields = {key: _plain(value) for key, value in pairs}
    if text.startswith("{") and text.rstrip().endswith("}"):
        fields |= _flat(text)
    low = {key.lower(): value for key, value in fields.items()}
    told = _first(low, LEVELS)
    if len(low) <= (1 if told else 0):
        return None
    message = text if not text.startswith("{") else _first(low, MESSAGE)
    lines = [line for line in _head(message, low).split("\n") if line.strip()]
    lines += _error(low, lines)
    rest = {key: value[:MAX_VALUE] for key, value in fields.items() if _tells(key.lower(), value, lines)}
    return Structured(lines or [text], _gravity(told), dict(list(rest.items())[:MAX_SHOWN]))


def _plain(value: str) -> str:
    """Values are JSON text: a string carries quotes."""
    if value[:1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value


def _flat(text: str) -> dict[str, str]:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return dict(_leaves(tree, "", 0)) if isinstance(tree, dict) else {}


def _leaves(tree: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, dict) and depth < 3:
            yield from _leaves(value, f"{prefix}{key}.", depth + 1)
        elif value is not None:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def _first(fields: Mapping[str, str], names: Sequence[str]) -> str:
    return next((fields[name] for name in names if fields.get(name)), "")


def _head(message: str, fields: Mapping[str, str]) -> str:
    """With the request that it is about, as an access line would say it."""
    method, path, status = (_first(fields, names) for names in (METHODS, PATHS, STATUSES))
    if not method or not path or f" {path}" in message:
        return message
    status = status if status.isdigit() else ""
    return " ".join(part for part in (message, method.upper(), path, status) if part)


def _error(fields: Mapping[str, str], said: Sequence[str]) -> list[str]:
    """`Type: message` and the stack, unless the message says it already."""
    stack = next((value for key, value in fields.items() if _holds_stack(key, value)), "")
    kind, message = _first(fields, TYPES), _first(fields, ERRORS)
    if message.startswith("{") or message == stack:
        message = ""
    lines = stack.split("\n")[:MAX_STACK] if stack else []
    known = "\n".join([*said, *lines[:1], *lines[-1:]])
    if message and message not in known:
        lines.insert(0, f"{kind}: {message}" if kind and kind not in message else message)
    return [line for line in lines if line.strip()]


def _holds_stack(key: str, value: str) -> bool:
    """By its name, or because it is written over lines as a trace is."""
    return bool(value) and (key.rsplit(".", 1)[-1] in STACKS or ("\n" in value and bool(TRACE.search(value))))


def _tells(key: str, value: str, lines: Sequence[str]) -> bool:
    last = key.rsplit(".", 1)[-1]
    if key in NOISE or last in NOISE or key in LEVELS or key in MESSAGE or not value:
        return False
    if _holds_stack(key, value):
        return False
    return not any(value in line for line in lines)


def _gravity(told: str) -> LogLevel:
    """Words, or the numbers of bunyan and pino: 30 info, 40 warn, 50 error, 60 fatal."""
    if told.isdigit():
        return LogLevel(min(max(int(told) // 10 - 2, 0), 4)) if int(told) >= 40 else LogLevel.ORDINARY
    return LogLevel(RANKS.get(told.upper(), 0))
