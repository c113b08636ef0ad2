"""The level of a log line by its words: Railway marks all of stderr `error`, and a crash may be `info`."""

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

from railmend.evidence.words import table


class LogLevel(IntEnum):
    """The level of a log line or event, from ordinary to the end of the process."""

    ORDINARY = 0
    NOTICE = 1
    WARNING = 2
    ERROR = 3
    FATAL = 4


LEVELS_BY_NAME = {word: level for level in LogLevel for word in table(f"levels.{level.name.lower()}")}
# Of these `FAIL` and `DBUG` state one in small letters alone, single letters before a time.
WORDS = "|".join(sorted(word for word in LEVELS_BY_NAME if len(word) > 1 and word not in ("FAIL", "DBUG")))
FIRST_LETTERS = "".join(sorted({word[0] for word in WORDS.split("|")}))
# A level that the program itself put at the beginning of its line; further on, the same words are prose.
# Formats of logging (Python, Java, Go, Ruby, .NET), logfmt, klog, nginx, PostgreSQL, npm, Monolog.
# This and the patterns below begin with what stands before a word, which makes the search fast: a blank has
# to be put before the text.
LEVEL = re.compile(
    rf"""(?x)
    [\s\[|(,.:=\"'<]
    (?:level(?:name)?["']?\s?[=:]\s?["']?)?
    (?P<word>(?=[{FIRST_LETTERS}])(?:{WORDS})(?!\w)
     |(?<=[\[=:"'<])(?:trace|debug|verbose|info|notice|warn|warning|error|err|critical|crit|fatal|panic|alert
      |emerg)
     |(?:dbug|info|warn|fail|crit)(?=:\s[A-Z]\w+(?:\.\w+)*\[\d)
     |[IWEF](?=\d{{4}}\s\d\d:\d\d:\d\d))
    (?![A-Za-z0-9_=(-])
    """
)
LEVEL_WITHIN = 140  # characters
# Of the last lines the level is kept: joining and grouping ask for it several times.
KEPT_LINES = 256
# An access line names its request within so many characters.
MAX_ACCESS = 1000
# Here the word means that all is well.
HARMLESS = re.compile(
    r"\W(?:(?:0|no|without|zero) "
    r"(?:errors?|failures?|failed|warnings?|vulnerabilities|timeouts?|conflicts?)\b"
    r"|(?:errors?|failed|failures|err)[\"']?[=:] ?(?:0|null|nil|none|false|\"\")(?![\w.])"
    r"|error-(?:page|handler|log)\b)"
)
# The name of an error's class, in whose middle no word begins.
CLASS = re.compile(r"Error(?<=[A-Za-z_$.]Error)\b|Exception\b")


def _signs() -> tuple[re.Pattern[str], tuple[LogLevel, ...], Sequence[tuple[str, LogLevel]]]:
    """Return one pattern of the signs that begin a word with the levels of its groups, and the other signs.

    Signs are put together by their first letters, the highest level first: that makes the search fast.
    """
    by_letter: dict[str, dict[LogLevel, list[str]]] = {}
    parts: list[tuple[str, LogLevel]] = []
    for level in (LogLevel.FATAL, LogLevel.ERROR, LogLevel.WARNING):
        for sign in table(f"signs.{level.name.lower()}"):
            if sign.startswith("\\b"):
                by_letter.setdefault(sign[2], {}).setdefault(level, []).append(sign[3:])
            else:
                parts.append((sign, level))
    letters = []
    for first, by_level in by_letter.items():
        groups = (f"({'|'.join(rests)})" for rests in by_level.values())
        letters.append(f"{first}(?:{'|'.join(groups)})")
    levels = tuple(level for each in by_letter.values() for level in each)
    return re.compile(rf"\W(?:{'|'.join(letters)})"), levels, parts


SIGN, SIGN_LEVELS, PARTS = _signs()
ASCII_PARTS = tuple(part for part in PARTS if part[0].isascii())
# An access line that ends in a status: method, path, then the code.
ACCESS = re.compile(
    r"\b(?P<method>GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\b[\"']?[\s:=\"']{1,3}(?:path=|url=|uri=)?[\"']?"
    r"(?P<path>(?:https?://[^\s/\"']{1,100})?/[^\s\"']{0,500})(?P<rest>.{0,160}?)"
    r"(?<![\w.:/-])(?:status[=: ]{1,2})?(?P<status>[1-5]\d\d)\b(?! ?(?:ms|bytes|s\b)|[.:/]\d)"
)


# The status first, then method and path: gin, some JSON and logfmt loggers.
STATUS_FIRST = re.compile(
    r"(?:\| {1,2}|status(?:_code)?[\"']?[=:] ?)(?P<status>[1-5]\d\d)\b(?P<rest>.{0,120}?)"
    r"\b(?P<method>GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\b.{0,20}?(?P<path>/[^\s\"']{0,500})"
)


def access_line(text: str) -> re.Match[str] | None:
    """Return a match with groups `method`, `path` and `status` for a line about one request, else None."""
    beginning = text[:MAX_ACCESS]
    return ACCESS.search(beginning) or STATUS_FIRST.search(beginning)


@lru_cache(KEPT_LINES)
def stated_level(text: str) -> LogLevel | None:
    """Return the level that the line states itself; None where it states none."""
    match = LEVEL.search(f" {text[:LEVEL_WITHIN]}")
    return None if match is None else LEVELS_BY_NAME[match["word"].upper()]


@lru_cache(KEPT_LINES)
def level_of_line(text: str) -> LogLevel:
    """Return the level by what the line states and by its words; never by the stream it was written to."""
    stated = stated_level(text)
    by_words = _level_by_words(text)
    if stated is None:
        return by_words
    if stated <= LogLevel.NOTICE:
        # A program that calls a line ordinary is believed, except that words of an error make it a notice.
        return LogLevel.NOTICE if by_words >= LogLevel.ERROR else min(stated, by_words)
    return LogLevel(stated + 1 if by_words is LogLevel.FATAL and stated < LogLevel.FATAL else stated)


def _level_by_words(text: str) -> LogLevel:
    lowered = f" {text.lower()}"
    level = LogLevel.ERROR if CLASS.search(text) else LogLevel.ORDINARY
    signs = _level_by_signs(lowered)
    if signs and HARMLESS.search(lowered):
        signs = _level_by_signs(HARMLESS.sub("", lowered))
    return max(level, signs)


def _level_by_signs(lowered: str) -> LogLevel:
    highest = LogLevel.ORDINARY
    for match in SIGN.finditer(lowered):
        highest = max(highest, SIGN_LEVELS[(match.lastindex or 1) - 1])
    for part, level in ASCII_PARTS if lowered.isascii() else PARTS:
        if level > highest and part in lowered:
            highest = level
    return highest


def level_of_status(status: int) -> LogLevel:
    """Return the level of an HTTP status that the service answered with."""
    if status >= 500:
        return LogLevel.ERROR
    return LogLevel.NOTICE if status >= 400 else LogLevel.ORDINARY
