"""What a coding agent may ask of a model: an allow-list of fields, content and tools.

Providers offer more than answers: they fetch images, search the web, call tools at an address, choose other
models, store what they are told, or sell faster service. So a request is read as a model of its dialect and
written anew: what is not described does not pass, at any depth.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from railmend.coding.bounded_http import load_json
from railmend.coding.metering import ModelEndpoint

MAX_PROBLEM = 200
LEFT_OUT = "(An attachment is left out: only text reaches this model.)"
Json = dict[str, Any]
Word = Annotated[str, Field(pattern=r"^[A-Za-z_]{1,20}$")]


class Allowed(BaseModel):
    """Fields that are not declared are left out."""

    model_config = ConfigDict(extra="ignore", strict=True)


class AllowedRequest(Allowed):
    """A request of one dialect. Its model, cap and number of answers are the gateway's.

    `optional`: what the provider may refuse and the answer can do without, as paths, `*` for each of a list.
    """

    optional: ClassVar[tuple[str, ...]] = ()

    stream: StrictBool = False

    def body(self, model: ModelEndpoint) -> Json:
        """Return what the provider gets."""
        raise NotImplementedError

    def written(self, *without: str) -> Json:
        """Return the fields that the agent set."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=set(without))


def attachment_or(kinds: tuple[str, ...], note: Json) -> WrapValidator:
    """Return a validator that puts `note` in place of a part a provider might fetch or store: an image."""

    def read(value: Any, rest: ValidatorFunctionWrapHandler) -> Any:
        known = isinstance(value, dict) and value.get("type") in kinds
        return rest(value if known or not isinstance(value, dict) else note)

    return WrapValidator(read)


def read_request(kind: type[AllowedRequest], raw: bytes) -> AllowedRequest:
    """Raise `ValueError` with a sentence. Blocking: a body of megabytes takes seconds."""
    try:
        return kind.model_validate(load_json(raw))
    except ValidationError as error:
        raise ValueError(_problem(error)) from error


def capped(model: ModelEndpoint, *wanted: Any) -> int:
    """Return the longest answer that may be asked for: the agent's wish, at most the gateway's."""
    caps = [cap for cap in wanted if type(cap) is int and 0 < cap < model.output_limit]
    return min(caps, default=model.output_limit)


def _problem(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the request"
    return f"Not passed on, {where[:MAX_PROBLEM]}: {first['msg'][:MAX_PROBLEM]}. See docs/security.md."


class Cached(Allowed):
    """Where Anthropic may cache what stands before; for five minutes, which is what the prices are of."""

    type: Literal["ephemeral"]
