"""What a logger puts before every line of a trace that it writes line by line: time, level, thread, name."""

import re
from functools import lru_cache

from railmend.evidence.event_lines import EXCEPTION, RUBY_FRAME, STARTS, ZEROS

MAX_KNOWN = 32
TIME = r"(?:\d{4}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|\b[+-]\d\d:?\d\d)?"
TIMES = re.compile(TIME)
OPENING = rf"{EXCEPTION.pattern}|{STARTS.pattern}|{RUBY_FRAME.pattern}|Caused by: |#\d+ \S{{1,300}}\(\d+\): "
# A part of a head: what is prose is none.
PART = (
    rf"{TIME}|\[[^\[\]]{{0,80}}\]|\([^()]{{0,80}}\)|[\w.]{{1,20}}=[^\s\"]{{1,80}}|[|:-]+(?=\s)|[A-Z]{{3,9}}:?(?=\s)"
    rf"|[A-Z],|[\w.$/-]{{0,60}}\d(?=\s)|main\b|MainThread\b"
    rf"|(?!{OPENING})[^\s:|]{{1,80}}(?:\s{{0,40}}[:|]|\s{{1,4}}-|:\d+\])(?=\s)"
)
# Of what no other line has the form, any head is believed; an exception needs one with a time or a process.
BEFORE_FRAME = re.compile(
    r'[\w\[(<].{0,160}?(?=\s\s+File "[^"]{1,300}", line \d|\t/\S+\.go:\d+'
    r"|(?:\t|\s{4})\s*at (?:async |new )?[^\s(]{1,300} ?\(.{1,300}\))"
)
BEFORE_OPENING = re.compile(
    rf"(?=.{{0,80}}?(?:\d\d:\d\d:\d\d|\b[pt]id=|--- \[))(?:(?>{PART})\s{{0,40}})++(?={OPENING})"
)


@lru_cache(64)
def without_times(text: str) -> str:
    return TIMES.sub("", text)


class Heads:
    """The heads that stood before lines of traces, with their digits masked."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()

    def length(self, text: str) -> int:
        """Return the length of the head that stands before a line of a trace, or 0."""
        end = _before_trace(text)
        if end:
            masked = text[:end].translate(ZEROS)
            if masked not in self._known and len(self._known) < MAX_KNOWN:
                self._known = (*self._known, masked)
        elif self._known:
            masked = f"{text.translate(ZEROS)} "  # a blank line's head has lost its last one
            if masked.startswith(self._known):
                end = max(len(known) for known in self._known if masked.startswith(known))
        return end


def _before_trace(text: str) -> int:
    found = BEFORE_FRAME.match(text) if ", line " in text or "at " in text or ".go:" in text else None
    thrown = "Error" in text or "Exception" in text or "Traceback" in text or "Caused by" in text
    if found is None and (thrown or "panic: " in text or ".rb:" in text or "#" in text):
        found = BEFORE_OPENING.match(text)
    if found is None:
        return 0
    end = len(found[0].rstrip())
    return end + (text[end] == " ")
