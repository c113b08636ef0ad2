"""How a service is started, from Railway or from its files, and which variables it is given."""

import subprocess

import pytest

from railmend.coding.checks.databases import DATABASES, lacking, migrations, needs
from railmend.coding.proof.start import find_start, telling_line, variables

FILES = {
    "railway.json": ('{"deploy": {"startCommand": "gunicorn app:app"}}', "gunicorn app:app"),
    "railway.toml": ('[deploy]\nstartCommand = "node server.js"\n', "node server.js"),
    "Procfile": ("release: migrate\nweb: bundle exec puma -p $PORT\n", "bundle exec puma -p $PORT"),
    "Dockerfile": (
        'FROM a\nCMD ["first"]\nFROM b\nCMD ["sh", "-c", "exec ./serve --port $PORT"]\n',
        "sh -c 'exec ./serve --port $PORT'",
    ),
    "package.json": ('{"scripts": {"start": "next start"}}', "npm start"),
    "manage.py": ("import django", "python3 manage.py runserver --noreload 0.0.0.0:$PORT"),
    "main.py": (
        "api: FastAPI = FastAPI(title='a')\n",
        "python3 -m uvicorn main:api --host 0.0.0.0 --port $PORT",
    ),
    "app.py": ("app = Flask(__name__)\n", "python3 -m flask --app app:app run --host 0.0.0.0 --port $PORT"),
    "server.py": ("if __name__ == '__main__':\n    run()\n", "python3 server.py"),
    "bin/rails": ("#!/usr/bin/env ruby", "bin/rails server -b 0.0.0.0 -p $PORT"),
    "config.ru": ("run App", "bundle exec rackup --host 0.0.0.0 --port $PORT"),
    "main.go": ("package main", 'go build -o "$HOME/service" . && exec "$HOME/service"'),
    "index.js": ("require('http')", "node index.js"),
}
DOCKERFILES = {
    "a health check after it": (
        'FROM a\nWORKDIR /app\nCMD ["node", "dist/main"]\nHEALTHCHECK \\\n  CMD node -e "x"\n',
        "node dist/main",
    ),
    "an entry point and its arguments": (
        'FROM a\nWORKDIR /app\nCMD ["python", "/app/app.py"]\nENTRYPOINT ["/app/run.sh"]\nCMD ["serve"]\n',
        "./run.sh serve",
    ),
    "a file of the image's directory": ('FROM a\nWORKDIR /app\nCMD ["python", "/app/a.py"]', "python a.py"),
    "an entry point for a shell": ("FROM a\nENTRYPOINT exec run\nCMD ignored", "exec run"),
    "variables": (
        'FROM a\nENV A=1\nFROM b\nENV MODE=production \\\n  NAME="a b" PATH=/x:$PATH PORT=3\nCMD run',
        "export MODE=production; export NAME='a b'; run",
    ),
    "a program of Go": (
        "FROM go\nWORKDIR /src\nRUN CGO_ENABLED=0 go build -ldflags='-s -w' -o /out/api ./cmd/api\n"
        'FROM b\nCOPY --from=0 /out/api /api\nENTRYPOINT ["/api"]\nCMD ["--port", "$PORT"]\n',
        'go build -o "$HOME/service" ./cmd/api && exec "$HOME/service" --port $PORT',
    ),
    "a program of Go, by files": (
        'FROM go\nWORKDIR /app\nRUN go build -o main main.go\nCMD ["/app/main"]',
        'go build -o "$HOME/service" main.go && exec "$HOME/service"',
    ),
    "a program of Go, of the whole": (
        'FROM go\nRUN go build -o deckhand\nFROM b\nCMD ["./deckhand"]',
        'go build -o "$HOME/service" . && exec "$HOME/service"',
    ),
}


@pytest.mark.parametrize(("text", "command"), DOCKERFILES.values(), ids=DOCKERFILES)
def test_a_dockerfile_says_how_it_is_started(text: str, command: str) -> None:
    found = find_start("", None, None, {"Dockerfile": text}.get)
    assert found is not None
    assert found.command == command


WRONG = {
    "railway.json": ("[1]", "{", '{"deploy": {"startCommand": {}}}'[:20], "[" * 100_000),
    "railway.toml": ("deploy = 3", "[[["),
    "Procfile": ("worker: run",),
    "Dockerfile": ("FROM a\nHEALTHCHECK --interval=3s \\\n  CMD node -e 'x'\n", "FROM a\nCMD x\nFROM b\n"),
    "package.json": ("null", '{"scripts": []}', '{"scripts": {"start": ""}}'),
    "main.py": ("def serve(): ...",),
}


@pytest.mark.parametrize("name", FILES)
def test_the_start_command_comes_from_the_first_file_that_has_one(name: str) -> None:
    text, command = FILES[name]
    files = {f"api/{other}": wrong[0] for other, wrong in WRONG.items()} | {f"api/{name}": text}
    found = find_start("api", None, "up", files.get)
    assert found is not None
    assert (found.command, found.directory, found.path, found.healthy) == (command, "api", "/up", True)
    railways = find_start("api", "python app.py", None, files.get)
    assert railways is not None
    assert (railways.command, railways.path, railways.healthy) == ("python app.py", "/", False)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_file_that_says_nothing_starts_nothing(name: str, text: str) -> None:
    assert find_start("", None, None, {name: text}.get) is None


RELEASED = {
    "railway.json": ('{"deploy": {"preDeployCommand": ["npm run migrate"]}}', "npm run migrate"),
    "words": ('{"deploy": {"preDeployCommand": ["alembic", "upgrade", "head"]}}', "alembic upgrade head"),
    "railway.toml": ("[deploy]\npreDeployCommand = ['npm run a', './b']\n", "npm run a && ./b"),
    "Procfile": ("web: serve\nrelease: bin/migrate --all\n", "bin/migrate --all"),
}


@pytest.mark.parametrize("name", RELEASED)
def test_what_runs_before_a_deployment_fills_the_database(name: str) -> None:
    text, release = RELEASED[name]
    files = {name if "." in name or name == "Procfile" else "railway.json": text}
    found = find_start("", "serve", None, files.get)
    assert found is not None
    assert found.release == release
    railways = find_start("", "serve", None, files.get, "./told 'by it'")
    assert railways is not None
    assert railways.release == "./told 'by it'"
    script = migrations(["manage.py"], '{"scripts": {"seed": "./rows.sh"}}', railways.release)
    shown = subprocess.run(["sh", "-nc", script], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert script.startswith("timeout 60 sh -c './told '\"'\"'by it'\"'\"''")
    assert "manage.py" not in script
    assert "timeout 60 npm run seed || true" in script


def test_only_what_code_demands_is_given_and_in_its_shape() -> None:
    python = (
        'os.environ["DATABASE_URL"]; os.environ["MODE"] = "x"; os.environ.get("OPTIONAL"); os.environ["PORT"]'
    )
    node = "process.env.STRIPE_SECRET_KEY; process.env.LEVEL || 'info'; process.env.POOL_SIZE ?? 3"
    ruby = 'ENV.fetch("REDIS_URL"); ENV.fetch("COLOUR", "red")'
    assert variables([python, node, ruby]) == {
        "DATABASE_URL": "postgres://railmend@127.0.0.1:5432/railmend",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "STRIPE_SECRET_KEY": "0123456789abcdef" * 4,
    }


def test_a_script_for_development_is_passed_over_and_what_is_built_is_built_first() -> None:
    scripts = '{"scripts": {"start": "next dev", "start:prod": "next start", "build": "next build"}}'
    found = find_start("", None, None, {"package.json": scripts}.get)
    assert found is not None
    assert (found.command, found.build) == ("npm run start:prod", "npm run build")
    image = {"package.json": scripts, "Dockerfile": "FROM a\nENV A=1\nCMD node dist/main"}
    found = find_start("", None, None, image.get)
    assert found is not None
    assert (found.command, found.build) == ("export A=1; node dist/main", "npm run build")
    python = find_start("", "gunicorn app:app", None, {"package.json": scripts}.get)
    assert python is not None
    assert not python.build, "its package is not what is started"


MIGRATIONS = {
    "manage.py": "manage.py migrate",
    "bin/rails": "bin/rails db:prepare",
    "alembic.ini": "alembic upgrade head",
    "migrations/alembic.ini": "flask db upgrade",
    "prisma/migrations/1_init/migration.sql": "prisma migrate deploy",
    "prisma/schema.prisma": "prisma db push",
    "knexfile.ts": "knex migrate:latest",
    "drizzle.config.ts": "drizzle-kit migrate",
    ".sequelizerc": "sequelize-cli db:migrate",
    "db/migrate/1_shops.rb": "rake db:migrate",
}


@pytest.mark.parametrize("name", MIGRATIONS)
def test_tables_are_made_as_the_repository_makes_them_within_a_minute(name: str) -> None:
    script = migrations(["README.md", name], "")
    assert script.startswith("timeout 60 ")
    assert MIGRATIONS[name] in script
    own = migrations([name], '{"scripts": {"db:migrate": "./sql.sh", "seed": "./rows.sh"}}')
    assert "timeout 60 npm run db:migrate || {" in own
    assert "timeout 60 npm run seed || true" in own, "a service starts without its seeds"
    assert migrations(["README.md"], "[" * 100_000) == ""


def test_each_variable_of_a_database_holds_its_part_of_the_address() -> None:
    postgresql, redis = DATABASES
    code = (
        'DB_HOST DB_NAME POSTGRES_PASSWORD PG_PORT MYSQL_HOST pg_host DATABASE_PRIVATE_URL env("DIRECT_URL")'
    )
    given = postgresql.variables([code], 5433, "pass")
    assert given == {
        **dict.fromkeys(
            ("DATABASE_URL", "DATABASE_PRIVATE_URL", "DIRECT_URL"),
            "postgresql://railmend:pass@127.0.0.1:5433/railmend",
        ),
        **dict.fromkeys(("DB_HOST", "PGHOST"), "127.0.0.1"),
        **dict.fromkeys(("PG_PORT", "PGPORT"), "5433"),
        **dict.fromkeys(("POSTGRES_PASSWORD", "PGPASSWORD"), "pass"),
        **dict.fromkeys(("DB_NAME", "PGDATABASE", "PGUSER"), "railmend"),
    }
    shown = redis.variables(["CELERY_BROKER_URL CELERY_RESULT_BACKEND REDIS_HOST"], 6380, "pass")
    assert shown["CELERY_BROKER_URL"] == shown["CELERY_RESULT_BACKEND"] == shown["REDIS_URL"]
    assert shown["REDIS_URL"] == "redis://default:pass@127.0.0.1:6380/0"
    assert (shown["REDIS_HOST"], shown["REDISPORT"]) == ("127.0.0.1", "6380")


DRIVERS = {
    "requirements.txt": ("psycopg[binary]==3.2\ncelery[redis]", ("PostgreSQL", "Redis")),
    "package.json": ('{"dependencies": {"pg": "8", "bullmq": "5"}}', ("PostgreSQL", "Redis")),
    "go.mod": ("require (\n\tgithub.com/jackc/pgx/v5 v5.5\n\tgithub.com/go-sql-driver/mysql v1\n)", None),
    "Gemfile": ("gem 'pg'\ngem 'sidekiq'", ("PostgreSQL", "Redis")),
    "prisma/schema.prisma": ('provider = "mongodb"', ("MongoDB",)),
    "pyproject.toml": ('dependencies = ["motor", "pymongo", "aio-pika"]', ("MongoDB", "RabbitMQ")),
}


@pytest.mark.parametrize("name", DRIVERS)
def test_what_a_service_needs_is_read_from_its_drivers(name: str) -> None:
    text, wanted = DRIVERS[name]
    assert needs({name: text, "app.py": "redis mysql"}) == (wanted or ("PostgreSQL", "MySQL"))


def test_only_what_no_sandbox_has_is_lacking() -> None:
    assert lacking(("PostgreSQL", "Redis")) == ""
    assert lacking(("MySQL", "Redis", "Kafka")).startswith("It needs MySQL and Kafka, which")


LAST_WORDS = {
    "node": (
        "node:internal/modules/cjs/loader:1215\n  throw err;\n  ^\n\nError: Cannot find module 'mime'\n"
        "Require stack:\n- /app/lib/a.js\n    at Module._load (node:internal:1)\n"
        "{\n  code: 'MODULE_NOT_FOUND'\n}\n\nNode.js v20.20.2\n",
        "Error: Cannot find module 'mime'",
    ),
    "python": (
        'Traceback (most recent call last):\n  File "app.py", line 3, in <module>\n    import radicale\n'
        "ModuleNotFoundError: No module named 'radicale'\n",
        "ModuleNotFoundError: No module named 'radicale'",
    ),
    "go": (
        "panic: open config.yml: no such file or directory\n\ngoroutine 1 [running]:\nmain.main()\n"
        "\t/src/main.go:9 +0x1\nexit status 2\n",
        "panic: open config.yml: no such file or directory",
    ),
    "rust": (
        "thread 'main' panicked at src/main.rs:9:40:\nno DATABASE_URL\nnote: run with `RUST_BACKTRACE=1`\n",
        "thread 'main' panicked at src/main.rs:9:40:",
    ),
    "ruby": (
        "app.rb:3:in `<main>': undefined method `call' for nil (NoMethodError)\n"
        "\tfrom bin/rackup:2:in `load'\n",
        "app.rb:3:in `<main>': undefined method `call' for nil (NoMethodError)",
    ),
    "java": (
        'Exception in thread "main" java.lang.IllegalStateException: no port\n'
        "\tat a.Main.main(Main.java:3)\n",
        'Exception in thread "main" java.lang.IllegalStateException: no port',
    ),
    "no error": ("starting\nport 80 is taken\n\n", "port 80 is taken"),
    "nothing": ("\n", ""),
}


@pytest.mark.parametrize("name", LAST_WORDS)
def test_what_ended_a_start_is_told_and_not_what_came_after(name: str) -> None:
    output, line = LAST_WORDS[name]
    assert telling_line(output) == line
