"""Changes as agents make them, and what the guard says of each: `PASSES`, or a part of its sentence."""

# ruff: noqa: E501 - one change a line, to be read as a table

from typing import NamedTuple

PASSES = ""
GITHUB = "ghp_" + "a1B2c3D4" * 4 + "x9Y8"
GITHUB_IN_BASE64 = "Z2hwX2ExQjJjM0Q0YTFCMmMzRDRhMUIyYzNENGExQjJjM0Q0eDlZOA=="
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq1xJ0vQ2mZk4Ty8LpR\n"
LONG = "".join(f"line_{n} = {n}\n" for n in range(100))
NINETY_GONE = LONG[-100:] + "x = 1\n" * 10
CI, AGENT, HIDDEN, DEPLOYS = (
    "belongs to CI",
    "instructs coding agents",
    "hidden files steer",
    "configures the build or the deployment",
)
HOOK, RUNNER, NOT_CODE, BUILT = (
    "installers and builds run it",
    "decides how tests are run",
    "not source code, a test",
    "built or vendored",
)
SECRET_FILE, LICENCE, MIGRATION = "files of this name hold secrets", "licence", "is a database migration"
NEW, SOURCE, INSTALL, LOCK = (
    "adds a dependency that the plan does not name",
    "takes a package from another source",
    "changes what runs when packages are installed",
    "lock file that changed without a manifest",
)
SKIPS, FEWER, CASES, DELETED = (
    "skips tests",
    "fewer than before",
    "test case fewer than before",
    "is a test and was deleted",
)
ROUND, EARLY, GONE = "turns an assertion round", "leaves a test before its end", "lines are gone"
SECRET, DISGUISED, OPENED, OUTSIDE = (
    "looks like a secret",
    "read otherwise than it runs",
    "turns off a protection",
    "lies outside",
)

# Tests, by file, to be made poorer.
PY = "import pytest\n\n\ndef test_one():\n    cart = load()\n    assert cart.total == 3\n    assert cart.rate == pytest.approx(0.5, abs=0.01)\n\n\ndef test_two():\n    assert load() is not None\n"
JS = "describe('cart', () => {\n  it('adds', () => {\n    expect(add(1)).toBe(2);\n    expect(total()).toEqual(3);\n  });\n  it('drops', () => {\n    expect(drop(1)).toBe(0);\n  });\n});\n"
GO = 'package cart\n\nfunc TestAdd(t *testing.T) {\n\tif Add(1) != 2 {\n\t\tt.Error("sum")\n\t}\n\trequire.Equal(t, 3, Total())\n}\n'
RB = "describe Cart do\n  it 'adds' do\n    expect(cart.add(1)).to eq(2)\n    expect(cart.total).to eq(3)\n  end\nend\n"
MINI = "class CartTest < Minitest::Test\n  def test_add\n    assert_equal 2, add(1)\n    assert_nil drop(1)\n  end\nend\n"
JAVA = "class CartTest {\n  @Test\n  void adds() {\n    assertEquals(2, add(1));\n    assertThat(total()).isEqualTo(3);\n  }\n}\n"
RS = "fn add(n: u8) -> u8 { n + 1 }\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(add(1), 2);\n        assert!(add(2) > 2);\n    }\n}\n"
EX = 'defmodule CartTest do\n  test "adds" do\n    assert add(1) == 2\n    refute drop(1)\n  end\nend\n'
PHP = "<?php\nclass CartTest extends TestCase {\n  public function testAdd() {\n    $this->assertSame(2, add(1));\n    $this->assertTrue(ok());\n  }\n}\n"
CS = "class CartTests {\n  [Fact]\n  public void Adds() {\n    Assert.Equal(2, Add(1));\n    Assert.True(Ok());\n  }\n}\n"

PACKAGE = '{\n  "scripts": {\n    "start": "node .",\n    "test": "vitest"\n  },\n  "dependencies": {\n    "express": "5.0.0"\n  }\n}\n'
PYPROJECT = '[project]\nname = "x"\ndependencies = [\n  "httpx>=0.28",\n]\n'
CARGO = '[package]\nname = "x"\n\n[dependencies]\nserde = "1"\n'
GO_MOD = "module x\n\nrequire (\n\tgithub.com/a/b v1.0.0\n)\n"
POM = "<project><dependencies>\n</dependencies></project>\n"
BIG_LOCK = "".join(f"package_{n}: 1.0.{n}\n" for n in range(60_000))
LOCKED = '{"resolved": "https://registry.npmjs.org/a/-/a-1.tgz"}\n'
REQUIREMENTS = "httpx==0.28\n"


class Change(NamedTuple):
    """`files`: path, text before, text after (None: no such file). `said`: part of a refusal, or `PASSES`."""

    said: str
    files: tuple[tuple[str, str | None, str | None], ...]
    plan: str = ""
    roots: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


def new(said: str, *paths: str, text: str = "x\n") -> list[Change]:
    """Return a change for each of the paths, of which the base has nothing."""
    return [Change(said, ((path, None, text),)) for path in paths]


def edit(said: str, path: str, before: str, *pairs: tuple[str, str], plan: str = "") -> list[Change]:
    """Return a change for each pair: what stands in `before`, and what comes in its place."""
    assert all(old in before for old, _ in pairs)
    return [Change(said, ((path, before, before.replace(old, now)),), plan) for old, now in pairs]


def one(
    said: str,
    *files: tuple[str, str | None, str | None],
    plan: str = "",
    roots: tuple[str, ...] = (),
    named: tuple[str, ...] = (),
) -> list[Change]:
    return [Change(said, files, plan, roots, named)]


def added(said: str, path: str, *texts: str) -> list[Change]:
    return [Change(said, ((path, "a\n", f"a\n{text}\n"),)) for text in texts]


CHANGES: list[Change] = [
    # What tools read
    *new(HIDDEN, ".github/workflows/ci.yml", ".GitHub/Workflows/ci.yml", ".gitlab-ci.yaml", ".circleci/config.yml", ".drone.yml", ".gitea/workflows/a.yml", ".cirrus.yml", ".tekton/run.yaml", ".woodpecker.yml", ".husky/pre-commit", ".pre-commit-config.yaml"),
    *new(HIDDEN, ".cursor/rules/a.mdc", ".windsurfrules", ".aider.conf.yml", ".vscode/tasks.json", ".devcontainer/devcontainer.json", "api/.gitattributes", ".gitmodules", ".gitignore", "a/.git/config", "GIT~1/config", ".env.production", ".npmrc"),
    *new(PASSES, "docs/usage.md", "app/.well-known/security.txt", ".changeset/good-fix.md"),
    *new(CI, "azure-pipelines.yml", "Jenkinsfile", "lefthook.yml", "renovate.json", "bitbucket-pipelines.yml", "appveyor.yml"),
    *new(DEPLOYS, "cloudbuild.yaml", "buildspec.yml", "railpack.json", "nixpacks.toml", "Procfile", "app/Dockerfile", "compose.prod.yml", "config/deploy.yml", "railway.toml", "api/fly.toml"),
    *new(AGENT, "AGENTS.md", "src/CLAUDE.md", "opencode.json"),
    *new(SECRET_FILE, "certs/server.key", "config/secrets.yml", "id_ed25519"),
    *new(LICENCE, "LICENSE.md", "COPYING"),
    *new(HOOK, "setup.py", "build.rs", "sitecustomize.py", "a.pth", "renovate.config.js"),
    *new(RUNNER, "pytest.ini", "vitest.config.ts", "Makefile"),
    *new(NOT_CODE, "helm/templates.yaml", "terraform/main.tf", "run.sh", "environment.yml", "setup.cfg", "tsconfig.json", "flake.nix"),
    *new(BUILT, "vendor/lib/a.go", "node_modules/a/index.js", "web/dist/app.js"),
    *new(PASSES, "license.tsx", "src/Patents.java", "app/settings/page.tsx", "cmd/migrate/main.go", "pages/api/apps/versions/index.ts", ".env.prod.example", "locales/de.json", "src/data/countries.json", "CHANGES", "README", "app/schema.graphql", "config/application.yml", "src/token.rs", "tests/data/sample.bin.txt", "src/migrations/helpers.ts"),
    *one("control characters", ("a\nb.py", None, "x\n")),
    *one(PASSES, ("caf\udce9.py", None, "x = 1\n")),
    *one(NOT_CODE, ("caf\udce9", None, "x\n")),
    # Where
    *one(PASSES, ("api/app.py", "a\n", "b\n"), roots=("api",)),
    *one(PASSES, ("apps/api/app.py", "a\n", "b\n"), roots=("/apps/api/",)),
    *one(OUTSIDE, ("apiary/app.py", "a\n", "b\n"), roots=("api",)),
    *one(OUTSIDE, ("apps/web/app.ts", "a\n", "b\n"), roots=("/apps/api/",)),
    *one(PASSES, ("apps/web/app.ts", "a\n", "b\n"), roots=("apps/api",), named=("apps/web/app.ts",)),
    *one(PASSES, ("packages/db/query.ts", "a\n", "b\n"), ("tests/api/test_a.py", None, PY), ("docs/a.md", "a\n", "b\n"), roots=("apps/api",)),
    *one(PASSES, ("tsconfig.json", "{}\n", '{"a": 1}\n'), named=("tsconfig.json",)),
    *one(DEPLOYS, ("railway.json", "{}\n", '{"a": 1}\n'), named=("railway.json",)),
    # Migrations
    *new(MIGRATION, "shop/migrations/0002_index.py", "prisma/migrations/20230101_x/migration.sql", "migrations/2023-01-01-000000_x/up.sql", "drizzle/0001_x.sql", "drizzle/meta/_journal.json", "priv/repo/migrations/20230101_x.exs", "db/migrate/20230101000000_x.rb", "db/schema.rb", "db/structure.sql", "alembic/versions/3f2a9c1b7d_x.py", "src/main/resources/db/migration/V2__x.sql", "Data/Migrations/20230101_X.cs", "Data/Migrations/AppModelSnapshot.cs", "migrations/Version20230101000000.php", "src/migration/CreateUsers1650000000000.ts", "db/changelog/db.changelog-2.xml", "db/knex_migrations/2026-01-01-x.js", "database/migrations/2014_10_12_000000_x.php"),
    *new(MIGRATION, "shop/migrations/add_index.py", text="class Migration(migrations.Migration):\n    pass\n"),
    # Dependencies
    *edit(PASSES, "requirements.txt", REQUIREMENTS, ("0.28", "0.29"), ("httpx==0.28\n", "")),
    *edit(NEW, "requirements.txt", REQUIREMENTS, ("httpx", "left_pad\nhttpx"), ("httpx", "a\nhttpx"), ("httpx", "app\nhttpx"), ("httpx", "fix\nhttpx"), plan="Bound the cache of the app with a fix for left-pads."),
    *edit(PASSES, "requirements.txt", REQUIREMENTS, ("httpx", "cachetools>=5\nhttpx"), ("httpx", "CacheTools[x]\nhttpx"), plan="Bound the cache with cachetools."),
    *edit(NEW, "requirements/dev.txt", REQUIREMENTS, ("httpx", "evil\nhttpx")),
    *edit(SOURCE, "requirements.txt", REQUIREMENTS, ("httpx==0.28", "httpx @ https://evil.example/httpx.whl"), ("httpx", "--extra-index-url https://evil.example\nhttpx"), ("httpx", "-i http://evil.example\nhttpx"), ("httpx==0.28", "git+ssh://git@evil.example/httpx.git#egg=httpx")),
    *edit(NEW, "package.json", PACKAGE, ('"express"', '"evil": "1",\n    "express"'), ('"express": "5.0.0"', '"express": "npm:evil@5"')),
    *edit(PASSES, "package.json", PACKAGE, ("5.0.0", "5.0.1"), ("node .", "node --enable-source-maps ."), ('"express"', '"@acme/core": "workspace:*",\n    "express"')),
    *edit(PASSES, "package.json", PACKAGE, ('"scripts"', '"homepage": "https://acme.example",\n  "scripts"'), ('"express"', '"@acme/core": "file:../core",\n    "express"')),
    *edit(SOURCE, "package.json", PACKAGE, ("5.0.0", "https://evil.example/e.tgz"), ("5.0.0", "github:evil/express"), ("5.0.0", "file:///tmp/e"), ('"scripts"', '"overrides": {"express": "4"},\n  "scripts"'), ('"scripts"', '"resolutions": {"express": "4"},\n  "scripts"')),
    *edit(INSTALL, "package.json", PACKAGE, ('"start"', '"postinstall": "node a.js",\n    "start"'), ('"vitest"', '"exit 0"'), ('"start"', '"prepare": "x",\n    "start"')),
    *edit(NEW, "pyproject.toml", PYPROJECT, ('  "httpx', '  "evil",\n  "httpx'), ('",\n]\n', '",\n]\n\n[project.optional-dependencies]\nx = ["evil"]\n'), ('",\n]\n', '",\n]\n\n[dependency-groups]\ndev = ["evil"]\n'), ('",\n]\n', '",\n]\n\n[tool.poetry.group.dev.dependencies]\nevil = "1"\n'), ('",\n]\n', '",\n]\n\n[tool.poetry.dependencies]\nevil = "1"\n')),
    *edit(SOURCE, "pyproject.toml", PYPROJECT, ('",\n]\n', '",\n]\n\n[[tool.uv.index]]\nname = "x"\n'), ('",\n]\n', '",\n]\n\n[tool.uv.sources]\nhttpx = { git = "x" }\n')),
    *edit(INSTALL, "pyproject.toml", PYPROJECT, ('",\n]\n', '",\n]\n\n[build-system]\nbuild-backend = "evil"\n'), ('",\n]\n', '",\n]\n\n[tool.pytest.ini_options]\naddopts = "--ignore=tests"\n')),
    *edit(PASSES, "pyproject.toml", PYPROJECT, ('name = "x"', 'name = "x"\nversion = "2"'), ("0.28", "0.29"), ('",\n]\n', '",\n]\n\n[tool.ruff]\nline-length = 100\n')),
    *edit(PASSES, "pyproject.toml", PYPROJECT.replace('  "httpx', '  "own @ https://acme.example/own.whl",\n  "httpx'), ("0.28", "0.29")),
    *edit(NEW, "Cargo.toml", CARGO, ("serde", 'evil = "1"\nserde'), ("[dependencies]", "[target.'cfg(unix)'.dependencies]\nevil = \"1\"\n\n[dependencies]"), ("[dependencies]", '[build-dependencies]\nevil = "1"\n\n[dependencies]')),
    *edit(PASSES, "Cargo.toml", CARGO, ('"1"', '{ version = "1", features = ["derive"] }'), ("serde", 'acme-core = { path = "../core" }\nserde')),
    *edit(SOURCE, "Cargo.toml", CARGO, ("[dependencies]", '[patch.crates-io]\nserde = { path = "x" }\n\n[dependencies]'), ('"1"', '{ git = "x" }')),
    *edit(NEW, "go.mod", GO_MOD, (")", "\tgithub.com/evil/mod v1.0.0\n)")),
    *edit(PASSES, "go.mod", GO_MOD, ("v1.0.0", "v1.0.1"), (")", "\tgithub.com/c/d v1.0.0\n)"), plan="Take github.com/c/d for it."),
    *edit(SOURCE, "go.mod", GO_MOD, (")\n", ")\n\nreplace github.com/a/b => github.com/evil/b v1.0.0\n")),
    *edit(NEW, "pom.xml", POM, ("<dependencies>\n", "<dependencies>\n<dependency><groupId>g</groupId><artifactId>evil</artifactId></dependency>\n")),
    *edit(SOURCE, "pom.xml", POM, ("<dependencies>", "<repositories><repository><id>x</id></repository></repositories><dependencies>")),
    *edit(NEW, "build.gradle", "dependencies {\n}\n", ("{\n", "{\n  implementation 'g:evil:1'\n")),
    *edit(NEW, "Gemfile", "gem 'rails'\n", ("gem 'rails'", "gem 'rails'\ngem('evil')"), ("gem 'rails'", "gem 'rails'\ngem 'evil', '~> 1'")),
    *edit(SOURCE, "Gemfile", "gem 'rails'\n", ("gem 'rails'", "gem 'rails', git: 'x'"), ("gem 'rails'", "source 'https://evil.example'\ngem 'rails'")),
    *edit(NEW, "mix.exs", 'defp deps, do: [\n{:req, "~> 0.5"}\n]\n', ("[\n", '[\n{:evil, "~> 1"},\n')),
    *edit(PASSES, "mix.exs", 'elixir: "~> 1.15",\ndeps: deps()\n', ("1.15", "1.16"), ("deps()", "deps(),\npackage: package()"), ("deps: ", 'flags: [:missing_return],\ndeps: ')),
    *edit(PASSES, "build.gradle", "plugins {\n}\n", ("plugins", "// why\nplugins"), ("\n}", "\n  id 'java'\n}\nversion = '2'")),
    *edit(NEW, "App.csproj", "<Project><ItemGroup>\n</ItemGroup></Project>\n", ("Group>\n", 'Group>\n<PackageReference Include="Evil" Version="1" />\n')),
    *edit(NEW, "composer.json", '{"require": {"a/b": "1"}}\n', ('"a/b"', '"evil/x": "1", "a/b"')),
    *edit(INSTALL, "composer.json", '{\n"require": {"a/b": "1"}}\n', ("{\n", '{\n"scripts": {\n"post-install-cmd": "x"\n},\n')),
    *edit(NEW, "deno.json", '{"imports": {\n"a": "npm:a@1"}}\n', ("{\n", '{\n"evil": "npm:evil@1",\n')),
    *edit(NEW, "build.sbt", 'libraryDependencies += "a" %% "b" % "1"\n', ("\n", '\nlibraryDependencies += "g" %% "evil" % "1"\n')),
    *one(LOCK, ("web/package-lock.json", LOCKED, LOCKED + "\n")),
    *one(LOCK, ("web/yarn.lock", "a\n", "b\n"), ("api/package.json", PACKAGE, PACKAGE.replace("5.0.0", "5.0.1"))),
    *one(PASSES, ("pnpm-lock.yaml", "a\n", "b\n"), ("apps/web/package.json", PACKAGE, PACKAGE.replace("5.0.0", "5.0.1"))),
    *one(PASSES, ("pnpm-lock.yaml", BIG_LOCK, BIG_LOCK + "b: 1\n"), ("package.json", PACKAGE, PACKAGE.replace("5.0.0", "5.0.1"))),
    *one("takes packages from evil.example", ("yarn.lock", BIG_LOCK, BIG_LOCK + 'resolved "https://evil.example/a.tgz"\n'), ("package.json", PACKAGE, PACKAGE.replace("5.0.0", "5.0.1"))),
    *one("cannot be judged", ("data/all.json", BIG_LOCK, BIG_LOCK + "b: 1\n")),
    *one(PASSES, ("go.sum", "a\n", "b\n"), ("go.mod", GO_MOD, GO_MOD.replace("v1.0.0", "v1.0.1"))),
    *one(PASSES, ("yarn.lock", 'resolved "https://npm.acme.example/a-1.tgz"\n', 'resolved "https://npm.acme.example/a-2.tgz"\n'), ("package.json", PACKAGE, PACKAGE.replace("5.0.0", "5.0.1"))),
    *one(PASSES, ("yarn.lock", "a\n", 'resolved "https://registry.npmjs.org/a-1.tgz"\n'), ("package.json", PACKAGE, PACKAGE.replace("5.0.0", "5.0.1"))),
    *one("takes packages from evil.example", ("package-lock.json", LOCKED, LOCKED.replace("registry.npmjs.org", "evil.example")), ("package.json", PACKAGE, PACKAGE.replace("5.0.0", "5.0.1"))),
    # Tests
    *edit(FEWER, "tests/test_a.py", PY, ("cart.total == 3", "True"), ("total == 3", "total == 3 or True"), ("    assert cart.total == 3\n", ""), ("    assert cart.total", "    # assert cart.total"), ("def test_two", "def check_two")),
    *edit(SKIPS, "tests/test_a.py", PY, ("def test_two", "@pytest.mark.skip\ndef test_two"), ("import pytest\n", "import pytest\npytest.importorskip('x')\n"), ("def test_two", "@pytest.mark.xfail(strict=False)\ndef test_two"), ("    cart = load()\n", "    pytest.skip('x')\n    cart = load()\n")),
    *edit(EARLY, "tests/test_a.py", PY, ("    cart = load()\n", "    return\n    cart = load()\n")),
    *edit(ROUND, "tests/test_a.py", PY, ("abs=0.01", "abs=10"), ("total == 3", "total != 3"), ("is not None", "is None")),
    *one(SKIPS, ("tests/conftest.py", "import pytest\n", "import pytest\n\n\ndef pytest_collection_modifyitems(items):\n    items.clear()\n")),
    *one(DELETED, ("tests/test_a.py", PY, None)),
    *one(DELETED, ("shop/tests.py", PY, None)),
    *one(PASSES, ("tests/helpers.py", "x = 1\n", None)),
    *one(PASSES, ("tests/test_a.py", PY, PY.replace("    assert cart.total == 3\n", "    check(cart)\n")), ("tests/checks.py", None, "def check(cart):\n    assert cart.total == 3\n")),
    *one(FEWER, ("tests/test_a.py", PY, PY.replace("    assert cart.total == 3\n", "    check(cart)\n")), ("app/checks.py", None, "def check(cart):\n    assert cart.total == 3\n")),
    *one(PASSES, ("config/defaults.hjson", "{}\n", "{ a: 1 }\n")),
    *one(PASSES, ("tests/helpers.py", LONG, NINETY_GONE)),
    *one(PASSES, ("tests/test_a.py", "if a:\n  @pytest.mark.skip\n  def test_a(): assert b()\n", "@pytest.mark.skip\ndef test_a(): assert b()\n")),
    *edit(PASSES, "tests/test_a.py", PY, ("def test_one", "def pick(a):\n    if a:\n        return\n    go()\n\n\ndef test_one")),
    *one(PASSES, ("tests/test_a.py", PY, None), ("tests/unit/test_a.py", None, PY)),
    *one(FEWER, ("tests/test_a.py", PY, None), ("tests/unit/test_a.py", None, PY.replace("    assert cart.total == 3\n", ""))),
    *edit(PASSES, "tests/test_a.py", PY, ("test_one", "test_first"), ("== 3", "== 4"), ("def test_two", "def test_three():\n    assert 1 < two()\n\n\ndef test_two"), ("0.5, abs=0.01", "0.7, abs=0.001"), ("load()", "load(1)")),
    *edit(PASSES, "cart_test.go", GO, ("func TestAdd", "func TestNew(t *testing.T) {\n\tif short {\n\t\tt.Skip()\n\t}\n\trequire.True(t, ok())\n}\n\nfunc TestAdd")),
    *edit(SKIPS, "src/cart.test.ts", JS, ("it('adds'", "it.skip('adds'"), ("it('adds'", "it.only('adds'"), ("it('adds'", "fit('adds'"), ("it('adds'", "xit('adds'"), ("describe(", "describe.only(")),
    *edit(FEWER, "web/__test__/cart.js", JS, ("expect(total()).toEqual(3)", "expect(true).toBe(true)"), ("    expect(total()).toEqual(3);\n", ""), ("expect(total", "// expect(total")),
    *edit(CASES, "cypress/e2e/cart.cy.js", JS, ("  it('drops', () => {\n    expect(drop(1)).toBe(0);\n  });\n", "")),
    *edit(ROUND, "src/cart.spec.ts", JS, (".toBe(2)", ".not.toBe(2)")),
    *edit(FEWER, "cart_test.go", GO, ('\t\tt.Error("sum")\n', ""), ("\trequire.Equal(t, 3, Total())\n", "")),
    *edit(SKIPS, "cart_test.go", GO, ("\tif Add", "\tt.Skip()\n\tif Add")),
    *edit(FEWER, "spec/cart_spec.rb", RB, ("    expect(cart.total).to eq(3)\n", "")),
    *edit(SKIPS, "spec/cart_spec.rb", RB, ("  it 'adds'", "  xit 'adds'"), ("    expect(cart.add", "    skip 'later'\n    expect(cart.add")),
    *edit(FEWER, "test/cart_test.rb", MINI, ("    assert_nil drop(1)\n", ""), ("test_add", "add_test")),
    *edit(SKIPS, "src/test/java/CartTest.java", JAVA, ("  @Test", "  @Disabled\n  @Test")),
    *edit(FEWER, "src/test/java/CartTest.java", JAVA, ("    assertThat(total()).isEqualTo(3);\n", ""), ("  @Test\n", "")),
    *edit(FEWER, "src/lib.rs", RS, ("        assert!(add(2) > 2);\n", ""), ("    #[test]\n", "")),
    *edit(SKIPS, "src/lib.rs", RS, ("    #[test]\n", "    #[test]\n    #[ignore]\n")),
    *one(PASSES, ("src/lib.rs", RS + "", "fn verify() {}\n" + RS.replace("fn add(n: u8) -> u8 { n + 1 }", "")), ("src/a.rs", "fn a() { verify(1); }\n" + RS, "fn a() {}\n" + RS)),
    *edit(FEWER, "test/cart_test.exs", EX, ("    refute drop(1)\n", "")),
    *edit(SKIPS, "test/cart_test.exs", EX, ("  test", "  @tag :skip\n  test")),
    *edit(FEWER, "tests/CartTest.php", PHP, ("    $this->assertTrue(ok());\n", "")),
    *edit(SKIPS, "tests/CartTest.php", PHP, ("    $this->assertSame", "    $this->markTestSkipped();\n    $this->assertSame")),
    *edit(FEWER, "CartTests.cs", CS, ("    Assert.True(Ok());\n", "")),
    *edit(SKIPS, "CartTests.cs", CS, ("[Fact]", '[Fact(Skip = "x")]')),
    # Sizes and disguises
    *one(GONE, ("app.py", LONG, NINETY_GONE)),
    *one(GONE, ("app.py", LONG, None)),
    *one(PASSES, ("app.py", LONG, None), ("lib/app.py", None, LONG + "x = 1\n")),
    *one("at most 800 are allowed", ("a.py", LONG * 12, LONG * 3)),
    *one("at most 20 are allowed", *((f"f{n}.py", "a\n", "b\n") for n in range(21))),
    *one(PASSES, *((f"f{n}.py", "a\n", "b\n") for n in range(20))),
    *one("Git LFS", ("data/a.py", None, "version https://git-lfs.github.com/spec/v1\noid sha256:1\n")),
    *added(DISGUISED, "app.py", "ok = 1  # \u202e x", "p\u0430ssword = 1"),
    *added(PASSES, "locales/ru.json", '{"total": "Всего"}', '{"a": "می\u200cشود"}', '{"a": "❤\ufe0f 👩\u200d💻"}', '{"a": "ΔΕ 5 %"}'),
    *added(OPENED, "app.py", "get(url, verify=False)", 'CORS(allow_origins=["*"])', "@csrf_exempt"),
    *added(OPENED, "a.go", "tls.Config{InsecureSkipVerify: true}"),
    *added(OPENED, "a.ts", "https.Agent({ rejectUnauthorized: false })", 'cors({ origin: "*" })'),
    *added(PASSES, "tests/test_names.py", "NAME = 'p\u0430ul'"),
    *added(PASSES, "tests/test_net.py", "get(url, verify=False)"),
    *one(PASSES, ("app.py", "if a:\n    get(u, verify=False)\n", "get(u, verify=False)\n")),
    *one(OPENED, ("views.py", "@login_required\ndef a(): pass\n", "def a(): pass\n")),
    # Secrets
    *added(SECRET, "app.py", f"token = '{GITHUB}'", f"x = 1  # pragma: allowlist secret {GITHUB}", f"t = '{GITHUB[:9]}' + '{GITHUB[9:]}'", f"t = '{GITHUB_IN_BASE64}'", f"k = '''{KEY}'''", "url = 'postgres://app:hunter22@db:5432/x'", "aws_secret_access_key = 'wJalrXUtnFEMIK7MDENGbPxRfiCYzzzzKEYzzz1'", "# " + "x" * 2500 + f"\ntoken = '{GITHUB}'", "twilio = 'SK" + "9f3c1e7a5b2d8064" * 2 + "'"),
    *new(SECRET, f"src/{GITHUB}.py"),
    *added(PASSES, "app.ts", 'token_type: "Bearer",', 'max_tokens: model("gpt-4-32k-0613"),', 'path = "file:///etc/passwd"', 'const url = `mysql://${user}:${pw}@${host}/db`', "key: 'AKIAIOSFODNN7EXAMPLE'", "secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'", "sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'", "id: '20230101123456_add_token_index'", "password: process.env.DB_PASSWORD", "const url = 'postgres://postgres:postgres@localhost:5432/test'", "cacheKey: 'user-profile-settings'", "session_key = 'checkout_session_v2'", "apiKey: z.string().min(1)", "key = \"'post_2'\"", "private_key = 'posts_1'"),
    *added(PASSES, "tests/test_a.py", "TOKEN = 'test-token-1234567890abcd'", "db = 'postgres://app:secret99@db/x'"),
    *one(PASSES, ("app.py", f"if a:\n  token = '{GITHUB}'\n", f"token = '{GITHUB}'\n")),
]  # fmt: skip
