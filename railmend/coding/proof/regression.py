"""Red, then green: the change's own tests, run apart on the base and on the change, and what that shows.

The tests were written by the agent and run beside foreign code. Only what the runner counts is believed, and
only where it fails on the base for the reason that the diagnosis or its evidence names.
"""

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from railmend.coding.checks.base_checks import RUNNERS, SETTINGS
from railmend.coding.checks.databases import not_had
from railmend.coding.checks.folder import json_object, table
from railmend.coding.checks.programs import ecosystem_of
from railmend.coding.checks.run_counts import count
from railmend.coding.checks.suites import Suite
from railmend.coding.guard.file_kinds import is_test
from railmend.coding.guard.weakened_tests import ASSERTION_TEXT, CASE_TEXT
from railmend.coding.sandbox.interface import NO_NETWORK, CommandResult
from railmend.contracts.proof import ProofRow, ProofRun, ProofVerdict, SideReport, StartRun, TestFileRuns
from railmend.evidence.redact import redact

# Each test runs so often on each side: a flaky one would show what is not there.
RUNS = 3
MOST_TESTS = 3
MAX_WHY = 200
# How the agent is asked to start a line when it finds no way to show the fault in a test.
NOT_REPRODUCED = "NOT REPRODUCED:"
JAVASCRIPT = (".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".mts")
# A check of a Node package; Bun and Deno run their own tests otherwise.
NODE_CHECK = re.compile(r"(?:npm|npx|pnpm|yarn|node|corepack)\b|bun run ")
NO_TEST = "no test specified"  # what `npm init` writes
NODE_TEST = re.compile(r"""['"]node:test['"]""")
NO_TEST_ADDED = "The change has no regression test."
GO_TEST = re.compile(r"^func (Test\w+)\s*\(", re.M)
# Node's runners as scripts name them, and how each runs one file.
NODE_RUNNERS = (
    (re.compile(r"\bvitest\b"), "npx --no-install vitest run {}"),
    (re.compile(r"\bjest\b"), "npx --no-install jest {}"),
    (re.compile(r"\bmocha\b"), "npx --no-install mocha {}"),
    (re.compile(r"\bnode\b.*--test\b"), "node --test {}"),
)
# A file of tests that was not even loaded: its runner counts that as a failure too.
NOT_LOADED = re.compile(
    r"_FailedTest|ERROR collecting|errors? during collection|Test suite failed to run"
    r"|\[(?:build|setup) failed\]|ERR_MODULE_NOT_FOUND|Cannot find module"
    r"|SyntaxError(?!.*\bJSON\b)|IndentationError|fixture '.*' not found"
)
# What looks for the network, in the words of Go and Python too.
OFFLINE_TEXT = re.compile(
    rf"{NO_NETWORK}|gaierror|[Nn]ame resolution|no such host|network is unreachable|could not resolve host"
)
OFFLINE = "It looked for the network, which the sandbox does not have."
# What a failure is called, at the beginning of a line.
FAILURE = re.compile(
    r"^(?:E +|# +| {5})?((?:\w+\.)*(\w*(?:Error|Exception|Failure)))\b(?: \[\w+\])?:.*$", re.M
)
ASSERTED = frozenset({"AssertionError", "AssertionFailedError", "ExpectationNotMetError"})


def regression_tests(own: Iterable[str]) -> list[str]:
    """Return what of a change's check files is laid over the base: tests and their data, no settings."""
    return sorted(
        path
        for path in own
        if is_test(path)
        and not SETTINGS.search(path)
        and not any(part.removesuffix(".py") in RUNNERS for part in PurePosixPath(path).parts)
    )


def has_cases(text: str) -> bool:
    return any(CASE_TEXT.search(line) for line in text.splitlines())


def asserts(text: str) -> bool:
    return any(ASSERTION_TEXT.search(line) for line in text.splitlines())


def is_for_node(text: str) -> bool:
    """Return whether a file of tests is written for Node's own runner."""
    return NODE_TEST.search(text) is not None


def with_test_script(text: str, *, for_node: bool) -> str:
    """Return a package.json that has a test script: Node's own runner, where it names none.

    `for_node`: the tests are written for that one, so it is also taken where the script's is not known.
    """
    try:
        package = json.loads(text)
        script = package.setdefault("scripts", {}).get("test") or NO_TEST
        if NO_TEST in script or (for_node and not ecosystem_of(script)):
            package["scripts"]["test"] = "node --test"
        return json.dumps(package)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return text


def test_script(text: str, checks: Sequence[str]) -> str:
    """Return the script of a package.json that `checks` name, else its test script; empty without one."""
    scripts = table(json_object(text), "scripts")
    named = (word for check in checks for word in check.split() if word in scripts)
    return str(scripts.get(next(named, "test"), ""))


def test_command(suite: Suite, path: str, text: str, script: str) -> str | None:
    """Return how the suite's runner runs the one file; None: that is not known.

    `path`: relative to the suite's directory. `script`: the test script of its package.json.
    """
    file = PurePosixPath(path)
    for check in suite.checks:
        if "pytest" in check and file.suffix == ".py":
            return f"python3 -m pytest -q -p no:cacheprovider {shlex.quote(path)}"
        if "unittest" in check and file.suffix == ".py":
            top = " -t ." if check.endswith(" -t .") else ""
            folder, name = shlex.quote(str(file.parent)), shlex.quote(file.name)
            return f"python3 -m unittest discover -s {folder}{top} -p {name}"
        if file.suffix == ".rb" and "rspec" in check:
            return f"bundle exec rspec {shlex.quote(path)}"
        if file.suffix == ".rb" and "rails" in check:
            return f"bin/rails test {shlex.quote(path)}"
        if file.suffix == ".rb" and ("rake" in check or check.startswith("ruby ")):
            return f"{'bundle exec ' if 'bundle' in check else ''}ruby -Ilib -Itest {shlex.quote(path)}"
        if check.startswith("go ") and file.suffix == ".go":
            names = "|".join(GO_TEST.findall(text))
            return f"go test -v -count=1 -run '^({names})$' {shlex.quote(f'./{file.parent}')}"
        if file.suffix in JAVASCRIPT and NODE_CHECK.match(check):
            if is_for_node(text):
                return f"node --test {shlex.quote(path)}"
            runners = (run for runner, run in NODE_RUNNERS if runner.search(script))
            return next((run.format(shlex.quote(path)) for run in runners), None)
    return None


def with_failing_test(path: str, text: str, command: str, name: str) -> str:
    """Return the file with one more test, which fails.

    Where the runner reports success even so, whatever it reports is worth nothing.
    """
    if path.endswith(".py"):
        case = f"class Test{name}(unittest.TestCase):\n    def test_{name}(self):\n        self.fail()\n"
        return f"{text}\n\nimport unittest\n{case}"
    if path.endswith(".go"):
        return f'{text}\nfunc Test{name}(t *testing.T) {{ t.Fatal("{name}") }}\n'
    if path.endswith("_spec.rb"):
        return f'{text}\nRSpec.describe("{name}") {{ it("fails") {{ raise "{name}" }} }}\n'
    if path.endswith(".rb"):
        case = f"class Test{name} < Minitest::Test\n  def test_{name.lower()}\n    flunk\n  end\nend\n"
        return f"{text}\n\nrequire 'minitest'\n{case}"
    body = f"('{name}', () => {{ throw new Error('{name}'); }});\n"
    module = "vitest" if "vitest" in command else "node:test" if "--test" in command else ""
    if not module:
        return f"{text}\nit{body}"
    if re.search(r"^import\b", text, re.M):
        return f"{text}\nimport {{ it as {name} }} from '{module}';\n{name}{body}"
    return f"{text}\nrequire('{module}').it{body}"


def is_believed(done: CommandResult) -> bool:
    """Return whether the run of a file with a failing test was reported as failed."""
    counts = count(done.output)
    return done.reason is None and bool(done.code) and counts is not None and counts.failed > 0


def run_of(done: CommandResult) -> ProofRun:
    """Return what one run shows: only a test that ran and was counted passed or failed."""
    counts = count(done.output)
    why = None
    if done.reason is not None:
        why = f"it was ended: {done.reason}"
    elif lacks := not_had(done.code, done.output):
        why = lacks
    elif NOT_LOADED.search(done.output):
        why = f"its file could not be loaded: {_last_line(done.output)}"
    elif counts is None:
        why = f"its runner did not say how many tests it ran (exit code {done.code})"
    elif not counts.ran:
        why = "no test ran"
    elif bool(counts.failed) != bool(done.code):
        why = f"its runner ended with exit code {done.code}, and counted {counts.failed} failures"
    if why is not None or counts is None:
        return ProofRun(passed=None, why=_short(why or ""))
    passed = not counts.failed
    failure = "" if passed else _short(_failure(done.output))
    if not passed and OFFLINE_TEXT.search(done.output):
        failure = f"{failure} {OFFLINE}"
    return ProofRun(passed=passed, why=failure, ran=counts.ran)


def unnamed_failure(output: str, named: str) -> str | None:
    """Return the failure of a test that nobody named: neither its assertion nor what was diagnosed.

    `named`: the diagnosis and its evidence. A test that needs what only the change has fails like this.
    """
    found = list(FAILURE.finditer(output))
    if not found or any(each[2] in ASSERTED or each[2] in named for each in found):
        return None
    return _short(found[-1][0])


def regression_rows(base: SideReport, change: SideReport, concealed: str, text: str) -> list[ProofRow]:
    """Return a row per regression test. `text`: the agent's last message, which may say why there is none."""
    unavailable = base.unavailable or change.unavailable
    if unavailable:
        said = [line for line in text.splitlines() if line.startswith(NOT_REPRODUCED)]
        if unavailable == NO_TEST_ADDED and said:
            unavailable = f"Not reproduced. The agent says:{said[-1].removeprefix(NOT_REPRODUCED)}"
        return [_row("regression test", "-", "-", ProofVerdict.NOT_HAD, _short(unavailable, 2 * MAX_WHY))]
    after = {test.path: test for test in change.tests}
    return [
        _regression_row(test, after.get(test.path, TestFileRuns(path=test.path)), concealed)
        for test in base.tests
    ]


def _regression_row(base: TestFileRuns, change: TestFileRuns, concealed: str) -> ProofRow:
    verdict, reason = _judge(base, change)
    shows_fault = verdict is ProofVerdict.PASSED
    if shows_fault and concealed:
        verdict, reason, shows_fault = ProofVerdict.NOT_HAD, concealed, False
    cells = _cell(base.runs), _cell(change.runs)
    return _row(f"regression test {base.path}", *cells, verdict, reason, shows_fault=shows_fault)


def _judge(base: TestFileRuns, change: TestFileRuns) -> tuple[ProofVerdict, str]:
    not_had, failed = ProofVerdict.NOT_HAD, ProofVerdict.FAILED
    if doubt := base.doubt or change.doubt or _silent(base.runs):
        return not_had, doubt
    if all(run.passed for run in base.runs):
        return failed, "It passes without the change too, so it does not show the fault."
    if any(run.passed for run in base.runs):
        return failed, "It is flaky without the change: the same test passes and fails."
    if silent := _silent(change.runs):
        return failed, f"With the change {silent}"
    if not all(run.passed for run in change.runs):
        if any(run.why.endswith(OFFLINE) for run in change.runs):
            return not_had, OFFLINE
        flaky = any(run.passed for run in change.runs)
        return failed, "It is flaky with the change." if flaky else "It fails with the change too."
    if {run.ran for run in (*base.runs, *change.runs)} != {base.runs[0].ran}:
        return not_had, "The runner counted other numbers of tests without the change than with it."
    return ProofVerdict.PASSED, f"Without the change: {base.runs[0].why}" if base.runs[0].why else ""


def _silent(runs: Sequence[ProofRun]) -> str:
    """Return why runs show nothing; empty: they do."""
    if not runs:
        return "It was not run."
    return next((run.why for run in runs if run.passed is None), "")


def start_row(base: StartRun, change: StartRun) -> ProofRow:
    """Return whether the service starts; that it does on neither side is not the change's fault."""
    words = {True: "starts", False: "does not start", None: "not tried"}
    verdict, reason = ProofVerdict.NOT_HAD, change.why or base.why
    if base.started is not None and change.started:
        verdict, reason = ProofVerdict.PASSED, change.why
    elif base.started and change.started is False:
        verdict = ProofVerdict.FAILED
    elif base.started is False and change.started is False:
        reason = f"It does not start here without the change either: {base.why}"
    return _row("the service starts", words[base.started], words[change.started], verdict, reason)


def _row(
    what: str, base: str, change: str, verdict: ProofVerdict, reason: str, *, shows_fault: bool = False
) -> ProofRow:
    return ProofRow(
        what=what, base=base, change=change, verdict=verdict, reason=reason, shows_fault=shows_fault
    )


def _cell(runs: Sequence[ProofRun]) -> str:
    counted = [run for run in runs if run.passed is not None]
    if not counted:
        return "-"
    passed = sum(run.passed is True for run in counted)
    if passed in (0, len(counted)):
        return f"{'passes' if passed else 'fails'} {len(counted)} of {len(counted)}"
    return f"passes {passed} of {len(counted)}"


def _failure(output: str) -> str:
    lines = [match[0] for match in FAILURE.finditer(output)]
    return lines[-1].lstrip("# ").removeprefix("E  ").strip() if lines else ""


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if NOT_LOADED.search(line)]
    return _failure(output) or lines[-1]


def _short(text: str, most: int = MAX_WHY) -> str:
    return " ".join(redact(text).split())[:most]
