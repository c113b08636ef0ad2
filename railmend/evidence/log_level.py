"""The level of a log line by its words: Railway marks all of stderr `error`, and a crash may be `info`."""

import re
from enum import IntEnum
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

from railmend.evidence.words import table


class LogLevel(IntEnum):
    """The level of a log line or event, from ordinary to the end of the process."""

    ORDINARY = 0
    NOTICE = 1
    WARNING = 2
    ERROR = 3
    FATAL = 4


# A level that the program itself put at the beginning of its line; further on, the same words are prose.
# Formats of logging (Python, Java, Go, Ruby, .NET), logfmt, klog, nginx, PostgreSQL, npm, Monolog.
LEVEL = re.compile(
    r"""(?x)
    (?:^|[\s\[|(,.:=\"'<])
    (?:level(?:name)?["']?\s?[=:]\s?["']?)?
    (?P<word>(?:TRACE|DEBUG|VERBOSE|INFO|NOTICE|LOG|WARN|WARNING|ERROR|ERR|SEVERE|CRITICAL|CRIT|FATAL|PANIC
      |ALERT|EMERG(?:ENCY)?|FINE|CONFIG|HINT|STATEMENT|DETAIL
      |FEHLER|WARNUNG|ERREUR|AVERTISSEMENT|ERRO|AVISO|FALHA|ADVERTENCIA|ERRORE|AVVISO|FOUT|FEL|FEJL|CHYBA|HATA
      |BŁĄD|ОШИБКА|ПРЕДУПРЕЖДЕНИЕ|КРИТИЧНО|错误|严重|致命|警告|紧急|エラー|警告|致命的|重大|오류|에러|경고)(?!\w)
     |(?<=[\[=:"'<])(?:trace|debug|verbose|info|notice|warn|warning|error|err|critical|crit|fatal|panic|alert
      |emerg)
     |(?:dbug|info|warn|fail|crit)(?=:\s[A-Z]\w+(?:\.\w+)*\[\d)
     |[IWEF](?=\d{4}\s\d\d:\d\d:\d\d))
    (?![A-Za-z0-9_=(-])
    """
)
LEVEL_WITHIN = 140  # characters
# An access line names its request within so many characters.
MAX_ACCESS = 1000
LEVELS_BY_NAME = {word: level for level in LogLevel for word in table(f"levels.{level.name.lower()}")}
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
    r"|is not\b.{0,40}\b(?:defined|assignable)|leak"
    r"|\bfehlgeschlagen|\bfehler|\berreur|\béchec|\béchoué|\bfalló|\bfallo\b|\bfalha|\bfallito|\bbłąd|ошибка"
    r"|не удалось|错误|失败|异常|エラー|失敗|例外|오류|실패)"
)
# Here the word means that all is well.
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
# A line without any of these has no word of the three patterns above; this test is ten times as fast.
STEMS_BY_COMMA = (
    "err,fail,exce,fatal,panic,oom,memory,segf,sig,core,overflow,uncaught,unhandled,"
    "exit,crash,terminat,kill,address,addrinuse,successfully,space,enospc,deadlock,refus,"
    "denied,unable,cannot,can't,could,invalid,undefined,unreach,not,no ,missing,unauth,"
    "forbid,reject,abort,connection,pipe,time,unavail,conflict,corrupt,expired,satur,"
    "exhaust,unresolved,unexpected,too many,nil,violat,mismatch,disconn,unhealthy,lost,"
    "leak,warn,retr,slow,deprec,degr,backoff,fall,drop,throttl,rate limit,skipp,stale,"
    "high ,heap,disk,reconn,fehl,éch,falló,falha,błąd,ошибка,удалось,错误,失败,异常,エラー,失敗,"
    "例外,오류,실패"
)
STEM = re.compile(
    "|".join(
        f"{first}(?:{'|'.join(stem[1:] for stem in stems)})"
        for first, stems in groupby(sorted(STEMS_BY_COMMA.split(",")), key=itemgetter(0))
    )
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
    """Return a match with groups `method`, `path` and `status` for a line about one request, else None."""
    beginning = text[:MAX_ACCESS]
    return ACCESS.search(beginning) or STATUS_FIRST.search(beginning)


@lru_cache(256)
def stated_level(text: str) -> LogLevel | None:
    """Return the level that the line states itself; None where it states none."""
    match = LEVEL.search(text[:LEVEL_WITHIN])
    return None if match is None else LEVELS_BY_NAME[match["word"].upper()]


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
    if not STEM.search(text.lower()):
        return LogLevel.ORDINARY
    clean = HARMLESS.sub("", text)
    if FATAL.search(clean):
        return LogLevel.FATAL
    if ERROR.search(clean):
        return LogLevel.ERROR
    return LogLevel.WARNING if WARNING.search(clean) else LogLevel.ORDINARY


def level_of_status(status: int) -> LogLevel:
    """Return the level of an HTTP status that the service answered with."""
    if status >= 500:
        return LogLevel.ERROR
    return LogLevel.NOTICE if status >= 400 else LogLevel.ORDINARY
