"""What runners print of how many tests they ran."""

import pytest

from railmend.coding.checks.run_counts import RunCounts, count, prints_counts

SAID = {
    "pytest": ("= 1 failed, 2 passed, 1 skipped, 3 warnings in 0.12s =", RunCounts(3, 1, 1)),
    "pytest -q": ("..\n3 passed in 0.01s", RunCounts(3)),
    "pytest, slow": ("5 passed in 75.30s (0:01:15)", RunCounts(5)),
    "pytest, none": ("no tests ran in 0.00s", RunCounts(0)),
    "pytest, broken": ("1 error in 0.05s", RunCounts(1, 1)),
    "unittest": ("Ran 4 tests in 0.001s\n\nOK (skipped=1)", RunCounts(3, 0, 1)),
    "unittest, broken": ("Ran 4 tests in 0.001s\n\nFAILED (failures=1, errors=1)", RunCounts(4, 2)),
    "jest": ("Tests:       1 failed, 1 skipped, 2 passed, 4 total", RunCounts(3, 1, 1)),
    "vitest": ("\x1b[2m      Tests \x1b[22m \x1b[32m2 passed\x1b[39m | 1 skipped (3)", RunCounts(2, 0, 1)),
    "mocha": ("  3 passing (12ms)\n  1 pending\n  1 failing\n", RunCounts(4, 1, 1)),
    "tape": ("1..3\n# tests 3\n# pass  2\n# fail  1", RunCounts(3, 1)),
    "node": ("# tests 4\n# pass 2\n# fail 1\n# cancelled 0\n# skipped 1", RunCounts(3, 1, 1)),
    "bun": (" 5 pass\n 1 fail\nRan 6 tests across 2 files. [12.00ms]", RunCounts(6, 1)),
    "cargo": (
        "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
        "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        RunCounts(4, 1, 1),
    ),
    "go": (
        "--- PASS: TestA (0.00s)\n    --- FAIL: TestA/b (0.00s)\n--- SKIP: TestC (0.00s)",
        RunCounts(2, 1, 1),
    ),
    "mix": ("1 doctest, 3 tests, 1 failure, 1 excluded, 1 skipped", RunCounts(2, 1, 1)),
    "deno": ("ok | 5 passed (2 steps) | 0 failed | 1 ignored (12ms)", RunCounts(5, 0, 1)),
    "nextest": (
        "     Summary [   0.1s] 3 tests run: 2 passed, 1 failed, 1 skipped",
        RunCounts(3, 1, 1),
    ),
    "pest": ("  Tests:    1 failed, 2 passed (5 assertions)", RunCounts(3, 1)),
    "rspec": ("3 examples, 1 failure, 1 pending", RunCounts(2, 1, 1)),
    "minitest": ("3 runs, 5 assertions, 1 failures, 1 errors, 0 skips", RunCounts(3, 2, 0)),
    "phpunit": ("OK (3 tests, 5 assertions)", RunCounts(3)),
    "phpunit, broken": ("Tests: 3, Assertions: 5, Failures: 1, Skipped: 1.", RunCounts(2, 1, 1)),
    "dotnet": (
        "Passed!  - Failed:     0, Passed:     3, Skipped:     1, Total:     4, Duration: 1 ms",
        RunCounts(3, 0, 1),
    ),
}


@pytest.mark.parametrize("runner", SAID)
def test_the_counts_of_a_runner_are_read(runner: str) -> None:
    output, counts = SAID[runner]
    assert count(f"something before\n{output}\nsomething after 3 passed\n") == counts


@pytest.mark.parametrize("output", ["", "ok\n", "we tested 3 passed tests\n", "Ran 4 tests in 0.1s\n"])
def test_other_words_are_no_count(output: str) -> None:
    assert count(output) is None


def test_a_runner_that_is_known_to_count_must_have_done_so() -> None:
    assert prints_counts("python3 -m pytest -q")
    assert prints_counts("cargo test --offline")
    assert prints_counts("go test -v ./...")
    assert not prints_counts("make test")
