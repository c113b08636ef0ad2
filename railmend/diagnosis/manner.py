"""How a model is asked: what it takes of a conversation, learned from what it refuses."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from railmend.coding.metering.refused_parameters import WANTED_BACK, smaller_cap

Messages = list[dict[str, Any]]
# Fields of an answer in which litellm tells its thoughts. The first that there is goes back with the answer:
# DeepSeek and Kimi refuse tools without it; OpenAI takes it encrypted, Anthropic signed, OpenRouter as it is.
THINKING = ("reasoning_items", "thinking_blocks", "reasoning_details", "reasoning_content")
# Where a message keeps that, and the model that it is of: another one is not sent it.
THOUGHTS = "thoughts"
# What newer models of OpenAI call `max_tokens`. litellm knows them by name, which a deployment need not have.
NEWER_CAP = "max_completion_tokens"
_NAMES_THOUGHTS = re.compile(r"reasoning|thinking|encrypted", re.IGNORECASE)
_NOT_ENCRYPTED = re.compile(r"[Ee]ncrypted content is not supported")


@dataclass(frozen=True)
class Manner:
    """How a question is put; each part changes at most once. `tokens`: room for the answer, named by `cap`.

    `thoughts`: whether those of earlier answers go back; None: where there are none, a blank in their place.
    `encrypted`: whether those of this answer are asked for.
    """

    tokens: int
    cap: str = "max_tokens"
    thoughts: bool | None = True
    encrypted: bool = True


def after_refusal(manner: Manner, first: Manner, messages: Messages, words: str) -> Manner | None:
    """Return how to ask after a refusal that names what can be changed; None where it names nothing."""
    named = smaller_cap(words, manner.tokens) if "token" in words else None
    if NEWER_CAP in words and manner.cap != NEWER_CAP:
        return replace(manner, cap=NEWER_CAP)
    if named is not None and manner.tokens == first.tokens:
        return replace(manner, tokens=named)
    if manner.encrypted and _NOT_ENCRYPTED.search(words):
        return replace(manner, encrypted=False)
    if manner.thoughts and _NAMES_THOUGHTS.search(words):
        if WANTED_BACK.search(words):
            return replace(manner, thoughts=None)
        if any(len(message.get(THOUGHTS, ())) > 1 for message in messages):
            return replace(manner, thoughts=False)
    return None


def as_taken(messages: Iterable[dict[str, Any]], manner: Manner, model: str) -> Messages:
    """Return messages as this model takes them: with its own thoughts, and no other's."""
    return [_answer(each, manner, model) if each["role"] == "assistant" else each for each in messages]


def _answer(message: dict[str, Any], manner: Manner, model: str) -> dict[str, Any]:
    thoughts = message.get(THOUGHTS, {})
    own = thoughts.get("model", model) == model
    taken = {name: value for name, value in message.items() if name != THOUGHTS}
    if not own and "tool_calls" in taken:
        signed = "provider_specific_fields"
        taken["tool_calls"] = [{n: v for n, v in call.items() if n != signed} for call in taken["tool_calls"]]
    kept = {name: thoughts[name] for name in THINKING if name in thoughts and own}
    if manner.thoughts is None:
        return taken | (kept or {"reasoning_content": " "})
    return taken | kept if manner.thoughts else taken


def thoughts_of(message: Any, model: str) -> dict[str, Any]:
    """Return what goes back with an answer: no mere id of thoughts, which would be looked up."""
    given = message.model_dump(include=set(THINKING))
    # litellm has no field for it.
    given |= {"reasoning_details": (message.provider_specific_fields or {}).get("reasoning_details")}
    items = given.get("reasoning_items") or []
    given["reasoning_items"] = [item for item in items if item.get("encrypted_content")]
    kept = next(({name: given[name]} for name in THINKING if given.get(name)), {})
    return {"model": model, **kept}
