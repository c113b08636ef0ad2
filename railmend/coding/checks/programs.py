"""Known programs: runners, installers and services, by the names that commands and scripts give them."""

import re
from collections.abc import Mapping

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
        r"\b(?:vitest|jest|mocha|ava|tap|tape|jasmine|uvu|bun test|node (?:\S+ )*--test|react-scripts test"
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


def ecosystem_of(text: str) -> str:
    return next((name for name, pattern in ECOSYSTEMS.items() if pattern.search(text)), "")


def obstacle_of(text: str) -> str | None:
    """Return what a command or its script needs that no sandbox has."""
    return next((what for what, pattern in OBSTACLES.items() if pattern.search(text)), None)


def services_of(text: str) -> tuple[str, ...]:
    return tuple(name for name, pattern in SERVICES.items() if pattern.search(text))
