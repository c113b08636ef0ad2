"""Tests that a change takes away: deleted, skipped, or with fewer cases and assertions than before."""

import re
from collections.abc import Sequence

from railmend.coding.diff import ChangedFile

TEST_FILE = re.compile(
    r"(?:^|/)(?:tests?|__tests__|specs?)/|(?:^|/)(?:test_[^/]+|[^/]+[._-](?:test|spec|tests))\.\w+$"
    r"|(?:^|/)[A-Z]\w*Tests?\.(?:java|kt|cs)$"
)
SKIP = re.compile(
    r"@?(?:pytest\.mark\.|unittest\.)(?:skip|skipif|xfail|expectedFailure|skipIf|skipUnless)\b|pytest\.(?:skip|xfail)\("
    r"|\bself\.skipTest\(|\b(?:it|test|describe|context|suite)\.(?:skip|todo|failing)\b|\b(?:xit|xtest|xdescribe|xcontext)\("
    r"|\bt\.Skip(?:f|Now)?\(|^\s*#\[ignore|^\s*@(?:Ignore|Disabled)\b|\bcollect_ignore\b|__test__\s*=\s*False"
)
CASE = re.compile(
    r"^\s*(?:async\s+)?def\s+test\w*\s*\(|^\s*(?:it|test)(?:\.each\([^)]{0,200}\))?\s*\(|^func\s+Test\w+\s*\(|^\s*#\[(?:tokio::)?test\]|^\s*@(?:Test|ParameterizedTest)\b"
)
ASSERTION = re.compile(
    r"^\s*assert\b|\bself\.assert\w+\(|\bself\.fail\(|\bexpect\(|\bassert(?:\.\w+)?\(|\bassert(?:_eq|_ne)?!|\bt\.(?:Error|Fatal)f?\(|\bassert[A-Z]\w+\(|pytest\.raises\("
)


def is_test(path: str) -> bool:
    return TEST_FILE.search(path) is not None


def weakened(files: Sequence[ChangedFile]) -> list[str]:
    refused = []
    for file in files:
        if not is_test(file.path):
            continue
        if file.status == "deleted":
            refused.append(f"{file.path} is a test and was deleted.")
            continue
        if any(SKIP.search(text) for _, text in file.added):
            refused.append(f"{file.path} skips tests.")
        for what, pattern in (("test cases", CASE), ("assertions", ASSERTION)):
            lost = _count(pattern, file.removed) - _count(pattern, [text for _, text in file.added])
            if lost > 0:
                refused.append(f"{file.path} has {lost} {what} fewer than before.")
                break
    return refused


def _count(pattern: re.Pattern[str], lines: Sequence[str]) -> int:
    return sum(pattern.search(line) is not None for line in lines)
