"""How a repository's checks are found from its files, and what their outcome means."""

import pytest

from railmend.coding.checks import CheckSettings, Suite, check_environment, find_suites
from railmend.contracts.repair import CheckReport, CheckRun, Verification

PIP = '"$HOME/venv/bin/python" -m pip install --quiet --disable-pip-version-check'
VENV = 'python3 -m venv "$HOME/venv"'
PYTEST = "python3 -m pytest -q -p no:cacheprovider"


def found(
    files: dict[str, str], roots: tuple[str, ...] = (), settings: CheckSettings | None = None
) -> list[Suite]:
    return find_suites(list(files), files.get, roots, settings or CheckSettings())


@pytest.mark.parametrize(
    ("files", "prepare", "checks"),
    [
        ({"app.py": ""}, None, None),
        ({"test_app.py": ""}, (), ("python3 -m unittest discover",)),
        (
            {"tests/test_app.py": "", "tests/__init__.py": ""},
            (),
            ("python3 -m unittest discover -s tests -t .",),
        ),
        ({"tests/test_app.py": ""}, (), ("python3 -m unittest discover -s tests",)),
        (
            {"tests/test_a.py": "", "requirements.txt": "flask", "requirements-dev.txt": "pytest"},
            (VENV, f"{PIP} -r requirements-dev.txt -r requirements.txt pytest"),
            (PYTEST,),
        ),
        (
            {"tests/test_a.py": "", "pyproject.toml": "[build-system]\n[tool.pytest.ini_options]"},
            (VENV, f"{PIP} -e . pytest"),
            (PYTEST,),
        ),
        ({"test_a.py": "", "conftest.py": ""}, (VENV, f"{PIP} pytest"), (PYTEST,)),
        ({"package.json": '{"scripts": {"test": "node --test"}}'}, (), ("npm test",)),
        (
            {"package.json": '{"scripts": {"test": "jest"}, "devDependencies": {"jest": "1"}}'},
            ("npm install --no-audit --no-fund --no-package-lock",),
            ("npm test",),
        ),
        (
            {
                "package.json": '{"scripts": {"test": "jest"}, "dependencies": {"a": "1"}}',
                "package-lock.json": "",
            },
            ("npm ci --no-audit --no-fund",),
            ("npm test",),
        ),
        (
            {"package.json": '{"scripts": {"test": "jest"}, "dependencies": {"a": "1"}}', "yarn.lock": ""},
            ("yarn install --frozen-lockfile",),
            ("yarn test",),
        ),
        (
            {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
            None,
            None,
        ),
        ({"package.json": "{not json"}, None, None),
        ({"package.json": "[]"}, None, None),
        ({"go.mod": "", "a/b_test.go": ""}, ("go mod download",), ("go test -v ./...",)),
        ({"go.mod": "", "main.go": ""}, None, None),
        ({"Cargo.toml": ""}, ("cargo fetch",), ("cargo test --offline",)),
        ({"Makefile": "all:\n\ntest: all\n\t./run"}, (), ("make test",)),
        ({"Makefile": "test := no\n"}, None, None),
        ({"Makefile": "test:\n", "test_a.py": ""}, (), ("python3 -m unittest discover",)),
    ],
)
def test_checks_are_found_from_the_files(
    files: dict[str, str], prepare: tuple[str, ...] | None, checks: tuple[str, ...] | None
) -> None:
    expected = [] if prepare is None or checks is None else [Suite("", prepare, checks)]
    assert found(files) == expected


def test_only_the_services_directories_are_looked_at() -> None:
    files = {"api/go.mod": "", "api/a_test.go": "", "web/Makefile": "test:\n", "jobs/Makefile": "test:\n"}
    suite = found(files, ("/api", "web/"))
    assert [(one.directory, one.checks) for one in suite] == [
        ("api", ("go test -v ./...",)),
        ("web", ("make test",)),
    ]


def test_what_is_set_replaces_what_is_found() -> None:
    settings = CheckSettings(prepare=("make deps",), checks=("make lint", "make test"), directory="src")
    assert found({"Makefile": "test:\n"}, ("api",), settings) == [
        Suite("src", ("make deps",), ("make lint", "make test"))
    ]


def test_a_check_gets_no_more_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_x")
    plain = check_environment("/home", "/usr/bin", {"TZ": "UTC"}, None)
    assert plain["PATH"] == "/home/venv/bin:/usr/bin"
    assert plain["TZ"] == "UTC"
    assert not {name for name in plain if "PROXY" in name.upper() or "TOKEN" in name}
    assert check_environment("/home", "", {}, "http://127.0.0.1:1")["https_proxy"] == "http://127.0.0.1:1"


def report(**passed: bool | None) -> CheckReport:
    return CheckReport(
        runs=tuple(
            CheckRun(command=name, directory="", passed=value, seconds=1, output="")
            for name, value in passed.items()
        )
    )


@pytest.mark.parametrize(
    ("before", "after", "regressions", "verified"),
    [
        (report(a=True), report(a=True), [], True),
        (report(a=True, b=True), report(a=True, b=False), ["b"], False),
        (report(a=False), report(a=True), [], True),
        (report(a=False), report(a=False), [], False),
        (report(a=None), report(a=False), [], False),
        (report(a=True), report(a=None), [], False),
        (CheckReport(unverified="none"), CheckReport(unverified="none"), [], False),
    ],
)
def test_only_what_passed_before_can_break(
    before: CheckReport, after: CheckReport, regressions: list[str], verified: bool
) -> None:
    verification = Verification(before=before, after=after)
    assert [run.name for run in verification.regressions] == regressions
    assert verification.verified is verified
