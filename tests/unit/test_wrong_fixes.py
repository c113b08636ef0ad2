"""Planted faults: the right fix is shown to be one, and none of six wrong ones of each kind is."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from railmend.coding.proof import regression
from railmend.coding.proof.concealed import conceals, spares
from railmend.coding.sandbox.interface import CommandResult
from railmend.contracts.proof import Proof, SideReport, TestFileRuns
from tests.unit.wrong_fixes import KINDS, PYTHON, Fault, changed_file
from tests.unit.wrong_fixes_go import GO
from tests.unit.wrong_fixes_node import NODE
from tests.unit.wrong_fixes_ruby import RUBY

LANGUAGES = {"py": PYTHON, "js": NODE, "go": GO, "rb": RUBY}
PLANTED = {
    f"{suffix}, {kind}": (fault, suffix)
    for suffix, kinds in LANGUAGES.items()
    for kind, fault in kinds.items()
}
# Name of the test's file, and how it is run.
RUNNERS = {
    "py": ("test_app.py", (sys.executable, "-B", "-m", "unittest", "test_app")),
    "js": ("app.test.js", ("node", "--test", "app.test.js")),
    "go": ("app_test.go", ("go", "test", "-v", "-count=1", "-vet=off", ".")),
    "rb": ("app_test.rb", ("ruby", "app_test.rb")),
}
PACKAGES = {"go": "golang-go", "rb": "ruby"}


class Bench:
    """Runs a test on a service as the proof does, without the sandbox: all of it is ours."""

    def __init__(self, folder: Path, fault: Fault, suffix: str) -> None:
        self._folder, self._fault, self._suffix = folder, fault, suffix
        self._test, self._runner = RUNNERS[suffix]
        if shutil.which(self._runner[0]) is None:
            pytest.skip(f"apt-get install {PACKAGES[suffix]}: {self._runner[0]} is not here")
        (folder / "go.mod").write_text("module app\n\ngo 1.19\n")
        self._sides: dict[tuple[str, str, str | None], SideReport] = {}

    def proof(self, replaced: tuple[str, str], test: str) -> Proof:
        """Return what is proved of a change by a test: on each side it is run once, which these repeat."""
        base = self._fault.service
        assert base.count(replaced[0]) == 1, replaced[0]
        change = base.replace(*replaced)
        changed = [changed_file(f"app.{self._suffix}", base, change)]
        return Proof(
            rows=tuple(
                regression.regression_rows(
                    self._side(base, test, self._fault.named),
                    self._side(change, test),
                    conceals(changed) or spares(changed),
                    "",
                )
            )
        )

    def _side(self, service: str, test: str, named: str | None = None) -> SideReport:
        key = service, test, named
        if key not in self._sides:
            self._sides[key] = self._measured(*key)
        return self._sides[key]

    def _measured(self, service: str, test: str, named: str | None) -> SideReport:
        (self._folder / f"app.{self._suffix}").write_text(service)
        (self._folder / self._test).write_text(test)
        done = subprocess.run(
            self._runner,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        output = done.stdout + done.stderr
        run = regression.run_of(CommandResult(done.returncode, None, output, 0.1))
        doubt = "" if named is None or run.passed else regression.unnamed_failure(output, named) or ""
        return SideReport(tests=(TestFileRuns(path=self._test, runs=(run,) * regression.RUNS, doubt=doubt),))


@pytest.mark.parametrize(("fault", "suffix"), PLANTED.values(), ids=PLANTED)
def test_the_right_fix_is_proven_and_no_wrong_one_is(fault: Fault, suffix: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path, fault, suffix)
    right = bench.proof(fault.right, fault.test)
    assert right.proven, right
    for kind, wrong in zip(KINDS, fault.wrong, strict=True):
        assert not bench.proof(wrong, fault.test).proven, kind


BLESSED = {
    f"{name}, {kind}": (fault, suffix, fault.wrong[KINDS.index(kind)], test)
    for name, (fault, suffix) in PLANTED.items()
    for kind, test in fault.blessing.items()
}


@pytest.mark.parametrize(("fault", "suffix", "wrong", "test"), BLESSED.values(), ids=BLESSED)
def test_a_wrong_fix_is_not_proven_by_a_test_that_was_written_for_it(
    fault: Fault, suffix: str, wrong: tuple[str, str], test: str, tmp_path: Path
) -> None:
    proof = Bench(tmp_path, fault, suffix).proof(wrong, test)
    assert not proof.proven, proof
