"""HTTP rows by route: failing and slow ones are shown, ids folded, memory bounded."""

import re
from datetime import timedelta

import pytest

from railmend.evidence.http import condense_http
from railmend.evidence.templates import route
from railmend.railway.model import HttpLogLine
from tests import samples


def http(count: int, path: str = "/x", status: int = 200, ms: float = 5, at: int = 0) -> list[HttpLogLine]:
    start = samples.NOW + timedelta(seconds=at)
    return [
        HttpLogLine(
            timestamp=start + timedelta(seconds=n),
            method="GET",
            path=path.replace("{n}", str(n)),
            status=status,
            duration_ms=ms,
        )
        for n in range(count)
    ]


def test_http_rows_are_grouped_by_route_and_the_failing_one_comes_first() -> None:
    summary = condense_http([*http(90, "/products/{n}"), *http(10, "/products/{n}", 500)])
    first, second = summary.text.split("\n")[1:3]
    assert first.startswith("GET /products/{id} -> 500: 10x (10.0%)")
    assert second.startswith("GET /products/{id} -> 200: 90x (90.0%)")


def test_slow_routes_are_shown_although_they_answer_200() -> None:
    summary = condense_http(
        [*http(5000, "/fast"), *http(200, "/other/{n}"), *http(40, "/report/{n}", ms=1900)]
    )
    line = next(row for row in summary.text.split("\n") if "/report/{id}" in row)
    p95 = int(re.search(r"p95 (\d+) ms", line)[1])  # type: ignore[index]
    assert abs(p95 - 1900) <= 1900 * 0.025
    assert summary.text.index("/report/") < summary.text.index("/fast")


def test_a_route_many_times_slower_than_the_rest_is_shown() -> None:
    rows = [
        *http(4000, "/fast", ms=12),
        *http(900, "/b", ms=9),
        *http(900, "/c", ms=9),
        *http(9, "/odd", ms=240),
    ]
    assert "GET /odd -> 200: 9x" in condense_http(rows).text


def test_traffic_is_compared_with_before_the_onset() -> None:
    onset = samples.NOW + timedelta(seconds=600)
    rows = [*http(600, "/a"), *http(300, "/a", at=600), *http(300, "/a", 502, at=600)]
    text = condense_http(rows, onset=onset).text
    assert "60.0 requests a minute, 0.0 of them 5xx; since: 120" in text
    assert "-> 502: 300x (25.0%)" in text
    assert "new since the onset" in text


def test_any_number_of_paths_is_held_in_bounded_memory() -> None:
    letters = "abcdefghij"
    rows = [
        row for n in range(4000) for row in http(1, "/" + "".join(letters[int(d)] for d in f"{n:04d}"), 404)
    ]
    assert condense_http(rows).groups <= 2001


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        ("/api/v1/orders/8412/pay?x=1", "/api/v1/orders/{id}/pay"),
        ("/u/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/u/{id}"),
        ("/files/9fceb02d0ae598e95dc970b74767f19372d61af8", "/files/{id}"),
        ("/users/jane@example.com", "/users/{id}"),
        ("/blog/how-we-fixed-it", "/blog/how-we-fixed-it"),
        ("/static/app.css", "/static/app.css"),
        ("/facade", "/facade"),
        ("/", "/"),
    ],
)
def test_ids_in_paths_are_folded(path: str, folded: str) -> None:
    assert route(path) == folded
