"""Command lines of CI configuration, package scripts and Makefiles: known test runners and installers.

The text is hostile. Nothing here runs it, and what is taken is run in the sandbox alone; what no table names
is not taken at all, so that no deployment, release or upload is.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
UNIT_NAMES = (
    *("test", "test:unit", "unit", "test:run", "test:ci", "test:backend", "test:server", "test-unit"),
    "test:app",
)
OTHER_TESTS = re.compile(
    r"\b(?:lint|types?|typecheck|watch|debug|update|format|prettier|fix|bench|perf|smoke)\b"
)
INSTALLS: Mapping[str, frozenset[str]] = {
    "pip": frozenset({"install"}),
    "pip3": frozenset({"install"}),
    "uv": frozenset({"sync", "pip"}),
    "poetry": frozenset({"install"}),
    "pipenv": frozenset({"install", "sync"}),
    "pdm": frozenset({"install", "sync"}),
    "npm": frozenset({"ci", "i", "install", "clean-install"}),
    "pnpm": frozenset({"i", "install"}),
    "yarn": frozenset({"", "install"}),
    "bun": frozenset({"i", "ci", "install"}),
    "deno": frozenset({"install"}),
    "bundle": frozenset({"install"}),
    "composer": frozenset({"install"}),
    "mix": frozenset({"deps.get"}),
    "go": frozenset({"mod"}),
    "cargo": frozenset({"fetch"}),
}
MANAGERS = {"pip": "python", "pip3": "python", "uv": "python", "poetry": "python", "pipenv": "python"} | {
    "pdm": "python", "npm": "node", "pnpm": "node", "yarn": "node", "bun": "node", "deno": "deno"
} | {"bundle": "ruby", "composer": "php", "mix": "elixir", "go": "go", "cargo": "rust"}  # fmt: skip
RUNNERS: Mapping[str, str] = {
    "pytest": "python", "py.test": "python", "nose2": "python", "vitest": "node", "jest": "node",
    "mocha": "node", "ava": "node", "tap": "node", "jasmine": "node", "uvu": "node", "gotestsum": "go",
    "rspec": "ruby",     "phpunit": "php", "pest": "php", "paratest": "php",
}  # fmt: skip
# Verbs of programs that have other verbs too.
TESTING: Mapping[tuple[str, str], str] = {
    ("playwright", "test"): "node", ("cypress", "run"): "node",
    ("go", "test"): "go", ("cargo", "test"): "rust", ("mix", "test"): "elixir", ("deno", "test"): "deno",
    ("bun", "test"): "node", ("rails", "test"): "ruby", ("rake", "test"): "ruby", ("rake", "spec"): "ruby",
    ("rake", ""): "ruby", ("artisan", "test"): "php",
    ("manage.py", "test"): "python", ("turbo", "test"): "node",
}  # fmt: skip
# They only choose an environment: ours has it already.
PYTHON_WRAPPERS = frozenset({"uv", "poetry", "pipenv", "pdm", "hatch", "rye"})
SHELL_WORDS = frozenset(
    {"if", "for", "while", "case", "until", "function", "select", "{", "set", "export", "cat"}
)
ENDINGS = frozenset("|>&()<")
VARIABLE = re.compile(r"^([A-Z][A-Z0-9_]{0,60})=([^$`]{0,200})$")
VALUED = frozenset(
    {"--group", "--extra", "--python", "-p", "--package", "--with", "--directory", "--only-group"}
)


def commands(run: str) -> Iterator[CheckCommand]:
    """Give the known commands of one step's script, in order; none of a script that decides or loops."""
    if len(run) > MAX_RUN or "<<" in run:
        return
    directory = ""
    for words in _simple_commands(run):
        if words[:1] == ["cd"] and len(words) == 2 and not words[1].startswith(("/", "~", "-")):
            directory = join(directory, words[1])
        elif (command := known(words)) is not None:
            yield CheckCommand(**{**command.__dict__, "directory": directory})


def join(directory: str, other: str) -> str:
    """Return a path below the repository, without dots; one that would leave it ends at its root."""
    parts: list[str] = []
    for part in f"{directory}/{other}".split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _simple_commands(run: str) -> list[list[str]]:
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
        found += _split(words)
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
        elif word[0:1] in ENDINGS:
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
    words = [word for word in words if not ("${{" in word and word.startswith("-"))]
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
    if found is None:
        return None
    return CheckCommand(
        found.purpose, found.words, script=found.script, ecosystem=found.ecosystem, variables=tuple(variables)
    )


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
    verb = rest[0] if rest else ""
    if verb not in INSTALLS.get(program, ()) or {"-g", "--global", "--user"} & set(rest):
        return None
    if (program, verb) == ("go", "mod") and rest[1:2] != ["download"]:
        return None
    return CheckCommand(Purpose.INSTALL, (program, *_own_version(rest)), ecosystem=MANAGERS[program])


def _own_version(words: list[str]) -> list[str]:
    """Leave out which Python is meant: there is one in the sandbox."""
    at = next((index for index, word in enumerate(words) if word == "--python"), None)
    return words if at is None else [*words[:at], *words[at + 2 :]]


def _files(words: list[str]) -> CheckCommand | None:
    """Recognise what lays files in place before tests: `cp .env.example .env`."""
    inside = all(PLAIN.match(word) and ".." not in word and word[0] != "/" for word in words[1:])
    if words[0] in ("cp", "mkdir", "touch") and inside:
        return CheckCommand(Purpose.BUILD, tuple(words))
    return None


def _runner(words: list[str]) -> CheckCommand | None:
    """Recognise a runner, also behind `npx`, `pnpm exec`, `bundle exec`, `php`, `python -m`."""
    rest = list(words)
    while rest:
        if rest[0] in ("npx", "bunx") or re.fullmatch(r"php[\d.]*|ruby", rest[0]):
            rest = _after_options(rest[1:])
        elif " ".join(rest[:2]) in ("pnpm exec", "yarn exec", "npm exec", "bundle exec", "bun x"):
            rest = _after_options(rest[2:])
        elif rest[0] in ("python", "python3", "coverage"):
            after = rest[2:] if rest[0] == "coverage" and rest[1:2] == ["run"] else rest[1:]
            while after and after[0].startswith("-") and after[0] not in ("-m", "--module"):
                after = after[1:]
            rest = after[1:] if after[:1] in (["-m"], ["--module"]) else after
        else:
            break
    if not rest:
        return None
    program = rest[0].removeprefix("./").rsplit("/", 1)[-1]
    if program == "node":
        ecosystem = "node" if "--test" in rest else None
    elif program in RUNNERS or program in ("unittest",):
        ecosystem = RUNNERS.get(program, "python")
    else:
        verbs = [word for word in rest[1:] if not word.startswith(("-", "+"))]
        verb = verbs[0] if verbs else ""
        verb = verbs[1] if program == "turbo" and verb == "run" and len(verbs) > 1 else verb
        ecosystem = TESTING.get((program, verb)) or (
            "rust" if program == "cargo" and verb == "nextest" else TESTING.get((program, verb.split(":")[0]))
        )
    if ecosystem is None or (program == "go" and any(word.startswith("-run") for word in rest)):
        return None  # of Go's, one that names its tests is a part of them
    return CheckCommand(Purpose.TEST, tuple(_counting(words, program, rest)), ecosystem=ecosystem)


def _counting(words: list[str], program: str, rest: list[str]) -> list[str]:
    """Make the runner say how many tests ran."""
    if program == "go" and not {"-v", "-json", "-test.v"} & set(rest):
        at = words.index("test")
        return [*words[: at + 1], "-v", *words[at + 1 :]]
    return words


def _script(words: list[str]) -> CheckCommand | None:
    """Recognise a script by a name that says what it is for; what it does is looked up later."""
    program, rest = words[0], [word for word in words[1:] if word != "--"]
    if program in ("bash", "sh") and rest and "/" in rest[0]:
        program = rest[0]
    path = program
    names: list[str] = []
    if program in ("npm", "pnpm", "yarn", "bun"):
        names = _script_names(program, rest)
    elif program == "composer":
        names = [word for word in rest if not word.startswith("-") and word not in ("run", "run-script")][:1]
    elif program == "deno" and rest[:1] == ["task"]:
        names = rest[1:2]
    elif program in ("make", "just", "task"):
        names = [word for word in rest if not word.startswith("-") and "=" not in word][:1]
        names = names if not any(word.startswith(("-C", "-f")) for word in rest) else []
    elif "/" in program and not program.startswith(("/", "~")):
        names = [re.sub(r"\.(?:sh|bash|py|rb)$", "", program.rsplit("/", 1)[-1])]
        program = "file"
    if not names or not names[0]:
        return None
    name = names[0]
    test = TEST_SCRIPT.match(name.rsplit(":", 1)[-1] if program == "task" else name) or name == "t"
    if test and not OTHER_TESTS.search(name.replace("_", "-")):
        purpose = Purpose.TEST
    elif BUILD_SCRIPT.match(name) and program in ("npm", "pnpm", "yarn", "bun"):
        purpose = Purpose.BUILD
    else:
        return None
    key = path if program == "file" else "test" if name == "t" else name
    ecosystem = {"npm": "node", "pnpm": "node", "yarn": "node", "bun": "node", "composer": "php"}.get(
        program, ""
    )
    return CheckCommand(
        purpose, tuple(words), script=(program, key), ecosystem=ecosystem or "deno" * (program == "deno")
    )


def _script_names(program: str, rest: list[str]) -> list[str]:
    names: list[str] = []
    skip = False
    for word in rest:
        if skip or word.startswith("-"):
            skip = (
                word in ("--filter", "-F", "--workspace", "-w", "--prefix", "--dir", "-C", "--cwd")
                and not skip
            )
        elif word not in ("run", "run-script"):
            names.append(word)
    if program == "yarn" and names[:1] == ["workspace"]:
        names = names[2:]
    return names[:1]


def ecosystem_of(text: str) -> str:
    return next((name for name, pattern in ECOSYSTEMS.items() if pattern.search(text)), "")


def obstacle_of(text: str) -> str | None:
    """Return what a command or its script needs that no sandbox has."""
    return next((what for what, pattern in OBSTACLES.items() if pattern.search(text)), None)


def services_of(text: str) -> tuple[str, ...]:
    return tuple(name for name, pattern in SERVICES.items() if pattern.search(text))
