"""Encrypts what Temporal stores, and artifacts: AES-256-GCM, a key id for rotation.

Inputs, results, heartbeats, memos, summaries and the details of failures; not workflow ids, search
attributes and names of activities, which Temporal needs to find them.
"""

import base64
import binascii
import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from railmend.settings import ConfigurationError, Settings

ENCODING = b"binary/encrypted"  # the name that Temporal's own samples and its Web UI use
KEY_ID = "encryption-key-id"
KEY_BYTES = 32
# 96 random bits, the size GCM is made for (NIST SP 800-38D, 8.2.2).
NONCE_BYTES = 12


class DecryptionRefused(ValueError):
    """No key decrypts the payload, or it is not encrypted; the message names the key's id, or the setting."""


class EncryptionCodec(PayloadCodec):
    """Encrypts payloads. `keys`: raw 32-byte keys by id; the first encrypts, all decrypt.

    Payloads that are not encrypted pass, so that histories from before encryption can be read; not so if
    `strict`: then whoever reaches Temporal without a key can neither start nor tell Railmend anything.
    """

    def __init__(self, keys: Mapping[str, bytes], *, strict: bool = False) -> None:
        if not keys:
            raise ValueError("no key")
        self._ciphers = MappingProxyType({name: AESGCM(key) for name, key in keys.items()})
        self._current = next(iter(keys))
        self._strict = strict

    async def encode(self, payloads: Iterable[Payload]) -> list[Payload]:
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Iterable[Payload]) -> list[Payload]:
        """Decrypt. Raise `DecryptionRefused` when no key fits."""
        return [self._decrypt(payload) for payload in payloads]

    def seal(self, plain: bytes) -> bytes:
        """Return `plain` encrypted, as artifacts are kept."""
        return self._encrypt(Payload(data=plain)).SerializeToString()

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed. Raise `DecryptionRefused` when no key fits.

        What was written before encryption passes, as with payloads.
        """
        try:
            payload = Payload.FromString(sealed)
        except DecodeError:
            return sealed
        return self._decrypt(payload).data if payload.metadata.get("encoding") == ENCODING else sealed

    def _encrypt(self, payload: Payload) -> Payload:
        name, nonce = self._current.encode(), os.urandom(NONCE_BYTES)
        ciphertext = self._ciphers[self._current].encrypt(nonce, payload.SerializeToString(), name)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: name}, data=nonce + ciphertext)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            if self._strict:
                raise DecryptionRefused(
                    "A payload is not encrypted, and RAILMEND_ENCRYPTION_STRICT refuses that. Whoever sent "
                    "it has no key, or it is from before encryption: then set it to false until the "
                    "retention is over."
                )
            return payload
        name = payload.metadata.get(KEY_ID, b"")
        cipher = self._ciphers.get(name.decode(errors="replace"))
        if cipher is None:
            raise DecryptionRefused(
                f"A payload was encrypted with key {name.decode(errors='replace')!r}, which is not among "
                f"RAILMEND_ENCRYPTION_KEYS ({', '.join(self._ciphers)}): add it behind the first."
            )
        try:
            plain = cipher.decrypt(payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:], name)
        except InvalidTag as error:
            raise DecryptionRefused(
                f"A payload does not open with key {name.decode()!r}: it was altered, or the id now names "
                "another key."
            ) from error
        return Payload.FromString(plain)


def codec(settings: Settings) -> EncryptionCodec | None:
    """Return the codec of RAILMEND_ENCRYPTION_KEYS; None: not set. Raise `ConfigurationError`."""
    if settings.railmend_encryption_keys is None:
        if settings.railmend_encryption_strict:
            raise ConfigurationError("RAILMEND_ENCRYPTION_STRICT needs RAILMEND_ENCRYPTION_KEYS: set both.")
        return None
    keys = _keys(settings.railmend_encryption_keys.get_secret_value())
    return EncryptionCodec(keys, strict=settings.railmend_encryption_strict)


def _keys(text: str) -> dict[str, bytes]:
    """Parse ID:BASE64, by line or with commas between. Errors name the entry's number, never its content."""
    keys: dict[str, bytes] = {}
    for number, part in enumerate(filter(None, (p.strip() for p in text.replace(",", "\n").split("\n"))), 1):
        name, _, encoded = part.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not name or name in keys or len(key) != KEY_BYTES:
            raise ConfigurationError(
                f"RAILMEND_ENCRYPTION_KEYS: entry {number} is not ID:KEY with an id of its own and "
                f"{KEY_BYTES} bytes in base64. Make one with `python -m hosting.codec_server --new-key ID`."
            )
        keys[name] = key
    if not keys:
        raise ConfigurationError("RAILMEND_ENCRYPTION_KEYS holds no key.")
    return keys


def new_key(name: str) -> str:
    """Return a new entry for RAILMEND_ENCRYPTION_KEYS."""
    return f"{name}:{base64.b64encode(AESGCM.generate_key(KEY_BYTES * 8)).decode()}"
