"""Payload encryption, its keys, and the codec server that the Web UI asks."""

import asyncio
import base64
import json

import httpx
import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from hosting import codec as encryption
from hosting import codec_server
from hosting.codec import DecryptionRefused, EncryptionCodec
from railmend.settings import ConfigurationError, Settings
from workflows.shared.plugin import railmend_plugin

OLD, NEW = b"o" * 32, b"n" * 32
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"the database password"')
UI = "http://localhost:8080"


async def test_what_is_stored_can_be_read_with_the_key_alone() -> None:
    (stored,) = await EncryptionCodec({"2026": NEW}).encode([PLAIN])
    assert b"password" not in stored.SerializeToString()
    assert b"json/plain" not in stored.SerializeToString()
    assert await EncryptionCodec({"2026": NEW}).decode([stored]) == [PLAIN]


async def test_the_same_text_is_stored_differently_each_time() -> None:
    first, second = await EncryptionCodec({"2026": NEW}).encode([PLAIN, PLAIN])
    assert first.data != second.data


async def test_after_a_rotation_old_payloads_open_and_new_ones_use_the_new_key() -> None:
    (stored,) = await EncryptionCodec({"2025": OLD}).encode([PLAIN])
    rotated = EncryptionCodec({"2026": NEW, "2025": OLD})
    assert await rotated.decode([stored]) == [PLAIN]
    (fresh,) = await rotated.encode([PLAIN])
    assert fresh.metadata["encryption-key-id"] == b"2026"


async def test_histories_from_before_encryption_can_be_read() -> None:
    assert await EncryptionCodec({"2026": NEW}).decode([PLAIN]) == [PLAIN]


async def test_strict_refuses_whatever_was_sent_without_a_key() -> None:
    strict = EncryptionCodec({"2026": NEW}, strict=True)
    assert await strict.decode(await strict.encode([PLAIN])) == [PLAIN]
    with pytest.raises(DecryptionRefused, match="RAILMEND_ENCRYPTION_STRICT"):
        await strict.decode([PLAIN])


def test_strict_comes_from_the_setting_and_needs_keys() -> None:
    with pytest.raises(ConfigurationError, match="needs RAILMEND_ENCRYPTION_KEYS"):
        encryption.codec(Settings(railmend_encryption_strict=True))


@pytest.mark.parametrize("keys", [{"2026": OLD}, {"2024": NEW}], ids=["another key", "another id"])
async def test_a_payload_that_no_key_opens_names_the_key_it_needs(keys: dict[str, bytes]) -> None:
    (stored,) = await EncryptionCodec({"2026": NEW}).encode([PLAIN])
    with pytest.raises(DecryptionRefused, match="2026"):
        await EncryptionCodec(keys).decode([stored])


async def test_a_payload_that_was_altered_is_refused() -> None:
    (stored,) = await EncryptionCodec({"2026": NEW}).encode([PLAIN])
    stored.data = stored.data[:-1] + bytes([stored.data[-1] ^ 1])
    with pytest.raises(DecryptionRefused, match="altered"):
        await EncryptionCodec({"2026": NEW}).decode([stored])


async def test_messages_of_failures_are_encrypted_too() -> None:
    config = railmend_plugin(EncryptionCodec({"2026": NEW})).configure_client({})
    converter = config["data_converter"]
    assert isinstance(converter, DataConverter)
    from temporalio.api.failure.v1 import Failure

    failure = Failure()
    await converter.encode_failure(ValueError("token abc"), failure)
    assert b"token abc" not in failure.SerializeToString()
    assert str(await converter.decode_failure(failure)) == "ValueError: token abc"


def test_keys_come_from_the_setting_and_a_new_one_fits() -> None:
    text = f"{encryption.new_key('2026')}\n{encryption.new_key('2025')}\n"
    assert encryption.codec(Settings(railmend_encryption_keys=SecretStr(text))) is not None
    assert encryption.codec(Settings()) is None


@pytest.mark.parametrize("text", ["secret-thing", "a:c2hvcnQ=", f"a:{'A' * 43}=,a:{'A' * 43}="])
def test_a_wrong_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="entry") as refused:
        encryption.codec(Settings(railmend_encryption_keys=SecretStr(text)))
    assert text not in str(refused.value)


def asking(token: str | None = None) -> httpx.AsyncClient:
    secret = SecretStr(token) if token else None
    app = codec_server.application(EncryptionCodec({"2026": NEW}), secret, (UI,))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://codec")


def body(payload: Payload) -> dict[str, object]:
    metadata = {key: base64.b64encode(value).decode() for key, value in payload.metadata.items()}
    return {"payloads": [{"metadata": metadata, "data": base64.b64encode(payload.data).decode()}]}


async def test_the_web_ui_gets_the_plain_payload() -> None:
    (stored,) = await EncryptionCodec({"2026": NEW}).encode([PLAIN])
    async with asking() as client:
        answer = await client.post("/decode", json=body(stored), headers={"Origin": UI, "X-Namespace": "x"})
    assert answer.json()["payloads"][0] == body(PLAIN)["payloads"][0]  # type: ignore[index]
    assert answer.headers["access-control-allow-origin"] == UI


async def test_what_the_web_ui_sends_is_encrypted_below_a_namespace_too() -> None:
    async with asking() as client:
        answer = await client.post("/default/encode", json=body(PLAIN))
        again = await client.post("/default/decode", json=answer.json())
    assert "cGFzc3dvcmQ" not in answer.text
    assert base64.b64decode(again.json()["payloads"][0]["data"]) == PLAIN.data


async def test_the_browser_may_ask_first_and_strangers_are_not_let_in() -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-namespace"}
    async with asking() as client:
        known = await client.options("/decode", headers={"Origin": UI, **ask})
        stranger = await client.options("/decode", headers={"Origin": "https://evil.example", **ask})
        read = await client.post("/decode", json=body(PLAIN), headers={"Origin": "https://evil.example"})
    assert known.headers["access-control-allow-origin"] == UI
    assert "access-control-allow-origin" not in stranger.headers
    assert read.status_code == 401


@pytest.mark.parametrize(
    ("sent", "status"), [("", 401), ("Bearer no", 401), ("yes", 401), ("Bearer yes", 200)]
)
async def test_with_a_token_only_who_knows_it_is_answered(sent: str, status: int) -> None:
    async with asking("yes") as client:
        answer = await client.post("/decode", json=body(PLAIN), headers={"Authorization": sent, "Origin": UI})
    assert answer.status_code == status


async def test_nonsense_and_unknown_keys_are_told() -> None:
    (stored,) = await EncryptionCodec({"2019": OLD}).encode([PLAIN])
    async with asking() as client:
        nonsense = await client.post("/decode", content=b"{")
        unknown = await client.post("/decode", json=body(stored))
    assert nonsense.status_code == 400
    assert "2019" in json.loads(unknown.text)["error"]


def test_a_codec_server_that_others_reach_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAILMEND_ENCRYPTION_KEYS", encryption.new_key("2026"))
    with pytest.raises(ConfigurationError, match="RAILMEND_CODEC_TOKEN"):
        asyncio.run(codec_server.serve("0.0.0.0:0", behind_loopback=False))
