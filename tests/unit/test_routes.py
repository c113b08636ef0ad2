"""A mix of routes that shifted is no slowness: the same route must have become slower."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from railmend.assessment.latency import became_slower
from railmend.contracts.scan import FindingKind, Severity
from railmend.railway.model import HttpLogLine
from railyard.platform.model import HttpRow
from tests.unit.railway_yard import END, Yard

NAME = "service-0000"
LINE = 2000.0
# Method, path, status, ms and how many of them.
Asked = tuple[str, str, int, float, int]
PAGES: Asked = ("GET", "/pages/17", 200, 90, 200)
UPLOADS: Asked = ("POST", "/uploads", 201, 9000, 40)
SOME: Asked = ("POST", "/uploads", 201, 9000, 4)


def _lines(*asked: Asked) -> list[HttpLogLine]:
    return [
        HttpLogLine(timestamp=END, method=method, path=path, status=status, duration_ms=ms)
        for method, path, status, ms, count in asked
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("before", "now", "slower"),
    [
        ((PAGES,), (PAGES, UPLOADS), False),
        ((PAGES, SOME), (PAGES, UPLOADS), False),
        ((PAGES,), (PAGES, ("GET", "/socket", 101, 900_000, 40)), None),
        ((PAGES, ("POST", "/pay", 200, 300, 40)), (PAGES, ("POST", "/pay", 200, 9000, 40)), True),
        ((PAGES,), (PAGES, ("GET", "/pages/99", 200, 9000, 20)), True),
        ((PAGES, ("POST", "/pay", 200, 300, 1)), (PAGES, ("POST", "/pay", 200, 9000, 2)), None),
        ((PAGES, ("POST", "/pay", 200, 300, 3)), (PAGES, ("POST", "/pay", 200, 9000, 3)), None),
        ((), (PAGES, UPLOADS), None),
        ((PAGES, UPLOADS), (PAGES, UPLOADS, ("GET", "/pages/1", 200, 9000, 30)), True),
    ],
)
def test_a_route_is_slower_where_its_own_share_of_slow_requests_grew(
    before: tuple[Asked, ...], now: tuple[Asked, ...], slower: bool | None
) -> None:
    assert became_slower(_lines(*before), _lines(*now), LINE) is slower


def _rows(minutes_ago: float, *asked: Asked) -> list[HttpRow]:
    at = END - timedelta(minutes=minutes_ago)
    return [
        HttpRow(at, f"deployment-{NAME}", method, path, status, ms, ms, "", "")
        for method, path, status, ms, count in asked
        for _ in range(count)
    ]


def _slow_since_half_an_hour(ts: float) -> float:
    return 9000 if ts > END.timestamp() - 1800 else 90


async def _scan(services: int, *rows: HttpRow) -> Yard:
    curves: dict[tuple[str, str], Callable[[float], float | None]] = {
        (NAME, "latency"): _slow_since_half_an_hour
    }
    return await Yard(services, services // 2, curves=curves, requests=list(rows)).connected()


@pytest.mark.parametrize("services", [4, 50])
async def test_a_scan_compares_routes_and_asks_no_request_more(services: int) -> None:
    slower = await _scan(services, *_rows(200, PAGES), *_rows(5, ("GET", "/pages/3", 200, 9000, 200)))
    told = await slower.scan()
    assert told.kinds(NAME) == {FindingKind.LATENCY}
    assert told.findings[0].severity is Severity.CRITICAL
    mixed = await _scan(services, *_rows(200, PAGES), *_rows(5, PAGES, UPLOADS))
    assert (await mixed.scan()).kinds(NAME) == set()
    without = await _scan(services)
    await without.scan()
    assert await mixed.requests() == await slower.requests() == await without.requests()
