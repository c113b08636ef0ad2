"""Escaping of data from production, so that it stays data: shown in full, unable to pose as anything else."""

import re
import unicodedata

ANSI = re.compile(r"\x1b(?:\[[0-9;?]{0,20}[A-Za-z]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\))")
# Unicode categories of control, format (zero width, direction, tags), surrogate, private-use, unassigned and
# line-separator characters; and variation selectors, in which text can be hidden.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Letters and marks that draw nothing: joiners, fillers, Mongolian selectors, and the empty Braille cell.
BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0]")
# A line of data that begins like an item of the packet.
ITEM_LIKE = re.compile(r"^(\s*)(?=\[E\d+\])", re.M)


def visible(text: str) -> str:
    """Return text with hidden characters as code points and without colours; line breaks and tabs stay."""
    text = ANSI.sub("", text).replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible_character(character) for character in text)


def _visible_character(character: str) -> str:
    if character in "\n\t":
        return character
    hidden = unicodedata.category(character) in HIDDEN
    if hidden or VARIATION.match(character) or BLANK.match(character):
        return f"<U+{ord(character):04X}>"
    return character


def inline(text: str, max_length: int = 200) -> str:
    """Return one bounded line for a heading or a list, without what opens code or links."""
    line = " ".join(visible(text).split())
    line = line.replace("`", "'").replace("[", "(").replace("]", ")")
    return line if len(line) <= max_length else f"{line[: max_length - 1]}…"


def fenced(text: str) -> str:
    """Return the text in a code fence longer than any of its runs of backticks, so that no line closes it.

    A line that begins like an evidence item gets a backslash.
    """
    text = ITEM_LIKE.sub(r"\1\\", text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}\n{text}\n{fence}"
