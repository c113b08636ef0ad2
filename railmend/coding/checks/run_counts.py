"""How many tests a check ran, from what its runner prints: an exit code of 0 needs no test to run."""

import re
from collections.abc import Callable
from dataclasses import dataclass

# These print counts whenever they run to their end.
COUNTING = re.compile(r"\b(?:pytest|unittest|cargo (?:\S+ )*test|go (?:\S+ )*test|jest|vitest)\b")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class RunCounts:
    """Tests that ran, those of them that failed, and those that were skipped."""

    ran: int
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "RunCounts") -> "RunCounts":
        return RunCounts(self.ran + other.ran, self.failed + other.failed, self.skipped + other.skipped)


PASSED = frozenset({"passed", "passing", "pass", "xfailed", "xpassed"})
FAILED = frozenset({"failed", "failing", "fail", "error", "errors", "failures"})
SKIPPED = frozenset({"skipped", "pending", "skip", "todo", "ignored", "disabled"})
WORD = re.compile(r"(\d+) ([a-z]+)")


def _by_words(line: re.Match[str]) -> RunCounts:
    """Read `2 failed, 3 passed, 1 skipped`, in any order and with other words between."""
    rows = [(int(number), word) for number, word in WORD.findall(line[0])]
    passed, failed, skipped = (
        sum(number for number, word in rows if word in words) for words in (PASSED, FAILED, SKIPPED)
    )
    return RunCounts(passed + failed, failed, skipped)


def _of_total(line: re.Match[str]) -> RunCounts:
    """Read groups: all tests, those that failed and erred, and those that were skipped."""
    failed = sum(int(line[name] or 0) for name in ("failed", "errors"))
    skipped = int(line["skipped"] or 0)
    return RunCounts(int(line["all"]) - skipped, failed, skipped)


# Each line of a runner that tells numbers, whole. Several (packages, projects) add up.
LINES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], RunCounts]], ...] = (
    # pytest: "=== 1 failed, 2 passed, 1 warning in 0.12s ===", with or without the rule
    (re.compile(r"^(?:=+ )?(?:\d+ [a-z]+, )*\d+ [a-z]+ in [\d.]+s(?: \([\d:]+\))?(?: =+)?$"), _by_words),
    (re.compile(r"^(?:=+ )?no tests ran in [\d.]+s(?: =+)?$"), _by_words),
    # cargo: "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s"
    (re.compile(r"^test result: \w+\. .*"), _by_words),
    # jest: "Tests:       1 failed, 2 passed, 3 total"; vitest: "Tests  2 passed | 1 skipped (3)"
    (re.compile(r"^Tests: +(?=.*\d+ total$).*"), _by_words),
    (re.compile(r"^ *Tests  .*\(\d+\)$"), _by_words),
    # mocha and bun, a line each: "  3 passing (12ms)", " 1 fail"
    (re.compile(r"^ +\d+ (?:passing|failing|pending|pass|fail|skip)(?: \(.*\))?$"), _by_words),
    # Node's own and tape: "# pass 3" or "ℹ fail 1", a line each
    (
        re.compile(r"^(?:#|\u2139) (pass|fail|skipped) +(\d+)$"),
        lambda line: RunCounts(
            int(line[2]) * (line[1] != "skipped"),
            int(line[2]) * (line[1] == "fail"),
            int(line[2]) * (line[1] == "skipped"),
        ),
    ),
    # go test -v: "--- PASS: TestA (0.00s)", indented for a test in a test
    (
        re.compile(r"^ *--- (PASS|FAIL|SKIP): .* \([\d.]+s\)$"),
        lambda line: RunCounts(line[1] != "SKIP", line[1] == "FAIL", line[1] == "SKIP"),
    ),
    # RSpec: "3 examples, 1 failure, 1 pending"
    # Minitest: "3 runs, 5 assertions, 1 failures, 0 errors, 1 skips"
    (
        re.compile(
            r"^(?P<all>\d+) (?:examples?|runs)(?:, \d+ assertions)?, (?P<failed>\d+) failures?"
            r"(?:, (?P<errors>\d+) errors)?(?:, (?P<skipped>\d+) (?:pending|skips))?.*$"
        ),
        _of_total,
    ),
    # ExUnit: "2 doctests, 3 tests, 1 failure, 1 excluded, 1 skipped"
    (
        re.compile(
            r"^(?:\d+ (?:doctests?|properties|property), )*(?P<all>\d+) tests?, (?P<failed>\d+) failures?"
            r"(?:, \d+ (?:invalid|excluded))*(?:, (?P<skipped>\d+) skipped)?(?P<errors>)$"
        ),
        _of_total,
    ),
    # Deno: "ok | 5 passed (2 steps) | 1 failed | 1 ignored (12ms)"
    (re.compile(r"^(?:ok|FAILED) \| \d+ passed.*\| \d+ failed.*$"), _by_words),
    # cargo nextest: "     Summary [   0.1s] 3 tests run: 2 passed, 1 failed, 1 skipped"
    (re.compile(r"^ *Summary \[.*\] .*tests? run: .*"), _by_words),
    # Pest: "  Tests:    1 failed, 2 passed (5 assertions)"
    (re.compile(r"^ *Tests: +\d+ .*\(\d+ assertions?\)$"), _by_words),
    # PHPUnit: "OK (3 tests, 5 assertions)" or "Tests: 3, Assertions: 5, Failures: 1, Skipped: 1."
    (
        re.compile(
            r"^OK \((?P<all>\d+) tests?, \d+ assertions?\)(?P<failed>)(?P<errors>)(?P<skipped>)$",
        ),
        _of_total,
    ),
    (
        re.compile(
            r"^Tests: (?P<all>\d+), Assertions: \d+(?:, Errors: (?P<errors>\d+))?"
            r"(?:, Failures: (?P<failed>\d+))?(?:, \w+: \d+)*?(?:, Skipped: (?P<skipped>\d+))?.*\.$"
        ),
        _of_total,
    ),
    # .NET: "Passed!  - Failed:     0, Passed:     3, Skipped:     1, Total:     4, Duration: 12 ms"
    (
        re.compile(
            r"^(?:Passed|Failed)! +- Failed: +(?P<failed>\d+), Passed: +\d+, Skipped: +(?P<skipped>\d+), "
            r"Total: +(?P<all>\d+)(?P<errors>).*$"
        ),
        _of_total,
    ),
)
# unittest tells of failures on a line of its own: "Ran 3 tests in 0.1s", "FAILED (failures=1, skipped=1)".
UNITTEST = re.compile(r"^Ran (\d+) tests? in [\d.]+s$")
UNITTEST_END = re.compile(r"^(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$")
UNITTEST_WORD = re.compile(r"(failures|errors|skipped|unexpected successes)=(\d+)")


def count(output: str) -> RunCounts | None:
    """Return how many tests the output says were run; None: it does not say."""
    found: list[RunCounts] = []
    unittest: int | None = None
    for raw in output.splitlines():
        line = COLOUR.sub("", raw).rstrip()[:500]
        if (ran := UNITTEST.match(line)) is not None:
            unittest = int(ran[1])
        elif unittest is not None and (end := UNITTEST_END.match(line)) is not None:
            found.append(_unittest(unittest, end[1] or ""))
            unittest = None
        else:
            found += [read(match) for pattern, read in LINES if (match := pattern.match(line))][:1]
    return sum(found, RunCounts(0)) if found else None


def _unittest(ran: int, details: str) -> RunCounts:
    words = {word: int(number) for word, number in UNITTEST_WORD.findall(details)}
    skipped = words.pop("skipped", 0)
    return RunCounts(ran - skipped, sum(words.values()), skipped)


def prints_counts(command: str) -> bool:
    """Return whether the runner in a command is known to print counts whenever it ends by itself."""
    return COUNTING.search(command) is not None
