"""How the gateway speaks to a provider in each dialect: addresses, authentication, requests."""

from collections.abc import Callable
from dataclasses import dataclass

from hosting.gateway.requests.allowed import AllowedRequest
from hosting.gateway.requests.chat import ChatRequest
from hosting.gateway.requests.gemini import GeminiRequest
from hosting.gateway.requests.messages import MessagesRequest
from hosting.gateway.requests.responses import ResponsesRequest
from railmend.coding.dialects import Dialect
from railmend.coding.metering import ModelEndpoint

ANTHROPIC_VERSION = "2023-06-01"
GEMINI_STREAM, GEMINI_WHOLE = "streamGenerateContent", "generateContent"


@dataclass(frozen=True)
class ProviderApi:
    """`route`: the gateway's, with `{method}` where a dialect names it in the address."""

    route: str
    request: type[AllowedRequest]
    path: Callable[[ModelEndpoint, bool], str]
    key_headers: Callable[[str], dict[str, str]]


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _gemini_path(model: ModelEndpoint, streamed: bool) -> str:
    method = f"{GEMINI_STREAM}?alt=sse" if streamed else GEMINI_WHOLE
    return f"/models/{model.model_id}:{method}"


APIS = {
    Dialect.CHAT: ProviderApi(
        "/v1/chat/completions", ChatRequest, lambda _model, _streamed: "/chat/completions", _bearer
    ),
    # Azure knows its keys by a header of their own.
    Dialect.RESPONSES: ProviderApi(
        "/v1/responses",
        ResponsesRequest,
        lambda _model, _streamed: "/responses",
        lambda key: {**_bearer(key), "api-key": key},
    ),
    Dialect.MESSAGES: ProviderApi(
        "/v1/messages",
        MessagesRequest,
        lambda _model, _streamed: "/messages",
        lambda key: {"x-api-key": key, "anthropic-version": ANTHROPIC_VERSION},
    ),
    Dialect.GEMINI: ProviderApi(
        "/v1/models/{name}", GeminiRequest, _gemini_path, lambda key: {"x-goog-api-key": key}
    ),
}
