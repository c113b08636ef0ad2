"""Tests that a change makes poorer: deleted, skipped, left early, or with fewer or weaker assertions."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from railmend.coding.git.diff import ChangedFile
from railmend.coding.guard.file_kinds import is_test
from railmend.coding.guard.tables import pattern
from railmend.source.code_reader import SourceCode
from railmend.source.files import language_of, without_comments
from railmend.source.reading_process import CodeReaderProcess

CASE_TEXT, ASSERTION_TEXT, TRIVIAL, SKIP, FOCUS = map(
    pattern, ("case", "assertion", "trivial", "skip", "focus")
)
NEGATION = re.compile(
    r"!=|!(?=[\w(])|\bnot\b|\.not\b|(?<=assert)_?[Nn]ot|(?<=assert)False|\brefute|\bto_not\b|\bis_none\b"
)
# What remains of an assertion without its polarity and its numbers.
POLARITY = re.compile(NEGATION.pattern + r"|==+|(?<=assert)True|(?<=\.)to\b")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")
TOLERANCE = re.compile(rf"\b(?:abs|rel|\w*tol|delta|epsilon|within)\b\W{{1,3}}({NUMBER.pattern})")
PRECISION = re.compile(r"(?:\bplaces\W{1,3}|toBeCloseTo\([^,]{1,100},\s?)(\d+)")
# Where tests begin in a file of Rust.
INLINE = re.compile(r"#\[(?:cfg\(test\)|(?:\w+::)?test\b)")
BARE_EXIT = re.compile(r"^(\s*)(?:return|return;|raise SystemExit.*|break;?)$")
BLOCK_END = re.compile(r"\s*(?:[})\]]|end\b|else|elif|case\b|default\b)")
MAX_WIDTH = 500  # of a line that is looked at
MAX_ALIKE = 20


def test_refusals(files: Sequence[ChangedFile]) -> list[str]:
    """Return a sentence for each test that is poorer than before."""
    tests = [file for file in files if _has_tests(file)]
    with CodeReaderProcess() as reader:
        made = ((file, _poorer(file, tests, reader)) for file in tests)
        return [f"{file.path} {reason}." for file, reason in made if reason]


def _has_tests(file: ChangedFile) -> bool:
    return is_test(file.path) or (file.path.endswith(".rs") and INLINE.search(file.before or "") is not None)


def _poorer(file: ChangedFile, tests: Sequence[ChangedFile], reader: CodeReaderProcess) -> str | None:
    old, new = _Tests(file.path, file.before, reader), _Tests(file.path, file.after, reader)
    if file.status == "deleted":
        return "is a test and was deleted" if old.cases else None
    if _skips(file, new):
        return "skips tests"
    if new.exits > old.exits:
        return "leaves a test before its end"
    if old.cases > new.cases:
        return _fewer("test case", old.cases - new.cases)
    lost = old.assertions - new.assertions
    if lost > 0 and (lost := lost - _moved(file, tests)) > 0:
        return _fewer("assertion", lost)
    return "turns an assertion round, or widens its tolerance" if _is_weaker(file) else None


def _fewer(what: str, count: int) -> str:
    return f"has {count} {what}{'s' if count > 1 else ''} fewer than before"


def _moved(file: ChangedFile, tests: Sequence[ChangedFile]) -> int:
    """Return how many assertions that are gone from a file stand in others now, such as a shared helper."""
    others = (line for other in tests if other is not file for _, line in other.added)
    added = set(_assertions(others))
    return sum(line in added for line in _assertions(file.removed))


class _Tests:
    """The tests of one side of a change. `code`: None where no grammar reads the language."""

    def __init__(self, path: str, text: str | None, reader: CodeReaderProcess) -> None:
        plain = without_comments(text or "", language_of(path) or "config")
        if not is_test(path):  # then its tests are at its end
            inline = INLINE.search(plain)
            end = inline.start() if inline else len(plain)
            plain = "\n" * plain.count("\n", 0, end) + plain[end:]
        self.lines = plain.split("\n")
        self.code = reader.read(path, plain)
        spans = _spans(self.code) if self.code else dict.fromkeys(range(1, len(self.lines) + 1), "")
        texts = [(self.lines[line - 1], more) for line, more in spans.items()]
        self.cases = sum(CASE_TEXT.search(line[:MAX_WIDTH]) is not None for line, _ in texts)
        asserted = [line + more for line, more in texts if ASSERTION_TEXT.search(line[:MAX_WIDTH])]
        self.assertions = sum(not TRIVIAL.search(each[:MAX_WIDTH]) for each in asserted)
        self.exits = sum(_exits(self.lines))

    def new_case(self, line: int, before: str) -> bool:
        """Return whether a line belongs to a test case that was not there before."""
        around = self.code.function_at(line) if self.code else None
        if around is None:
            return False
        own = self.lines[around.start - 1 : around.line]
        name = around.name.partition(" ")[2] or around.last_name
        return name not in before and any(map(CASE_TEXT.search, own))


def _spans(code: SourceCode) -> dict[int, str]:
    """Return the lines in which calls begin, with what follows of each, and the heads of functions.

    So nothing counts that stands in a string.
    """
    spans: dict[int, str] = {}
    for call in code.calls:
        spans.setdefault(call.start, " ".join(code.text(call.start + 1, call.end).split()))
    for definition in code.definitions:
        spans |= {line: spans.get(line, "") for line in range(definition.start, definition.line + 1)}
    return spans


def _skips(file: ChangedFile, new: _Tests) -> bool:
    """Return whether a test that was there before is skipped now; a new one may be, under a condition."""
    gone, before = {text.strip() for text in file.removed}, file.before or ""
    added = [(number, new.lines[number - 1][:MAX_WIDTH]) for number, _ in file.added]
    skips = [(number, line) for number, line in added if SKIP.search(line) and line.strip() not in gone]
    return any(FOCUS.search(line) or not new.new_case(number, before) for number, line in skips)


def _exits(lines: Sequence[str]) -> Iterator[bool]:
    """Tell of each line whether it is a bare return with code behind it that never runs."""
    for line, following in pairwise(line for line in lines if line.strip()):
        match = BARE_EXIT.match(line)
        depth = len(following) - len(following.lstrip())
        yield match is not None and depth == len(match[1]) and not BLOCK_END.match(following)


def _is_weaker(file: ChangedFile) -> bool:
    """Return whether an assertion differs from one that is gone by its polarity or its tolerance alone."""
    gone: dict[str, list[str]] = {}
    for line in _assertions(file.removed):
        gone.setdefault(_skeleton(line), []).append(line)
    return any(
        _differ(old, line)
        for line in _assertions(text for _, text in file.added)
        for old in gone.get(_skeleton(line), ())[:MAX_ALIKE]
    )


def _assertions(lines: Iterable[str]) -> Iterator[str]:
    return (line.strip()[:MAX_WIDTH] for line in lines if ASSERTION_TEXT.search(line[:MAX_WIDTH]))


def _skeleton(line: str) -> str:
    return "".join(NUMBER.sub("0", POLARITY.sub("", line)).split())


def _differ(before: str, after: str) -> bool:
    was, now = len(NEGATION.findall(before)), len(NEGATION.findall(after))
    if now > was or (now < was and NUMBER.findall(before) == NUMBER.findall(after)):
        return True
    wider = zip(TOLERANCE.findall(before), TOLERANCE.findall(after), strict=False)
    coarser = zip(PRECISION.findall(after), PRECISION.findall(before), strict=False)
    return any(float(new) > float(old) for old, new in (*wider, *coarser))
