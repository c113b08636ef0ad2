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


def line_of(text: str, route: str) -> str:
    return next(row for row in text.split("\n") if row.startswith(f"GET {route}:"))


def test_the_failing_route_comes_first_with_its_share_and_the_rest_beside_it() -> None:
    rows = [*http(70, "/products/{n}"), *http(30, "/products/{n}", 500), *http(900, "/fast", ms=7)]
    text = condense_http(rows).text
    assert "By status: 500 30x (3.0%), 200 970x (97.0%)." in text
    first = text.split("\n")[2]
    assert first.startswith("GET /products/{id}: 100x (10.0% of all), 30.0% failed [500 30x, 200 70x]")
    assert "(the rest: 0.0% failed, p95 7 ms)" in first


def test_what_fails_more_comes_first_and_the_slowest_request_is_the_example() -> None:
    rows = [*http(900, "/often"), *http(2, "/often", 500), *http(9, "/bad"), *http(30, "/bad", 500)]
    assert condense_http(rows).text.split("\n")[2].startswith("GET /bad:")
    slugs = [row for n in range(99) for row in http(1, f"/p/{chr(97 + n % 26)}-{'x' * (n // 26 + 1)}", ms=9)]
    assert "slowest 950 ms: /p/z-slow" in condense_http([*slugs, *http(1, "/p/z-slow", ms=950)]).text


def test_slugs_are_one_route_so_that_its_failures_add_up() -> None:
    words = [
        "red",
        "blue",
        "oak",
        "tin",
        "soft",
        "tall",
        "wide",
        "calm",
        "warm",
        "bold",
        "fine",
        "dry",
        "old",
    ]
    slugs = [f"{a}-{b}-{c}" for a in words for b in words for c in words][:2000]
    rows = [*http(400, "/products"), *http(400, "/cart"), *http(300, "/login")]
    for number, slug in enumerate(slugs):
        status = 500 if number % 10 < 3 else 200
        rows += http(1, f"/products/{slug}", status) + http(1, f"/products/{slug}/reviews", ms=40)
    rows += http(20, "/cart", 502)
    text = condense_http(rows, budget_tokens=900).text
    assert "GET /products/{name}: 2000x" in text
    assert "30.0% failed [500 600x, 200 1400x]" in line_of(text, "/products/{name}")
    assert "GET /cart: 420x" in text
    assert "502 20x" in text
    assert condense_http(rows).groups == 5


@pytest.mark.parametrize("count", [20, 60])
def test_routes_of_a_program_are_no_names(count: int) -> None:
    letters = "abcdefghij"
    routes = [f"/api/{letters[n // 10]}{letters[n % 10]}s" for n in range(count)]
    rows = [row for path in routes for row in http(12, path)]
    assert condense_http(rows).groups == count


def test_scans_leave_the_routes_of_the_program_beside_them() -> None:
    letters = "abcdefghij"
    scans = [http(1, f"/{''.join(letters[int(digit)] for digit in f'{n:03d}')}.php", 404) for n in range(900)]
    rows = [*(row for scan in scans for row in scan), *http(500, "/login"), *http(300, "/health", 503)]
    text = condense_http(rows).text
    assert "GET /{name}: 900x" in text
    assert line_of(text, "/health").startswith("GET /health: 300x (17.6% of all), 100.0% failed")


def test_an_open_web_socket_is_no_slow_request() -> None:
    rows = [*http(60, "/socket", 101, ms=3_600_000), *http(500, "/fast", ms=9), *http(40, "/report", ms=1900)]
    text = condense_http(rows).text
    assert text.index("GET /report") < text.index("GET /socket")
    assert "p95" not in line_of(text, "/socket")
    assert "p95 9 ms" in line_of(text, "/report")


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
    assert "GET /odd: 9x" in condense_http(rows).text


def test_traffic_is_compared_with_before_the_onset() -> None:
    onset = samples.NOW + timedelta(seconds=600)
    rows = [*http(600, "/a"), *http(300, "/a", at=600), *http(300, "/a", 502, at=600)]
    text = condense_http(rows, onset=onset).text
    assert "60.0 requests a minute, 0.0 of them 5xx; since: 120" in text
    assert "502 300x (25.0%)" in text
    assert "failing only since the onset" in text


def test_nothing_is_called_new_where_next_to_nothing_was_seen_before() -> None:
    onset = samples.NOW + timedelta(seconds=1)
    text = condense_http([*http(1, "/a"), *http(600, "/a", 502, at=1)], onset=onset).text
    assert "only since" not in text
    # A tenth of a short time is no more; and one that fails at times might not have failed in the few before.
    text = condense_http(
        [*http(3, "/a"), *http(30, "/a", 502, at=3)], onset=onset + timedelta(seconds=2)
    ).text
    assert "since" not in text
    rare = [*http(9, "/a"), *http(600, "/a", at=90), *http(2, "/a", 502, at=95)]
    assert "only since" not in condense_http(rare, onset=samples.NOW + timedelta(seconds=60)).text


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
