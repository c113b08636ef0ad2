"""Views of a text: colours off, escapes undone, percent-decoded, strings joined; positions map back.

A secret that is coloured, quoted in JSON within JSON, or put together from pieces has no shape in the text as
it stands. Each view is searched, and what is found in it is replaced in the text itself.
"""

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from html import unescape
from urllib.parse import unquote

Replace = Callable[[re.Match[str]], str | None]


class TextView:
    """A text derived from another one, its `parent`; the first has none.

    Beyond colours a view holds only the lines in which it differs, so that the search of all views costs no
    more than what differs.
    """

    def __init__(self, text: str, parent: "TextView | None" = None) -> None:
        self.text = text
        self._parent = parent
        # Runs by their start here: the stretch of the parent, and whether it stands here as it is.
        self._starts: list[int] = []
        self._origins: list[tuple[int, int, bool]] = []

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the stretch of the first text that stands behind this one."""
        view: TextView | None = self
        while view is not None and view._parent is not None:
            first, last = view._run(start), view._run(end - 1)
            start = first[0] if not first[2] else first[0] + start - first[1]
            end = last[3] if not last[2] else last[0] + end - last[1]
            view = view._parent
        return start, end

    def _run(self, position: int) -> tuple[int, int, bool, int]:
        number = bisect_right(self._starts, position) - 1
        begin, end, plain = self._origins[number]
        return begin, self._starts[number], plain, end

    def derive(self, pattern: re.Pattern[str], replace: Replace, *, whole: bool = False) -> "TextView | None":
        """Return the view with each match replaced; None where nothing changes. `whole`: with all lines."""
        text, pieces, view, size = self.text, [], TextView("", self), 0
        at, line_end = 0, len(self.text) if whole else -1

        def add(begin: int, end: int, new: str | None = None) -> None:
            nonlocal size
            piece = text[begin:end] if new is None else new
            if piece:
                view._starts.append(size)
                view._origins.append((begin, end, new is None))
                pieces.append(piece)
                size += len(piece)

        for match in pattern.finditer(text):
            new = replace(match)
            if new is None or new == match[0]:
                continue
            if match.start() > line_end:
                add(at, line_end + 1)
                at = text.rfind("\n", 0, match.start()) + 1
            add(at, match.start())
            add(match.start(), match.end(), new)
            at = match.end()
            if at > line_end:
                line_end = text.find("\n", at)
                line_end = len(text) if line_end < 0 else line_end
        if not at and not pieces:
            return None
        add(at, line_end + 1)
        view.text = "".join(pieces)
        return view


# Colours, also as text of an escape and as packets show them, and characters that draw nothing.
UNSEEN = re.compile(
    r"(?:\x1b|\\x1b|\\u001[bB]|\\033|\\e|#033|\^\[|<U\+001B>)"
    r"(?:\[[0-9;?]{0,20}[A-Za-z]|\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\))"
    r"|[\x00-\x08\x0b-\x1f\x7f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
    r"|<U\+(?:00AD|200[B-F]|202[A-E]|206[0-4]|FEFF)>|\[\d{1,3}(?:;\d{1,3}){0,4}m"
)
ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))|&(?:quot|amp|lt|gt|apos|#\d{2,4}|#[xX][0-9a-fA-F]{2,4});"
)
NAMED = {"n": "\n", "r": "\n", "t": "\t", "b": "", "f": ""}
PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
# `"a" + "b"`, `'a' . 'b'`, strings continued on the next line, and a list of arguments as one line; what
# follows a member of an object is the next one's name.
JOINT = re.compile(
    r"""["'`][ \t]{0,9}(?:(?:\+|\.\.?|<>|\|\||&)\s{0,60}"""
    r"""|\\?\n[ \t]{0,60}(?:(?:\+|\.\.?|<>|\|\||&)\s{0,9})?)["'`]"""
    r"""|["'],[ \t]?["'](?![^"'\n]{1,60}["']\s{0,3}(?::|=>))|\\\n[ \t]{0,60}"""
)


def _character(match: re.Match[str]) -> str | None:
    number = match[1] or match[2]
    if number:
        return chr(int(number, 16))
    if match[3] is None:
        return unescape(match[0])
    return NAMED.get(match[3], match[3] if not match[3].isalnum() else None)


def _decoded(match: re.Match[str]) -> str | None:
    text = unquote(match[0])
    return None if "\ufffd" in text else text


def views(text: str) -> Iterator[TextView]:
    """Yield the text, and then each view of it that differs."""
    first = TextView(text)
    yield first
    seen = first.derive(UNSEEN, lambda _: "", whole=True) or first
    if seen is not first:
        yield seen
    last: list[TextView] = [seen]
    level: TextView | None = seen
    for _ in range(3):  # JSON in JSON in JSON
        level = level.derive(ESCAPE, _character) if level else None
        if level:
            last.append(level)
            yield level
    for view in (seen, last[-1]) if len(last) > 1 else (seen,):
        decoded: TextView | None = view
        for _ in range(2):
            decoded = decoded.derive(PERCENT, _decoded) if decoded else None
            if decoded:
                last.append(decoded)
                yield decoded
    for view in last:
        if joined := view.derive(JOINT, lambda match: " " if "," in match[0] else ""):
            yield joined


BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
HEX = re.compile(r"(?:[2-7][0-9a-f]|0[9ad]){16,}")


# A user and a password, as SASL has them in `PLAIN`.
PLAIN_LOGIN = re.compile(r"[^\0]{0,100}\0[^\0]{1,100}\0[^\0]{3,200}")


def decode(encoded: str) -> str | None:
    """Return the text behind base64 or pairs of hexadecimal digits; None where there is no text."""
    try:
        if HEX.fullmatch(encoded):
            return bytes.fromhex(encoded).decode("ascii")
        standard = encoded.rstrip("=").replace("-", "+").replace("_", "/")
        if len(standard) % 4 == 1:
            standard = standard[:-1]
        text = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    printable = sum(map(str.isprintable, text)) + text.count("\n") >= len(text) * 0.98
    return text if printable or PLAIN_LOGIN.fullmatch(text) else None
