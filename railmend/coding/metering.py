"""Counts the tokens and cost of a repair's model calls against its limits."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

# Where a provider sends no usage: the usual rule of thumb for English and code.
BYTES_PER_TOKEN = 4
EMPTY_IN_A_ROW = 3
NEWER_CAP = re.compile(r"(?:^|/)(?:gpt-(?:[5-9]|\d\d)|o[1-9])(?![a-z])")


class ModelEndpoint(BaseModel):
    """An OpenAI-compatible address. Costs in USD per million tokens, limits in tokens."""

    model_config = ConfigDict(frozen=True)

    base_url: str
    model_id: str
    api_key: SecretStr
    input_cost: float = 0.0
    output_cost: float = 0.0
    context_limit: int = 128_000
    output_limit: int = 8192

    @property
    def output_field(self) -> str:
        """The field that bounds an answer: OpenAI's newer models refuse `max_tokens`, others the other."""
        return "max_completion_tokens" if NEWER_CAP.search(self.model_id) else "max_tokens"

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * self.input_cost + output_tokens * self.output_cost) / 1_000_000


class SessionLimits(BaseModel):
    """Limits of a session; OpenCode has no hard ones. `stall_seconds`: longest time without progress.

    Calls, tokens and cost are those of all sessions of one repair together.
    """

    model_config = ConfigDict(frozen=True)

    seconds: float = 1800
    model_calls: int = 80
    tokens: int = 3_000_000
    cost_usd: float = 5.0
    stall_seconds: float = 240


class Usage(BaseModel):
    """What a repair has used.

    `estimated`: a provider sent no usage, so bytes were counted. `refused`: why no call is let through.
    """

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    estimated: bool = False
    refused: str | None = None

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class Meter:
    """Counts the calls of one repair against its limits; kept in `file`, so that a crash forgets nothing."""

    def __init__(self, file: Path, limits: SessionLimits, model: ModelEndpoint) -> None:
        self._file = file
        self._limits = limits
        self._model = model
        self._empty = 0
        # Of calls under way: without it, calls made at once would all pass before one is counted.
        self._reserved_tokens = 0
        try:
            self.usage = Usage.model_validate_json(file.read_text())
        except (FileNotFoundError, ValueError):
            self.usage = Usage()
        self.usage.refused = None  # a new attempt may have other limits

    def begin(self, request_bytes: int, most_output: int) -> int | None:
        """Count a call before it is made. Returns the tokens it reserves; None: refused, see `usage`."""
        usage, limits = self.usage, self._limits
        reserved = request_bytes // BYTES_PER_TOKEN + most_output
        tokens = usage.tokens + self._reserved_tokens
        if usage.refused is None:
            if usage.model_calls >= limits.model_calls:
                usage.refused = f"calls: more than {limits.model_calls} model calls"
            elif tokens + reserved > limits.tokens:
                usage.refused = f"tokens: more than {limits.tokens} tokens"
            elif usage.cost_usd + self._model.cost_usd(self._reserved_tokens, 0) > limits.cost_usd:
                usage.refused = f"cost: more than {limits.cost_usd} USD"
        if usage.refused is not None:
            return None
        usage.model_calls += 1
        self._reserved_tokens += reserved
        self._save()
        return reserved

    def end(self, reserved: int, answer: "MeteredResponse", request_bytes: int) -> None:
        """Replace what `begin` reserved by what the call used."""
        self._reserved_tokens -= reserved
        if answer.usage is not None:
            input_tokens, output_tokens = answer.usage
        elif answer.useful:
            input_tokens = request_bytes // BYTES_PER_TOKEN
            output_tokens = answer.output_bytes // BYTES_PER_TOKEN
            self.usage.estimated = True
        else:
            input_tokens = output_tokens = 0
        self.usage.input_tokens += input_tokens
        self.usage.output_tokens += output_tokens
        self.usage.cost_usd += self._model.cost_usd(input_tokens, output_tokens)
        self._empty = 0 if answer.useful else self._empty
        self._save()

    def empty(self, what: str) -> None:
        """Count a successful but empty answer: OpenCode would ask again at once, for ever."""
        self._empty += 1
        if self._empty >= EMPTY_IN_A_ROW:
            self.usage.refused = f"model: {what}, {self._empty} times in a row"

    def _save(self) -> None:
        partial = self._file.with_suffix(".tmp")
        partial.write_text(self.usage.model_dump_json())
        partial.replace(self._file)


class MeteredResponse:
    """Reads an answer as it passes: server-sent events or one JSON object."""

    def __init__(self, *, streamed: bool) -> None:
        self.streamed = streamed
        self._rest = b""
        self.useful = False
        self.output_bytes = 0
        self.usage: tuple[int, int] | None = None

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
        except ValueError:
            return  # `[DONE]`, or garbage that the agent will complain about
        if isinstance(body, dict):
            self._usage(body.get("usage"))
            for choice in body.get("choices") or []:
                self._choice(choice)

    def _choice(self, choice: Any) -> None:
        if not isinstance(choice, dict):
            return
        message = choice.get("delta") or choice.get("message") or {}
        text = json.dumps(message)
        if choice.get("finish_reason") or message.get("tool_calls") or message.get("content"):
            self.useful = True
        if message.get("reasoning_content") or message.get("reasoning"):
            self.useful = True
        self.output_bytes += len(text)

    def _usage(self, usage: Any) -> None:
        if isinstance(usage, dict) and usage.get("prompt_tokens") is not None:
            self.usage = (int(usage["prompt_tokens"]), int(usage.get("completion_tokens") or 0))
