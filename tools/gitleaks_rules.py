"""List the rules of a `gitleaks.toml` whose tokens redaction misses: `python -m tools.gitleaks_rules FILE`.

Examples are made from each rule's pattern. A rule that needs a vendor's name beside a token without a form of
its own is left out: such a token is no different from a hash.
"""

import random
import re
import string
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from re import _compiler as compiler  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from railmend.evidence.redact import redact

EXAMPLES = 5
PRINTABLE = string.ascii_letters + string.digits + string.punctuation
# What gitleaks puts before a token that only a name beside it betrays, and behind most tokens.
NAMED = re.compile(r"\[\\w\.-\]\{0,50\}\?")
ENDING = re.compile(r"\(\?:\[\\x60'\"\\s;\]\|\\\\\[nr\]\|\$\)$")
CLASSES = {"[:alnum:]": "A-Za-z0-9", "[:alpha:]": "A-Za-z", "[:digit:]": "0-9", r"\z": r"\Z"}


def in_python(pattern: str) -> str:
    """Return Go's pattern as Python reads it: flags in its middle hold up to the end of their group."""
    for go, python in CLASSES.items():
        pattern = pattern.replace(go, python)
    pattern = ENDING.sub("", pattern)
    while flag := re.search(r"(?<!\\)\(\?i\)", pattern):
        depth, end = 0, flag.end()
        while end < len(pattern) and depth >= 0:
            escaped = pattern[end - 1] == "\\"
            depth += 0 if escaped else (pattern[end] == "(") - (pattern[end] == ")")
            end += depth >= 0
        pattern = f"{pattern[: flag.start()]}(?i:{pattern[flag.end() : end]}){pattern[end:]}"
    return pattern


def example(pattern: Iterable[Any], chance: random.Random) -> str:
    """Return a text that matches what `re` has parsed, of printable ASCII characters where a set is open."""
    return "".join(_part(code, value, chance) for code, value in pattern)


def _part(code: Any, value: Any, chance: random.Random) -> str:
    if code is parser.LITERAL:
        return chr(value)
    if code in (parser.IN, parser.ANY, parser.NOT_LITERAL):
        flat = parser.SubPattern(parser.State(), [(code, value)])
        one = compiler.compile(flat)
        return chance.choice([character for character in PRINTABLE if one.fullmatch(character)] or [" "])
    if code in (parser.MAX_REPEAT, parser.MIN_REPEAT):
        least, most, inside = value
        return "".join(example(inside, chance) for _ in range(chance.randint(least, min(most, least + 4))))
    if code is parser.BRANCH:
        return example(chance.choice(value[1]), chance)
    return example(value[3], chance) if code is parser.SUBPATTERN else ""  # the rest has no characters


def missed(rules: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the ids of the rules that are missed, each with an example; "" where none could be made."""
    chance = random.Random(1)  # noqa: S311 - made-up tokens
    for rule in rules:
        if "regex" not in rule or NAMED.search(rule["regex"]):
            continue
        try:
            pattern = in_python(rule["regex"])
            parsed, compiled = parser.parse(pattern), re.compile(pattern)
            made = [example(parsed, chance) for _ in range(EXAMPLES)]
            texts = [text for text in made if compiled.fullmatch(text)]
        except re.error:
            texts = []
        if not texts:
            yield rule["id"], ""
        for text in texts:
            if text in redact(f"seen {text} there"):
                yield rule["id"], text
                break


if __name__ == "__main__":
    for rule_id, token in missed(tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["rules"]):
        sys.stdout.write(f"{rule_id}: {token[:120] or 'no example could be made of its pattern'}\n")
