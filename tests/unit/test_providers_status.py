"""Status pages in every format, and what a page may not do to the reader."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from railmend.contracts.providers import Impact, ProviderIncident
from railmend.providers.registry import Provider, StatusPage, load
from railmend.providers.status.reader import FORMATS, StatusReader, overlaps
from tests import samples

NOW = samples.NOW
HOUR = timedelta(hours=1)
OPENED = "2026-11-24T08:10:00Z"
PROVIDERS = load().by_id()
Handler = Callable[[httpx.Request], httpx.Response]

STATUSPAGE = {
    "page": {"url": "https://www.stripestatus.com", "updated_at": OPENED},
    "status": {"indicator": "critical", "description": "Major Service Outage"},
    "components": [{"name": "API", "status": "major_outage", "updated_at": OPENED, "group": False}],
    "incidents": [
        {
            "name": "Elevated API errors",
            "status": "investigating",
            "impact": "critical",
            "created_at": OPENED,
            "resolved_at": None,
            "shortlink": "https://stspg.io/x",
            "components": [{"name": "API", "status": "major_outage"}],
            "incident_updates": [{"body": "We are looking into it."}],
        }
    ],
    "scheduled_maintenances": [
        {"name": "Later", "status": "scheduled", "impact": "maintenance", "created_at": OPENED},
        {"name": "Now", "status": "in_progress", "impact": "maintenance", "created_at": OPENED},
    ],
}
QUIET = {**STATUSPAGE, "incidents": [], "scheduled_maintenances": []}
ATOM = f"""<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>x</title>
<entry><title>API unavailable</title><published>{OPENED}</published><updated>{OPENED}</updated>
<content type="html">&lt;b&gt;Investigating&lt;/b&gt; - errors</content><link href="https://s/1"/></entry></feed>"""
RSS = """<rss version="2.0"><channel><item><title>Storage - West Europe</title>
<pubDate>Tue, 24 Nov 2026 08:10:00 GMT</pubDate><description>Mitigated: latency.</description></item>
</channel></rss>"""

FORMS: dict[str, tuple[str, bytes, list[tuple[str, Impact, bool]]]] = {
    "statuspage": (
        "statuspage",
        json.dumps(STATUSPAGE).encode(),
        [("Elevated API errors", Impact.CRITICAL, True), ("Now", Impact.MAINTENANCE, True)],
    ),
    "statuspage, parts down and nothing posted": (
        "statuspage",
        json.dumps(QUIET).encode(),
        [("Major Service Outage", Impact.CRITICAL, True)],
    ),
    "statuspage of incident.io": ("statuspage", b'{"page": {}, "status": {"indicator": "none"}}', []),
    "instatus": (
        "instatus",
        json.dumps(
            {
                "page": {"name": "x", "status": "HASISSUES"},
                "activeIncidents": [{"name": "Down", "started": OPENED, "impact": "MAJOROUTAGE"}],
            }
        ).encode(),
        [("Down", Impact.CRITICAL, True)],
    ),
    "instatus, all well": ("instatus", b'{"page": {"name": "x", "status": "UP"}}', []),
    "statusio": (
        "statusio",
        json.dumps(
            {
                "result": {
                    "incidents": [
                        {
                            "name": "Git over SSH",
                            "datetime_open": "2026-11-24T08:10:00.000Z",
                            "messages": [{"details": "Checking", "status": 500}],
                            "components_affected": [{"name": "Git"}],
                        }
                    ]
                }
            }
        ).encode(),
        [("Git over SSH", Impact.CRITICAL, True)],
    ),
    "betterstack": (
        "betterstack",
        json.dumps(
            {
                "data": {"attributes": {"aggregate_state": "downtime", "updated_at": OPENED}},
                "included": [
                    {"type": "status_page_resource", "attributes": {"public_name": "API"}},
                    {
                        "type": "status_report",
                        "attributes": {"title": "API down", "starts_at": OPENED, "ends_at": None},
                    },
                ],
            }
        ).encode(),
        [("API down", Impact.CRITICAL, True)],
    ),
    "google": (
        "google",
        json.dumps(
            [
                {"begin": OPENED, "end": None, "external_desc": "Errors", "status_impact": "SERVICE_OUTAGE"},
                {"begin": OPENED, "end": "2026-11-24T08:40:00+00:00", "status_impact": "SERVICE_DISRUPTION"},
            ]
        ).encode(),
        [("Errors", Impact.CRITICAL, True), ("Incident", Impact.MAJOR, False)],
    ),
    "aws, in UTF-16": (
        "aws",
        json.dumps(
            [
                {
                    "date": str(int(NOW.timestamp()) - 3000),
                    "arn": "arn:aws:health:us-east-1::event/S3/X/Y",
                    "region_name": "N. Virginia",
                    "status": 3,
                    "service_name": "Amazon Simple Storage Service",
                    "summary": "Increased error rates",
                    "event_log": [{"message": "We are investigating.", "timestamp": int(NOW.timestamp())}],
                }
            ]
        ).encode("utf-16"),
        [
            (
                "Increased error rates (Amazon Simple Storage Service, N. Virginia us-east-1)",
                Impact.CRITICAL,
                True,
            )
        ],
    ),
    "slack": (
        "slack",
        json.dumps(
            {
                "status": "active",
                "active_incidents": [
                    {"title": "Messages fail", "type": "outage", "status": "active", "date_created": OPENED}
                ],
            }
        ).encode(),
        [("Messages fail", Impact.CRITICAL, True)],
    ),
    "slack's history": (
        "slack",
        json.dumps(
            [{"title": "Old", "type": "incident", "status": "resolved", "date_created": OPENED}]
        ).encode(),
        [("Old", Impact.MAJOR, False)],
    ),
    "heroku": (
        "heroku",
        json.dumps(
            {
                "status": [{"system": "Apps", "status": "red"}],
                "incidents": [{"title": "Routing", "state": "open", "created_at": OPENED}],
            }
        ).encode(),
        [("Routing", Impact.CRITICAL, True)],
    ),
    "atom": ("feed", ATOM.encode(), [("API unavailable", Impact.MAJOR, True)]),
    "rss": ("feed", RSS.encode(), [("Storage - West Europe", Impact.MINOR, False)]),
}


@pytest.mark.parametrize(("form", "body", "expected"), FORMS.values(), ids=FORMS)
def test_each_format_is_read(form: str, body: bytes, expected: list[tuple[str, Impact, bool]]) -> None:
    incidents = FORMATS[form].parser("x", body, NOW)  # type: ignore[index]
    assert [(incident.title, incident.impact, incident.is_open) for incident in incidents] == expected
    assert all(NOW - HOUR <= incident.started <= NOW for incident in incidents)


BROKEN = (b"", b"<html>", b"{}", b"[1]", b'{"data": 3}', b"\xff\xfe{", b'{"page": 1}', b"[" * 99_999)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("body", BROKEN, ids=lambda body: repr(body[:12]))
async def test_what_is_not_of_the_format_is_said_not_raised(form: str, body: bytes) -> None:
    page = StatusPage(page="https://s.example.com", format=form, endpoint="https://s.example.com/x")  # type: ignore[arg-type]
    provider = Provider(id="x", name="Ex", category="test", hosts=("api.example.com",), status=page)
    view = await reader(lambda _: httpx.Response(200, content=body)).incidents([provider], samples.WINDOW)
    assert view.incidents == []
    assert len(view.unseen) == 1
    assert "status page of Ex (https://s.example.com) could not be seen" in view.unseen[0]


def reader(handler: Handler, **more: object) -> StatusReader:
    return StatusReader(transport=httpx.MockTransport(handler), **more)  # type: ignore[arg-type]


def stripe(handler: Handler) -> Handler:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/incidents.json"):
            return httpx.Response(200, json={"page": {}, "incidents": STATUSPAGE["incidents"]})
        return handler(request)

    return answer


async def test_the_past_and_the_present_are_joined_without_repeats() -> None:
    view = await reader(stripe(lambda _: httpx.Response(200, json=STATUSPAGE))).incidents(
        [PROVIDERS["stripe"]], samples.WINDOW
    )
    assert [incident.title for incident in view.incidents] == ["Elevated API errors", "Now"]
    assert view.unseen == []


async def test_a_page_that_hides_its_past_is_seen_in_part() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        past = request.url.path.endswith("/incidents.json")
        return httpx.Response(404) if past else httpx.Response(200, json=STATUSPAGE)

    view = await reader(handler).incidents([PROVIDERS["stripe"]], samples.WINDOW)
    assert view.incidents[0].title == "Elevated API errors"
    assert "could be seen only in part: it answered HTTP 404" in view.unseen[0]


async def test_pages_are_asked_at_the_registrys_addresses_and_once_while_fresh() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(503)

    status = reader(handler)
    for _ in range(3):
        view = await status.incidents(
            [PROVIDERS["stripe"], PROVIDERS["gitlab"], PROVIDERS["auth0"]], samples.WINDOW
        )
    assert sorted(asked) == [
        "https://api.status.io/1.0/status/5b36dc6502d06804c08349f7",
        "https://www.stripestatus.com/api/v2/incidents.json",
        "https://www.stripestatus.com/api/v2/summary.json",
    ]
    assert view.unseen == [
        "The status page of Stripe (https://www.stripestatus.com) could not be seen: it answered HTTP 503.",
        "The status page of GitLab.com (https://status.gitlab.com) could not be seen: it answered HTTP 503.",
        "No status page that a program can read is known for Auth0.",
    ]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://169.254.169.254/latest", "leads to 169.254.169.254"),
        ("http://www.stripestatus.com/plain", "leads to www.stripestatus.com"),
        ("https://www.stripestatus.com/again", "redirects without end"),
        ("", "redirects without end"),
    ],
)
async def test_a_page_cannot_send_the_reader_elsewhere(location: str, reason: str) -> None:
    asked: set[str] = set()

    def handler(request: httpx.Request) -> httpx.Response:
        asked.add(request.url.host)
        return httpx.Response(302, headers={"location": location})

    view = await reader(handler).incidents([PROVIDERS["stripe"]], samples.WINDOW)
    assert asked == {"www.stripestatus.com"}
    assert reason in view.unseen[0]


async def test_a_page_may_redirect_to_its_other_address() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "status.sendgrid.com":
            return httpx.Response(
                301, headers={"location": f"https://sendgrid.statuspage.io{request.url.path}"}
            )
        return httpx.Response(200, json=STATUSPAGE)

    view = await reader(handler).incidents([PROVIDERS["sendgrid"]], samples.WINDOW)
    assert view.incidents[0].title == "Elevated API errors"


async def test_an_endless_answer_is_cut_and_a_dead_page_is_said() -> None:
    def endless(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * 5000)

    def dead(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("", request=request)

    providers = [PROVIDERS["stripe"]]
    assert (
        "larger than 4000 bytes"
        in (await reader(endless, max_bytes=4000).incidents(providers, samples.WINDOW)).unseen[0]
    )
    assert "no answer, ConnectTimeout" in (await reader(dead).incidents(providers, samples.WINDOW)).unseen[0]


async def test_an_override_moves_the_base_address_of_one_provider() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=[])

    status = reader(handler, overrides={"google_cloud": "http://127.0.0.1:8080/fake"})
    assert (await status.incidents([PROVIDERS["google_cloud"]], samples.WINDOW)).unseen == []
    assert asked == ["http://127.0.0.1:8080/fake/incidents.json"]


def spell(start: timedelta, end: timedelta | None) -> ProviderIncident:
    return ProviderIncident(
        provider="x",
        title="t",
        impact=Impact.MINOR,
        state="open",
        started=NOW + start,
        resolved=NOW + end if end is not None else None,
    )


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (-HOUR, None, True),
        (-300 * HOUR, None, True),
        (-5 * HOUR, -4 * HOUR, False),
        (-5 * HOUR, -2 * HOUR, True),
        (HOUR / 3, None, True),  # posted a little late
        (HOUR, None, False),
    ],
)
def test_what_overlaps_the_window(start: timedelta, end: timedelta | None, expected: bool) -> None:
    assert overlaps(spell(start, end), samples.WINDOW) is expected


def test_an_old_entry_of_a_feed_is_not_open_for_ever() -> None:
    (entry,) = FORMATS["feed"].parser("x", ATOM.encode(), NOW + timedelta(days=2))
    assert not entry.is_open
    assert entry.started == datetime(2026, 11, 24, 8, 10, tzinfo=UTC)
