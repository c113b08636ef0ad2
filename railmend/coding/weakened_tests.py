# ruff: noqa: E501 - one pattern a line, to be read as a table
"""Tests that a change makes poorer: deleted, skipped, left early, or with fewer or weaker assertions."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import NamedTuple

from railmend.coding.diff import ChangedFile
from railmend.coding.file_kinds import is_test
from railmend.source.files import language_of, without_comments
from railmend.source.reading_process import CodeReaderProcess

SKIP = re.compile(
    r"@?(?:pytest\.mark\.|unittest\.)(?:skip|skipif|xfail|expectedFailure|skipIf|skipUnless)\b|pytest\.(?:skip|xfail|importorskip)\("
    r"|\bself\.skipTest\(|\b(?:it|test|describe|context|suite|specify)\.(?:skip|todo|failing|only|fixme)\b"
    r"|\b[xf](?:it|test|describe|context|specify)\b\s*(?:\(|[\"'])|\bt\.Skip(?:f|Now)?\(|#\[ignore|@(?:Ignore|Disabled)\b"
    r"|\[(?:Fact|Theory|Test)\(Skip|\[Ignore|\bmarkTest(?:Skipped|Incomplete)\(|@tag\s+:?skip|@moduletag\s+:?skip"
    r"|\bcollect_ignore\b|__test__\s*=\s*False|\bitems\.clear\(|items\[:\]\s*=|\bdef pytest_(?:collection|runtest|ignore|deselect)"
    r"|^\s*(?:skip|pending)\b(?:[\s(]+[\"']|\s*$)|\b(?:os\._exit|sys\.exit|process\.exit|exit)\s*[( ]\s*0\b"
)  # fmt: skip
CASE_NAME = re.compile(r"^(?:.*\.)?(?:test|Test|it\b|specify\b|should_)")
ASSERTION_NAME = re.compile(
    r"^(?:assert\w*|expect\w*|should\w*|refute\w*|must_\w+|(?:t|b)\.(?:Error|Fatal)f?|(?:\w+\.)*(?:assert|require|should|expect|is|t)\.\w+"
    r"|\w+\.(?:assert|refute|fail)\w*|pytest\.(?:raises|warns|approx|fail)|assert_?\w*!?)$"
)
CASE_TEXT = re.compile(
    r"^[ \t]*(?:async\s+)?def\s+test\w*|^[ \t]*(?:it|test|specify|scenario)(?:\.each\([^)]{0,200}\))?\s*[( ]\s*[\"'`]|^func\s+Test\w+\s*\("
    r"|#\[(?:\w+::)?test\b|^[ \t]*@(?:Test|ParameterizedTest)\b|^[ \t]*\[(?:Fact|Theory|Test|TestMethod)\b|function\s+test\w+|#\[Test\]",
    re.M,
)  # fmt: skip
CASE_CALL = re.compile(r"^(?:it|test|specify|scenario)(?:\.(?:each|concurrent|sequential)\b.*)?$")
PARSED = frozenset({".py", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".tsx", ".go", ".rb"})
MAX_ALIKE = 20
ASSERTION_TEXT = re.compile(
    r"^\s*(?:assert|refute|expect|assert_\w+|refute_\w+)\b|\bassert\w*!?\s*\(|\bassert\w*!|\bexpect\(|\bt\.(?:Error|Fatal)f?\(|\bpytest\.raises\("
    r"|\b(?:require|Assert|assertThat)\b[.:(]|\.should\b|->assert\w+\(|self\.assert\w+|verify\(",
    re.M,
)
TRIVIAL = re.compile(
    r"^\s*(?:assert\s*\(?\s*(?:True|1|not False|not None|\"[^\"]*\"|'[^']*')\s*\)?\s*[;,]?\s*$|.*\bor True\b|.*\|\|\s*true\b"
    r"|.*\b(?:assert(?:True|_)?|assert\.ok|expect)\(\s*(?:True|true|1)\s*\)(?:\.to(?:Be|Equal)\w*\((?:true|1)?\))?[;,]?\s*$"
    r"|.*expect\((\w+)\)\.to(?:Be|Equal)\(\1\)|.*assert\w*\(\s*(?:[Tt]rue|1)\s*,\s*(?:[Tt]rue|1)\s*\)|.*expect\.anything\(\)\s*\)$)"
)  # fmt: skip
NEGATED = re.compile(
    r"!=|!(?=[\w(])|\bnot\b|\.not\b|(?<=assert)_?[Nn]ot|\brefute|(?<=assert)False|\bto_not\b|\bis_none\b"
)
NEGATION = re.compile(
    r"[!=]=+|!(?=[\w(])|\bnot\b|\.not\b|(?<=assert)_?[Nn]ot|(?<=assert)False|(?<=assert)True|(?<=\.)to_not\b|(?<=\.)to\b"
)
NUMBER = r"(\d+(?:\.\d+)?(?:e-?\d+)?)"
WIDER = re.compile(rf"\b(?:abs|rel|\w*tol|delta|epsilon|within)\b\W{{1,3}}{NUMBER}")
PRECISION = re.compile(rf"(?:\bplaces\W{{1,3}}|toBeCloseTo\([^,]{{1,100}},\s?){NUMBER}")
# What belongs to the test below it, which is that many lines away at most; these let nothing else run.
ABOVE, DECORATED_LINES = re.compile(r"\s*(?:@|#\[|\[)"), 6
FOCUS = re.compile(r"\.only\b|\bf(?:it|describe|context)\b")
MAX_WIDTH = 500  # of a line that is looked at
BARE_EXIT = re.compile(r"^(\s*)(?:return|return;|raise SystemExit.*|break;?)$")


class _Counts(NamedTuple):
    cases: int
    assertions: int


def test_refusals(files: Sequence[ChangedFile]) -> list[str]:
    """Return a sentence for each test that is poorer than before."""
    with CodeReaderProcess() as reader:
        return [reason for file in files if _has_tests(file) and (reason := _poorer(file, reader))]


def _has_tests(file: ChangedFile) -> bool:
    inside = file.path.endswith(".rs") and re.search(r"#\[(?:\w+::)?test\b", file.before or "")
    return is_test(file.path) or bool(inside)


def _poorer(file: ChangedFile, reader: CodeReaderProcess) -> str | None:
    before, after = file.before or "", file.after or ""
    if file.status == "deleted":
        return f"{file.path} is a test and was deleted." if _counts(file.path, before, reader).cases else None
    if _skips(file):
        return f"{file.path} skips tests."
    if _exits(after) > _exits(before):
        return f"{file.path} leaves a test before its end."
    old, new = _counts(file.path, before, reader), _counts(file.path, after, reader)
    for what, lost in (("test case", old.cases - new.cases), ("assertion", old.assertions - new.assertions)):
        if lost > 0:
            return f"{file.path} has {lost} {what}{'s' if lost > 1 else ''} fewer than before."
    if _weaker(file):
        return f"{file.path} turns an assertion round, or widens its tolerance."
    return None


def _skips(file: ChangedFile) -> bool:
    """Return whether a test that was there before is skipped now; a new one may be, under a condition."""
    gone = {text.strip() for text in file.removed}
    before, lines = set((file.before or "").splitlines()), (file.after or "").splitlines()
    for number, text in file.added:
        if not SKIP.search(text[:MAX_WIDTH]) or text.strip() in gone:
            continue
        near = lines[number - 1 : number + DECORATED_LINES] if ABOVE.match(text) else lines[number - 1 :: -1]
        header = next((line for line in near if CASE_TEXT.search(line[:MAX_WIDTH])), None)
        if header is None or header in before or header == text or FOCUS.search(text):
            return True
    return False


def _exits(text: str) -> int:
    """Count bare returns with code behind them, at the same depth, that never runs."""
    lines = [line for line in text.splitlines() if line.strip()]
    exits = 0
    ends = re.compile(r"\s*(?:[})\]]|end\b|else|elif|case\b|default\b)")
    for line, following in pairwise(lines):
        match = BARE_EXIT.match(line)
        depth = len(following) - len(following.lstrip())
        if match and depth == len(match[1]) and not ends.match(following):
            exits += 1
    return exits


def _counts(path: str, text: str, reader: CodeReaderProcess) -> _Counts:
    """Count by the code reader where a grammar knows the language, else by lines without their comments."""
    code = reader.read(path, text) if PurePosixPath(path).suffix in PARSED else None
    if code is None:
        plain = without_comments(text, language_of(path) or "config")
        assertions = _assertions(plain.splitlines())
        return _Counts(len(CASE_TEXT.findall(plain)), sum(not TRIVIAL.match(line) for line in assertions))
    cases = [d for d in code.definitions if d.kind == "function" and CASE_NAME.match(d.name)]
    calls = {(call.start, call.end): call for call in code.calls if ASSERTION_NAME.match(call.callee)}
    real = [call for call in calls.values() if not TRIVIAL.match(code.text(call.start, call.end)[:MAX_WIDTH])]
    named = [call for call in code.calls if CASE_CALL.match(call.callee)]
    return _Counts(len(cases) + len(named), len(real))


def _weaker(file: ChangedFile) -> bool:
    """Return whether an assertion differs from one that is gone by a negation or a tolerance alone."""
    gone: dict[str, list[str]] = {}
    for line in _assertions(file.removed):
        for key in _keys(line):
            gone.setdefault(key, []).append(line)
    for line in _assertions([text for _, text in file.added]):
        for key in _keys(line):
            if any(_is_weaker(old, line) for old in gone.get(key, ())[:MAX_ALIKE]):
                return True
    return False


def _assertions(lines: Sequence[str]) -> list[str]:
    return [line.strip()[:MAX_WIDTH] for line in lines if ASSERTION_TEXT.search(line[:MAX_WIDTH])]


def _keys(line: str) -> tuple[str, str]:
    """Return the line without negations, and without numbers."""
    return "".join(NEGATION.sub("", line).split()), re.sub(NUMBER, "0", line)


def _is_weaker(before: str, after: str) -> bool:
    if _keys(before)[0] == _keys(after)[0] and len(NEGATED.findall(before)) != len(NEGATED.findall(after)):
        return True
    wider = zip(WIDER.findall(before), WIDER.findall(after), strict=False)
    coarser = zip(PRECISION.findall(before), PRECISION.findall(after), strict=False)
    return any(float(new) > float(old) for old, new in wider) or any(
        int(new) < int(old) for old, new in coarser
    )
