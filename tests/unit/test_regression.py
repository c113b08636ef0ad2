"""What a regression test shows, and how one file of tests is run."""

import subprocess
import sys
from pathlib import Path

import pytest

from railmend.coding.checks.suites import find_suites
from railmend.coding.proof import regression
from railmend.coding.sandbox.interface import CommandResult
from railmend.coding.settings import CheckSettings
from railmend.contracts.proof import ProofRun, SideReport, TestFileRuns

PACKAGE = '{"scripts": {"test": "%s"}, "devDependencies": {"jest": "29"}}'
GO_FILE = 'package a\nimport "testing"\nfunc TestA(t *testing.T) {}\nfunc TestB(t *testing.T) {}\n'
COMMANDS = {
    "pytest": (
        {"requirements.txt": "pytest", "tests/test_a b.py": ""},
        "tests/test_a b.py",
        "python3 -m pytest -q -p no:cacheprovider 'tests/test_a b.py'",
    ),
    "unittest": (
        {"tests/__init__.py": "", "tests/test_a.py": ""},
        "tests/test_a.py",
        "python3 -m unittest discover -s tests -t . -p test_a.py",
    ),
    "unittest at the root": (
        {"test_a.py": ""},
        "test_a.py",
        "python3 -m unittest discover -s . -p test_a.py",
    ),
    "go": (
        {"go.mod": "module a", "in/a_test.go": GO_FILE},
        "in/a_test.go",
        "go test -v -count=1 -run '^(TestA|TestB)$' ./in",
    ),
    "jest": ({"package.json": PACKAGE % "jest --ci"}, "a.test.ts", "npx --no-install jest a.test.ts"),
    "vitest": ({"package.json": PACKAGE % "vitest"}, "a.test.ts", "npx --no-install vitest run a.test.ts"),
    "mocha": ({"package.json": PACKAGE % "nyc mocha"}, "a.test.js", "npx --no-install mocha a.test.js"),
    "node": ({"package.json": PACKAGE % "node --test"}, "a.test.js", "node --test a.test.js"),
    "node without a script": ({"package.json": "{}"}, "a.test.js", "node --test a.test.js"),
    "another name": (
        {"package.json": '{"scripts": {"test": "make check", "test:unit": "vitest run"}}'},
        "a.test.js",
        "npx --no-install vitest run a.test.js",
    ),
    "rspec": (
        {"Gemfile": "gem 'rspec'", "spec/a_spec.rb": ""},
        "spec/a_spec.rb",
        "bundle exec rspec spec/a_spec.rb",
    ),
    "minitest": (
        {"Gemfile": "gem 'rake'", "test/a_test.rb": ""},
        "test/a_test.rb",
        "bundle exec ruby -Ilib -Itest test/a_test.rb",
    ),
    "rails": (
        {"Gemfile": "gem 'rails'", "bin/rails": "", "test/a_test.rb": ""},
        "test/a_test.rb",
        "bin/rails test test/a_test.rb",
    ),
    "Node's own runner beside another": (
        {"package.json": PACKAGE % "jest", "a.test.js": "const test = require('node:test')"},
        "a.test.js",
        "node --test a.test.js",
    ),
    "Node's own runner beside an unknown one": (
        {"package.json": PACKAGE % "vows test/*-test.js", "a.test.js": "import test from 'node:test'"},
        "a.test.js",
        "node --test a.test.js",
    ),
    "an unknown script": ({"package.json": PACKAGE % "make check"}, "a.test.js", None),
    "a test in another language": ({"go.mod": "module a", "a_test.go": GO_FILE}, "test_a.py", None),
}


@pytest.mark.parametrize(("files", "path", "command"), COMMANDS.values(), ids=COMMANDS)
def test_one_file_is_run_alone_by_the_runner_of_its_suite(
    files: dict[str, str], path: str, command: str | None
) -> None:
    def read(name: str) -> str | None:
        text = files.get(name)
        for_node = regression.is_for_node(files.get(path, ""))
        return (
            regression.with_test_script(text, for_node=for_node) if text and name == "package.json" else text
        )

    suites = find_suites(list(files), read, (), CheckSettings())
    found = [
        regression.test_command(
            suite,
            path,
            files.get(path, ""),
            regression.test_script(read("package.json") or "{}", suite.checks),
        )
        for suite in suites
    ]
    assert [each for each in found if each] == ([command] if command else [])


def ran(output: str, code: int | None, reason: str | None = None) -> CommandResult:
    return CommandResult(code=code, reason=reason, output=output, seconds=0.1)


UNITTEST = "Ran 1 test in 0.001s\n\nFAILED (errors=1)"
RUNS = {
    "green": (ran("2 passed in 0.1s", 0), True),
    "red": (ran("E   KeyError: 'off'\n1 failed, 1 passed in 0.1s", 1), False),
    "collection": (ran("ERROR collecting tests/test_a.py\n1 error in 0.1s", 2), None),
    "unittest's import": (
        ran("ERROR: a (unittest.loader._FailedTest.a)\nRan 1 test in 0s\n\nFAILED (errors=1)", 1),
        None,
    ),
    "go's build": (ran("FAIL\tacme/a [build failed]", 1), None),
    "another text than JSON": (ran('SyntaxError: "The" is not valid JSON\n  1 failing\n', 1), False),
    "a file that is not parsed": (ran("SyntaxError: Unexpected token\n  1 failing\n", 1), None),
    "no count": (ran("all good", 0), None),
    "no database": (ran("Redis, which it needs, is not in the sandbox.", 125), None),
    "no test": (ran("no tests ran in 0.1s", 5), None),
    "a count that the exit code denies": (ran("2 passed in 0.1s", 1), None),
    "failures with exit code 0": (ran("1 failed in 0.1s", 0), None),
    "ended": (ran("1 failed in 0.1s", None, "time: longer than 120 s"), None),
}


@pytest.mark.parametrize(("done", "passed"), RUNS.values(), ids=RUNS)
def test_only_what_a_runner_counts_is_a_result(done: CommandResult, passed: bool | None) -> None:
    run = regression.run_of(done)
    assert run.passed is passed
    assert passed or run.why


NAMED = "price() raises KeyError"
FAILURES = {
    "the named error": ("E       KeyError: 'off'", None),
    "an assertion": ("AssertionError: 1 != 2", None),
    "node's assertion": ("  AssertionError [ERR_ASSERTION]: 1 == 2", None),
    "no error's name": ("--- FAIL: TestA (0.00s)\n    a_test.go:4: got 1", None),
    "another error": ("NameError: name 'cached' is not defined", "NameError: name 'cached' is not defined"),
    "a qualified one": ("shop.errors.NewError: no", "shop.errors.NewError: no"),
}


def test_a_database_that_could_not_be_had_is_named() -> None:
    run = regression.run_of(RUNS["no database"][0])
    assert run.why == "Redis, which it needs, is not in the sandbox."


LOOKED_FOR = {
    "node": "Error: getaddrinfo ENOTFOUND example.com\n  1 failing\n",
    "python": "E   socket.gaierror: [Errno -3] Temporary failure in name resolution\n1 failed in 0.1s",
    "go": "dial tcp: lookup example.com: no such host\n--- FAIL: TestA (0.00s)\nFAIL",
}


@pytest.mark.parametrize("runner", LOOKED_FOR)
def test_a_test_that_looks_for_the_network_blames_no_change_and_may_show_the_fault(runner: str) -> None:
    failed, passed = regression.run_of(ran(LOOKED_FOR[runner], 1)), regression.run_of(RUNS["green"][0])
    assert failed.passed is False

    def verdict(change: ProofRun) -> tuple[str, str]:
        base = TestFileRuns(path="a", runs=(failed.model_copy(update={"ran": passed.ran}),))
        sides = SideReport(tests=(base,)), SideReport(tests=(TestFileRuns(path="a", runs=(change,)),))
        (row,) = regression.regression_rows(*sides, "", "")
        return row.verdict.value, row.reason

    assert verdict(failed) == ("not_had", regression.OFFLINE)
    assert verdict(passed)[0] == "passed"


@pytest.mark.parametrize(("output", "unnamed"), FAILURES.values(), ids=FAILURES)
def test_a_failure_counts_only_if_it_was_diagnosed(output: str, unnamed: str | None) -> None:
    assert regression.unnamed_failure(output, NAMED) == unnamed


@pytest.mark.parametrize("runner", ["unittest", "pytest"])
def test_a_file_with_one_more_failing_test_fails(runner: str, tmp_path: Path) -> None:
    passing = (
        "import unittest\nclass A(unittest.TestCase):\n    def test_a(self):\n        self.assertTrue(1)\n"
    )
    text = regression.with_failing_test("test_a.py", passing, runner, "Tabc")
    (tmp_path / "test_a.py").write_text(text)
    command = [sys.executable, "-m", runner, "test_a.py" if runner == "pytest" else "test_a"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert regression.is_believed(ran(done.stdout + done.stderr, done.returncode))
    (tmp_path / "test_a.py").write_text(passing)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not regression.is_believed(ran(done.stdout + done.stderr, done.returncode))
