"""Secrets are gone, what a diagnosis needs stays, and no line makes it slow."""

import base64
import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railmend.evidence.change import CommitComparison, ComparedCommit, ComparedFile
from railmend.evidence.http import condense_http
from railmend.evidence.redact import Numbering, Redactor, redact
from railmend.railway.model import HttpLogLine, LogLine
from tests.growth import assert_linear
from tests.unit.diff_samples import diffs
from tests.unit.secret_notations import harmless, written
from tests.unit.secret_samples import (
    CODE_LINES,
    ENCODINGS,
    IN_CONTEXT,
    LOOKALIKES,
    REPORTED,
    SHAPES,
    SURROUNDINGS,
    percent_encoded,
)
from tools.gitleaks_rules import missed

KINDS = {**{kind: ("{}", secret) for kind, secret in SHAPES.items()}, **IN_CONTEXT}
NOW = datetime(2026, 2, 3, tzinfo=UTC)
ANY_PLACEHOLDER = re.compile(r"<(?:secret|password|credential)-\d+>")


def corpus() -> Iterator[tuple[str, str, str]]:
    """Yield name, text and what must be gone from it: every kind in all surroundings and encodings."""
    for kind, (line, secret) in KINDS.items():
        for around in SURROUNDINGS:
            text = around.format(line.format(secret))
            yield f"{kind} in {around}", text, secret
            for encode in ENCODINGS if around in SURROUNDINGS[:2] else ():
                yield (f"{kind} {encode.__name__}", *encode(text, secret))


def test_secrets_are_gone_in_every_notation_surrounding_and_encoding() -> None:
    cases = list(corpus())
    missed = [name for name, text, secret in cases if secret in redact(text)]
    assert len(KINDS) >= 60
    assert len(missed) <= len(cases) * 0.01, missed


@pytest.mark.parametrize("kind", [*KINDS, *REPORTED])
def test_each_kind_is_gone_where_it_stands_alone(kind: str) -> None:
    line, secret = {**KINDS, **REPORTED}[kind]
    assert secret not in redact(line.format(secret))


def test_secrets_are_gone_whole_from_each_notation_of_names_and_values() -> None:
    missed = [
        text
        for text, secret in written()
        if any(part in redact(text) for part in secret.split() if len(part) > 3)
    ]
    assert missed == []


def test_what_stands_in_a_notation_without_being_a_secret_stays() -> None:
    assert [text for text in harmless() if redact(text) != text] == []


def test_what_a_diagnosis_needs_stays() -> None:
    texts = [around.format(text) for text in LOOKALIKES for around in ("{}", SURROUNDINGS[1])]
    changed = [text for text in texts if redact(text) != text]
    assert len(changed) <= len(texts) * 0.005, changed


@pytest.mark.parametrize("line", CODE_LINES)
def test_code_without_a_secret_stays_as_it_is(line: str) -> None:
    assert redact(line) == line


def test_only_the_secret_of_a_diff_goes() -> None:
    diff = "\n".join([*CODE_LINES, '+api_key = "9fK2mQ7xT4vB8nL3wR6z"', *CODE_LINES])
    assert redact(diff) == diff.replace("9fK2mQ7xT4vB8nL3wR6z", "<secret-1>")


def test_small_diffs_stay_byte_for_byte_but_for_their_secrets() -> None:
    redacted = [(diff, ANY_PLACEHOLDER.sub("<secret>", redact(diff.text))) for diff in diffs()]
    assert len(redacted) == 200
    assert len({diff.text for diff, _ in redacted}) == 200
    assert sum("<secret>" in diff.expected for diff, _ in redacted) == 40
    assert [diff.name for diff, text in redacted if text != diff.expected] == []


def test_what_stands_around_a_secret_stays() -> None:
    text = redact("connecting to postgres://app:hunter2pass@db.internal:5432/shop failed after 31 ms")
    assert text == "connecting to postgres://app:<password-1>@db.internal:5432/shop failed after 31 ms"


def test_equal_secrets_stay_equal() -> None:
    first, second = "ghp_" + "a1B2c3D4e5" * 4, "ghp_" + "z" * 36
    redactor = Redactor()
    assert redactor(f"{first} {second} {first}") == "<github-token-1> <github-token-2> <github-token-1>"
    assert redactor(first) == "<github-token-1>"


def test_redactors_that_share_a_seal_agree_and_one_numbering_counts_them() -> None:
    one, other = Redactor(redaction_key="incident"), Redactor(redaction_key="incident")
    texts = [one("from jane@example.com"), other("to jane@example.com and joe@example.com")]
    assert "jane" not in "".join(texts)
    numbering = Numbering()
    assert [numbering(text) for text in texts] == ["from <email-1>", "to <email-1> and <email-2>"]


@pytest.mark.parametrize(
    "write",
    [str, "it is \x1b[31m{}".format, lambda secret: secret.replace("-", "\\u002d"), "%70={}".format],
    ids=["plain", "coloured", "escaped", "percent"],
)
def test_values_that_the_worker_holds_never_pass(write: Callable[[str], str]) -> None:
    redacted = Redactor(["plain-looking"])(write("plain-looking"))
    assert "looking" not in redacted
    assert "<known-secret-1>" in redacted


def test_a_colour_before_everything_hides_no_name() -> None:
    assert redact("\x1b[31mpin=48213") == "\x1b[31mpin=<password-1>"


def test_an_element_with_a_namespace_has_a_name_too() -> None:
    text = '<wsse:Password Type="text">{}</wsse:Password>'
    assert redact(text.format("Tulip9Harbour")) == text.format("<password-1>")


def test_redacting_twice_changes_nothing() -> None:
    markup = '<wsse:Password Type="text">Tulip9Harbour</wsse:Password>'
    reported = [(kind, line.format(secret), secret) for kind, (line, secret) in REPORTED.items()]
    for name, text, _ in [*corpus(), *reported, ("markup", *percent_encoded(markup, "Tulip9Harbour"))]:
        once = redact(text)
        assert redact(once) == once, name


# A key as a logger prints it: a row each, others between, and a prefix before each.
CHANCE = random.Random(5)  # noqa: S311 - made up
KEY_BODY = [base64.b64encode(CHANCE.randbytes(48)).decode() for _ in range(6)]
KEY = ["-----BEGIN RSA PRIVATE KEY-----", *KEY_BODY, "dGhlLWVuZA==", "-----END RSA PRIVATE KEY-----"]


def messages(redactor: Redactor, lines: list[str]) -> list[str]:
    """Redact lines as the rows of a log."""
    rows = [LogLine(timestamp=NOW, severity="info", message=line) for line in lines]
    return [row.message for row in redactor.rows(rows)]


def leaks(lines: list[str]) -> list[str]:
    return [body for body in [*KEY_BODY, "dGhlLWVuZA=="] if any(body in line for line in lines)]


@pytest.mark.parametrize(
    "rows",
    [
        KEY,
        [f"web.1  | 10:12:0{number} {line}" for number, line in enumerate(KEY)],
        [each for line in KEY for each in (line, "GET /health 200 in 2 ms")],
        KEY[:5],
        KEY[3:],
        ["\\n".join(KEY)],
    ],
    ids=["rows", "prefixed", "interleaved", "cut off", "its end", "one row"],
)
def test_a_key_that_fills_several_rows_is_gone(rows: list[str]) -> None:
    redacted = messages(Redactor(), ["starting", *rows, "listening on :8080"])
    assert not leaks(redacted)
    assert len(redacted) == len(rows) + 2
    assert (redacted[0], redacted[-1]) == ("starting", "listening on :8080")
    assert redacted.count("GET /health 200 in 2 ms") == rows.count("GET /health 200 in 2 ms")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([text for _, text, _ in corpus()]), min_size=1, max_size=6))
def test_lines_hide_what_their_text_hides_and_the_other_way_round(texts: list[str]) -> None:
    lines = [line for text in texts for line in text.split("\n")]
    together = Redactor(redaction_key="k")("\n".join(lines)).split()
    apart = "\n".join(messages(Redactor(redaction_key="k"), lines)).split()
    assert "".join(together) == "".join(apart)  # lines of a key stay lines, which are empty


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(("user", "region", "retries", "path", "ok")),
        st.sampled_from(("bob", "eu-west-1", "/cart", 5, None, True)),
    ),
    st.sampled_from(("password", "db_password", "api_key", "token", "client_secret")),
    st.sampled_from(((",", ":"), (", ", ": "))),
    st.booleans(),
)
def test_an_object_keeps_all_of_its_members_but_the_secret(
    others: dict[str, object], name: str, separators: tuple[str, str], first: bool
) -> None:
    secret = {name: "k3y9fjq02lmzXc81"}
    members = {**secret, **others} if first else {**others, **secret}
    redacted = json.loads(redact(json.dumps(members, separators=separators)))
    assert ANY_PLACEHOLDER.fullmatch(redacted.pop(name))
    assert redacted == others


def test_a_row_is_redacted_by_the_keys_of_its_attributes_before_anything_is_joined() -> None:
    pairs = (("db.password", '"Tulip, 9 Harbours; 31"'), ("level", '"error"'), ("attempt", "3"))
    (row,) = Redactor().rows([LogLine(timestamp=NOW, severity="info", message="boot", attributes=pairs)])
    assert row.attributes == (("db.password", '"<password-1>"'), *pairs[1:])


def test_paths_of_requests_are_redacted_before_they_are_counted() -> None:
    path = "/users/password-reset/Zf3D0LXCM3EIMbgJpUNnkRtO"
    row = HttpLogLine(timestamp=NOW, method="GET", path=path, status=500, duration_ms=3.0)
    text = condense_http(Redactor().rows([row]), budget_tokens=500).text
    assert "Zf3D0LXC" not in text
    assert "/users/password-reset/" in text


def test_texts_of_a_comparison_are_redacted_and_the_rest_of_it_stays() -> None:
    token = SHAPES["github classic"]
    commit = ComparedCommit(sha="9fceb02d0ae5", author="Jo", at=NOW, message=f"Use {token}")
    file = ComparedFile(path="a.py", status="modified", additions=1, deletions=0, patch=f"+key = '{token}'")
    change = CommitComparison(
        base="a" * 40, head="b" * 40, status="ahead", total=1, commits=(commit,), files=(file,)
    )
    redacted = Redactor().model(change)
    assert token not in redacted.model_dump_json()
    assert redacted.commits[0].message == "Use <github-token-1>"
    assert redacted.model_copy(update={"commits": change.commits, "files": change.files}) == change


# Each of them took quadratic time or worse with a rule that was not bounded, or does in the rules of others.
ADVERSARIAL = (
    *("a", "a.", "://a:", "password=", "eyJa.", "@a.", "1 ", "4111-", "::", "+1 ", "cookie: a=", "sk-"),
    *("-----BEGIN PRIVATE KEY-----", "bearer ", "\"'", "token:", "1.", "a@", "x_key=>", "- ", "token|"),
    *("secret\t", "\\", '\\"', "%41", '" + "', "curl -u a:", "-----END PRIVATE KEY-----\n", 'secret: "'),
    *(
        "password value=",
        "<password-1>",
        "A1b2C3d4 ",
        "/reset/",
        "password,token\n",
        "token: |\n a\n",
        "\x1b[31m",
        f'password: "{"あ" * 40} 1" ',
        f'password: "{"あ " * 20}1" ',
        *("bind", "bind'a=b',", "INSERT INTO x (password) VALUES (", "334 UGFzc3dvcmQ6\n", "'mysql:a', "),
        *(
            '"password=',
            "password[a1",
            "passwords: {a:b ",
            "tokens:\n  k: v\n",
            "password of x ",
            "password tried ",
        ),
        *(
            "VALUES (?, ",
            "UPDATE t SET password=? ",
            "password=$1 ",
            ";password={",
            "password | a\n",
        ),
        *(
            "kind: Secret\ndata:\n a: bcd\n",
            "{A:b password:c ",
            "mnemonic a ",
            "://hook/",
            "user a on >",
            "code 1 ",
        ),
        *("user a password ", " -u a -p ", "://a:b c ", "snmp community ", "code sent to ", "password=[["),
        *("a b\npassword c d\n", " put a/password b", "0123456789abcdef", "db.x | secret ", "{a.b(", "a_b1C"),
        *("setuser ", '"auth" ', "/bot/", "/aB1", "secret={{a", "Authorization: a b ", "auth 'response': "),
    ),
)


@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_work_grows_with_the_text_alone(piece: str) -> None:
    assert_linear(lambda letters: redact(piece * (letters // len(piece))), 16_000)


@given(st.text(max_size=300))
def test_any_text_is_redacted_without_an_error_and_without_growing_beyond_its_placeholders(text: str) -> None:
    redacted = redact(text)
    assert len(redacted) <= 10 * len(text) + 30


def test_the_tool_names_the_rules_whose_tokens_are_missed() -> None:
    rules = [
        {"id": "known", "regex": r"\b(ghp_[0-9a-zA-Z]{36})(?:[\x60'\"\s;]|\\[nr]|$)"},
        {"id": "flags", "regex": r"\b(LTAI(?i)[a-z0-9]{20})\b"},
        {"id": "unknown", "regex": r"newvendor:[[:alnum:]]{3}"},
        {"id": "by name", "regex": r"(?i)[\w.-]{0,50}?(?:adobe)([a-f0-9]{32})"},
        {"id": "unreadable", "regex": r"(?P<name"},
    ]
    assert [name for name, _ in missed(rules)] == ["unknown", "unreadable"]
