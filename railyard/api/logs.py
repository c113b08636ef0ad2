"""Select the rows of a log query: oldest first, and one more than the limit, as Railway may do."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from railyard.api import series
from railyard.platform.model import HttpRow, LogRow

# What a filter sees of a row: its attributes; under "" the text that is searched for words.
View = Mapping[str, str | float]
Test = Callable[[View], bool]

TOKEN = re.compile(r'-(?=\()|[()]|-?(?:@\w+:)?"[^"]*"|[^\s()]+')
ATTRIBUTE = re.compile(r"^@(\w+):(.+)$", re.DOTALL)
NUMBER = r"-?\d+(?:\.\d+)?"
COMPARISON = re.compile(rf"^(>=|<=|>|<|)({NUMBER})$")
RANGE = re.compile(rf"^({NUMBER})\.\.({NUMBER})$")
Row = TypeVar("Row")
DEFAULT_LIMIT, MAX_LIMIT = 100, 5000


class FilterError(ValueError):
    """The filter cannot be read."""


def compile_filter(text: str | None) -> Test:
    """Compile a predicate for rows; an empty filter accepts all. Raise `FilterError`."""
    tokens = TOKEN.findall(text or "")
    if not tokens:
        return lambda _: True
    test = _either(tokens)
    if tokens:
        raise FilterError(f"Unexpected {tokens[0]!r} in the filter.")
    return test


def _either(tokens: list[str]) -> Test:
    tests = [_all(tokens)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        tests.append(_all(tokens))
    return lambda row: any(test(row) for test in tests)


def _all(tokens: list[str]) -> Test:
    tests = [_operand(tokens)]
    while tokens and tokens[0] not in ("OR", ")"):
        if tokens[0] == "AND":
            tokens.pop(0)
        tests.append(_operand(tokens))
    return lambda row: all(test(row) for test in tests)


def _operand(tokens: list[str]) -> Test:
    word = tokens.pop(0) if tokens else ""
    if word in ("", ")", "AND", "OR"):
        raise FilterError("The filter ends, or joins, too early.")
    if word == "(":
        test = _either(tokens)
        if not tokens or tokens.pop(0) != ")":
            raise FilterError("A parenthesis is not closed.")
        return test
    if word.startswith("-"):
        negated = _operand(tokens) if word == "-" else _term(word[1:])
        return lambda row: not negated(row)
    return _term(word)


def _term(token: str) -> Test:
    match = ATTRIBUTE.match(token)
    if match is None:
        words = token.strip('"')
        return lambda row: words in str(row[""])
    name, value = match.group(1), match.group(2).strip('"')
    return lambda row: name in row and _holds(row[name], value)


def _holds(have: str | float, wanted: str) -> bool:
    if isinstance(have, str):
        return wanted in have
    if bounds := RANGE.match(wanted):
        return float(bounds.group(1)) <= have <= float(bounds.group(2))
    match = COMPARISON.match(wanted)
    if match is None:
        raise FilterError(f"{wanted!r} is not a number.")
    number = float(match.group(2))
    return {">=": have >= number, "<=": have <= number, ">": have > number, "<": have < number}.get(
        match.group(1), have == number
    )


def between(rows: Iterable[LogRow], arguments: dict[str, Any]) -> list[LogRow]:
    """Return the newest `limit` + 1 rows of [startDate, endDate]; both are optional."""
    start, end = arguments.get("startDate"), series.moment(arguments.get("endDate"))
    after = series.moment(start) if start else None
    selected = [row for row in rows if (after is None or row.at >= after) and row.at <= end]
    return selected[-_limit(arguments.get("limit")) - 1 :]


def anchored(rows: Iterable[Row], at: Callable[[Row], datetime], arguments: dict[str, Any]) -> list[Row]:
    """Return the newest `beforeLimit` + 1 rows of [beforeDate, anchorDate], then the oldest `afterLimit`
    up to afterDate. The anchor defaults to now.
    """
    anchor = series.moment(arguments.get("anchorDate"))
    start = series.moment(arguments.get("beforeDate") or series.EPOCH)
    until = series.moment(arguments.get("afterDate"))
    ordered = sorted(rows, key=at)
    before = [row for row in ordered if start <= at(row) <= anchor]
    after = [row for row in ordered if anchor < at(row) <= until]
    wanted = arguments.get("beforeLimit")
    limit = _limit(wanted if wanted is not None else arguments.get("limit"))
    return before[-limit - 1 :] + after[: arguments.get("afterLimit") or 0]


def log_view(row: LogRow, service_id: str) -> View:
    """Return what a filter sees of a log row."""
    return {"": row.message, "level": row.severity, "service": service_id}


def http_view(row: HttpRow) -> View:
    """Return what a filter sees of a request; words are searched in the path."""
    return {
        "": row.path,
        "path": row.path,
        "method": row.method,
        "requestId": row.request_id,
        "responseDetails": row.details,
        "deploymentId": row.deployment_id,
        "httpStatus": float(row.status),
        "totalDuration": row.total_ms,
        "responseTime": row.total_ms,
        "upstreamRqDuration": row.upstream_ms,
    }


def _limit(wanted: int | None) -> int:
    return min(max(wanted, 0) if wanted is not None else DEFAULT_LIMIT, MAX_LIMIT)
