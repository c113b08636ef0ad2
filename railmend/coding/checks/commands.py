"""Command lines of CI configuration, package scripts and Makefiles: known test runners and installers.

The text is hostile. Nothing here runs it, and what is taken is run in the sandbox alone; what no table names
is not taken at all, so that no deployment, release or upload is.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

MAX_RUN, MAX_LINE, MAX_WORDS = 4000, 300, 40


# Words that a shell reads as they are, or as names of files.
PLAIN = re.compile(r"^[\w./*@:=,+%-]+$")


class Purpose(StrEnum):
    INSTALL = "install"
    BUILD = "build"
    FILL = "fill"  # what creates the tables that tests need
    TEST = "test"


@dataclass(frozen=True)
class CheckCommand:
    """A known command. `directory`: below that of its step. `script`: what it stands for, by another name."""

    purpose: Purpose
    words: tuple[str, ...]
    directory: str = ""
    script: tuple[str, str] | None = None
    ecosystem: str = ""
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def installs_project(self) -> bool:
        """Return whether it installs what the project names, and not some tools alone."""
        named = any(word.startswith((".", "-r", "-e", "--group", "--requirement")) for word in self.words)
        return self.purpose is Purpose.INSTALL and (named or not self.words[0].startswith("pip"))

    @property
    def line(self) -> str:
        return " ".join(word if PLAIN.match(word) else shlex.quote(word) for word in self.words)


# How each ecosystem's runners are named in a script; the first that matches is the script's.
ECOSYSTEMS: Mapping[str, re.Pattern[str]] = {
    "php": re.compile(r"\b(?:phpunit|pest|paratest|artisan test)\b"),
    "ruby": re.compile(r"\b(?:rspec|rake|bin/rails|rails)\b"),
    "elixir": re.compile(r"\bmix test\b"),
    "rust": re.compile(r"\bcargo (?:\S+ )*?(?:test|nextest)\b"),
    "go": re.compile(r"\b(?:go test|gotestsum|\$\(GO\) test|\$\{GO\} test)\b"),
    "deno": re.compile(r"\bdeno (?:test|task)\b"),
    "python": re.compile(r"\b(?:pytest|py\.test|unittest|nose2|manage\.py test)\b"),
    "node": re.compile(
        r"\b(?:vitest|jest|mocha|ava|tap|jasmine|uvu|bun test|node (?:\S+ )*--test|react-scripts test"
        r"|turbo|nx|vp test|lerna|ng test|(?:npm|pnpm|yarn|bun) (?:run )?test)\b"
    ),
}
# What a check needs that no sandbox has, and how that is called.
OBSTACLES: Mapping[str, re.Pattern[str]] = {
    "a browser": re.compile(
        r"\b(?:playwright|cypress|puppeteer|selenium|webdriver|wdio|nightwatch|testcafe|chromedriver|xvfb-run"
        r"|capybara|cuprite|dusk|test:system|vp_browser|detox|e2e)\b|--browser\b|setup-chrome",
        re.I,
    ),
    "containers": re.compile(
        r"\bdocker(?:-compose|file)?\b|\bpodman\b|\btestcontainers\b|\bminikube\b|\bkind create"
    ),
    "the network": re.compile(r"\b(?:curl|wget|ssh|aws|gcloud|kubectl|ngrok)\b"),
}
# Never taken, whatever else a command or script says.
FORBIDDEN = re.compile(
    r"\b(?:deploy|publish|release|upload|push|login|ship|codecov|coveralls|sonar|npm-publish|twine|gh)\b"
    r"|(?<!\S)(?:sudo|curl)(?!\S)",
    re.I,
)
# How images, programs and drivers name them.
SERVICES: Mapping[str, re.Pattern[str]] = {
    "PostgreSQL": re.compile(
        r"\b(?:postgres(?:ql)?|postgis|pgvector|timescale\w*|psql|pg_isready|psycopg\w*|asyncpg|pg8000|postgrex"
        r"|lib/pq|pgx)\b|[\"']pg[\"']",
        re.I,
    ),
    "MySQL": re.compile(r"\b(?:mysql\w*|mariadb|setup-mariadb|pymysql|aiomysql|trilogy)\b", re.I),
    "Redis": re.compile(
        r"\b(?:redis|valkey|(?:io|go-|django-|channels-)redis|bullmq|bull|sidekiq|resque)\b", re.I
    ),
    "MongoDB": re.compile(r"\b(?:py)?mongo(?:db|ose|id|engine|-driver)?\b", re.I),
    "Elasticsearch": re.compile(r"\b(?:elasticsearch|opensearch)\b", re.I),
    "RabbitMQ": re.compile(r"\b(?:rabbitmq|amqplib|aio-pika|pika|amqp091-go|bunny)\b", re.I),
    "Kafka": re.compile(r"\b(?:kafka|kafkajs|kafka-go|sarama|aiokafka|confluent[_-]kafka)\b", re.I),
    "ClickHouse": re.compile(r"\bclickhouse\b", re.I),
    "LDAP": re.compile(r"\bopenldap\b", re.I),
}
FILLS: Mapping[str, re.Pattern[str]] = {
    "ruby": re.compile(r"^(?:bundle exec )?(?:(?:\./)?bin/)?(?:rails|rake)(?: db:[\w:]+)+$"),
    "python": re.compile(
        r"^(?:python3? )?(?:\./)?manage\.py migrate\b|^alembic upgrade \w+$|^flask db upgrade$"
    ),
    "php": re.compile(r"^php artisan migrate\b"),
    "elixir": re.compile(r"^mix ecto\.\w+(?:\.\w+)?$"),
    "node": re.compile(
        r"^(?:(?:npx|pnpm|yarn)(?: exec)? )?(?:(?:prisma|drizzle-kit) (?:migrate|(?:db )?push)|knex migrate"
        r"|sequelize(?:-cli)? db:migrate)\b"
    ),
}
TEST_SCRIPT = re.compile(
    r"^(?:[a-z]+:)?(?:tests?|specs?|unit|unittests?|vitest|jest|coverage)(?:[:_-][\w:.-]+)?$", re.I
)
BUILD_SCRIPT = re.compile(r"^(?:build|compile|generate|codegen|prepare|prebuild)(?:[:_-][\w:-]+)?$")
# What a Makefile's targets are called that a job runs before its tests.
BUILD_TARGET = re.compile(
    rf"{BUILD_SCRIPT.pattern}|^(?:install|deps|web|ui|frontend|assets|docs|download|tools|setup|bootstrap)"
    r"(?:[:_-][\w:-]+)?$"
)
RECIPES = ("make", "just", "task")
# What runs scripts by name, and of which ecosystem; options that say where, with a value.
SCRIPTED = dict.fromkeys(("npm", "pnpm", "yarn", "bun"), "node") | dict.fromkeys(RECIPES, "")
SCRIPTED |= {"composer": "php", "deno": "deno"}
ELSEWHERE = "--filter|-F|--workspace|-w|--prefix|--dir|-C|--cwd"
# What makes files that tests need, and is no script.
BUILDS = re.compile(
    r"^(?:npx|bunx|pnpm|yarn|npm)(?: (?:exec|--no-install))* [\w@/.-]+ (?:generate|codegen|prepare|build)\b"
    r"|^go generate\b|^(?:python3? )?(?:\./)?manage\.py (?:collectstatic|compile\w+)\b"
)
UNIT_NAMES = (
    *("test", "test:unit", "unit", "test:run", "test:ci", "test:backend", "test:server", "test-unit"),
    "test:app",
)
OTHER_TESTS = re.compile(
    r"\b(?:lint|types?|typecheck|watch|debug|update|format|prettier|fix|bench|perf|smoke)\b"
)


def _programs(table: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Return the ecosystem of each program and verb of a table: `program verb|verb`, by comma."""
    rows = ((ecosystem, each.split()) for ecosystem, said in table.items() for each in said.split(","))
    return {(row[0], verb): ecosystem for ecosystem, row in rows for verb in (*row[1:], "*")[0].split("|")}


# What installs, and what tests, by ecosystem: with any verb, with one of these, or with none (`-`).
INSTALLS = _programs(
    {
        "python": "pip install, pip3 install, uv sync|pip, poetry install, "
        "pipenv install|sync, pdm install|sync",
        "node": "npm ci|i|install|clean-install, pnpm i|install, yarn -|install, bun i|ci|install",
        "deno": "deno install",
        "ruby": "bundle install",
        "php": "composer install",
        "elixir": "mix deps.get",
        "go": "go mod|install",
        "rust": "cargo fetch",
    }
)
TESTS = _programs(
    {
        "python": "pytest, py.test, nose2, unittest, manage.py test",
        "node": "vitest, jest, mocha, ava, tap, tape, jasmine, uvu, playwright test, cypress run, "
        "node --test, bun test, turbo test",
        "go": "gotestsum, go test",
        "rust": "cargo test|nextest",
        "ruby": "rspec, rails test, rake -|test|spec",
        "php": "phpunit, pest, paratest, artisan test",
        "elixir": "mix test",
        "deno": "deno test",
    }
)
CONTAINERS = ("docker", "docker-compose", "podman")
CONTAINED = re.compile(r"\b(?:run|exec) .*(?<![\w/-])(?:tests?|specs?|pytest|rspec|phpunit)(?![\w;-])")
# They only choose an environment: ours has it already.
PYTHON_WRAPPERS = frozenset({"uv", "poetry", "pipenv", "pdm", "hatch", "rye"})
SHELL_WORDS = frozenset(
    {"if", "for", "while", "case", "until", "function", "select", "{", "set", "export", "cat"}
)
ENDINGS = frozenset("|>&()<")
VARIABLE = re.compile(r"^([A-Z][A-Z0-9_]{0,60})=([^$`]{0,200})$")
# A word whose value only the run knows.
UNKNOWN = re.compile(r"\$(?:\w+|\{\w+\})")
VALUED = frozenset(
    {"--group", "--extra", "--python", "-p", "--package", "--with", "--directory", "--only-group"}
)


def commands(run: str) -> Iterator[CheckCommand]:
    """Give the known commands of one step's script, in order; none of a script that decides or loops."""
    if len(run) > MAX_RUN or "<<" in run:
        return
    directory = ""
    for line in _lines(run):
        before = directory
        for words in _split(line):
            if words[:1] == ["cd"] and len(words) == 2 and not words[1].startswith(("/", "~", "-")):
                directory = join(directory, words[1])
            elif inner := _in_image(words):
                yield from (_in(directory, command) for command in commands(inner))
            elif (command := known(words)) is not None:
                yield _in(directory, command)
        directory = before if line[0] == "(" else directory


def _in(directory: str, command: CheckCommand) -> CheckCommand:
    return replace(command, directory=join(directory, command.directory))


def _in_image(words: Sequence[str]) -> str:
    """Return the script that runs in a container, which stands for the work tree; empty: it needs more."""
    plain = re.match(
        r"docker run (?:--rm |-i |-t |-it |--name \S+ )*[\w./:-]+ (?:ba)?sh -\w*c$", " ".join(words[:-1])
    )
    return words[-1] if plain else ""


def join(directory: str, other: str) -> str:
    """Return a path below the repository, without dots; one that would leave it ends at its root."""
    parts: list[str] = []
    for part in f"{directory}/{other}".split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _lines(run: str) -> list[list[str]]:
    """Return the words of each line; none where one of them decides or loops."""
    found: list[list[str]] = []
    for line in re.sub(r"\\\s*\n\s*", " ", run).splitlines():
        if not (line := line.strip()) or line.startswith("#"):
            continue
        try:
            lexer = shlex.shlex(line[: 4 * MAX_LINE], posix=True, punctuation_chars=True)
            lexer.whitespace_split, lexer.commenters = True, ""
            words = list(lexer)
        except ValueError:
            return []
        if words and words[0] in SHELL_WORDS - {"set", "export", "cat"}:
            return []
        found += [words] if words else []
    return found


def _split(words: Sequence[str]) -> Iterator[list[str]]:
    """Give each command of a line, up to its first pipe or redirection."""
    command: list[str] = []
    cut = False
    for word in (*words, ";"):
        if word in ("&&", ";"):
            if command:
                yield command
            command, cut = [], False
        elif word[:1] == "(" and not command:
            continue
        elif word[:1] in ENDINGS:
            if word[0] == ">" and command[-1:] in (["1"], ["2"]):
                command.pop()
            cut = True
        elif not cut:
            command.append(word)


def known(words: Sequence[str]) -> CheckCommand | None:
    """Return one command as what it is for; None: no runner, installer or script that is known."""
    words = list(words)
    variables = []
    if words[:1] == ["env"]:
        words.pop(0)
    while words and (match := VARIABLE.match(words[0])):
        variables.append((match[1], match[2]))
        words.pop(0)
    kept = [word for word in words if not ("${{" in word and word.startswith("-"))]
    packages = kept[:2] == ["go", "test"] and kept[-1] == "$"  # `$(go list ./... | grep -v x)`
    words = [word for word in kept[: -1 if packages else None] if not UNKNOWN.fullmatch(word)]
    open_ended = words != kept
    line = " ".join(words)
    if not words or len(words) > MAX_WORDS or len(line) > MAX_LINE or re.search(r"[$`]|\{\{|\}\}", line):
        return None
    words = _unwrapped(words)
    line = " ".join(words)
    fills = next((name for name, pattern in FILLS.items() if pattern.match(line)), "")
    if not words or (FORBIDDEN.search(line) and not fills):
        return None
    found = CheckCommand(Purpose.FILL, tuple(words), ecosystem=fills) if fills else None
    found = found or _install(words) or _files(words) or _runner(words) or _script(words)
    if found is None or (open_ended and found.purpose is not Purpose.TEST):
        return None
    if open_ended and found.ecosystem == "go":  # what it leaves out is often which packages
        found = replace(found, words=(*(word for word in found.words if "..." not in word), "./..."))
    return replace(found, variables=tuple(variables))


def _unwrapped(words: list[str]) -> list[str]:
    """Drop what only chooses an environment: `uv run --group dev`, `poetry run`, `npx cross-env A=b`."""
    while words:
        if words[0] in PYTHON_WRAPPERS and words[1:2] == ["run"]:
            words = _after_options(words[2:])
        elif words[0] in ("time", "command", "cross-env", "dotenv") and len(words) > 1:
            words = [word for word in words[1:] if word != "--"]
        else:
            return words
    return words


def _after_options(words: list[str]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2 if words[0] in VALUED else 1 :]
    return words


def _install(words: list[str]) -> CheckCommand | None:
    program, rest = words[0], words[1:]
    if program in ("python", "python3") and rest[:2] == ["-m", "pip"]:
        program, rest = "pip", rest[2:]
    ecosystem = INSTALLS.get((program, rest[0] if rest else "-"))
    if ecosystem is None or {"-g", "--global", "--user"} & set(rest):
        return None
    if program == "go" and not re.match(r"mod download\b|install \S+@\S+$", " ".join(rest)):
        return None
    return CheckCommand(Purpose.INSTALL, (program, *_own_version(rest)), ecosystem=ecosystem)


def _own_version(words: list[str]) -> list[str]:
    """Leave out which Python is meant: there is one in the sandbox."""
    at = next((index for index, word in enumerate(words) if word == "--python"), None)
    return words if at is None else [*words[:at], *words[at + 2 :]]


def _files(words: list[str]) -> CheckCommand | None:
    """Recognise what lays files in place before tests: `cp .env.example .env`, `npx prisma generate`."""
    inside = all(PLAIN.match(word) and ".." not in word and word[0] != "/" for word in words[1:])
    if (words[0] in ("cp", "mkdir", "touch") and inside) or BUILDS.match(" ".join(words)):
        return CheckCommand(Purpose.BUILD, tuple(words))
    return None


def _runner(words: list[str]) -> CheckCommand | None:
    """Recognise a runner, also behind `npx`, `pnpm exec`, `bundle exec`, `php`, `python -m`."""
    if not (rest := _behind(words)):
        return None
    program = rest[0].removeprefix("./").rsplit("/", 1)[-1]
    line = " ".join(rest)
    if program in CONTAINERS:
        contained = CONTAINED.search(line) and "-d" not in rest
        return CheckCommand(Purpose.TEST, tuple(words), ecosystem=ecosystem_of(line)) if contained else None
    if program in ("tox", "nox"):
        return CheckCommand(Purpose.TEST, tuple(words), script=("tox", ""), ecosystem="python")
    ecosystem = TESTS.get((program, "*")) or _by_verb(program, rest)
    if ecosystem == "go" and program == "go":
        if any(word.startswith("-run") for word in rest):
            return None  # one that names its tests is a part of them
        if not {"-v", "-json", "-test.v"} & set(rest):  # it says how many tests ran only when asked
            words = [*words[: words.index("test") + 1], "-v", *words[words.index("test") + 1 :]]
    return CheckCommand(Purpose.TEST, tuple(words), ecosystem=ecosystem) if ecosystem else None


def _behind(words: list[str]) -> list[str]:
    """Drop what only finds and starts a program."""
    rest = list(words)
    while rest:
        if rest[0] in ("npx", "bunx") or re.fullmatch(r"php[\d.]*|ruby", rest[0]):
            rest = _after_options(rest[1:])
        elif " ".join(rest[:2]) in ("pnpm exec", "yarn exec", "npm exec", "bundle exec", "bun x"):
            rest = _after_options(rest[2:])
        elif rest[0] in ("python", "python3", "coverage"):
            after = rest[2:] if rest[0] == "coverage" and rest[1:2] == ["run"] else rest[1:]
            while after and after[0].startswith("-") and after[0] not in ("-m", "--module"):
                after = after[2 if after[0] in ("-W", "-X") else 1 :]
            rest = after[1:] if after[:1] in (["-m"], ["--module"]) else after
        else:
            break
    return rest


def _by_verb(program: str, rest: Sequence[str]) -> str:
    """Return the ecosystem of a program that tests by one of its verbs; empty: this is another."""
    verbs = [word for word in rest[1:] if not word.startswith(("-", "+", "db:"))]
    if program == "node":
        verbs = ["--test"] if "--test" in rest else []
    if program == "turbo" and verbs[:1] == ["run"]:
        verbs = verbs[1:]
    verb = verbs[0] if verbs else "-"
    return TESTS.get((program, verb)) or TESTS.get((program, verb.split(":")[0])) or ""


def _script(words: list[str]) -> CheckCommand | None:
    """Recognise a script by a name that says what it is for; what it does is looked up later."""
    program, rest = words[0], [word for word in words[1:] if word != "--"]
    if program in ("bash", "sh") and rest and "/" in rest[0]:
        program = rest[0]
    path, name = program, ""
    if program in SCRIPTED:
        name = _script_name(program, rest)
    elif "/" in program and not program.startswith(("/", "~")):
        program, name = "file", re.sub(r"\.(?:sh|bash|py|rb)$", "", program.rsplit("/", 1)[-1])
    test = TEST_SCRIPT.match(name.rsplit(":", 1)[-1] if program == "task" else name) or name == "t"
    if test and not OTHER_TESTS.search(name.replace("_", "-")):
        purpose = Purpose.TEST
    elif (BUILD_TARGET if program in RECIPES else BUILD_SCRIPT).match(name) and program != "file":
        purpose = Purpose.BUILD
    else:
        return None
    key = path if program == "file" else "test" if name == "t" else name
    return CheckCommand(purpose, tuple(words), script=(program, key), ecosystem=SCRIPTED.get(program, ""))


def _script_name(program: str, rest: list[str]) -> str:
    """Return the script that a manager or `make` runs; empty: it runs none, or one of another directory."""
    if program in RECIPES and any(word.startswith(("-C", "-f")) for word in rest):
        return ""
    said = re.sub(rf"(?:^| )(?:{ELSEWHERE}) \S+|(?:^| )-\S*|(?:^| )\S*=\S*", "", " ".join(rest)).split()
    names = [word for word in said if word not in ("run", "run-script")]
    if program == "deno":
        return names[1] if names[:1] == ["task"] and names[1:] else ""
    names = names[2:] if program == "yarn" and names[:1] == ["workspace"] else names
    return names[0] if names else ""


def ecosystem_of(text: str) -> str:
    return next((name for name, pattern in ECOSYSTEMS.items() if pattern.search(text)), "")


def obstacle_of(text: str) -> str | None:
    """Return what a command or its script needs that no sandbox has."""
    return next((what for what, pattern in OBSTACLES.items() if pattern.search(text)), None)


def services_of(text: str) -> tuple[str, ...]:
    return tuple(name for name, pattern in SERVICES.items() if pattern.search(text))
