"""Webhooks by httpx: Slack's form, and a generic one signed as Standard Webhooks says.

A call whose answer is lost may have arrived: such an error is `uncertain`, and the caller decides.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

import httpx
from pydantic import SecretStr

TIMEOUT_SECONDS = 10.0
MAX_RETRY_AFTER = 60.0
SECRET_PREFIX = "whsec_"  # noqa: S105 - how the specification writes a secret


class DeliveryError(Exception):
    """The message names the channel and the status, never the address: a webhook's address is its secret."""

    def __init__(
        self, message: str, *, retryable: bool, uncertain: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.uncertain = uncertain
        self.retry_after = retry_after


def signed(secret: SecretStr, message_id: str, body: bytes, at: int) -> dict[str, str]:
    """Headers by which the receiver tells who sent it: https://www.standardwebhooks.com, version 1.

    HMAC-SHA256 of "id.timestamp.body"; a secret that begins with `whsec_` is base64. `at`: Unix time in s.
    """
    text = secret.get_secret_value()
    key = base64.b64decode(text[len(SECRET_PREFIX) :]) if text.startswith(SECRET_PREFIX) else text.encode()
    digest = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


async def post(
    client: httpx.AsyncClient,
    channel: str,
    url: SecretStr,
    body: Mapping[str, object],
    *,
    message_id: str,
    secret: SecretStr | None = None,
) -> None:
    """Raises `DeliveryError`."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": message_id}
    if secret is not None:
        headers |= signed(secret, message_id, content, int(time.time()))
    try:
        answer = await client.post(url.get_secret_value(), content=content, headers=headers)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise DeliveryError(f"{channel}: not reached ({type(error).__name__}).", retryable=True) from None
    except httpx.HTTPError as error:
        raise DeliveryError(
            f"{channel}: no answer ({type(error).__name__}).", retryable=True, uncertain=True
        ) from None
    except httpx.InvalidURL:
        raise DeliveryError(f"{channel}: its address is not a URL.", retryable=False) from None
    if not answer.is_success:
        raise _refused(channel, answer)


def _refused(channel: str, answer: httpx.Response) -> DeliveryError:
    """429 and 503 were not taken; any other 5xx may have been."""
    status = answer.status_code
    after = answer.headers.get("retry-after", "")
    return DeliveryError(
        f"{channel}: answered {status}." + ("" if status >= 500 or status == 429 else " Check its address."),
        retryable=status >= 500 or status in (408, 429),
        uncertain=status >= 500 and status != 503,
        retry_after=min(float(after), MAX_RETRY_AFTER) if after.isdigit() else None,
    )
