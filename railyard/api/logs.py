"""Select the rows of a log query: oldest first, and one more than the limit, as Railway may do."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from railyard.api import series
from railyard.api.filters import Row as FilterRow
from railyard.platform.model import HttpRow, LogRow

Row = TypeVar("Row")
DEFAULT_LIMIT, MAX_LIMIT = 100, 5000


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


def log_view(row: LogRow, service_id: str) -> FilterRow:
    """Return what a filter sees of a log row."""
    return {"": row.message, "level": row.severity, "service": service_id}


def http_view(row: HttpRow) -> FilterRow:
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
