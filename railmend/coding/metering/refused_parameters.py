"""Learn from a model's refusal: which parameter it names, and what to send instead.

Servers that speak one dialect differ in what they take: OpenAI's newer models refuse `max_tokens`, Mistral
its successor; some refuse `reasoning_effort` beside tools, a reasoning summary, or an answer that long.
"""

import copy
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
# A model may refuse several, one after the other.
MOST_FIXES = 4
CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "generationConfig.maxOutputTokens")
_RENAMED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
THOUGHTS = "reasoning_content"
# How a provider says that it misses what it said before.
WANTED_BACK = re.compile(r"passed back|[Mm]issing")
_EFFORT, _NO_EFFORT = "reasoning_effort", "none"
# Shorter answers than this are of no use: a smaller number in a refusal means something else.
_LEAST_CAP = 256
_UNKNOWN = re.compile(
    r"unsupported|not supported|instead|unknown|unrecogni[sz]ed|extra|not permitted|forbidden"
)


@dataclass(frozen=True)
class Fix:
    """What is done to one parameter of a request: set to `value`, renamed, or left out.

    `missing`: set only where an answer of the model lacks it.
    """

    path: str
    value: Any = None
    renamed: str = ""
    missing: bool = False

    def apply(self, body: Json) -> Json:
        changed = copy.deepcopy(body)
        *parents, last = self.path.split(".")
        for holder in _holders(changed, parents):
            before = holder.pop(last, None)
            if self.missing:
                answered = holder.get("role") == "assistant"
                holder |= {last: before or self.value} if before or answered else {}
            elif self.renamed and before is not None:
                holder[self.renamed] = before
            elif isinstance(self.value, int):  # a cap: a smaller wish stays
                holder[last] = min(self.value, before or self.value)
            elif self.value is not None:
                holder[last] = self.value
        return changed


@dataclass
class Learned:
    """What one model refuses, for as long as this process runs."""

    fixes: list[Fix] = field(default_factory=list)

    def apply(self, body: Json) -> Json:
        for fix in self.fixes:
            if fix.value != _NO_EFFORT or body.get("tools"):
                body = fix.apply(body)
        return body


def fix_for(refusal: str, body: Json, optional: Collection[str]) -> Fix | None:
    """Return what to change in `body` after its refusal; None where it names nothing that can be changed."""
    param, message = _error(refusal)
    for text in (param, message):
        for path in (*CAPS, *optional):
            fix = _fix(path, message, body) if _names(text, path) else None
            if fix is not None and fix.apply(body) != body:
                return fix
    return None


def smaller_cap(message: str, cap: int) -> int | None:
    """Return the longest answer that a refusal of `cap` tokens names."""
    numbers = [int(number) for number in re.findall(r"(?<![\w.-])\d{3,7}(?![\w-])", message.replace(",", ""))]
    return max((number for number in numbers if _LEAST_CAP <= number < cap), default=None)


def _fix(path: str, message: str, body: Json) -> Fix | None:
    *parents, last = path.split(".")
    # DeepSeek and Kimi take a blank for the thoughts of an answer that had none.
    if last == THOUGHTS and WANTED_BACK.search(message):
        return Fix(path, " ", missing=True)
    values = [holder[last] for holder in _holders(body, parents) if last in holder]
    # Where an effort is left out a model takes its default, and refuses that one too.
    with_tools = path == _EFFORT and body.get("tools") and body.get(path) != _NO_EFFORT
    if with_tools and (not values or f"'{_NO_EFFORT}'" in message):
        return Fix(path, _NO_EFFORT)
    if not values:
        return None
    if path not in CAPS:
        return Fix(path)
    if path in _RENAMED and _UNKNOWN.search(message.lower()):
        return Fix(path, renamed=_RENAMED[path])
    least = smaller_cap(message, values[0])
    return Fix(path, least) if least else None


def _error(refusal: str) -> tuple[str, str]:
    """Return the parameter that the error is about, where it says so itself, and its words."""
    try:
        error = json.loads(refusal)
        error = (error[0] if isinstance(error, list) else error).get("error") or {}
        return str(error.get("param") or ""), str(error.get("message") or refusal)
    except (ValueError, LookupError, AttributeError):
        return "", refusal


def _names(text: str, path: str) -> bool:
    """Return whether the text names the parameter: `thinkingLevel`, `thinking_level` or "Thinking level"."""
    words = _words(path.rpartition("*.")[2].replace("generationConfig.", ""))
    return f" {words} " in f" {_words(text)} "


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()))


def _holders(value: Any, path: list[str]) -> Iterator[Json]:
    """Yield the objects in which the last part of a path stands."""
    if not path:
        if isinstance(value, dict):
            yield value
    elif path[0] == "*":
        for item in value if isinstance(value, list) else ():
            yield from _holders(item, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _holders(value[path[0]], path[1:])
