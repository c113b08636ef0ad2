"""Structured log rows: where loggers put the error, its stack, the request and the level."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from railmend.evidence.log_level import LEVELS_BY_NAME, LogLevel
from railmend.evidence.words import table, words

MESSAGE_KEYS, LEVEL_KEYS, STACK_KEYS, ERROR_KEYS, TYPE_KEYS, METHOD_KEYS, PATH_KEYS, STATUS_KEYS = (
    table(f"keys.{kind}")
    for kind in ("message", "level", "stack", "error", "type", "method", "path", "status")
)
PLACE_KEYS, TELLING_KEYS, NOISE_KEYS = words("keys.place"), words("keys.telling"), words("keys.noise")
# The keys of a frame in a list of frames: structlog, zerolog, Sentry, Java's JSON layouts.
FRAME_FILE = ("filename", "file", "source", "abs_path", "path", "fileName")
FRAME_LINE = ("lineno", "line", "lineNumber")
FRAME_NAME = ("name", "func", "function", "method", "methodName")
TRACE = re.compile(r"Traceback \(|\n\s+at |\n\t\S+\.go:\d|\n\s+from \S+\.rb:|\n#\d+ ")
MAX_STACK = 120
MAX_VALUE = 200
MAX_SHOWN = 12


@dataclass(frozen=True, slots=True)
class StructuredRow:
    """A row as lines of text (message, exception, stack), the logger's level, and its other attributes."""

    lines: list[str]
    level: LogLevel
    rest: Mapping[str, str]


def read(text: str, pairs: Sequence[tuple[str, str]]) -> StructuredRow | None:
    """Return None for a plain line, whose level is only that of the stream it was written to.

    `pairs`: attributes as Railway gives them, each value as JSON text.
    """
    fields = {key: _plain(value) for key, value in pairs}
    if text.startswith("{") and text.rstrip().endswith("}"):
        fields |= _flat(text)
    lowered = {key.lower(): value for key, value in fields.items()}
    for key, value in lowered.items():
        if value[:1] == "[" and _last(key) in STACK_KEYS:
            lowered[key] = _stack_of_list(value)
    level = _first(lowered, LEVEL_KEYS)
    if len(lowered) <= (1 if level else 0):
        return None
    message = text if not text.startswith("{") else _first(lowered, MESSAGE_KEYS)
    lines = [line for line in _with_request(message, lowered).split("\n") if line.strip()]
    lines += _error(lowered, lines)
    found = _level(level)
    rest = {
        key: value[:MAX_VALUE]
        for key, value in fields.items()
        if _is_informative(key.lower(), lowered[key.lower()], lines)
    }
    places = {key: rest.pop(key) for key in tuple(rest) if key.lower() in PLACE_KEYS}
    if found >= LogLevel.WARNING:
        telling = {key: value for key, value in rest.items() if _last(key) in TELLING_KEYS}
        rest = places | telling | rest
    return StructuredRow(lines or [text], found, dict(list(rest.items())[:MAX_SHOWN]))


def _plain(value: str) -> str:
    """Return a value without the quotes of JSON text."""
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


def _stack_of_list(value: str) -> str:
    """Return a stack that a logger gave as a list: of lines, of frames, or of exceptions with frames."""
    try:
        entries = json.loads(value)
    except (ValueError, RecursionError):
        return value
    if all(isinstance(entry, str) for entry in entries):
        return "\n".join(entry if entry[:1].isspace() else f"    {entry}" for entry in entries)
    dicts = [entry for entry in entries if isinstance(entry, dict)]
    if not any("frames" in entry for entry in dicts):
        return "\n".join(map(_frame, dicts))
    # structlog names the exception that was caught first, and below it what caused it.
    texts = []
    for entry in reversed(dicts):
        frames = "\n".join(_frame(frame) for frame in entry.get("frames") or () if isinstance(frame, dict))
        named = f"{entry.get('exc_type', '')}: {entry.get('exc_value', '')}"
        texts.append(f"Traceback (most recent call last):\n{frames}\n{named}")
    return "\nDuring handling of the above exception, another exception occurred:\n".join(texts)


def _frame(frame: Mapping[str, Any]) -> str:
    file, line, name = (
        next((frame[key] for key in keys if frame.get(key)), "")
        for keys in (FRAME_FILE, FRAME_LINE, FRAME_NAME)
    )
    return f'  File "{file}", line {line}, in {name}' if name != line else f'  File "{file}", line {line}'


def _first(fields: Mapping[str, str], names: Sequence[str]) -> str:
    if fields.keys().isdisjoint(names):
        return ""
    return next((fields[name] for name in names if fields.get(name)), "")


def _with_request(message: str, fields: Mapping[str, str]) -> str:
    """Return the message with the request that it is about, as an access line shows it."""
    method = _first(fields, METHOD_KEYS)
    path = _first(fields, PATH_KEYS) if method else ""
    if not path or f" {path}" in message:
        return message
    status = _first(fields, STATUS_KEYS)
    status = status if status.isdigit() else ""
    return " ".join(part for part in (message, method.upper(), path, status) if part)


def _error(fields: Mapping[str, str], message_lines: Sequence[str]) -> list[str]:
    """`Type: message` and the stack, unless the row's message contains it already."""
    stack = next((value for key, value in fields.items() if _holds_stack(key, value)), "")
    kind, message = _first(fields, TYPE_KEYS), _first(fields, ERROR_KEYS)
    if message.startswith("{") or message == stack or (message[:1] == "[" and "\n" in stack):
        message = ""
    lines = stack.split("\n")[:MAX_STACK] if stack else []
    shown = "\n".join([*message_lines, *lines[:1], *lines[-1:]])
    if message and message not in shown:
        lines.insert(0, f"{kind}: {message}" if kind and kind not in message else message)
    return [line for line in lines if line.strip()]


def _holds_stack(key: str, value: str) -> bool:
    """By its key, or because it has the lines of a trace."""
    return bool(value) and (_last(key) in STACK_KEYS or ("\n" in value and bool(TRACE.search(value))))


def _is_informative(key: str, value: str, lines: Sequence[str]) -> bool:
    last = _last(key)
    known = key in LEVEL_KEYS or key in MESSAGE_KEYS or key in NOISE_KEYS or last in NOISE_KEYS
    if not value or known or _holds_stack(key, value):
        return False
    return not any(value in line for line in lines)


def _last(key: str) -> str:
    """Return the name of a member, in lower case, wherever its object stands."""
    return key.rsplit(".", 1)[-1].lower()


def _level(value: str) -> LogLevel:
    """Of a level's name, or of a number of bunyan and pino: 30 info, 40 warn, 50 error, 60 fatal."""
    if value.isdigit():
        return LogLevel(min(max(int(value) // 10 - 2, 0), 4)) if int(value) >= 40 else LogLevel.ORDINARY
    return LEVELS_BY_NAME.get(value.upper(), LogLevel.ORDINARY)
