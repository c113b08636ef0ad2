"""PostgreSQL and Redis beside a service or its tests in the sandbox: who needs them, how they are started.

They run there as their client does, for one run, and are empty but for the repository's own migrations and
seeds. What else is needed is named.
"""

import re
import secrets
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from railmend.coding.checks.folder import json_object, table
from railmend.coding.checks.programs import services_of
from railmend.evidence.redact import redact

# How the shell ends where what the service needs could not be had: no fault of the service's.
NOT_HAD = 125
# Seconds for the repository's migrations, and for its seeds.
MIGRATION_SECONDS = 60
# A database answers within it, or cannot be had.
START_SECONDS = 20
# Files of a directory that name the drivers of databases.
MANIFEST = re.compile(
    r"(?:package\.json|requirements[\w.-]*\.txt|pyproject\.toml|Pipfile|go\.mod|Gemfile|mix\.exs|Cargo\.toml"
    r"|prisma/schema\.prisma|config/database\.yml)$"
)
# What may stand in a variable's name before the next word that tells.
WORDS = r"(?:[A-Z]+_){0,5}"
# What the end of a variable's name says it holds.
PARTS: Mapping[str, Callable[[str], str]] = {
    r"HOST(?:NAME)?|SERVER": lambda address: urlsplit(address).hostname or "",
    "PORT": lambda address: str(urlsplit(address).port),
    "USER(?:NAME)?": lambda address: urlsplit(address).username or "",
    "PASS(?:WORD)?": lambda address: urlsplit(address).password or "",
    "NAME|DB|DATABASE": lambda address: urlsplit(address).path.lstrip("/"),
    r"UR[IL](?:_\w+)?|DSN|BROKER|BACKEND|CONNECTION_STRING": str,
}


@dataclass(frozen=True)
class Database:
    """`given`: names of variables that Railway's own gives. `subject`: how names of others begin.

    `script`: starts it, for a shell with `$made` (an empty folder), `$port` and `$password`, and waits until
    it answers. It ends the shell with a sentence where that cannot be.
    """

    name: str
    given: tuple[str, ...]
    subject: str
    address: str
    script: str

    def variables(self, texts: Iterable[str], port: int, password: str) -> dict[str, str]:
        """Return the variables that Railway's own gives, and those that the texts name, for this one."""
        address = self.address.format(port=port, password=password)
        pattern = re.compile(rf"\b{WORDS}(?:{self.subject})_?{WORDS}(?:{'|'.join(PARTS)})\b")
        named = {name for text in texts for name in pattern.findall(text)}
        return {name: self._part(name)(address) for name in sorted(named.union(self.given))}

    def _part(self, name: str) -> Callable[[str], str]:
        ends = (part for pattern, part in PARTS.items() if re.search(rf"(?:{pattern})$", name))
        return next(ends)


DATABASES = (
    Database(
        "PostgreSQL",
        ("DATABASE_URL", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"),
        "PG|POSTGRES(?:QL)?|DB|DATABASE|DIRECT",
        "postgresql://railmend:{password}@127.0.0.1:{port}/railmend",
        # Clients may demand TLS, as they do of Railway's own.
        """\
PATH="$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1):$PATH"
command -v initdb >/dev/null || missing
printf %s "$password" >"$made/password"
initdb -D "$made/data" -U railmend -A scram-sha-256 --pwfile="$made/password" -E UTF8 --locale=C \\
  --no-sync --no-instructions >"$made/log" 2>&1 || failed
set -- -c ssl=on
openssl req -new -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=127.0.0.1 \\
  -keyout "$made/data/server.key" -out "$made/data/server.crt" >/dev/null 2>&1 || set --
postgres -D "$made/data" -h 127.0.0.1 -p "$port" -k '' -F -c shared_buffers=16MB "$@" >>"$made/log" 2>&1 &
export PGHOST=127.0.0.1 PGPORT="$port" PGUSER=railmend PGPASSWORD="$password"
answers psql postgres -qc 'create database railmend'
""",
    ),
    Database(
        "Redis",
        ("REDIS_URL", "REDISHOST", "REDISPORT", "REDISUSER", "REDISPASSWORD"),
        "REDIS|VALKEY|KV|CELERY",
        "redis://default:{password}@127.0.0.1:{port}/0",
        """\
server=$(command -v redis-server || command -v valkey-server) || missing
"$server" --dir "$made" --bind 127.0.0.1 --port "$port" --requirepass "$password" --save '' \\
  --maxmemory 256mb >"$made/log" 2>&1 &
answers sh -c '"${0%server}cli" -p "$1" -a "$2" ping 2>/dev/null | grep -q PONG' "$server" "$port" "$password"
""",
    ),
)
# Runs in a shell of its own; what it starts goes on. `$1`: what it is called, then port and password.
START = """\
missing() { echo "$name, which it needs, is not in the sandbox."; exit {code}; }
failed() { echo "$name, which it needs, did not start: $(tail -n 1 "$made/log")"; exit {code}; }
answers() {
  for _ in $(seq 150); do "$@" >/dev/null 2>&1 && return; kill -0 $! 2>/dev/null || failed; sleep 0.1; done
  failed
}
name=$1 port=$2 password=$3 made=$(mktemp -d "$HOME/database.XXXXXX")
""".replace("{code}", str(NOT_HAD))
# What creates the tables, and what fills them, by a file that says so; of each the first that is there.
MIGRATIONS: tuple[tuple[str, str, str], ...] = (
    ("manage.py", "python3 manage.py migrate --noinput", ""),
    ("bin/rails", "bin/rails db:prepare", ""),
    ("alembic.ini", "alembic upgrade head", ""),
    ("migrations/alembic.ini", "flask db upgrade", ""),
    ("prisma/migrations/", "npx --no-install prisma migrate deploy", "npx --no-install prisma db seed"),
    (
        "prisma/schema.prisma",
        "npx --no-install prisma db push --skip-generate",
        "npx --no-install prisma db seed",
    ),
    ("knexfile.", "npx --no-install knex migrate:latest", "npx --no-install knex seed:run"),
    ("drizzle.config.", "npx --no-install drizzle-kit migrate", ""),
    (
        ".sequelizerc",
        "npx --no-install sequelize-cli db:migrate",
        "npx --no-install sequelize-cli db:seed:all",
    ),
    ("db/migrate/", "bundle exec rake db:migrate", ""),
)
# Names of package scripts for the same: they say what the repository's people run.
MIGRATION_SCRIPTS = (
    "db:deploy",
    "migrate:deploy",
    "db:migrate",
    "migrate",
    "migration:run",
    "migrate:latest",
)
SEED_SCRIPTS = ("db:seed", "seed")


def needs(files: Mapping[str, str]) -> tuple[str, ...]:
    """Return what must answer beside a service, by the drivers in its manifests."""
    return services_of("\n".join(text for path, text in files.items() if MANIFEST.search(path)))


def lacking(needed: Collection[str]) -> str:
    """Return a sentence about what no sandbox has of it, databases but `DATABASES`; empty: it has all."""
    others = [name for name in needed if name not in {database.name for database in DATABASES}]
    return f"It needs {' and '.join(others)}, which Railmend's sandbox does not have." if others else ""


def migrations(files: Collection[str], package: str, release: str = "") -> str:
    """Return what creates and fills the tables of a directory, for a shell; empty: nothing is known to.

    `files`: paths inside it. `package`: the text of its package.json. `release`: what runs before each
    deployment, in their place. Migrations that fail end the shell; seeds that fail do not.
    """
    scripts = table(json_object(package), "scripts")
    known = next((row[1:] for row in MIGRATIONS if any(path.startswith(row[0]) for path in files)), ("", ""))
    migrate, seed = (
        next((f"npm run {name}" for name in names if name in scripts), usual)
        for names, usual in zip((MIGRATION_SCRIPTS, SEED_SCRIPTS), known, strict=True)
    )
    if not (release or migrate):
        return ""
    said = shlex.quote(f"Its migrations fail: {release or migrate}")
    migrate = f"sh -c {shlex.quote(release)}" if release else migrate
    failed = f"code=$?; echo {said}; exit $code"
    script = f"timeout {MIGRATION_SECONDS} {migrate} || {{ {failed}; }}\n"
    return script + (f"timeout {MIGRATION_SECONDS} {seed} || true\n" if seed else "")


def not_had(code: int | None, output: str) -> str:
    """Return which database could not be had, of a command that `beside` came before; empty: all could."""
    lines = output.strip().splitlines() if code == NOT_HAD else []
    ours = bool(lines) and lines[-1].startswith(tuple(f"{each.name}, which it needs, " for each in DATABASES))
    return redact(lines[-1])[:200] if ours else ""


def beside(
    needed: Collection[str], texts: Collection[str], ports: Sequence[int]
) -> tuple[str, dict[str, str]]:
    """Return what starts the databases that are needed, for a shell, and variables that lead there.

    `texts`: which name such variables. `ports`: as many as `DATABASES` that are free in the sandbox.
    """
    having = [database for database in DATABASES if database.name in needed]
    password, values = secrets.token_hex(8), dict[str, str]()
    script = 'rm -rf "$HOME"/database.*\n' if having else ""  # of an earlier command, which has ended
    for database, port in zip(having, ports, strict=False):
        arguments = f"sh {database.name} {port} {password}"
        script += f"sh -c {shlex.quote(START + database.script)} {arguments} || exit\n"
        values |= database.variables(texts, port, password)
    return script, values
