"""PostgreSQL and Redis beside a service in the sandbox, empty or filled by the repository's migrations."""

import shutil
from glob import glob
from pathlib import Path

import pytest

from railmend.coding.checks import databases
from railmend.contracts.proof import ProofRow
from tests.integration.coding_stage import CodingRoom
from tests.integration.test_proof import serving

pytestmark = pytest.mark.integration
PSQL = next(iter(sorted(glob("/usr/lib/postgresql/*/bin/psql"))), "psql")
# It names drivers, and has nothing installed for them.
DRIVERS = "config/database.yml"
# Answers 200 while its client does what it is for.
SERVER = """\
import http.server, os, subprocess
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        done = subprocess.run(CLIENT, shell=True, capture_output=True, text=True)
        self.send_response(200 if SAID in done.stdout else 500)
        self.end_headers()
        print(done.stderr, flush=True)
http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
POSTGRES = 'CLIENT, SAID = "PSQL $DATABASE_URL?sslmode=require -Atc \'select name from shop\'", "tea"\n'
POSTGRES = POSTGRES.replace("PSQL", PSQL)
BY_PARTS = f'CLIENT, SAID = "{PSQL} -Atc \'select current_database()\'", "railmend"\n'
REDIS = 'CLIENT, SAID = "redis-cli -u $SHOP_REDIS_URL ping", "PONG"\n'
MIGRATE = """\
import os, subprocess, sys
assert sys.argv[1:] == ["migrate", "--noinput"]
sql = "create table shop (name text); insert into shop values ('tea')"
sys.exit(subprocess.run(["PSQL", os.environ["DATABASE_URL"], "-qc", sql]).returncode)
""".replace("PSQL", PSQL)
HAVE_POSTGRES = pytest.mark.skipif(
    PSQL == "psql", reason="apt-get install postgresql: its server is not here"
)
HAVE_REDIS = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="apt-get install redis-server: it is not here"
)


async def started(folder: Path, files: dict[str, str], changed: str = "# mended\n") -> ProofRow:
    """Return the row about the start of a service, which begins with `changed` after the change."""
    room = CodingRoom(folder, {"Procfile": "web: python3 app.py\n", **files}, repair=serving("/up"))
    await room.changed()
    (room.tree / "app.py").write_text(changed + files["app.py"])
    return (await room.proof()).rows[1]


@HAVE_POSTGRES
async def test_postgresql_is_started_and_filled_by_the_migrations(tmp_path: Path) -> None:
    files = {"app.py": POSTGRES + SERVER, "manage.py": MIGRATE, DRIVERS: "adapter: postgresql"}
    row = await started(tmp_path, files)
    assert (row.base, row.change) == ("starts", "starts"), row


@HAVE_POSTGRES
async def test_migrations_that_fail_are_told_and_nobody_is_blamed(tmp_path: Path) -> None:
    files = {"app.py": POSTGRES + SERVER, DRIVERS: "adapter: postgresql"}
    files["Procfile"] = "web: python3 app.py\nrelease: false || exit 3\n"
    row = await started(tmp_path, files)
    assert (row.verdict.value, row.base, row.change) == ("not_had", "does not start", "does not start"), row
    assert "Its migrations fail: false || exit 3" in row.reason


@HAVE_POSTGRES
@HAVE_REDIS
async def test_both_answer_under_the_names_that_the_code_reads(tmp_path: Path) -> None:
    client = BY_PARTS.replace("-Atc", "-h $DB_HOST -p $DB_PORT -U $DB_USER $DB_NAME -Atc").replace(
        'CLIENT, SAID = "',
        'CLIENT, SAID = "export PGPASSWORD=$DB_PASSWORD; redis-cli -u $SHOP_REDIS_URL ping && ',
    )
    row = await started(tmp_path, {"app.py": client + SERVER, DRIVERS: "postgresql, redis"})
    assert (row.base, row.change) == ("starts", "starts"), row


async def test_a_database_that_the_sandbox_has_not_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "START", databases.START + "initdb-of-nobody || missing\n")
    row = await started(tmp_path, {"app.py": REDIS + SERVER, DRIVERS: "redis"})
    assert (row.verdict.value, row.base, row.change) == ("not_had", "not tried", "not tried"), row
    assert row.reason == "Redis, which it needs, is not in the sandbox."


async def test_what_no_sandbox_has_is_named_where_the_service_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"app.py": "raise SystemExit('no connection')", DRIVERS: "mysql2, mongoid"}
    row = await started(tmp_path, files)
    assert row.verdict.value == "not_had"
    assert row.reason == (
        "It does not start here without the change either: It needs MySQL and MongoDB, which Railmend's "
        "sandbox does not have. It ended with exit code 1: no connection"
    )


@HAVE_POSTGRES
async def test_tests_have_the_database_that_ci_gives_them_and_its_tables(tmp_path: Path) -> None:
    """Each run has one of its own: what a test writes is not there in the next."""
    test = """\
import os, subprocess, unittest
class A(unittest.TestCase):
    def test_a(self):
        count = "insert into shop values ('cup') returning (select count(*) from shop)"
        said = subprocess.check_output(["PSQL", os.environ["SHOP_DB_URL"], "-Atc", count], text=True)
        self.assertEqual(said.split()[0], "1")
""".replace("PSQL", PSQL)
    files = {
        ".github/workflows/ci.yml": "on: push\njobs:\n  test:\n    services: {db: {image: 'postgres:16'}}\n"
        "    env: {SHOP_DB_URL: 'postgres://postgres:postgres@localhost/shop'}\n"
        "    steps: [{run: 'python3 -m unittest'}, {run: 'python3 -m unittest test_shop'}]\n",
        "test_shop.py": test,
        "manage.py": MIGRATE,
    }
    report = await CodingRoom(tmp_path, files).before()
    assert [(run.passed, run.ran) for run in report.runs] == [(True, 1), (True, 1)], report
