"""Counts the tokens and cost of a repair's model calls against its limits."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from railmend.coding.metering.dialects import Dialect
from railmend.coding.metering.response import Billed, MeteredResponse

# Where a provider sends no usage: the usual rule of thumb for English and code.
BYTES_PER_TOKEN = 4
EMPTY_IN_A_ROW = 3


class ModelEndpoint(BaseModel):
    """Where a model is asked, and how. Costs in USD per million tokens, limits in tokens.

    `cache_read_cost`, `cache_write_cost`: None where it is not known: as much as other input. `reasoning`: it
    thinks before it answers.
    """

    model_config = ConfigDict(frozen=True)

    base_url: str
    model_id: str
    api_key: SecretStr
    dialect: Dialect = Dialect.CHAT
    input_cost: float = 0.0
    output_cost: float = 0.0
    cache_read_cost: float | None = None
    cache_write_cost: float | None = None
    context_limit: int = 128_000
    output_limit: int = 8192
    reasoning: bool = False

    def cost_usd(self, billed: Billed) -> float:
        """Return what the call costs: what its provider says, or by the prices."""
        if billed.usd is not None:
            return billed.usd
        read = self.input_cost if self.cache_read_cost is None else self.cache_read_cost
        written = self.input_cost if self.cache_write_cost is None else self.cache_write_cost
        inward = billed.fresh * self.input_cost + billed.cache_read * read + billed.cache_write * written
        return (inward + billed.output * self.output_cost) / 1_000_000


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
            elif usage.cost_usd + self._model.cost_usd(Billed(fresh=self._reserved_tokens)) > limits.cost_usd:
                usage.refused = f"cost: more than {limits.cost_usd} USD"
        if usage.refused is not None:
            return None
        usage.model_calls += 1
        self._reserved_tokens += reserved
        self._save()
        return reserved

    def end(self, reserved: int, answer: MeteredResponse, request_bytes: int) -> None:
        """Replace what `begin` reserved by what the call used."""
        self._reserved_tokens -= reserved
        billed = answer.billed or Billed()
        if answer.billed is None and answer.useful:
            fresh, output = request_bytes // BYTES_PER_TOKEN, answer.output_bytes // BYTES_PER_TOKEN
            billed = Billed(fresh=fresh, output=output)
            self.usage.estimated = True
        self.usage.input_tokens += billed.input
        self.usage.output_tokens += billed.output
        self.usage.cost_usd += self._model.cost_usd(billed)
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
