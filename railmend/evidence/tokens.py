"""Estimate the tokens of a text without a model's vocabulary, and cut texts to a budget.

The weights were fitted to cl100k: about 3 % too high on average, and rarely too low, on logs and code.
"""

import re
from functools import lru_cache
from math import ceil

PIECE = re.compile(r"[A-Za-z]+|\d{1,3}|[^\sA-Za-z\d]+|\s+")
CAMEL = re.compile(r"[a-z][A-Z]")
SHORT_WORD = 4
# Texts repeat their words, and each is estimated several times.
KEPT_PIECES = 20_000


def estimate(text: str) -> int:
    """Return the estimated tokens of a text, rounded up."""
    return ceil(sum(map(_weight, PIECE.findall(text))))


@lru_cache(KEPT_PIECES)
def _weight(piece: str) -> float:
    first = piece[0]
    if first.isascii() and first.isalpha():
        return _word(piece)
    if first.isdigit():
        return 1.0
    if first.isspace():
        return 0.0 if piece == " " else 0.9
    if piece.isascii():
        return 1 + (len(piece) - 1) * 0.28
    return len(piece.encode()) * 0.6


def _word(word: str) -> float:
    """Vocabularies split long words, capitals and camel case."""
    long = max(len(word) - SHORT_WORD, 0) * 0.115
    capitals = (len(word) - 3) * 0.22 if word.isupper() and len(word) > 3 else 0.0
    return 1 + long + capitals + 0.55 * len(CAMEL.findall(word))


def cut(text: str, budget: int) -> str:
    """Return the longest beginning within the budget of tokens, at the end of a line where possible."""
    if estimate(text) <= budget:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if estimate(text[:middle]) <= budget:
            low = middle
        else:
            high = middle - 1
    end = text.rfind("\n", 0, low)
    return text[: end if end > low // 2 else low]
