"""A repository's own checks, as its people run them: set, or read from its CI, or found by convention."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from railmend.coding.checks.ci import Job, read_jobs
from railmend.coding.checks.commands import CheckCommand, Purpose, commands, join
from railmend.coding.checks.databases import lacking, migrations
from railmend.coding.checks.folder import Folder, Read
from railmend.coding.checks.packages import (
    NODE,
    TOOLS,
    VENV,
    blocked_by,
    bootstrap,
    conventions,
    here,
    install,
    registries,
)
from railmend.coding.checks.programs import RECIPES, ecosystem_of
from railmend.coding.settings import CheckSettings

# Suites that run, and suites that are told instead; checks of one.
MAX_SUITES, MAX_CHECKS = 4, 4
# After such a step of a job, its tests need what the step started.
STARTED: Mapping[str, re.Pattern[str]] = {
    "a browser": re.compile(r"\b(?:playwright|cypress)\S* install\b"),
    "containers": re.compile(r"\bdocker(?:-| )compose\b.*\b(?:up|start|run)\b"),
}
# A directory that has one of these may have tests of its own.
MANIFESTS = frozenset(
    {"package.json", "pyproject.toml", "requirements.txt", "manage.py", "go.mod", "Cargo.toml", "Gemfile"}
    | {"composer.json", "mix.exs", "deno.json", "deno.jsonc", "Pipfile"}
)


@dataclass(frozen=True)
class Suite:
    """What one directory of the repository needs installed, and how it is checked.

    `services`: what must answer while it runs, by name. `filling`: what creates the tables of its database,
    for a shell. `obstacle`: what it needs that no sandbox has. `registries`: hosts that the repository's
    settings install from. `source`: the file that says so.
    """

    directory: str
    prepare: tuple[str, ...]
    checks: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    obstacle: str | None = None
    registries: tuple[str, ...] = ()
    source: str = ""
    filling: str = ""

    @property
    def not_run(self) -> str | None:
        """Return why it cannot be run in the sandbox, as a sentence; None: it can."""
        return lacking([*filter(None, [self.obstacle]), *self.services]) or None


@dataclass(frozen=True)
class _Candidate:
    """A suite of one ecosystem, and how early its job is."""

    ecosystem: str
    suite: Suite
    late: float = 0

    @property
    def rank(self) -> tuple[bool, bool, int, int, float]:
        suite = self.suite
        blocked = suite.obstacle is not None
        return blocked, bool(suite.services), int(self.late), len(suite.checks[0]), self.late


def find_suites(
    paths: Sequence[str], read: Read, roots: Sequence[str], settings: CheckSettings
) -> list[Suite]:
    """Return the suites of the services' directories (none: all), those that are set or those that are found.

    CI configuration decides; conventions, for what it does not run. Those that cannot be run come last.
    """
    if settings.checks:
        return [Suite(settings.directory, settings.prepare, settings.checks)]
    wanted = list(dict.fromkeys(root.strip("/") for root in roots or ("",)))
    root = Folder("", paths, read)
    found = _within([each for job in read_jobs(paths, read) for each in _of_job(job, root)], wanted)
    for directory in wanted:
        found += _by_convention(root.at(directory), found)
    return _chosen(found)


def _within(found: Sequence[_Candidate], wanted: Sequence[str]) -> list[_Candidate]:
    """Return what runs in a wanted directory; for a directory where nothing does, what runs above it."""
    kept: list[_Candidate] = []
    for directory in wanted:
        inside = [each for each in found if _is_in(each.suite.directory, directory)]
        kept += inside or [each for each in found if _is_in(directory, each.suite.directory)]
    return list({id(each): each for each in kept}.values())


def _is_in(path: str, directory: str) -> bool:
    return not directory or path == directory or path.startswith(f"{directory}/")


def _chosen(found: Sequence[_Candidate]) -> list[Suite]:
    """Choose for each directory and ecosystem the suite that can be run, of the job that is tried first."""
    chosen: dict[tuple[str, str], Suite] = {}
    told: dict[tuple[str, str], Suite] = {}
    for each in sorted(found, key=lambda candidate: candidate.rank):
        suite = each.suite
        if suite.not_run is None:
            chosen.setdefault((suite.directory, each.ecosystem), suite)
        elif not any(suite.checks == other.checks for other in chosen.values()):
            told.setdefault((suite.directory, suite.checks[0]), suite)
    return [*list(chosen.values())[:MAX_SUITES], *list(told.values())[:MAX_SUITES]]


def _of_job(job: Job, root: Folder) -> Iterator[_Candidate]:
    """Give the suites of one CI job: its tests, with what it installs and builds before them."""
    before: list[tuple[str, CheckCommand]] = []
    suites: dict[tuple[str, str, str | None], Suite] = {}
    started: str | None = None
    for step in job.steps:
        started = next((what for what, pattern in STARTED.items() if pattern.search(step.run)), started)
        for directory, command in _commands(root, step.directory, step.run):
            folder = root.at(directory)
            body = folder.script(*command.script) if command.script else ""
            if command.purpose is not Purpose.TEST:
                before += [] if body and blocked_by(body) else [(directory, command)]
                continue
            ecosystem = command.ecosystem or ecosystem_of(body) or _usual(folder, command)
            if not ecosystem or (command.script and not _tests(command, body)):
                continue
            obstacle = blocked_by(f"{command.line} {body}") or started
            key = (directory, ecosystem, obstacle)
            if (suite := suites.get(key)) is None:
                suite = Suite(
                    directory,
                    _prepared(ecosystem, folder, before, command.line),
                    (),
                    dict((*step.environment, *command.variables)),
                    job.services,
                    obstacle,
                    registries(folder),
                    job.source,
                    _filled(ecosystem, folder, before) or _filling(folder, job.services),
                )
            if len(suite.checks) < MAX_CHECKS and command.line not in suite.checks:
                suites[key] = replace(suite, checks=(*suite.checks, command.line))
    for (_, ecosystem, _), suite in suites.items():
        yield _Candidate(ecosystem, suite, job.late)


def _commands(root: Folder, directory: str, run: str, depth: int = 2) -> Iterator[tuple[str, CheckCommand]]:
    """Give the known commands of a script; in the place of a recipe of tests, the tests that it runs."""
    for command in commands(run):
        where = join(directory, command.directory)
        program, name = command.script or ("", "")
        if command.purpose is not Purpose.TEST or program not in (*RECIPES, "tox"):
            yield where, command
        elif program == "tox":
            usual = (check for ecosystem, check, _, _ in conventions(root.at(where)) if ecosystem == "python")
            yield from ((where, replace(command, words=tuple(check.split()), script=None)) for check in usual)
        else:
            recipe = root.at(where).recipe(program, name) if depth else ""
            inner = list(_commands(root, where, recipe, depth - 1))
            tests = [
                (at, replace(each, variables=(*command.variables, *each.variables))) for at, each in inner
            ]
            yield from tests if any(each.purpose is Purpose.TEST for _, each in tests) else [(where, command)]


def _usual(folder: Folder, command: CheckCommand) -> str:
    """Return the ecosystem of a test in a container that does not say it: that of the folder's own tests."""
    return "" if command.script else next((ecosystem for ecosystem, *_ in conventions(folder)), "")


def _tests(command: CheckCommand, body: str) -> bool:
    """Return whether a script runs tests, as its text says; one of another package is believed."""
    elsewhere = any(
        word in ("-r", "workspace", "workspaces") or word.startswith(("--filter", "--work", "-F"))
        for word in command.words
    )
    return bool(ecosystem_of(body)) or elsewhere


def _prepared(
    ecosystem: str, folder: Folder, before: Sequence[tuple[str, CheckCommand]], check: str
) -> tuple[str, ...]:
    """Return what a job did for this ecosystem before its tests; if it installed nothing, what is usual."""
    others = any(each.script and each.script[0] in RECIPES for _, each in before)  # a recipe may need any
    ours = [
        (where, each)
        for where, each in before
        if (others or each.ecosystem in (ecosystem, "")) and each.purpose is not Purpose.FILL
    ]
    made = [here(folder, where, each.line) for where, each in ours]
    if not any(each.installs_project and each.ecosystem == ecosystem for _, each in ours):
        made = [*install(ecosystem, folder), *made]
    used = "\n".join((*made, check))
    needed = {ecosystem, *(each.ecosystem for _, each in ours)} if made else set()
    tools = [tool for each in sorted(needed) for tool in bootstrap(each, folder, used)]
    return tuple(dict.fromkeys((*tools, *made)))


def _filled(ecosystem: str, folder: Folder, before: Sequence[tuple[str, CheckCommand]]) -> str:
    """Return what a job did to its database before the tests, for a shell."""
    ours = [
        f"{here(folder, where, each.line)} || exit\n"
        for where, each in before
        if each.purpose is Purpose.FILL and each.ecosystem == ecosystem and where == folder.directory
    ]
    return "".join(dict.fromkeys(ours))


def _filling(folder: Folder, services: Sequence[str]) -> str:
    return migrations(folder.files, folder.text("package.json")) if "PostgreSQL" in services else ""


def _by_convention(folder: Folder, found: Sequence[_Candidate]) -> list[_Candidate]:
    """Return what a directory has tests of that CI does not run; if it has none, what those below it have."""
    where = folder.directory
    known = {
        each.ecosystem
        for each in found
        if _is_in(each.suite.directory, where) or _is_in(where, each.suite.directory)
    }
    own = [each for each in _conventional(folder) if each.ecosystem not in known]
    if own or known:
        return own
    below = sorted(
        {
            path.rsplit("/", 1)[0]
            for path in folder.files
            if path.rsplit("/", 1)[-1] in MANIFESTS and 0 < path.count("/") <= 2
        }
    )
    return [each for name in below[:20] for each in _conventional(folder.at(join(folder.directory, name)))]


def _conventional(folder: Folder) -> list[_Candidate]:
    """Return what a directory's files say of its tests; how, a recipe of that name says first."""
    recipes = [(program, body) for program in RECIPES if (body := folder.script(program, "test"))]
    said = {
        each.ecosystem: each
        for program, _ in recipes
        for where, each in _commands(folder.at(""), folder.directory, f"{program} test")
        if where == folder.directory and each.purpose is Purpose.TEST and not each.script
    }
    suites = []
    for ecosystem, check, services, obstacle in conventions(folder):
        recipe = said.get(ecosystem)
        check, given = (recipe.line, dict(recipe.variables)) if recipe else (check, {})
        prepare, filling = _prepared(ecosystem, folder, (), check), _filling(folder, services)
        place = folder.directory, prepare, (check,), given, services, obstacle, registries(folder)
        suites.append(_Candidate(ecosystem, Suite(*place, filling=filling)))
    if not suites and recipes:
        program, body = recipes[0]
        suite = Suite(folder.directory, (), (f"{program} test",), obstacle=blocked_by(body))
        suites.append(_Candidate(ecosystem_of(body), suite))
    return suites


# A registry that does not answer, or refuses, ends an installation at once.
INSTALLATION: Mapping[str, str] = {
    "npm_config_fetch_retries": "1",
    "npm_config_fetch_retry_mintimeout": "1000",
    "npm_config_fetch_retry_maxtimeout": "2000",
    "npm_config_fetch_timeout": "30000",
    "PIP_RETRIES": "1",
    "PIP_DEFAULT_TIMEOUT": "20",
    "UV_HTTP_TIMEOUT": "20",
    "UV_PYTHON_DOWNLOADS": "never",
    "BUNDLE_RETRY": "1",
    "CARGO_NET_RETRY": "1",
    "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
}
# What a check would otherwise try to install again; Go tells of each test only when asked.
OFFLINE: Mapping[str, str] = {
    "CARGO_NET_OFFLINE": "true",
    "UV_OFFLINE": "1",
    "UV_NO_SYNC": "1",
    "GOFLAGS": "-v",
}


def step_key(directory: str, command: str) -> tuple[str, str]:
    """Return where a prepare step runs, and what: suites of one workspace share their installation."""
    moved = re.match(r"cd ([\w./-]+) && (.*)$", command)
    return (join(directory, moved[1]), moved[2]) if moved else (directory, command)


def check_environment(home: str, path: str, extra: Mapping[str, str], proxy: str | None) -> dict[str, str]:
    """Return the environment of prepare steps and checks. `proxy`: the only way to the network, if any."""
    values = {
        "PATH": f"{home}/{VENV}/bin:{home}/{TOOLS}/bin:{home}/{NODE}/node_modules/.bin:{path}",
        "HOME": home,
        **INSTALLATION,
        "VIRTUAL_ENV": f"{home}/{VENV}",
        "UV_PROJECT_ENVIRONMENT": f"{home}/{VENV}",
        "BUNDLE_PATH": f"{home}/bundle",
        "LANG": "C.UTF-8",
        "CI": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **(OFFLINE if proxy is None else {}),
        **extra,
    }
    if proxy is not None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            values |= {name: proxy, name.lower(): proxy}
        values |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,::1")
    return values
