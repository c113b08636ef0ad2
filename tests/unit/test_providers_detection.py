"""Which providers are used: exactly those, in ten languages and from what was seen at run time."""

import pytest

from railmend.contracts.providers import Strength, UsedProvider
from railmend.providers.calls import events, failing_calls
from railmend.providers.detection import RunTime, detect
from railmend.providers.names import known_names
from railmend.source.files import without_comments
from tests.growth import assert_linear
from tests.unit.provider_repositories import REPOSITORIES, Repository


def by_id(used: tuple[UsedProvider, ...]) -> dict[str, UsedProvider]:
    return {provider.provider: provider for provider in used}


@pytest.mark.parametrize("repository", REPOSITORIES.values(), ids=REPOSITORIES)
def test_the_providers_of_a_repository_are_right_and_none_is_invented(repository: Repository) -> None:
    assert set(by_id(detect(repository.files.items()))) == repository.used


def test_the_place_of_each_trace_is_told() -> None:
    used = by_id(detect(REPOSITORIES["node"].files.items()))["stripe"]
    assert used.strength is Strength.CALLED
    assert {(trace.kind, trace.where) for trace in used.traces} == {
        ("import", "src/server.ts:2"),
        ("variable", "src/server.ts:4"),
        ("package", "package.json"),
    }


def test_a_dependency_that_nothing_imports_is_only_declared() -> None:
    (used,) = detect([("package.json", '{"dependencies": {"twilio": "5"}}')])
    assert used.strength is Strength.DECLARED


def test_a_broken_manifest_says_nothing() -> None:
    broken, deep, entity = '{"dependencies": {"stripe"', "[" * 100_000, "<!DOCTYPE x><project/>"
    assert detect([("package.json", broken), ("a/package.json", deep), ("pom.xml", entity)]) == ()


def test_a_lock_file_alone_names_what_was_asked_for_directly() -> None:
    lock = '{"packages": {"": {"dependencies": {"stripe": "1"}}, "node_modules/twilio": {}}}'
    assert set(by_id(detect([("package-lock.json", lock)]))) == {"stripe"}


MANIFESTS = {
    "mix.exs": (
        'defp deps do\n[{:stripity_stripe, "~> 3"},\n# {:sentry, "1"}\n{:rollbax, "1", only: [:test]}]',
        "stripe",
    ),
    "deno.json": (
        '{"imports": {"stripe": "npm:stripe@^16", "db": "npm:@supabase/supabase-js@2"}}',
        "stripe supabase",
    ),
    "build.sbt": (
        'libraryDependencies ++= Seq("com.twilio.sdk" % "twilio" % "10.1",\n'
        '  "com.stripe" % "stripe-java" % "1" % Test)',
        "twilio",
    ),
    "build.gradle.kts": (
        'implementation("com.stripe:stripe-java:1")\ntestImplementation("io.sentry:sentry:7")\n'
        "api group: 'com.twilio.sdk', name: 'twilio'",
        "stripe twilio",
    ),
    "Pipfile": ('[packages]\nboto3 = "*"\n[dev-packages]\nstripe = "*"', "aws"),
    "requirements/prod.txt": ("anthropic[bedrock]==0.40 ; python_version > '3'", "anthropic"),
    "requirements/test.txt": ("stripe", ""),
    "uv.lock": (
        '[[package]]\nname = "app"\nsource = { virtual = "." }\ndependencies = [{ name = "stripe" }]\n'
        '[[package]]\nname = "twilio"\nsource = { registry = "x" }',
        "stripe",
    ),
    "packages.config": ('<packages><package id="Stripe.net" version="1"/></packages>', "stripe"),
}


@pytest.mark.parametrize(("path", "manifest"), MANIFESTS.items(), ids=MANIFESTS)
def test_each_manifest_names_what_runs(path: str, manifest: tuple[str, str]) -> None:
    text, expected = manifest
    assert set(by_id(detect([(path, text)]))) == set(expected.split())


S3 = 'import { S3Client } from "@aws-sdk/client-s3";\n'
AI = 'import OpenAI from "openai";\n'
ADDRESSES = {
    "R2, filled in": (
        S3 + "const endpoint = `https://${id}.r2.cloudflarestorage.com`;",
        "cloudflare",
    ),
    "S3 of anybody": (
        S3 + "new S3Client({ endpoint: process.env.S3_URL });",
        "",
    ),
    "S3 of AWS": (
        S3 + 'new S3Client({ region: "eu-west-1" });',
        "aws",
    ),
    "S3 of AWS, addressed": (
        S3 + "new S3Client({ endpoint: `https://s3.${r}.amazonaws.com` });",
        "aws",
    ),
    "a model at home": (
        AI + 'new OpenAI({ baseURL: "http://llm.internal/v1" });',
        "",
    ),
    "OpenAI": (AI + "new OpenAI();", "openai"),
    "OpenAI, with its key": (
        AI + "const { OPENAI_API_KEY: key, PORT } = process.env;\nnew OpenAI({ baseURL: url });",
        "openai",
    ),
    "both": (
        AI + 'import Groq from "groq-sdk";\nnew OpenAI(); new Groq();',
        "openai groq",
    ),
}


@pytest.mark.parametrize(("text", "expected"), ADDRESSES.values(), ids=ADDRESSES)
def test_the_address_tells_whom_a_library_speaks_to(text: str, expected: str) -> None:
    library = "openai" if "openai" in text else "@aws-sdk/client-s3"
    manifest = f'{{"dependencies": {{"{library}": "1"}}}}'
    assert set(by_id(detect([("package.json", manifest), ("a.ts", text)]))) == set(expected.split())


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("pulls.ts", "fetch('https://hub.docker.com/v2/repositories/acme/shop');\n", "docker_hub"),
        ("about.ts", "const link = 'https://hub.docker.com/r/acme/shop';\n", ""),
        ("mail.ini", "host = smtp.mailgun.org\n", "mailgun"),
        ("pytest.ini", "env =\n    EMAIL_HOST = smtp.mailgun.org\n", ""),
    ],
)
def test_a_call_is_told_from_a_link_and_from_what_only_tests_read(
    path: str, text: str, expected: str
) -> None:
    assert set(by_id(detect([(path, text)]))) == set(expected.split())


def test_variables_of_the_service_decide_about_those_that_code_reads() -> None:
    files = [("app.py", 'a = os.environ["SLACK_TOKEN"]\nb = os.getenv("STRIPE_KEY")\n')]
    assert set(by_id(detect(files))) == {"slack", "stripe"}
    assert set(by_id(detect(files, variables=["STRIPE_KEY", "PORT"]))) == {"stripe"}
    assert by_id(detect((), variables=["TWILIO_AUTH_TOKEN"]))["twilio"].strength is Strength.DECLARED


def test_names_resolved_and_peers_are_use_without_any_code() -> None:
    runtime = RunTime(
        resolved=["ep-cool-1.eu-central-1.aws.neon.tech.", "example.com", "discord.com"],
        unresolved=["api.stripe.com"],
        connected=["bucket.s3.eu-west-1.amazonaws.com"],
        dropped=["api.twilio.com"],
    )
    used = by_id(detect((), runtime=runtime))
    assert set(used) == {"neon", "stripe", "aws", "twilio", "discord"}
    assert {provider.strength for provider in used.values()} == {Strength.SEEN}
    assert used["stripe"].failing_calls == used["twilio"].failing_calls == 1
    assert used["neon"].failing_calls == used["aws"].failing_calls == 0


FAILING = {
    "node": (
        [
            "Error: getaddrinfo ENOTFOUND api.openai.com",
            "    at GetAddrInfoReqWrap.onlookup (node:dns:109:26)",
        ],
        "openai",
        "api.openai.com",
    ),
    "axios": (
        [
            "AxiosError: timeout of 10000ms exceeded",
            "  config: {",
            "    url: 'https://api.resend.com/emails',",
            "}",
        ],
        "resend",
        "api.resend.com",
    ),
    "requests": (
        [
            "requests.exceptions.ConnectTimeout: HTTPSConnectionPool(host='api.mailgun.net', port=443): "
            "Max retries exceeded with url: /v3/x/messages",
        ],
        "mailgun",
        "api.mailgun.net",
    ),
    "go": (['Post "https://slack.com/api/chat.postMessage": dial tcp: i/o timeout'], "slack", "slack.com"),
    "status": (["upstream call POST https://api.stripe.com/v1/charges -> 503"], "stripe", "api.stripe.com"),
    "library": (
        [
            "Traceback (most recent call last):",
            '  File "/app/lib/python3.12/site-packages/anthropic/_base_client.py", line 989, in _request',
            "anthropic.APITimeoutError: Request timed out.",
        ],
        "anthropic",
        None,
    ),
    "frames": (
        ["StripeConnectionError: An error occurred", "    at x (/app/node_modules/stripe/cjs/Error.js:12:3)"],
        "stripe",
        None,
    ),
}


@pytest.mark.parametrize(("lines", "provider", "host"), FAILING.values(), ids=FAILING)
def test_a_failing_call_is_recognised(lines: list[str], provider: str, host: str | None) -> None:
    failed = failing_calls(["listening on 3000", *lines, "GET / 200 12ms"], known_names())
    assert set(failed) == {provider}
    assert failed[provider].events == 1
    assert list(failed[provider].hosts) == ([host] if host else [])


@pytest.mark.parametrize(
    "line",
    [
        "POST https://api.stripe.com/v1/charges 200 512ms",
        "calling https://api.openai.com/v1/chat/completions",
        "GET /?next=https://api.twilio.com 404",
        "Error: connect ECONNREFUSED 10.0.0.3:5432",
        "mail to billing@api.resend.com timed out",
        "charged 500 rows on api.stripe.com",
    ],
)
def test_a_call_that_went_well_and_a_failure_of_others_are_no_failing_call(line: str) -> None:
    assert failing_calls([line], known_names()) == {}


def test_a_library_that_only_wraps_the_call_is_not_blamed() -> None:
    trace = [
        "Traceback (most recent call last):",
        '  File "/app/lib/python3.12/site-packages/sentry_sdk/integrations/asyncpg.py", line 48, in _inner',
        "ConnectionError: connection refused",
    ]
    assert failing_calls(trace, known_names()) == {}


def test_a_log_line_that_only_mentions_a_host_is_not_use() -> None:
    assert detect((), runtime=RunTime(log_lines=["see https://api.stripe.com for details"])) == ()


def test_lines_printed_together_are_one_event() -> None:
    lines = [
        "a",
        "Traceback (most recent call last):",
        "  File x",
        "ValueError: y",
        "b",
        "Error: c",
        "    at d",
        "}",
    ]
    assert [len(event) for event in events(lines)] == [1, 3, 1, 3]


@pytest.mark.parametrize(
    "hostile", ["/*", '"', "'", "`", '"""', '"\\', "`\\", "/* '", "a.", "x@", "-", "import "]
)
def test_hostile_text_is_read_in_a_time_that_grows_with_it_alone(hostile: str) -> None:
    paths = ("a.py", "a.ts", "a.php", "a.rs", "a.yml", "go.mod", "Gemfile")

    def scan(letters: int) -> None:
        text = hostile * (letters // len(hostile))
        assert detect([(path, text) for path in paths]) == ()
        assert failing_calls([text], known_names()) == {}

    assert_linear(scan, 64_000)


COMMENTS = {
    "a.vue": "<template><!-- https://api.stripe.com --></template>\n<script>// https://api.stripe.com\n</script>",
    "a.rb": "=begin\nhttps://api.stripe.com\n=end\n# https://api.stripe.com",
    "a.py": 'def f():\n    r"""https://api.stripe.com"""\n',
    "a.ex": '@moduledoc """\nhttps://api.stripe.com\n"""\n@doc """\nhttps://api.stripe.com\n"""',
    "a.kt": "/** https://api.stripe.com\n * https://api.stripe.com */",
    "a.php": "<?php\n# https://api.stripe.com\n/* https://api.stripe.com */",
    "a.yml": "url: x # https://api.stripe.com",
    "a.ts": "const a = 'it\\'s'; // https://api.stripe.com",
    "docs/a.py": 'url = "https://api.stripe.com"',
    "openapi.yaml": "url: https://api.stripe.com",
}


@pytest.mark.parametrize(("path", "text"), COMMENTS.items(), ids=COMMENTS)
def test_a_host_in_a_comment_or_a_document_is_no_use(path: str, text: str) -> None:
    assert detect([(path, text)]) == ()


SHIPPED = {
    "src/main/java/com/example/demo/Pay.java": 'String url = "https://api.stripe.com";',
    "shop/tasks.py": 'url = f"https://api.stripe.com/{v}"',
    "src/bin/server.rs": 'let url = "https://api.stripe.com";',
    "lib/pay.ex": '@url "https://api.stripe.com"',
    "src/App.vue": "<script>const a = '// no comment', url = 'https://api.stripe.com'</script>",
    "config/prod.yml": "url: https://key@api.stripe.com/v1",
}


READS = {
    "a.ts": "const { STRIPE_KEY: key } = process.env;",
    "b.ts": 'process.env["STRIPE_KEY"]; import.meta.env.STRIPE_KEY',
    "c.ts": 'Deno.env.get("STRIPE_KEY")',
    "a.py": 'os.environ.get("STRIPE_KEY")',
    "b.py": 'key = get_env_variable("STRIPE_KEY", "")',
    "d.ts": "const key = requireEnv('STRIPE_KEY')",
    "a.go": 'os.LookupEnv("STRIPE_KEY")',
    "a.rb": "ENV['STRIPE_KEY']",
    "a.rs": 'std::env::var("STRIPE_KEY")',
    "a.php": "$_ENV['STRIPE_KEY']",
    "a.java": 'System.getenv("STRIPE_KEY")',
    "a.cs": 'Environment.GetEnvironmentVariable("STRIPE_KEY")',
    "a.ex": 'System.fetch_env!("STRIPE_KEY")',
    "a.yml": "key: ${STRIPE_KEY:-none}",
}


@pytest.mark.parametrize(("path", "text"), READS.items(), ids=READS)
def test_a_variable_that_code_reads_is_use(path: str, text: str) -> None:
    assert [trace.name for trace in by_id(detect([(path, text)]))["stripe"].traces] == ["STRIPE_KEY"]


@pytest.mark.parametrize(("path", "text"), SHIPPED.items(), ids=SHIPPED)
def test_a_host_in_shipped_code_is_use(path: str, text: str) -> None:
    assert set(by_id(detect([(path, text)]))) == {"stripe"}


def test_comments_go_and_lines_stay() -> None:
    text = 'url = "https://a#b"  # note\n"""doc\nmore"""\nvalue = """kept # text"""\n'
    assert without_comments(text, "python") == 'url = "https://a#b"  \n\n\nvalue = """kept # text"""\n'


# What code says of a setting, and the provider that it is for; none: it only names one.
SETTINGS = {
    "pydantic": ("c.py", "class Settings(BaseSettings):\n    x: int = 1\n    stripe_key: str\n", "stripe"),
    "t3-env": ("env.ts", "createEnv({ server: { RESEND_API_KEY: z.string().min(1) } })", "resend"),
    "an object of settings": ("a.ts", "clientId: env.DISCORD_CLIENT_ID", "discord"),
    "envalid": ("env.js", "cleanEnv(process.env, { SENTRY_DSN: str() })", "sentry"),
    "nest": ("app.ts", "this.configService.getOrThrow<string>('TWILIO_ACCOUNT_SID')", "twilio"),
    "go tags": ("config.go", "type C struct {\n\tKey string `env:\"SENDGRID_API_KEY\"`\n}", "sendgrid"),
    "viper": ("config.go", 'key := viper.GetString("stripe.secret_key")', "stripe"),
    "rails": ("config/initializers/x.rb", "Rails.application.credentials.dig(:stripe, :key)", "stripe"),
    "another class": ("config.py", "class Row(Base):\n    stripe_secret_key: str\n", ""),
    "placeholder": ("form.vue", '<input placeholder="https://api.sendgrid.com/v3">', ""),
    "preset": ("form.vue", "const presets = [{ host: 'smtp.mailgun.org' }]", ""),
    "help": ("forms.py", 'url = Field(help_text="such as https://api.twilio.com")', ""),
    "scaffold": ("config/services.php", "<?php return ['token' => env('POSTMARK_TOKEN')];", ""),
    "data": ("src/data/webhooks.json", '{"hosts": ["hooks.slack.com"]}', ""),
    "script": ("scripts/translate.py", "import openai\n", ""),
    "other tools": ("monitoring.compose.yml", "x: https://api.telegram.org", ""),
    "a placeholder by choice": (
        "form.tsx",
        'placeholder={\n  kind === "a"\n ? "https://login.microsoftonline.com/x"\n : ""}',
        "",
    ),
    "compared": ("model.py", 'return url.startswith("https://api.groq.com")', ""),
    "compared as a whole": ("model.ts", "if (base === 'https://api.x.ai') {}", ""),
    "domains": ("Store.cs", 'new List<string> { "shopify.com", "myshopify.com" }', ""),
    "domains of which it is the first": ("store.go", 'x := []string{"docusign.net", "docusign.com"}', ""),
    "a vendor's site": ("a.go", 'link := "https://gitlab.com/group/project"', ""),
    "a vendor's API": ("a.go", 'base := "https://gitlab.com/api/v4"', "gitlab"),
    "called": ("send.vue", "fetch('https://api.resend.com/emails')", "resend"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "text", "provider"), SETTINGS.values(), ids=SETTINGS)
def test_what_is_used_counts_and_what_is_only_named_does_not(path: str, text: str, provider: str) -> None:
    assert set(by_id(detect([(path, text)]))) == ({provider} if provider else set())


def test_a_scaffold_counts_where_the_service_has_its_variable() -> None:
    scaffold = ("config/services.php", "<?php return ['postmark' => ['token' => env('POSTMARK_TOKEN')]];")
    assert set(by_id(detect([scaffold], variables=["POSTMARK_TOKEN"]))) == {"postmark"}
