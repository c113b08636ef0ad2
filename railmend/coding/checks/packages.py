"""What package managers and conventions say of one directory: how to install, and what its tests are."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from railmend.coding.checks.folder import MAX_SCRIPT, Folder, table, yaml_object
from railmend.coding.checks.programs import UNIT_NAMES, ecosystem_of, obstacle_of

# In the home of checks, out of the work tree: Python's packages; package managers of Python and of Node.
VENV, TOOLS, NODE = "venv", "tools", "node"
PIP = f'"$HOME/{VENV}/bin/python" -m pip install --quiet --disable-pip-version-check'
PYTHON_TEST = re.compile(r"^(?:test_.*|.*_test|tests)\.py$")
REQUIREMENTS = re.compile(
    r"^(?:requirements/)?(?:requirements[-_.])?(?:dev|test|tests|testing)\.txt$|^requirements\.txt$"
)
PYTEST_FILES = re.compile(
    r"(?:^|/)(?:pyproject\.toml|setup\.(?:cfg|py)|tox\.ini|Pipfile|requirements\S*\.(?:txt|in)|\w+\.txt)$"
)
PYTHON_LOCKS = {"uv.lock": "uv", "poetry.lock": "poetry", "pdm.lock": "pdm", "Pipfile": "pipenv"}
PYTHON_PROJECT = frozenset({"requirements.txt", "pyproject.toml", "setup.py", "setup.cfg"})
PYTHON_FILES = PYTHON_PROJECT | {"pytest.ini", "conftest.py"}
GROUPS = ("dev", "test", "tests", "testing")
LOCKS: Mapping[str, str] = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "bun.lock": "bun",
    "bun.lockb": "bun",
}
# Older ones pretend that a TLS server's name is encrypted, which a prepare step's way out refuses.
FIRST_PLAIN_BUN = (1, 3, 14)
MANAGER = re.compile(r"^(npm|pnpm|yarn|bun)@(\d+(?:\.\d+){0,2})")
IGNORED = re.compile(r"--(?:exclude|ignore|deselect|test-?path-?ignore-?patterns?|exclude-dir)[ =]\S+", re.I)
REGISTRY = re.compile(
    r"(?:registry|npmRegistryServer|index-url|extra-index-url|url|source)\"?[ :=]+[\"']?https?://([\w.-]+)",
    re.I,
)
REGISTRY_FILES = (
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    "bunfig.toml",
    "requirements.txt",
    "pip.conf",
    "Pipfile",
    "Gemfile",
)


def blocked_by(text: str) -> str | None:
    """Return what a command or script needs that no sandbox has; tests that it leaves out do not count."""
    return obstacle_of(IGNORED.sub(" ", text))


def registries(folder: Folder) -> tuple[str, ...]:
    """Return the hosts that the repository's own settings install from."""
    return tuple(
        dict.fromkeys(
            host
            for each in folder.above
            for name in REGISTRY_FILES
            for host in REGISTRY.findall(each.text(name)[:MAX_SCRIPT])
        )
    )[:5]


def here(folder: Folder, directory: str, command: str) -> str:
    """Return a command of another directory, to be run in the folder's."""
    if directory == folder.directory:
        return command
    up = "../" * len(PurePosixPath(folder.directory).parts)
    return f"cd {shlex.quote(up + directory or '.')} && {command}"


def install(ecosystem: str, folder: Folder) -> tuple[str, ...]:
    """Return how the packages of a directory are installed, by the manager whose files are nearest."""
    return tuple(INSTALLERS[ecosystem](folder))


def bootstrap(ecosystem: str, folder: Folder, used: str) -> tuple[str, ...]:
    """Return what makes the package managers that `used` names available, where the sandbox has none."""
    if ecosystem == "python":
        tools = [
            tool for tool in ("uv", "poetry", "pipenv", "pdm") if re.search(rf"(?:^|&& ){tool} ", used, re.M)
        ]
        made = [f'python3 -m venv "$HOME/{VENV}"'] if used else []
        if tools:
            made += [
                f'python3 -m venv "$HOME/{TOOLS}"',
                f'"$HOME/{TOOLS}/bin/pip" install --quiet {" ".join(tools)}',
            ]
        return tuple(made)
    if ecosystem in ("node", "deno"):
        return tuple(
            _node_tool(tool, folder)
            for tool in ("pnpm", "yarn", "bun", "deno")
            if re.search(rf"(?:^|&& ){tool}\b", used, re.M)
        )
    if ecosystem == "elixir":
        return ("mix local.hex --force --if-missing", "mix local.rebar --force --if-missing")
    return ()


def _node_tool(tool: str, folder: Folder) -> str:
    manager, version, _ = _manager(folder)
    if tool == "bun" and tuple(map(int, filter(None, version.split(".")))) < FIRST_PLAIN_BUN:
        version = ""
    number = (
        version if manager == tool and version else {"pnpm": "10", "yarn": "1", "bun": "1", "deno": "2"}[tool]
    )
    berry = tool == "yarn" and not number.startswith(("0", "1"))
    package = f"@yarnpkg/cli-dist@{number}" if berry else f"{tool}@{number}"
    return (
        f"command -v {tool} >/dev/null || "
        f'npm install --prefix "$HOME/{NODE}" --no-audit --no-fund --loglevel=error {package}'
    )


def _manager(folder: Folder) -> tuple[str, str, Folder]:
    """Return Node's package manager, its version if it is named, and where its lock or workspace is."""
    for each in folder.above:
        if each is not folder and each.directory != folder.directory and not _member(each, folder):
            continue
        named = MANAGER.match(str(each.package.get("packageManager", "")))
        lock = next((LOCKS[name] for name in LOCKS if name in each.top), None)
        if lock or named:
            manager = named[1] if named and (not lock or named[1] == lock) else lock or "npm"
            version = named[2] if named and named[1] == manager else ""
            if manager == "yarn" and not version and ".yarnrc.yml" in each.top:
                version = "4"
            return manager, version, each
    return "npm", "", folder


def _member(root: Folder, folder: Folder) -> bool:
    """Return whether a directory is of the workspace at `root`."""
    declared = root.package.get("workspaces")
    globs = declared.get("packages") if isinstance(declared, dict) else declared
    found = [*(globs or ())] if isinstance(globs, list) else []
    found += yaml_object(root.text("pnpm-workspace.yaml")).get("packages") or []
    path = folder.directory.removeprefix(f"{root.directory}/" if root.directory else "")
    return any(
        isinstance(each, str) and fnmatchcase(path, each.removeprefix("./").rstrip("/").replace("**", "*"))
        for each in found
    )


def _install_node(folder: Folder) -> Iterator[str]:
    manager, version, where = _manager(folder)
    locked = any(LOCKS[name] == manager for name in LOCKS if name in where.top)
    if not locked and not any(folder.package.get(key) for key in ("dependencies", "devDependencies")):
        return
    frozen = " --frozen-lockfile" if locked else ""
    if manager == "npm":
        command = "npm ci" if locked else "npm install --no-package-lock"
        command += " --no-audit --no-fund"
    elif manager == "yarn" and version and not version.startswith(("0", "1")):
        command = "yarn install" + (" --immutable" if locked else "")
    else:
        command = f"{manager} install{frozen}"
    yield here(folder, where.directory, command)


def _install_python(folder: Folder) -> Iterator[str]:
    locked = (each for each in folder.above if each.top & PYTHON_LOCKS.keys())
    where = next(locked, None) or next((each for each in folder.above if each.top & PYTHON_PROJECT), folder)
    project = where.pyproject
    groups = [name for name in table(project, "dependency-groups") if name in GROUPS]
    extras = [name for name in table(project, "project", "optional-dependencies") if name in GROUPS]
    lock = next((PYTHON_LOCKS[name] for name in PYTHON_LOCKS if name in where.top), "")
    if lock == "uv":
        options = [f" --group {name}" for name in groups] + [f" --extra {name}" for name in extras]
        yield f"uv sync --inexact{''.join(options)}"  # in a workspace: of this member
    elif lock == "poetry" or "poetry" in table(project, "tool"):
        more = ",".join(name for name in table(project, "tool", "poetry", "group") if name in GROUPS)
        yield here(
            folder, where.directory, "poetry install --no-interaction" + f" --with {more}" * bool(more)
        )
    elif lock:
        yield here(folder, where.directory, "pdm install" if lock == "pdm" else "pipenv install --dev")
    elif parts := _pip(where, groups, extras):
        yield here(folder, where.directory, f"{PIP} {' '.join(parts)}")


def _pip(folder: Folder, groups: Sequence[str], extras: Sequence[str]) -> list[str]:
    names = sorted(name for name in folder.files if REQUIREMENTS.match(name))
    parts = [part for name in names for part in ("-r", name)]
    if "build-system" in folder.pyproject or "setup.py" in folder.top:
        parts += ["-e", shlex.quote(f".[{','.join(extras)}]") if extras else "."]
    for name in groups:
        parts += ["--group", name]
    return [*parts, "pytest"] if uses_pytest(folder) else parts


def uses_pytest(folder: Folder) -> bool:
    if any(path == "pytest.ini" or path.endswith("conftest.py") for path in folder.files):
        return True
    names = [path for path in folder.files if PYTEST_FILES.search(path) and path.count("/") < 2]
    return any("pytest" in folder.text(name) for name in names[:20])


def _nearest(folder: Folder, name: str, command: str) -> Iterator[str]:
    where = next((each for each in folder.above if name in each.top), folder)
    yield here(folder, where.directory, command)


COMPOSER = "composer install --no-interaction --prefer-dist --no-progress"
INSTALLERS: Mapping[str, Callable[[Folder], Iterator[str]]] = {
    "python": _install_python,
    "node": _install_node,
    "go": lambda folder: _nearest(folder, "go.mod", "go mod download"),
    "rust": lambda folder: _nearest(folder, "Cargo.toml", "cargo fetch"),
    "ruby": lambda folder: _nearest(folder, "Gemfile", "bundle install"),
    "php": lambda folder: _nearest(folder, "composer.json", COMPOSER),
    "elixir": lambda folder: _nearest(folder, "mix.exs", "mix deps.get"),
    "deno": lambda folder: _nearest(folder, "deno.lock", "deno install"),
}


def conventions(folder: Folder) -> Iterator[tuple[str, str, tuple[str, ...], str | None]]:
    """Give ecosystem, check, services and other obstacle of each kind of a directory's tests."""
    for ecosystem in INSTALLERS:
        own = TESTS[ecosystem](folder) if ecosystem in TESTS else None
        if found := own or _usual(ecosystem, folder):
            yield ecosystem, found[0], _services(ecosystem, folder), blocked_by(found[1])


def _services(ecosystem: str, folder: Folder) -> tuple[str, ...]:
    """Frameworks whose tests always begin by connecting to the database that the manifest's driver is for."""
    if ecosystem == "elixir":
        return ("PostgreSQL",) if ":postgrex" in folder.text("mix.exs") else ()
    if ecosystem == "ruby" and "rails" in folder.text("Gemfile"):
        database = folder.text("config/database.yml")
        drivers = re.findall(r"^\s*gem ['\"](pg|mysql2|sqlite3)['\"]", folder.text("Gemfile"), re.M)
        if "sqlite" not in database and "sqlite3" not in drivers:
            named = {"pg": "PostgreSQL", "mysql2": "MySQL"}
            return tuple(named[driver] for driver in dict.fromkeys(drivers))[:1]
    return ()


def _python(folder: Folder) -> tuple[str, str] | None:
    if not any(PYTHON_TEST.match(PurePosixPath(path).name) for path in folder.files):
        return None
    if not uses_pytest(folder) and "manage.py" in folder.top:
        return "python3 manage.py test", ""
    near = any(PYTHON_TEST.match(name) or name.startswith(("tests/", "test/")) for name in folder.files)
    if not near and not folder.top & (PYTHON_FILES | PYTHON_LOCKS.keys()):
        return None
    return ("python3 -m pytest -q -p no:cacheprovider" if uses_pytest(folder) else _unittest(folder)), ""


def _unittest(folder: Folder) -> str:
    if not any(path.startswith("tests/") for path in folder.files):
        return "python3 -m unittest discover"
    top = " -t ." if "tests/__init__.py" in folder.files else ""
    return f"python3 -m unittest discover -s tests{top}"


def _node(folder: Folder) -> tuple[str, str] | None:
    """Choose the script that runs the unit tests: the usual name, unless that needs a browser."""
    scripts = folder.scripts("npm")
    manager = _manager(folder)[0]
    choices = []
    for name in (name for name in UNIT_NAMES if name in scripts):
        run = "" if name == "test" and manager != "bun" else "run "
        if ecosystem_of(body := folder.script("npm", name)) in ("node", "deno"):
            choices.append((f"{manager} {run}{name}", body))
    free = [each for each in choices if not blocked_by(each[1]) and "--watch" not in each[1]]
    if free or choices:
        return (free or choices)[0]
    tested = any(re.search(r"\.test\.[jt]sx?$", path) for path in folder.files)
    if manager == "bun" and tested and not re.search("playwright|vitest|jest", folder.text("package.json")):
        return "bun test", ""
    return None


def _deno(folder: Folder) -> tuple[str, str] | None:
    return ("deno task test", body) if (body := folder.script("deno", "test")) else None


def _php(folder: Folder) -> tuple[str, str] | None:
    if ecosystem_of(body := folder.script("composer", "test")) == "php":
        return "composer test", body
    return ("vendor/bin/pest", "") if "pestphp/pest" in folder.text("composer.json") else None


TESTS: Mapping[str, Callable[[Folder], tuple[str, str] | None]] = {
    "python": _python,
    "node": _node,
    "deno": _deno,
    "php": _php,
}
# By ecosystem: a manifest, what else a directory has, and how its tests are then run; the first that fits.
USUAL = (
    ("deno", r"deno\.jsonc?", r"(?:.*/)?(?:[^/]*[_.])?test\.[jt]sx?", "deno test --allow-all"),
    ("go", r"go\.mod", r".*_test\.go", "go test -v ./..."),
    ("rust", r"Cargo\.toml", "", "cargo test"),
    ("ruby", "Gemfile", r"spec/.*_spec\.rb", "bundle exec rspec"),
    ("ruby", "Gemfile", r"test/.*_test\.rb", "bundle exec rake test"),
    ("php", r"composer\.json", r"phpunit\.xml(?:\.dist)?", "vendor/bin/phpunit"),
    ("elixir", r"mix\.exs", r"(?:test|apps)/.*_test\.exs", "mix test"),
)


def _usual(ecosystem: str, folder: Folder) -> tuple[str, str] | None:
    for name, manifest, beside, check in USUAL:
        if name == ecosystem and all(
            any(re.fullmatch(each, path) for path in folder.files) for each in (manifest, beside) if each
        ):
            rails = check == "bundle exec rake test" and "bin/rails" in folder.files
            return ("bin/rails test" if rails else check), ""
    return None
