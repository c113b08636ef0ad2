"""How the gateway speaks to a provider in each dialect: addresses, authentication, requests, caps."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter, ValidationError

from hosting.gateway import allowed_requests
from hosting.gateway.allowed_requests import Json
from railmend.coding.metering.dialects import Dialect
from railmend.coding.metering.meter import ModelEndpoint
from railmend.coding.sandbox.bounded_http import load_json

ANTHROPIC_VERSION = "2023-06-01"
GEMINI_STREAM, GEMINI_WHOLE = "streamGenerateContent", "generateContent"
MAX_PROBLEM = 200


@dataclass(frozen=True)
class ProviderApi:
    """`route`: the gateway's, with `{name}` where a dialect names model and method in the address.

    `caps`: names of the length of an answer, of which the first is sent. `options`: the object that holds
    them, where there is one. `adds`: what the gateway puts beside them, `streaming`: in a stream.
    `optional`: what the provider may refuse and the answer can do without, as paths, `*` for each of a list.
    """

    route: str
    path: str
    key_headers: Callable[[str], dict[str, str]]
    reader: TypeAdapter[Json]
    caps: tuple[str, ...]
    optional: tuple[str, ...]
    options: str = ""
    adds: Json = field(default_factory=dict)
    streaming: Json = field(default_factory=dict)

    def request(self, raw: bytes, model: ModelEndpoint) -> Json:
        """Return what the provider gets of the agent's request, with `stream` as the agent wants it.

        Raise `ValueError` with a sentence. Blocking: a body of megabytes takes seconds.
        """
        try:
            body = self.reader.validate_python(load_json(raw))
        except ValidationError as error:
            raise ValueError(_problem(error)) from error
        options = (body.pop(self.options, None) or {}) if self.options else body
        wanted = [options.pop(name, None) for name in self.caps]
        caps = [cap for cap in wanted if type(cap) is int and 0 < cap < model.output_limit]
        options |= {self.caps[0]: min(caps, default=model.output_limit), **self.adds}
        if self.options:
            return {**body, self.options: options}
        return options | {"model": model.model_id} | (self.streaming if options.get("stream") else {})

    def url(self, model: ModelEndpoint, streamed: bool) -> str:
        method = f"{GEMINI_STREAM}?alt=sse" if streamed else GEMINI_WHOLE
        return model.base_url.rstrip("/") + self.path.format(model=model.model_id, method=method)


def _problem(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the request"
    return f"Not passed on, {where[:MAX_PROBLEM]}: {first['msg'][:MAX_PROBLEM]}. See docs/security.md."


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


_CHAT = ProviderApi(
    route="/v1/chat/completions",
    path="/chat/completions",
    key_headers=_bearer,
    reader=allowed_requests.reader(allowed_requests.CHAT),
    caps=("max_tokens", "max_completion_tokens"),
    streaming={"stream_options": {"include_usage": True}},
    optional=(
        *("reasoning_effort", "verbosity", "parallel_tool_calls", "stream_options", "response_format"),
        *("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "tool_choice"),
        *("messages.*.reasoning_content", "tools.*.function.strict"),
    ),
)
APIS = {
    Dialect.CHAT: _CHAT,
    Dialect.OPENROUTER: replace(
        _CHAT,
        reader=allowed_requests.reader(allowed_requests.OPENROUTER),
        optional=(*_CHAT.optional, "reasoning.effort", "reasoning"),
    ),
    Dialect.RESPONSES: ProviderApi(
        route="/v1/responses",
        path="/responses",
        # Azure knows its keys by a header of their own.
        key_headers=lambda key: {**_bearer(key), "api-key": key},
        reader=allowed_requests.reader(allowed_requests.RESPONSES),
        caps=("max_output_tokens",),
        adds={"store": False},
        optional=(
            *("reasoning.summary", "reasoning.effort", "reasoning", "include", "text.verbosity", "text"),
            *("prompt_cache_key", "parallel_tool_calls", "temperature", "top_p", "tool_choice"),
            *("tools.*.strict", "input.*.phase"),
        ),
    ),
    Dialect.MESSAGES: ProviderApi(
        route="/v1/messages",
        path="/messages",
        key_headers=lambda key: {"x-api-key": key, "anthropic-version": ANTHROPIC_VERSION},
        reader=allowed_requests.reader(allowed_requests.MESSAGES),
        caps=("max_tokens",),
        optional=(
            *("thinking.display", "thinking", "output_config", "temperature", "top_p", "top_k"),
            "tools.*.strict",
        ),
    ),
    Dialect.GEMINI: ProviderApi(
        route="/v1/models/{name}",
        path="/models/{model}:{method}",
        key_headers=lambda key: {"x-goog-api-key": key},
        reader=allowed_requests.reader(allowed_requests.GEMINI),
        caps=("maxOutputTokens",),
        options="generationConfig",
        adds={"candidateCount": 1},
        optional=(
            *(
                "generationConfig.thinkingConfig.thinkingLevel",
                "generationConfig.thinkingConfig.thinkingBudget",
            ),
            *("generationConfig.thinkingConfig", "generationConfig.topK", "generationConfig.topP"),
            *("generationConfig.temperature", "toolConfig"),
        ),
    ),
}
