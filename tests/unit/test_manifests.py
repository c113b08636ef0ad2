"""One reading of manifests, for what the guard calls new and for what provider detection sees running."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from railmend.coding.git.diff import ChangedFile
from railmend.coding.guard.manifest_changes import new_dependencies as names_in
from railmend.providers.detection import detect
from railmend.source.manifests import BY_NAME, runtime_packages


def new_dependencies(path: str, before: str | None, after: str | None) -> list[str]:
    return names_in(ChangedFile(path, "modified", 1, 1, before=before, after=after))


# By case: path, text, the names that run, and those that only tests, builds or tools have.
CASES: dict[str, tuple[str, str, str, str]] = {
    "extras, markers, hashes, comments and continued lines": (
        "requirements.txt",
        'Uvicorn[standard]==0.34 ; python_version > "3.9"  # server\n'
        "# stripe==1\nhttpx >=0.28, \\\n    <1 --hash=sha256:00\n  left_pad\n",
        "Uvicorn httpx left_pad",
        "",
    ),
    "addresses instead of versions": (
        "requirements.txt",
        "openai @ https://example.com/o.zip\ngit+https://example.com/acme/fork-of-x.git@main\n"
        "-e git+ssh://git@example.com/acme/y.git#egg=real-name&subdirectory=src\n"
        "--editable=git+https://example.com/acme/z\nhttps://example.com/wheels/tiny-1.0-py3-none-any.whl\n",
        "openai fork-of-x real-name z tiny",
        "",
    ),
    "an archive without a name": (
        "requirements.txt",
        "https://example.com/acme/x/archive/main.zip\n",
        "https://example.com/acme/x/archive/main.zip",
        "",
    ),
    "options, other files and paths": (
        "requirements.txt",
        "-r base.txt\n-c constraints.txt\n--index-url https://example.com/simple\n-e .\n./local\n"
        "-e ./src[x]\nwheels/odd.whl\n",
        "wheels/odd.whl",
        "",
    ),
    "a version that PEP 440 does not know": ("requirements.txt", "old>=1.0.*,<2b-x\n", "old", ""),
    "a file in the folder of requirements": ("requirements/base.txt", "redis\n", "redis", ""),
    "a prefix, and the input of pip-compile": ("prod-requirements.in", "redis\n", "redis", ""),
    "requirements of tests": ("requirements_test.txt", "-r requirements.txt\npytest\n", "", "pytest"),
    "requirements of developers in their folder": ("requirements/dev.txt", "mypy\n", "", "mypy"),
    "constraints": ("constraints.txt", "urllib3<2\n", "", "urllib3"),
    "a project with extras and groups": (
        "pyproject.toml",
        '[build-system]\nrequires = ["hatchling"]\n'
        "[project]\ndependencies = [\"psycopg[binary]>=3; os_name != 'nt'\"]\n"
        '[project.optional-dependencies]\nanthropic = ["anthropic"]\ndev = ["ruff"]\n'
        '[dependency-groups]\ntest = ["pytest", {include-group = "lint"}]\n'
        '[tool.uv]\ndev-dependencies = ["ipdb"]\n[tool.pdm.dev-dependencies]\nx = ["tox"]\n',
        "psycopg anthropic",
        "hatchling ruff pytest ipdb tox",
    ),
    "tables of Poetry": (
        "pyproject.toml",
        '[tool.poetry.dependencies]\npython = "^3.11"\ncelery = {version = "5", extras = ["redis"]}\n'
        'core = {path = "../core", develop = true}\n[tool.poetry.group.llm.dependencies]\nopenai = "1"\n'
        '[tool.poetry.group.dev.dependencies]\nruff = "*"\n[tool.poetry.dev-dependencies]\nblack = "*"\n',
        "celery core openai",
        "ruff black",
    ),
    "a Pipfile": ("Pipfile", '[packages]\nflask = "*"\n[dev-packages]\npytest = "*"\n', "flask", "pytest"),
    "aliases and workspaces of npm": (
        "web/package.json",
        '{"workspaces": ["packages/*"], "dependencies": {"ai": "npm:openai@4", "b": "npm:@acme/b@^1",'
        ' "@x/data": "workspace:*"}, "optionalDependencies": {"sharp": "1"},'
        ' "devDependencies": {"jest": "29"}, "peerDependencies": {"react": "*"}}',
        "openai @acme/b @x/data sharp",
        "jest react",
    ),
    "modules of Go": (
        "go.mod",
        "module example.com/app\n\ngo 1.22\n\nrequire go.uber.org/zap v1.19.0\n\nrequire (\n"
        "\tgo.starlark.net v0.0.0-2023\n\tgopkg.in/yaml.v3 v3.0.1\n"
        "\tgithub.com/a/b/v2 v2.0.0 // indirect\n)\n"
        "exclude github.com/bad/one v1.0.0\nreplace (\n\tgo.uber.org/zap => github.com/me/zap v1.20.0\n"
        "\tgopkg.in/yaml.v3 => ./yaml\n)\n",
        "go.uber.org/zap go.starlark.net gopkg.in/yaml.v3 github.com/me/zap",
        "github.com/a/b/v2",
    ),
    "groups and blocks of Bundler": (
        "Gemfile",
        "source 'https://rubygems.org'\ngem('rails', '~> 8')\n# gem 'no'\ngroup :development, :test do\n"
        "  platforms :mri do\n    gem 'debug'\n  end\n  gem \"faker\"\nend\ngem 'stripe'\n"
        "gem 'rubocop', group: :development\ngem 'pg', groups: [:production, :test]\n",
        "rails stripe pg",
        "debug faker rubocop",
    ),
    "a gem behind what looks like a comment": (
        "Gemfile",
        "x = <<~END\n=begin\nEND\ngem 'hidden'\n",
        "",
        "hidden",
    ),
    "crates under other names": (
        "Cargo.toml",
        '[dependencies]\nai = {package = "async-openai", version = "1"}\n'
        '[dev-dependencies.mock]\nversion = "1"\n'
        '[build-dependencies]\ncc = "1"\n[target."cfg(unix)".dependencies]\nnix = "1"\n'
        '[workspace.dependencies]\nserde = "1"\n',
        "async-openai nix",
        "mock cc serde",
    ),
    "Composer": (
        "composer.json",
        '{"require": {"php": "^8", "guzzlehttp/guzzle": "7"}, "require-dev": {"phpunit/phpunit": "11"}}',
        "guzzlehttp/guzzle",
        "phpunit/phpunit",
    ),
    "scopes, management and plugins of Maven": (
        "pom.xml",
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><artifactId>app</artifactId>'
        "<parent><groupId>p</groupId><artifactId>parent</artifactId></parent><dependencies>"
        "<dependency><groupId>a</groupId><artifactId>run</artifactId><exclusions><exclusion><groupId>x</groupId>"
        "<artifactId>out</artifactId></exclusion></exclusions></dependency><dependency><groupId>a</groupId>"
        "<artifactId>unit</artifactId><scope>test</scope></dependency></dependencies><build><plugins><plugin>"
        "<groupId>b</groupId><artifactId>plugin</artifactId></plugin></plugins></build></project>",
        "a:run",
        "p:parent a:unit b:plugin",
    ),
    "a document type in a pom": (
        "pom.xml",
        "<!DOCTYPE project><project><dependencies><dependency><groupId>a</groupId>"
        "<artifactId>evil</artifactId></dependency></dependencies></project>",
        "",
        "evil",
    ),
    "configurations of Gradle": (
        "build.gradle",
        "dependencies {\n  implementation 'a:run:1.0'\n  api(platform(\"a:bom:2\"))\n"
        "  implementation group: 'g', name: 'n', version: '1'\n  testImplementation 'a:unit:1'\n}\n",
        "a:run a:bom g:n",
        "a:unit",
    ),
    "a byte order mark, and packages of the build alone": (
        "src/App.csproj",
        '\ufeff<Project><ItemGroup><PackageReference Include="Stripe.net" Version="1" />'
        '<PackageReference Include="Analyzers"><PrivateAssets>all</PrivateAssets></PackageReference>'
        "</ItemGroup></Project>",
        "Stripe.net",
        "Analyzers",
    ),
    "Elixir": ("mix.exs", '[{:req, "~> 0.5"}, {:credo, "~> 1", only: [:dev, :test]}]', "req", "credo"),
    "Scala": ("build.sbt", '"a" %% "run" % "1",\n"a" %% "unit" % "1" % Test\n', "a:run", "a:unit"),
    "Deno": ("deno.json", '{"imports": {"ai": "npm:openai@^4", "std": "jsr:@std/x"}}', "openai", ""),
}


@pytest.mark.parametrize(("path", "text", "runs", "other"), CASES.values(), ids=CASES)
def test_the_guard_sees_every_dependency_and_detection_those_that_run(
    path: str, text: str, runs: str, other: str
) -> None:
    assert {name for _, name in runtime_packages(path, text)} == set(runs.split())
    ecosystem_compares_exactly = path.endswith((".mod", "pom.xml", ".gradle", ".sbt"))
    expected = f"{runs} {other}" if ecosystem_compares_exactly else f"{runs} {other}".lower()
    assert new_dependencies(path, None, text) == sorted(expected.replace("_", "-").split())


def test_the_same_package_under_another_spelling_is_no_new_dependency() -> None:
    assert new_dependencies("requirements.txt", "Left_Pad==1\n", "left.pad[x]==2\n") == []
    assert (
        new_dependencies("package.json", '{"dependencies": {"ai": "1"}}', '{"devDependencies": {"ai": "2"}}')
        == []
    )


def test_an_alias_that_is_pointed_elsewhere_is_a_new_dependency() -> None:
    before, after = '{"dependencies": {"lodash": "4"}}', '{"dependencies": {"lodash": "npm:evil@1"}}'
    assert new_dependencies("package.json", before, after) == ["evil"]
    before, after = (
        '[dependencies]\nserde = "1"\n',
        '[dependencies]\nserde = {package = "evil", version = "1"}\n',
    )
    assert new_dependencies("Cargo.toml", before, after) == ["evil"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("requirements.txt", "-e git+https://example.com/acme/sdk.git#egg=openai\n"),
        ("requirements/base.txt", "openai[datalib]>=1 ; python_version > '3'\n"),
        ("pyproject.toml", '[tool.poetry.group.llm.dependencies]\nOpenAI = "*"\n'),
        ("package.json", '{"dependencies": {"ai": "npm:openai@4"}}'),
    ],
)
def test_a_provider_is_found_however_its_library_is_asked_for(path: str, text: str) -> None:
    assert [used.provider for used in detect([(path, text)])] == ["openai"]
    assert new_dependencies(path, None, text) == ["openai"]


def test_a_lock_file_counts_for_detection_alone_and_only_without_its_manifest() -> None:
    lock = '{"packages": {"": {"dependencies": {"twilio": "5"}}}}'
    manifest = ("api/package.json", '{"dependencies": {}}')
    assert [used.provider for used in detect([("api/package-lock.json", lock)])] == ["twilio"]
    assert detect([("api/package-lock.json", lock), manifest]) == ()


@pytest.mark.parametrize("path", [*BY_NAME, "requirements.txt", "x.csproj"])
@given(text=st.text())
@example(text='{"dependencies": ["a"], "imports": {"a": 1}, "require": 3, "packages": {"": 1}}')
@example(text="project = 1\ntool = []\npackages = 3\ndependencies = 5\n")
def test_what_no_tool_accepts_names_nothing_and_breaks_nothing(path: str, text: str) -> None:
    runtime_packages(path, text)
    new_dependencies(path, "", text)
