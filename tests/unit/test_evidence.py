"""Secrets out, culprits in, and no line that can pose as anything but data."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railmend.contracts.incident import Facts
from railmend.evidence.condense import condense_logs
from railmend.evidence.http import condense_http
from railmend.evidence.packet import number, render
from railmend.evidence.redact import Redactor, redact
from railmend.railway.model import HttpLogLine, LogLine
from tests import samples

# Joined at run time, so that no scanner of this repository takes them for real ones.
SECRETS = [
    "ghp_" + "a1B2c3D4e5" * 4,
    "github_pat_" + "11ABCDEFG0" * 4,
    "AKIA" + "IOSFODNN7EXAMPLE",
    "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "sk-" + "proj-abcdefghijklmnopqrstuvwxyz",
    "xoxb-" + "123456789012-abcdefABCDEF",
    "AIza" + "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "jane.doe" + "@example.com",
]
SURROUNDINGS = ["{}", "key={} rest", '{{"k": "{}"}}', "at {}: failed", "'{}',"]
HARMLESS = [
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "v1.18.33",
    "took 1532.7 ms",
    'File "/app/service/views.py", line 214, in get',
    "listening on :8080",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_secrets_are_gone(secret: str, around: str) -> None:
    assert secret not in redact(around.format(secret))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgres://app:hunter2pass@db.internal:5432/app", "hunter2pass"),
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ("Cookie: session=deadbeefcafe; theme=dark", "deadbeefcafe"),
        ("DB_PASSWORD=correcthorse retry", "correcthorse"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIB\n-----END RSA PRIVATE KEY-----", "MIIEpAIB"),
    ],
)
def test_secrets_in_context_are_gone(text: str, secret: str) -> None:
    assert secret not in redact(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_a_diagnosis_needs_stays(text: str) -> None:
    assert redact(text) == text


def test_equal_secrets_stay_equal() -> None:
    redactor = Redactor()
    first, second = SECRETS[0], "ghp_" + "z" * 36
    assert redactor(f"{first} {second} {first}") == "<github-token-1> <github-token-2> <github-token-1>"
    assert redactor(first) == "<github-token-1>"


def lines(*messages: str, severity: str = "error") -> list[LogLine]:
    return [
        LogLine(timestamp=samples.NOW + timedelta(seconds=i), severity=severity, message=message)
        for i, message in enumerate(messages)
    ]


TRACE = (
    "Traceback (most recent call last):",
    '  File "/app/app.py", line 40, in do_GET',
    "    self.show(product)",
    '  File "/app/catalog.py", line 12, in show',
    "    return product['discount']",
    "KeyError: 'discount'",
)


def test_a_trace_survives_a_flood_of_noise() -> None:
    noise = [f"GET /products/{n} served in {n % 90} ms" for n in range(3000)]
    text = condense_logs(lines(*noise[:1500], *TRACE, *noise[1500:]), budget_tokens=300)
    assert "catalog.py" in text
    assert "KeyError: 'discount'" in text
    assert "3000x" in text
    assert len(text) < 300 * 4 + 200


def test_what_was_cut_is_counted() -> None:
    words = [f"{'x' * 50} {chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(100)]
    assert "more groups of log lines left out" in condense_logs(lines(*words), budget_tokens=100)


def test_http_rows_are_grouped_by_route_and_the_failing_one_comes_first() -> None:
    rows = [
        HttpLogLine(timestamp=samples.NOW, method="GET", path=f"/products/{n}", status=status, duration_ms=5)
        for n, status in enumerate([200] * 90 + [500] * 10)
    ]
    first, second = condense_http(rows).split("\n\n")
    assert first.startswith("GET /products/{id} -> 500: 10x (10.0%)")
    assert second.startswith("GET /products/{id} -> 200: 90x (90.0%)")


@given(st.text(alphabet=st.sampled_from("`~\n [E1]ab\x1b\u200b#"), max_size=200))
def test_no_text_closes_its_fence(text: str) -> None:
    packet = number("checkout", [Facts(items=(("deploy_log", "logs", text),))])
    rendered = render(packet)
    body = rendered.split("[E1] (deploy_log) logs\n", 1)[1].split("\n")
    assert set(body[0]) == {"`"}
    closing = [row for row in body[1:] if set(row) == {"`"} and len(row) >= len(body[0])]
    assert closing == [body[-1]]
    assert "\u200b" not in rendered
    assert "\x1b" not in rendered


def test_items_are_numbered_in_order_and_blind_spots_kept() -> None:
    facts = [
        Facts(items=(("a", "x", "1"), ("b", "y", "2"))),
        Facts(items=(("c", "z", "3"),), unseen=("no logs",)),
    ]
    packet = number("checkout", facts)
    assert [item.id for item in packet.items] == ["E1", "E2", "E3"]
    assert "- no logs" in render(packet)
