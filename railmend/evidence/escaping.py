"""Data from production written so that it stays data: shown in full, unable to pose as anything else."""

import re
import unicodedata

ANSI = re.compile(r"\x1b(?:\[[0-9;?]{0,20}[A-Za-z]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\))")
# Controls, formats (zero width, direction, tags), surrogates, private use, separators of lines; and the marks
# that select variants, in which text can be hidden.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# A line of data that begins as an item of the packet does.
POSING = re.compile(r"^(\s*)(?=\[E\d+\])", re.M)


def visible(text: str) -> str:
    """Control and zero-width characters shown by name; colours dropped; line breaks and tabs stay."""
    text = ANSI.sub("", text).replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\n\t":
        return character
    if unicodedata.category(character) in HIDDEN or VARIATION.match(character):
        return f"<U+{ord(character):04X}>"
    return character


def inline(text: str, most: int = 200) -> str:
    """For a heading or a list: one line, bounded, without what opens code, links or tags."""
    line = " ".join(visible(text).split())
    line = line.replace("`", "'").replace("[", "(").replace("]", ")")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def fenced(text: str) -> str:
    """A code fence longer than any run of backticks in the text, so that no line can close it.

    A line that begins as an evidence item does is marked with a backslash.
    """
    text = POSING.sub(r"\1\\", text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}\n{text}\n{fence}"
