"""Secrets are gone, what a diagnosis needs stays, and no line makes it slow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railmend.evidence.redact import Numbering, Redactor, redact
from tests.unit.secret_samples import IN_CONTEXT, LOOKALIKES, SHAPES, SURROUNDINGS


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_a_secret_with_a_shape_of_its_own_is_gone(kind: str, around: str) -> None:
    assert SHAPES[kind] not in redact(around.format(SHAPES[kind]))


@pytest.mark.parametrize("kind", IN_CONTEXT)
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_a_secret_in_context_is_gone(kind: str, around: str) -> None:
    text, secret = IN_CONTEXT[kind]
    assert secret not in redact(around.format(text.format(secret)))


def test_what_a_diagnosis_needs_stays() -> None:
    changed = [text for text in LOOKALIKES if redact(text) != text]
    assert len(changed) <= len(LOOKALIKES) * 0.01, changed


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


def test_values_that_the_worker_holds_never_pass() -> None:
    assert Redactor(["plain-looking"])("it is plain-looking here") == "it is <known-secret-1> here"


def test_redacting_twice_changes_nothing() -> None:
    text = "\n".join([*SHAPES.values(), *(line.format(secret) for line, secret in IN_CONTEXT.values())])
    once = redact(text)
    assert redact(once) == once


# Each of them took quadratic time or worse with a rule that was not bounded.
ADVERSARIAL = (
    *("a", "a.", "://a:", "password=", "eyJa.", "@a.", "1 ", "4111-", "::", "+1 ", "cookie: a=", "sk-"),
    *("-----BEGIN PRIVATE KEY-----", "bearer ", "\"'", "token:", "1.", "a@", "x_key=>", "- "),
)


@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_work_grows_with_the_text_alone(piece: str) -> None:
    """Half a megabyte of the worst is done at all; without bounds it would take hours."""
    assert redact(piece * (500_000 // len(piece))) is not None


@given(st.text(max_size=300))
def test_any_text_is_redacted_without_an_error(text: str) -> None:
    redact(text)
