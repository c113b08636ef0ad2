"""How grave a line is by its own words: Railway marks all of stderr `error`, and a crash may be `info`."""

import re
from enum import IntEnum


class LogLevel(IntEnum):
    """Ranks of a log event, from ordinary to the end of the process."""

    ORDINARY = 0
    NOTICE = 1
    WARNING = 2
    ERROR = 3
    FATAL = 4


# A level that the program itself put at the head of its line. Only the head: further on the same words are
# prose. Shapes of logging (Python, Java, Go, Ruby, .NET), logfmt, klog, nginx, PostgreSQL, npm, Monolog.
LEVEL = re.compile(
    r"""(?x)
    (?:^|[\s\[|(,.:=\"'<])
    (?:level(?:name)?["']?\s?[=:]\s?["']?)?
    (?P<word>(?:TRACE|DEBUG|VERBOSE|INFO|NOTICE|LOG|WARN|WARNING|ERROR|ERR|SEVERE|CRITICAL|CRIT|FATAL|PANIC
      |ALERT|EMERG(?:ENCY)?|FINE|CONFIG|HINT|STATEMENT|DETAIL)
     |(?<=[\[=:"'<])(?:trace|debug|verbose|info|notice|warn|warning|error|err|critical|crit|fatal|panic|alert
      |emerg)
     |(?:dbug|info|warn|fail|crit)(?=:\s[A-Z]\w+(?:\.\w+)*\[\d)
     |[IWEF](?=\d{4}\s\d\d:\d\d:\d\d))
    (?![A-Za-z0-9_=(-])
    """
)
HEAD = 140
# An access line tells its request within so many characters.
MAX_ACCESS = 1000
RANKS = {
    **dict.fromkeys(("TRACE", "DEBUG", "DBUG", "VERBOSE", "INFO", "LOG", "FINE", "CONFIG", "I"), 0),
    **dict.fromkeys(("NOTICE", "HINT", "STATEMENT", "DETAIL"), 1),
    **dict.fromkeys(("WARN", "WARNING", "W"), 2),
    **dict.fromkeys(("ERROR", "ERR", "SEVERE", "FAIL", "E"), 3),
    **dict.fromkeys(("CRITICAL", "CRIT", "FATAL", "PANIC", "ALERT", "EMERG", "EMERGENCY", "F"), 4),
}
FATAL = re.compile(
    r"(?i)\bpanic(?:ked)?\b|\bfatal\b|out of memory|\boom[- _]?kill|outofmemory|heap limit"
    r"|cannot allocate memory"
    r"|segmentation fault|\bsegfault|\bSIG(?:SEGV|KILL|ABRT|BUS|ILL)\b|core dumped|stack overflow"
    r"|\buncaught\b|\bunhandled\b|exited with code [1-9]"
    r"|exit(?:ed)?(?: with)?(?: status| code)?:? [1-9]\d{0,2}\b"
    r"|crash(?:ed|ing|loop)|terminated unexpectedly|killed\b|address already in use|EADDRINUSE"
    r"|failed to (?:build|compile|solve|start)|build failed|compilation failed|did not complete successfully"
    r"|out of disk|no space left|ENOSPC|deadlock"
)
ERROR = re.compile(
    r"\b[A-Za-z_$.]{0,80}(?:Error|Exception)\b|(?i:\berrors?\b|\berr!|\bfail(?:s|ed|ure|ures|ing)?\b"
    r"|\brefused\b|\bdenied\b|\bunable to\b|\bcannot\b|\bcan't\b|could not|couldn't|\binvalid\b|\bundefined\b"
    r"|\bunreachable\b|\bnot found\b|no such\b|\bmissing\b|\bunauthorized\b|\bforbidden\b|\brejected\b"
    r"|\babort(?:ed|ing)?\b|connection (?:reset|lost|closed)|broken pipe|\btimed?[- ]?out\b|timeout"
    r"|\bexceeded\b|\bunavailable\b|\bconflict\b|\bcorrupt(?:ed|ion)?\b|\bexpired\b|no instances"
    r"|\bsaturated\b|\bexhausted\b|\bunresolved\b|\bunexpected\b|too many\b|does not exist|nil pointer"
    r"|\bviolat|\bmismatch|\bdisconnected\b|\bunhealthy\b|\blost\b"
    r"|is not\b.{0,40}\b(?:defined|assignable)|leak)"
)
# The word stands there because all is well.
HARMLESS = re.compile(
    r"(?i)\b(?:0|no|without|zero) "
    r"(?:errors?|failures?|failed|warnings?|vulnerabilities|timeouts?|conflicts?)\b"
    r"|\b(?:errors?|failed|failures|err)[\"']?[=:] ?(?:0|null|nil|none|false|\"\")(?![\w.])"
    r"|error[_-]?(?:page|handler|log)\b"
)
WARNING = re.compile(
    r"(?i)\bwarn(?:ing)?\b|\bretry|\bretrie|\bslow\b|deprecat|\bdegraded\b|\bbackoff\b|\breconnect|\bfallback\b"
    r"|falling back|\bdropped\b|\bthrottl|rate limit|\bskipp(?:ed|ing)\b|\bstale\b|\bexhaust"
    r"|high (?:memory|cpu|load)"
)
# A line without any of these has no word of the three above; asking for them is ten times as quick.
STEMS = (
    *(
        "err",
        "fail",
        "exce",
        "fatal",
        "panic",
        "oom",
        "memory",
        "segf",
        "sig",
        "core",
        "overflow",
        "uncaught",
    ),
    *(
        "unhandled",
        "exit",
        "crash",
        "terminat",
        "kill",
        "address",
        "addrinuse",
        "successfully",
        "space",
        "enospc",
    ),
    *("deadlock", "refus", "denied", "unable", "cannot", "can't", "could", "invalid", "undefined", "unreach"),
    *(
        "not",
        "no ",
        "missing",
        "unauth",
        "forbid",
        "reject",
        "abort",
        "connection",
        "pipe",
        "time",
        "unavail",
    ),
    *("conflict", "corrupt", "expired", "satur", "exhaust", "unresolved", "unexpected", "too many", "nil"),
    *("violat", "mismatch", "disconn", "unhealthy", "lost", "leak", "warn", "retr", "slow", "deprec", "degr"),
    *(
        "backoff",
        "fall",
        "drop",
        "throttl",
        "rate limit",
        "skipp",
        "stale",
        "high ",
        "heap",
        "disk",
        "reconn",
    ),
)
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
    """Method, path and status of a line that tells of one request; groups by these names."""
    head = text[:MAX_ACCESS]
    return ACCESS.search(head) or STATUS_FIRST.search(head)


def level(text: str) -> int | None:
    """The gravity that the line's own level says, or None where it names none."""
    match = LEVEL.search(text[:HEAD])
    return None if match is None else RANKS[match["word"].upper()]


def gravity(text: str) -> LogLevel:
    """By the line's own level and words; never by the stream it was written to."""
    said = level(text)
    words = _words(text)
    if said is None:
        return words
    if said <= LogLevel.NOTICE:
        # A program that calls it ordinary is believed, save where it speaks of its own end.
        return LogLevel.NOTICE if words >= LogLevel.ERROR else LogLevel(min(said, words))
    return LogLevel(said + 1 if words is LogLevel.FATAL and said < LogLevel.FATAL else said)


def _words(text: str) -> LogLevel:
    low = text.lower()
    if not any(stem in low for stem in STEMS):
        return LogLevel.ORDINARY
    clean = HARMLESS.sub("", text)
    if FATAL.search(clean):
        return LogLevel.FATAL
    if ERROR.search(clean):
        return LogLevel.ERROR
    return LogLevel.WARNING if WARNING.search(clean) else LogLevel.ORDINARY


def by_status(status: int) -> LogLevel:
    """Of an HTTP status that the service answered with."""
    if status >= 500:
        return LogLevel.ERROR
    return LogLevel.NOTICE if status >= 400 else LogLevel.ORDINARY
