"""Railway's log filter language: words, "phrases", `@attribute:value`, numbers, AND, OR, -, parentheses."""

import re
from collections.abc import Callable, Mapping

# What a filter sees of a row: its attributes; under "" the text that is searched for words.
Row = Mapping[str, str | float]
Test = Callable[[Row], bool]

TOKEN = re.compile(r'-(?=\()|[()]|-?(?:@\w+:)?"[^"]*"|[^\s()]+')
ATTRIBUTE = re.compile(r"^@(\w+):(.+)$", re.DOTALL)
NUMBER = r"-?\d+(?:\.\d+)?"
COMPARISON = re.compile(rf"^(>=|<=|>|<|)({NUMBER})$")
RANGE = re.compile(rf"^({NUMBER})\.\.({NUMBER})$")


class FilterError(ValueError):
    """The filter cannot be read."""


def compile_filter(text: str | None) -> Test:
    """Compile a predicate for rows; an empty filter accepts all. Raise `FilterError`."""
    tokens = TOKEN.findall(text or "")
    if not tokens:
        return lambda _: True
    test = _either(tokens)
    if tokens:
        raise FilterError(f"Unexpected {tokens[0]!r} in the filter.")
    return test


def _either(tokens: list[str]) -> Test:
    tests = [_all(tokens)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        tests.append(_all(tokens))
    return lambda row: any(test(row) for test in tests)


def _all(tokens: list[str]) -> Test:
    tests = [_operand(tokens)]
    while tokens and tokens[0] not in ("OR", ")"):
        if tokens[0] == "AND":
            tokens.pop(0)
        tests.append(_operand(tokens))
    return lambda row: all(test(row) for test in tests)


def _operand(tokens: list[str]) -> Test:
    word = tokens.pop(0) if tokens else ""
    if word in ("", ")", "AND", "OR"):
        raise FilterError("The filter ends, or joins, too early.")
    if word == "(":
        test = _either(tokens)
        if not tokens or tokens.pop(0) != ")":
            raise FilterError("A parenthesis is not closed.")
        return test
    if word.startswith("-"):
        negated = _operand(tokens) if word == "-" else _term(word[1:])
        return lambda row: not negated(row)
    return _term(word)


def _term(token: str) -> Test:
    match = ATTRIBUTE.match(token)
    if match is None:
        words = token.strip('"')
        return lambda row: words in str(row[""])
    name, value = match.group(1), match.group(2).strip('"')
    return lambda row: name in row and _holds(row[name], value)


def _holds(have: str | float, wanted: str) -> bool:
    if isinstance(have, str):
        return wanted in have
    if bounds := RANGE.match(wanted):
        return float(bounds.group(1)) <= have <= float(bounds.group(2))
    match = COMPARISON.match(wanted)
    if match is None:
        raise FilterError(f"{wanted!r} is not a number.")
    number = float(match.group(2))
    return {">=": have >= number, "<=": have <= number, ">": have > number, "<": have < number}.get(
        match.group(1), have == number
    )
