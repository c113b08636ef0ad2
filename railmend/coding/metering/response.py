"""Reads a model's answer as it passes: whether anything is in it, and what it is billed."""

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

from railmend.coding.metering.dialects import Dialect

Json = dict[str, Any]


class Billed(BaseModel):
    """The tokens of one call as its provider bills them: each counted once.

    `fresh`: in, neither read from a cache nor written to it; `output`: thinking included. `usd`: what the
    provider says that it costs, None where it says nothing.
    """

    model_config = ConfigDict(frozen=True)

    fresh: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    usd: float | None = None

    @property
    def input(self) -> int:
        return self.fresh + self.cache_read + self.cache_write


class MeteredResponse:
    """Server-sent events, or one JSON object, of one dialect."""

    def __init__(self, dialect: Dialect, *, streamed: bool) -> None:
        self.streamed = streamed
        self._rest = b""
        self._read = _READERS[dialect]
        self.useful = False
        self.output_bytes = 0
        self.billed: Billed | None = None

    def feed(self, data: bytes) -> None:
        self._rest += data
        if self.streamed:
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                self._line(line)

    def close(self) -> None:
        self._line(b"data:" + self._rest if not self.streamed else self._rest)
        self._rest = b""

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        try:
            body = json.loads(line[5:])
            content, usage = self._read(body)
        except (ValueError, TypeError, AttributeError):
            return  # `[DONE]`, or garbage that the agent will complain about
        for part in content:
            self.useful = True
            self.output_bytes += len(json.dumps(part))
        if usage is not None:
            self.billed = usage if self.billed is None else _newest(self.billed, usage)


def _newest(before: Billed, now: Billed) -> Billed:
    """Lay later figures over earlier ones: they are sums, and what a later one lacks was said before."""
    said = {name: value for name, value in now if value}
    return before.model_copy(update=said)


def _chat(body: Json) -> tuple[list[Any], Billed | None]:
    content: list[Any] = []
    for choice in body.get("choices") or []:
        message = choice.get("delta") or choice.get("message") or {}
        kinds = ("content", "tool_calls", "reasoning_content", "reasoning", "reasoning_details")
        if choice.get("finish_reason") or any(message.get(kind) for kind in kinds):
            content.append(message)
    return content, _chat_usage(body.get("usage"))


def _chat_usage(usage: Any) -> Billed | None:
    """Read cached tokens as part of the prompt's, thinking ones as the completion's, or (xAI) the total's."""
    if not usage or usage.get("prompt_tokens") is None:
        return None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    details = usage.get("prompt_tokens_details") or {}
    read = min(_count(details, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens"), prompt)
    written = min(_count(details, "cache_write_tokens"), prompt - read)
    return Billed(
        fresh=prompt - read - written,
        cache_read=read,
        cache_write=written,
        output=max(completion, _count(usage, "total_tokens") - prompt),
        usd=provider_cost(usage),
    )


def provider_cost(usage: Json) -> float | None:
    """Return what OpenRouter says a call costs, USD; with a key of one's own the model is billed apart."""
    cost = usage.get("cost")
    if not isinstance(cost, int | float) or cost < 0:
        return None
    upstream = (usage.get("cost_details") or {}).get("upstream_inference_cost") or 0
    return float(cost + upstream) if usage.get("is_byok") else float(cost)


def _responses(body: Json) -> tuple[list[Any], Billed | None]:
    kind = str(body.get("type") or "")
    response = body.get("response") if kind.startswith("response.") else body
    content = [body["delta"]] if body.get("delta") else []
    if kind.startswith("response.output_item."):
        content.append("")
    usage = (response or {}).get("usage")
    if not kind:
        content += body.get("output") or []
    if not usage:
        return content, None
    read = _count(usage.get("input_tokens_details") or {}, "cached_tokens")
    billed = Billed(
        fresh=_count(usage, "input_tokens") - read, cache_read=read, output=_count(usage, "output_tokens")
    )
    return content, billed


def _messages(body: Json) -> tuple[list[Any], Billed | None]:
    """Read what comes from a cache, or goes to it, beside `input_tokens`: it is not among them."""
    content = list(body.get("content") or [])
    if str(body.get("type")).startswith("content_block_"):
        content.append(body.get("delta") or body.get("content_block") or "")
    usage = body.get("usage") or (body.get("message") or {}).get("usage")
    if not usage:
        return content, None
    billed = Billed(
        fresh=_count(usage, "input_tokens"),
        cache_read=_count(usage, "cache_read_input_tokens"),
        cache_write=_count(usage, "cache_creation_input_tokens"),
        output=_count(usage, "output_tokens"),
    )
    return content, billed


def _gemini(body: Json) -> tuple[list[Any], Billed | None]:
    """Read thoughts beside the candidates' tokens: they are billed as output. Each chunk repeats the sums."""
    content: list[Any] = []
    for candidate in body.get("candidates") or []:
        parts = (candidate.get("content") or {}).get("parts") or []
        content += parts or ([""] if candidate.get("finishReason") else [])
    usage = body.get("usageMetadata")
    if not usage or usage.get("promptTokenCount") is None:
        return content, None
    read = _count(usage, "cachedContentTokenCount")
    prompt = _count(usage, "promptTokenCount") + _count(usage, "toolUsePromptTokenCount")
    billed = Billed(
        fresh=max(prompt - read, 0),
        cache_read=read,
        output=_count(usage, "candidatesTokenCount") + _count(usage, "thoughtsTokenCount"),
    )
    return content, billed


def _count(usage: Json, name: str) -> int:
    return max(int(usage.get(name) or 0), 0)


_READERS: dict[Dialect, Callable[[Json], tuple[list[Any], Billed | None]]] = {
    Dialect.CHAT: _chat,
    Dialect.OPENROUTER: _chat,
    Dialect.RESPONSES: _responses,
    Dialect.MESSAGES: _messages,
    Dialect.GEMINI: _gemini,
}
