"""How a repository's checks are found: in its CI, by its package managers, by convention; nothing more."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railmend.coding.checks.commands import Purpose, commands, join
from railmend.coding.checks.suites import Suite, check_environment, find_suites, step_key
from railmend.coding.settings import CheckSettings
from railmend.contracts.checks import CheckReport, CheckRun, Verification

PIP = '"$HOME/venv/bin/python" -m pip install --quiet --disable-pip-version-check'
VENV = 'python3 -m venv "$HOME/venv"'
PYTEST = "python3 -m pytest -q -p no:cacheprovider"
WORKSPACE = '{"workspaces": ["apps/*"]}'
PYTESTS = {"tests/conftest.py": "", "tests/test_a.py": ""}
JEST = '{"scripts": {"test": "jest"}, "dependencies": {"a": "1"}}'


def found(
    files: dict[str, str], roots: tuple[str, ...] = (), settings: CheckSettings | None = None
) -> list[Suite]:
    return find_suites(list(files), files.get, roots, settings or CheckSettings())


def workflow(*steps: str, job: str = "", on: str = "[push, pull_request]") -> str:
    lines = "".join(
        f"      - run: |\n          {step.replace(chr(10), chr(10) + ' ' * 10)}\n" for step in steps
    )
    return f"on: {on}\njobs:\n  test:\n    runs-on: ubuntu-latest\n{job}    steps:\n{lines}"


def tool(name: str) -> str:
    return f"command -v {name.split('@')[0]} >/dev/null || npm install --prefix"


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
        (
            {"hc/test_a.py": "", "manage.py": "", "requirements.txt": "django"},
            (VENV, f"{PIP} -r requirements.txt"),
            ("python3 manage.py test",),
        ),
        ({"package.json": '{"scripts": {"test": "node --test"}}'}, (), ("npm test",)),
        ({"package.json": '{"scripts": {"test": "tape test/*.js"}}'}, (), ("npm test",)),
        ({"package.json": JEST}, ("npm install --no-package-lock --no-audit --no-fund",), ("npm test",)),
        (
            {"package.json": JEST, "package-lock.json": ""},
            ("npm ci --no-audit --no-fund",),
            ("npm test",),
        ),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\""}}'}, None, None),
        ({"package.json": '{"scripts": {"test": "eslint ."}}'}, None, None),
        (
            {"package.json": '{"scripts": {"test": "playwright test", "test:unit": "vitest run"}}'},
            (),
            ("npm run test:unit",),
        ),
        ({"package.json": "{not json"}, None, None),
        ({"package.json": "[]"}, None, None),
        ({"go.mod": "", "a/b_test.go": ""}, ("go mod download",), ("go test -v ./...",)),
        ({"go.mod": "", "main.go": ""}, None, None),
        ({"Cargo.toml": ""}, ("cargo fetch",), ("cargo test",)),
        ({"Gemfile": "", "spec/a_spec.rb": ""}, ("bundle install",), ("bundle exec rspec",)),
        ({"Makefile": "all:\n\ntest: all\n\tpython -m pytest\n"}, (), ("make test",)),
        ({"Makefile": "test := no\n"}, None, None),
    ],
)  # fmt: skip
def test_conventions_are_the_last_word(
    files: dict[str, str], prepare: tuple[str, ...] | None, checks: tuple[str, ...] | None
) -> None:
    expected = [] if prepare is None or checks is None else [("", prepare, checks)]
    assert [(suite.directory, suite.prepare, suite.checks) for suite in found(files)] == expected


@pytest.mark.parametrize(
    ("files", "directory", "prepared", "check"),
    [
        # the nearest lock, or that of the workspace
        ({"uv.lock": "", "pyproject.toml": "[dependency-groups]\ndev = []"} | PYTESTS, "",
         "uv sync --inexact --group dev", PYTEST),
        ({"poetry.lock": "", "pyproject.toml": "[tool.poetry.group.dev]"} | PYTESTS, "",
         "poetry install --no-interaction --with dev", PYTEST),
        ({"Pipfile": "pytest", "test_a.py": ""}, "", "pipenv install --dev", PYTEST),
        ({"package.json": WORKSPACE, "package-lock.json": "", "apps/web/package.json": JEST},
         "apps/web", "cd ../../ && npm ci --no-audit --no-fund", "npm test"),
        ({"package.json": '{"packageManager": "pnpm@9.1.0+sha"}', "pnpm-lock.yaml": "",
          "pnpm-workspace.yaml": "packages: ['apps/*']", "apps/web/package.json": JEST},
         "apps/web", "cd ../../ && pnpm install --frozen-lockfile", "pnpm test"),
        ({"package.json": "{}", "package-lock.json": "", "web/package.json": JEST},
         "web", "npm install --no-package-lock --no-audit --no-fund", "npm test"),
        ({"package.json": JEST, "yarn.lock": "", ".yarnrc.yml": ""}, "",
         "yarn install --immutable", "yarn test"),
        ({"package.json": JEST, "bun.lock": ""}, "", "bun install --frozen-lockfile", "bun run test"),
        ({"deno.json": '{"tasks": {"test": "deno test -A"}}', "deno.lock": ""}, "",
         "deno install", "deno task test"),
        ({"composer.json": "{}", "phpunit.xml": ""}, "",
         "composer install --no-interaction --prefer-dist --no-progress", "vendor/bin/phpunit"),
        ({"mix.exs": "", "test/a_test.exs": ""}, "", "mix deps.get", "mix test"),
    ],
)  # fmt: skip
def test_a_package_manager_is_that_of_the_lock(
    files: dict[str, str], directory: str, prepared: str, check: str
) -> None:
    (suite,) = found(files, (directory,) if directory else ())
    assert (suite.directory, suite.prepare[-1], suite.checks) == (directory, prepared, (check,))


def test_a_manager_that_is_missing_is_installed_in_the_version_that_is_named() -> None:
    files = {"package.json": JEST[:-1] + ', "packageManager": "yarn@4.2.1"}', "yarn.lock": ""}
    (suite,) = found(files)
    assert suite.prepare[0].startswith(tool("yarn"))
    assert suite.prepare[0].endswith("@yarnpkg/cli-dist@4.2.1")


@pytest.mark.parametrize(
    ("named", "installed"), [("1.3.13", "1"), ("1.2", "1"), ("1.3.14", "1.3.14"), ("2", "2")]
)
def test_a_bun_that_the_way_out_would_refuse_is_not_installed(named: str, installed: str) -> None:
    files = {"package.json": JEST[:-1] + f', "packageManager": "bun@{named}"}}', "bun.lock": ""}
    (suite,) = found(files)
    assert suite.prepare[0].endswith(f" bun@{installed}")


# What real repositories' workflows run, in small.
SERVICE = "    services: {db: {image: 'postgres:16'}}\n"
MYSQL = SERVICE.replace("postgres:16", "mysql:8")
COVERAGE = "coverage run --omit=*/tests/* manage.py test"
CI_KINDS = {
    "django": (["pip install -r r.txt", COVERAGE], "", COVERAGE),
    "uv": (["uv sync\nmkdir data", "uv run pytest -n auto"], "", "pytest -n auto"),
    "poetry": (["poetry install", "poetry run pytest"], "", "pytest"),
    "npm": (["npm ci", "npm run test-backend"], "", "npm run test-backend"),
    "yarn": (["yarn install\nyarn test:app"], "", "yarn test:app"),
    "vitest": (["pnpm exec vitest run --shard=${{ matrix.shard }}"], "", "pnpm exec vitest run"),
    "a part of parts": (["npx vitest --shard=${{ matrix.a }}/${{ matrix.b }} -w 2"], "", "npx vitest -w 2"),
    "bun": (["bun install", "bun run test"], "", "bun run test"),
    "go": (["go test -race ./... | tee out.txt"], "", "go test -v -race ./..."),
    "rspec": (["sudo apt update", "bundle exec rspec"], "    env: {D: 'sqlite3:a'}\n", "bundle exec rspec"),
    "php": (
        ["php${{ matrix.php }} ./vendor/bin/phpunit"],
        "    strategy: {matrix: {php: ['8.2', '8.3']}}\n",
        "php8.3 ./vendor/bin/phpunit",
    ),
    "mix": (["mix deps.get", "MIX_ENV=test mix test"], "", "mix test"),
    "rust": (["cargo fmt --check", "cargo test -- --test-threads 1"], "", "cargo test -- --test-threads 1"),
    "deno": (["deno install", "deno lint", "deno task test", "deno publish --dry-run"], "", "deno task test"),
    "make": (["make lint", "make check-ci test"], "", None),
    "make-test": (["make test"], "", "go test -v ./..."),
    "words of the run": (["race=-race\n[ $A = b ] && race=''\ngo test $race ./..."], "", "go test -v ./..."),
    "packages of the run": (["go test -race $(go list ./... | grep -v x)"], "", "go test -v -race ./..."),
    "a recipe by pattern": (["make check-3.12"], "", None),
    "of a pattern": (["make test-3.12"], "", "pytest tests"),
    "a task": (["task go:coverage"], "", "go test -race ./app/... -v"),
    "tox": (["pip install tox", "tox -e py"], "", "python3 -m unittest discover"),
    "in the image": (["docker run --rm app bash -c 'cd api;pytest unit/'"], "", "pytest unit/"),
    "filled first": (["bin/rails db:setup test"], "", "bin/rails db:setup test"),
    "valued options": (["python3 -B -W default manage.py test"], "", "python3 -B -W default manage.py test"),
    "script": (["scripts/install", "scripts/test"], "", "scripts/test"),
}  # fmt: skip
SCRIPTS = json.dumps({"scripts": {"test-backend": "node --test", "test:app": "vitest", "test": "vitest"}})
BESIDE = {
    "package.json": SCRIPTS,
    "Makefile": "test:\n\tgo test ./...\nlint:\n\tx\ntest-%:\n\tuv run --python $* pytest tests\n",
    "deno.json": '{"tasks": {"test": "deno test -A"}}',
    "scripts/test": "coverage run -m pytest",
    "Taskfile.yml": "tasks:\n  go:coverage: {dir: api, cmds: ['go test -race {{ .X }}./app/... -v']}\n",
    "test_app.py": "",
}


@pytest.mark.parametrize("kind", [kind for kind, (_, _, check) in CI_KINDS.items() if check])
def test_ci_says_how_a_repository_is_tested(kind: str) -> None:
    steps, job, check = CI_KINDS[kind]
    suites = found({**BESIDE, ".github/workflows/ci.yml": workflow(*steps, job=job)})
    named = [suite for suite in suites if suite.source == ".github/workflows/ci.yml"]
    assert [suite.checks for suite in named] == [(check,)]
    assert named[0].not_run is None


def test_what_a_job_installs_and_lays_in_place_comes_first() -> None:
    steps = (
        "pip install -r a.txt",
        "cp .env.example .env",
        "npm ci",
        "pytest",
        "pip install twine",
        "twine upload x",
    )
    (suite,) = found({".github/workflows/ci.yml": workflow(*steps)})
    assert suite.prepare == (VENV, "pip install -r a.txt", "cp .env.example .env")
    assert suite.checks == ("pytest",)


def test_directories_matrices_and_variables_are_put_in() -> None:
    text = """
on: pull_request
env: {GO: '1.22', TOKEN: '${{ secrets.T }}', PATH: /x, LD_PRELOAD: /y}
jobs:
  unit:
    strategy: {matrix: {group: [app, shared], node: [20, 22]}}
    defaults: {run: {working-directory: web}}
    env: {TZ: UTC}
    steps:
      - run: cd api && yarn test:${{ matrix.group }} --shard=${{ matrix.part }}/4
      - run: yarn test:${{ inputs.what || 'app' }}
        working-directory: ${{ fromJSON(needs.x) }}
"""
    package = '{"scripts": {"test:app": "jest a", "test:shared": "jest b"}}'
    (suite,) = found({".github/workflows/a.yml": text, "web/api/package.json": package})
    assert (suite.directory, suite.checks) == ("web/api", ("yarn test:app", "yarn test:shared"))
    assert suite.environment == {"GO": "1.22", "TZ": "UTC"}


@pytest.mark.parametrize(
    ("steps", "job", "why"),
    [
        (["bundle exec rspec"], MYSQL, "It needs MySQL, "),
        (["bundle exec rspec"], SERVICE, None),
        (
            ["go test ./..."],
            SERVICE.replace("{db", "{s3: {image: minio}, db"),
            "It needs a service container, ",
        ),
        (["sudo systemctl start mysql", "vendor/bin/phpunit"], "", "It needs MySQL, "),
        (["docker compose up -d --wait", "pytest"], "", "It needs containers, "),
        (["uv run playwright install chromium", "uv run pytest tests_ui"], "", "It needs a browser, "),
        (["npx cypress run"], "", "It needs a browser, "),
        (["npm run test"], "", None),
    ],
)
def test_what_needs_more_than_the_sandbox_has_is_told(steps: list[str], job: str, why: str | None) -> None:
    files = {".github/workflows/ci.yml": workflow(*steps, job=job), "package.json": SCRIPTS}
    suites = [suite for suite in found(files) if suite.source]
    assert [suite.not_run and suite.not_run.startswith(why or "") for suite in suites] == [why and True]


def test_a_job_without_services_is_taken_first() -> None:
    files = {
        ".github/workflows/a-db.yml": workflow("pip install -r r.txt", "python manage.py test", job=SERVICE),
        ".github/workflows/b.yml": workflow("pip install -r r.txt", "coverage run manage.py test"),
        "manage.py": "",
    }
    (suite,) = found(files)
    assert (suite.checks, suite.services) == (("coverage run manage.py test",), ())
    assert suite.filling == "", "tests without a database make their own"
    files[".github/workflows/a-db.yml"] = files[".github/workflows/a-db.yml"].replace(
        "postgres:16", "mysql:8"
    )
    _, told = found(files)
    assert (told.services, told.not_run and told.not_run[:14]) == (("MySQL",), "It needs MySQL")


def test_tests_with_a_database_have_their_tables_made() -> None:
    files = {
        ".github/workflows/ci.yml": workflow("poetry install", "poetry run pytest", job=SERVICE),
        "alembic.ini": "",
        "worker/alembic.ini": "",
    }
    (suite,) = found(files)
    assert (suite.services, suite.not_run) == (("PostgreSQL",), None)
    assert suite.filling.startswith("timeout 60 alembic upgrade head ||")


FILLED = {
    "bundle exec rspec": "./bin/rails db:schema:load db:migrate",
    "bin/rails test": "bundle exec rake db:create db:schema:load",
    "pytest": "python manage.py migrate --noinput",
    "mix test": "mix ecto.create",
    "npx vitest": "npx prisma migrate deploy",
}


@pytest.mark.parametrize("check", FILLED)
def test_what_a_job_does_to_its_database_is_done_before_each_check(check: str) -> None:
    """As in lobsters, without a service beside it too."""
    files = {".github/workflows/ci.yml": workflow(FILLED[check], "npx prisma-client-py migrate", check)}
    (suite,) = found(files | {"Gemfile": "", "package.json": "{}", "mix.exs": ""})
    assert suite.checks == (check,)
    assert suite.filling == f"{FILLED[check]} || exit\n"
    assert not any(FILLED[check] in step for step in suite.prepare)


def test_a_convention_does_not_run_what_ci_gives_a_database() -> None:
    files = {
        ".github/workflows/ci.yml": workflow("go test ./...", job=SERVICE),
        "go.mod": "",
        "a_test.go": "",
    }
    (suite,) = found(files)
    assert (suite.services, suite.filling) == (("PostgreSQL",), "")


def test_what_chooses_a_version_or_has_a_name_of_its_own_is_found() -> None:
    """As in wger, fider and codimd."""
    files = {
        ".github/workflows/ci.yml": workflow("uv sync --group dev --python 3.14", "uv run pytest"),
        ".github/workflows/ui.yml": workflow("npm ci", "make test-ui"),
        ".github/workflows/js.yml": workflow("npm ci", "cd js && npm run test:ci"),
        "Makefile": "test-ui:\n\tTZ=GMT npx jest ./public\n",
        "js/package.json": '{"scripts": {"test:ci": "npm run-script cov", "cov": "mocha"}}',
    }
    suites = {suite.checks: suite for suite in found(files)}
    assert set(suites) == {("pytest",), ("npx jest ./public",), ("npm run test:ci",)}
    assert suites["pytest",].prepare[-1] == "uv sync --group dev"
    assert suites["npx jest ./public",].environment == {"TZ": "GMT"}


def test_what_a_job_makes_before_its_tests_is_made() -> None:
    """As in traggo, spliit, bookwyrm and gotify: generated code, a client, what another manager builds."""
    makefile = "test: test-go test-js\ntest-go:\n\tgo test ./...\ntest-js:\n\t(cd ui && yarn test)\n"
    files = {
        ".github/workflows/ci.yml": workflow(
            "(cd ui && yarn)",
            "make build-js",
            "make images",
            "make generate",
            "npx prisma generate",
            "make test",
        ),
        "Makefile": f"{makefile}build-js:\n\t(cd ui && x)\ngenerate:\n\tgqlgen\nimages:\n\tdocker build .\n",
        "go.mod": "",
        "ui/package.json": JEST,
        "ui/yarn.lock": "",
    }
    suites = {suite.directory: suite for suite in found(files)}
    assert suites[""].checks == ("go test -v ./...",)
    made = [step for step in suites[""].prepare if not step.startswith("command -v")]
    assert made == [
        "go mod download",
        "cd ui && yarn",
        "make build-js",
        "make generate",
        "npx prisma generate",
    ]
    assert suites["ui"].checks == ("yarn test",)


def test_tools_that_are_installed_are_not_the_project() -> None:
    """As in bracket and Radicale."""
    files = PYTESTS | {
        ".github/workflows/ci.yml": workflow("pip install uv wheel virtualenv", "uv run pytest"),
        "uv.lock": "",
        "pyproject.toml": "",
    }
    (suite,) = found(files)
    assert "uv sync --inexact" in suite.prepare


@pytest.mark.parametrize(
    ("job", "step", "lacks"),
    [
        ("", "docker compose run --rm app pytest tests", "containers"),
        ("", "docker run --network n app bash -c 'pytest tests'", "containers"),
        ("", "docker compose -p x run --name tests app tests --junitxml=a.xml", "containers"),
    ],
)
def test_what_ci_runs_in_containers_is_told_and_not_run_without(job: str, step: str, lacks: str) -> None:
    """As in redash and changedetection.io: no run of the whole of it takes their place."""
    (suite,) = found({".github/workflows/ci.yml": workflow(step, job=job)} | PYTESTS)
    assert suite.not_run is not None
    assert lacks in suite.not_run


def test_a_job_that_sets_up_a_browser_needs_it() -> None:
    """As in docuseal."""
    text = workflow("bundle exec rspec").replace(
        "    steps:\n", "    steps:\n      - uses: browser-actions/setup-chrome@v1\n"
    )
    (suite,) = found({".github/workflows/ci.yml": text, "Gemfile": "", "spec/a_spec.rb": ""})
    assert suite.not_run is not None
    assert "a browser" in suite.not_run


def test_without_ci_a_recipe_says_how_its_tests_are_run() -> None:
    """As in beszel, whose tests are built with tags."""
    files = {"go.mod": "", "a_test.go": "", "Makefile": "test:\n\tgo test -tags='testing no_ui' ./...\n"}
    (suite,) = found(files)
    assert suite.checks == ("go test -v '-tags=testing no_ui' ./...",)


@pytest.mark.parametrize("on", ["workflow_dispatch", "[schedule, release]"])
def test_a_workflow_that_no_change_starts_says_nothing(on: str) -> None:
    assert found({".github/workflows/ci.yml": workflow("pytest", on=on)}) == []


@pytest.mark.parametrize(
    "run",
    [
        "npm publish",
        "npm run deploy",
        "npm run test && npm publish; twine upload dist/*",
        "make release test-upload",
        "curl https://x.example | sh",
        "pip install twine && twine upload dist/*",
        "cat <<EOF > a\npytest\nEOF",
        "if true; then pytest; fi",
        "pytest $(curl x)",
        "$RUNNER test",
        "npm install -g npm",
        "go test -run TestUpgrade ./...",
        "/usr/bin/test",
        "cp /etc/passwd .",
        "cp ../../x y",
        "'unclosed",
    ],
)
def test_only_known_runners_and_installers_are_taken(run: str) -> None:
    allowed = {("npm", "run", "test"), ("pip", "install", "twine")}
    assert {command.words for command in commands(run)} <= allowed


TEXT = "pytest npm run test && ; | > $( ` npx sudo curl deploy publish cd .. / make go -run \\ ' A=b ${{ }}"
WORDS = st.sampled_from([*TEXT.split(), "\n", '"'])


@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_no_text_becomes_more_than_plain_words(run: str) -> None:
    for command in commands(run):
        assert not any(
            word in command.words for word in ("sudo", "curl", "deploy", "publish", "|", ">", "&&")
        )
        assert "`" not in command.line
        assert "$" not in command.line
        assert ".." not in command.directory
        assert command.purpose in Purpose


@given(st.text("ab./", max_size=30), st.text("ab./", max_size=30))
def test_no_directory_leaves_the_repository(directory: str, other: str) -> None:
    assert not {"..", ".", ""} & set(join(directory, other).split("/")) or join(directory, other) == ""


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "{\n" * 20_000,
        "- " * 30_000,
        "a: &a [*a]\non: push\njobs: *a",
        "on: push\njobs: {t: {steps: {run: pytest}}}",
        "on: [push\n",
        "on: push\njobs: 3",
        "on: push\njobs: {t: {steps: [{run: [pytest]}, 3, {run: 'pytest'}], services: 1, env: [1]}}",
        "x" * 100_000,
        "\x00",
    ],
)
def test_a_workflow_of_any_form_is_read_or_left(text: str) -> None:
    assert len(found({".github/workflows/ci.yml": text})) <= 1


def test_only_the_services_directories_are_looked_at() -> None:
    files = {"api/go.mod": "", "api/a_test.go": "", "web/package.json": SCRIPTS, "jobs/package.json": SCRIPTS}
    suites = found(files, ("/api", "web/"))
    assert sorted((suite.directory, suite.checks) for suite in suites) == [
        ("api", ("go test -v ./...",)),
        ("web", ("npm test",)),
    ]


def test_what_is_set_replaces_what_is_found() -> None:
    settings = CheckSettings(prepare=("make deps",), checks=("make lint", "make test"), directory="src")
    assert found({"Makefile": "test:\n"}, ("api",), settings) == [
        Suite("src", ("make deps",), ("make lint", "make test"))
    ]


def test_suites_of_one_workspace_share_their_installation() -> None:
    assert step_key("apps/web", "cd ../../ && npm ci") == step_key("apps/api", "cd ../.. && npm ci")
    assert step_key("apps/web", "npm ci") != step_key("apps/api", "npm ci")


def test_registries_of_the_repository_are_named() -> None:
    files = {"package.json": JEST, ".npmrc": "@acme:registry=https://npm.acme.example/\n"}
    assert found(files)[0].registries == ("npm.acme.example",)


def test_a_check_gets_no_more_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_x")
    plain = check_environment("/home", "/usr/bin", {"TZ": "UTC"}, None)
    assert plain["PATH"] == "/home/venv/bin:/home/tools/bin:/home/node/node_modules/.bin:/usr/bin"
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
        (report(a=None), report(a=None), [], False),
        (report(a=True), report(a=None), [], False),
        (report(a=True, b=None), report(a=True, b=None), [], True),
        (report(a=True, b=None), report(a=False, b=None), ["a"], False),
        (CheckReport(unverified="none"), CheckReport(unverified="none"), [], False),
    ],
)
def test_only_what_passed_before_can_break(
    before: CheckReport, after: CheckReport, regressions: list[str], verified: bool
) -> None:
    verification = Verification(before=before, after=after)
    assert [run.name for run in verification.regressions] == regressions
    assert verification.verified is verified
