"""Text for one target: a title or commit, Markdown, a prompt. Whatever is put into it is escaped for it.

A `SafeText` is made of a literal template and values. A value of the same type goes in as it is, anything
else is escaped. An f-string or a plain join makes a `str`, which nothing that publishes accepts. So no
function can forget to escape; `tests/unit/test_safe_text.py` holds them to literal templates.
"""

import re
from collections.abc import Iterable
from string import Formatter
from typing import Any, Self

from markupsafe import Markup

from railmend.evidence.escaping import fenced, visible

# What a forge, a bot or a CI service acts on wherever it stands, a squashed commit's message above all. Each
# match is broken at its end.
LIVE = tuple(
    re.compile(pattern, re.I | re.M)
    for pattern in (
        r"(?<![a-z0-9])@(?=\w)",  # mentions of people, teams and bots
        r"#(?=\d)",  # references, and what closes them
        r"\bGH-(?=\d)",
        r"/(?:issues|pull|pulls|discussions)/(?=\d)",
        r"\[(?=[^\]\n]{0,60}(?:skip|no[ _-]?ci))",  # [skip ci], [ci skip], [no ci], [skip netlify]
        r"\*{3}(?=NO_CI)",
        r"skip-checks(?=\s*:)",
        r"^[ \t]*(?:[\w-]+-by|change-id|breaking[ -]change|release-as)(?=[ \t]*:)",  # trailers
        r"^[ \t]*/(?=[a-z][a-z-]*(?:\s|$))",  # commands of bots, such as /approve
        r"<(?=!--)",
    )
)
# Beyond that, what text outside of code makes live: addresses, which are linked and fetched, and tags.
LINKS = tuple(re.compile(pattern, re.I) for pattern in (r":(?=//)", r"\bwww(?=\.|\Z)"))
TAGS = re.compile(r"<(?=[!/?A-Za-z])(?!U\+[0-9A-F])")
# In Markdown: emphasis, and an emoji such as :white_check_mark:.
UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
EMOJI = re.compile(r":(?=[a-z+-][\w+-]*:)", re.I)
NUMBERED = re.compile(r"(\d{1,9})([.)])(?=\s|$)")
PLAIN_CODE = re.compile(r"[A-Za-z0-9_./:+ -]+")
MARKDOWN = str.maketrans({character: f"&#{ord(character)};" for character in "[]`*|\\~$"}) | str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
# What a cut leaves of an entity: `&#4` would be a reference.
HALF_ENTITY = re.compile(r"&[#\w]*\Z")
# Stands for the break while other characters are replaced; `visible` leaves none in a text.
BREAK = "\0"
# Invisible, as others' bots do it: what it breaks is shown as it was.
MARKDOWN_BREAK = "&#8203;"
MAX_CODE = 12_000
# Marks by which a model's template tells who speaks, or that a tool is called.
SPEAKERS = r"system|user|assistant|human|developer|tool|ipython|model"
ROLES = r"Human|Assistant|System|User|Instruction|Response"
TEMPLATE_MARKS = tuple(
    re.compile(pattern, re.I | re.M)
    for pattern in (
        r"<(?=[|\uff5c])",
        r"\[(?=/?(?:INST|SYS|SYSTEM_PROMPT|gMASK|(?:AVAILABLE_|END)?TOOL[A-Z_]*|IMG[A-Z_]*)\])",
        r"<(?=<\s*/?\s*SYS)",
        rf"</?(?=(?:antml:)?(?:{SPEAKERS}|function\w*|invoke|parameter|tool_\w+|system[-_]\w+|thinking|think"
        r"|start_of_\w+|end_of_\w+|im_\w+|bos|eos|s|unk|pad|mask|sop|eop)\b)",
        rf"^[ \t#*>-]*(?-i:{ROLES})(?=[ \t*]*:)",
    )
)

# At the beginning of a line: an item of the packet.
ITEM = re.compile(r"^\[(?=E\d+\])")


def _broken(text: str, patterns: Iterable[re.Pattern[str]], mark: str) -> str:
    for pattern in patterns:
        text = pattern.sub(lambda match: match[0] + mark, text)
    return text


def _one_line(text: str) -> str:
    return " ".join(visible(text).split())


class SafeText(str):
    """Text for one target, made by `of`, `joined`, or of one value by the class itself."""

    __slots__ = ()

    def __new__(cls, text: object = "") -> Self:
        """Return `text`, escaped unless it is of this type."""
        return cls._made(text if isinstance(text, cls) else cls.escape(str(text)))

    @classmethod
    def _made(cls, text: str) -> Self:
        return str.__new__(cls, text)

    @classmethod
    def escape(cls, text: str) -> str:
        raise NotImplementedError

    @classmethod
    def of(cls, template: str, /, *values: object, **named: object) -> Self:
        """Fill a literal template, in the notation of `str.format`."""
        return cls._made(_EscapingFormatter(cls).format(template, *values, **named))

    @classmethod
    def joined(cls, parts: Iterable[str], between: str = "\n\n") -> Self:
        """Join what is not empty. `between`: literal."""
        return cls._made(between.join(cls(part) for part in parts if part))

    def __add__(self, other: str) -> Self:
        return self._made(str.__add__(self, type(self)(other)))

    def __radd__(self, other: str) -> Self:
        return self._made(str.__add__(type(self)(other), self))

    def cut(self, length: int) -> Self:
        """Return at most so many characters. For text of one line: what is cut off opens nothing."""
        if len(self) <= length:
            return self
        return self._made(HALF_ENTITY.sub("", self[: length - 1]).rstrip() + "…")


class _EscapingFormatter(Formatter):
    def __init__(self, target: type[SafeText]) -> None:
        self._target = target

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, self._target) and not format_spec:
            return str.__str__(value)
        return self._target.escape(format(value, format_spec))


class PlainText(SafeText):
    """Titles, subjects and bodies of commits. A value is one line; a backslash breaks what is live in it."""

    __slots__ = ()

    @classmethod
    def escape(cls, text: str) -> str:
        line = _broken(_one_line(text), (*LIVE, *LINKS, TAGS), "\\")
        return line.replace("[", "(").replace("]", ")").replace("***", "*")

    @classmethod
    def link(cls, url: str) -> Self:
        """Return an address unbroken, where it is one that Railmend or its forge makes."""
        return cls._made(url) if ADDRESS.fullmatch(url) else cls(url)


class MarkdownText(SafeText):
    """GitHub's Markdown, and that of Temporal's Web UI. A value is one line of text without any markup."""

    __slots__ = ()

    @classmethod
    def escape(cls, text: str) -> str:
        line = _broken(_one_line(text), (*LIVE, *LINKS, EMOJI), BREAK)
        line = UNDERSCORE.sub("\1", line.replace("@", f"@{BREAK}").replace(BREAK * 2, BREAK))
        line = line.translate(MARKDOWN).replace("\1", "&#95;")
        if line[:1] in tuple("#-+=/:"):
            line = f"&#{ord(line[0])};{line[1:]}"
        return NUMBERED.sub(_numbered, line, count=1).replace(BREAK, MARKDOWN_BREAK)

    @classmethod
    def of_markup(cls, text: Markup) -> Self:
        """Return what a template of `railmend/publishing/markdown.py` made, whose values are escaped."""
        return cls._made(str(text))

    @classmethod
    def code(cls, text: str) -> Self:
        """Return a code span."""
        if PLAIN_CODE.fullmatch(text) and text == text.strip() == _broken(text, (*LIVE, *LINKS), BREAK):
            return cls._made(f"`{text}`")
        return cls._made(f"<code>{cls.escape(text)}</code>")

    @classmethod
    def block(cls, text: str, language: str = "") -> Self:
        """Return a fenced block of bounded length. `language`: literal."""
        shown = _broken(visible(text), LIVE, "\\")
        if len(shown) > MAX_CODE:
            shown = f"{shown[:MAX_CODE]}\n({len(shown) - MAX_CODE} characters cut)"
        return cls._made(fenced(shown).replace("\n", f"{language}\n", 1))

    @classmethod
    def link(cls, url: str, text: str = "") -> Self:
        """Return a link, or the text where the address is not one that Railmend or its forge makes."""
        if not ADDRESS.fullmatch(url):
            return cls(f"{text}: {url}" if text else url)
        return cls._made(f"[{cls(text)}]({url})" if text else url)

    @classmethod
    def comment(cls, name: str, content: str = "") -> Self:
        """Return a hidden marker: `name` and JSON, which cannot end it."""
        hidden = _one_line(f"{name} {content}").replace("<", "\\u003c").replace(">", "\\u003e")
        return cls._made(f"<!-- {hidden} -->")

    @classmethod
    def bounded(cls, parts: Iterable["MarkdownText"], length: int, between: str = "\n\n") -> Self:
        """Join the parts that fit, whole, so that nothing is left open; say how many did not."""
        kept: list[MarkdownText] = []
        left_out, room = 0, length - 100
        for part in parts:
            if part and len(part) + 2 <= room:
                kept.append(part)
                room -= len(part) + 2
            elif part:
                left_out += 1
        if left_out:
            kept.append(cls.of("({} parts are left out: too long for one text.)", left_out))
        return cls.joined(kept, between)


# What this program and a forge make addresses of; no character of it means anything to Markdown or mrkdwn.
ADDRESS = re.compile(r"https?://[A-Za-z0-9.:-]+(?:/[A-Za-z0-9._~%/#-]*)?")


def _numbered(match: re.Match[str]) -> str:
    return f"{match[1]}&#{ord(match[2])};" if match.start() == 0 else match[0]


class PromptText(SafeText):
    """What a model reads. A value is one line; a backslash breaks what its template may take for its own."""

    __slots__ = ()

    @classmethod
    def escape(cls, text: str) -> str:
        line = _broken(_one_line(text), (*TEMPLATE_MARKS, ITEM), "\\")
        return f"\\{line}" if line.startswith("#") else line

    @classmethod
    def block(cls, text: str) -> Self:
        """Return the text as data, in a fence that no line of it closes."""
        return cls._made(fenced(_broken(visible(text), TEMPLATE_MARKS, "\\")))

    @classmethod
    def quote(cls, text: str) -> Self:
        """Return a model's own words, line breaks included, as its turn of a conversation."""
        return cls._made(_broken(visible(text), TEMPLATE_MARKS, "\\"))
