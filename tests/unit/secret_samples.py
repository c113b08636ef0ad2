"""Made-up secrets by kind, and what looks like one and must stay. Made at run time: scanners read this."""

import base64
import html
import json
import random
import string
from urllib.parse import quote

RANDOM = random.Random(7)  # noqa: S311 - samples, not secrets
LETTERS = string.ascii_letters
ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits


def some(alphabet: str, length: int) -> str:
    """With at least one digit and one letter where the alphabet has both."""
    text = "".join(RANDOM.choice(alphabet) for _ in range(length - 2))
    return text + (RANDOM.choice("bcdef") + "7" if alphabet != UPPER else "B7")


def b64(length: int) -> str:
    return base64.urlsafe_b64encode(RANDOM.randbytes(length)).decode().rstrip("=")


# What must not be in the text any more, by kind. They betray themselves by their shape.
SHAPES: dict[str, str] = {
    "github classic": "ghp_" + some(ALNUM, 36),
    "github app": "ghs_" + some(ALNUM, 36),
    "github fine-grained": "github_pat_" + some(ALNUM, 22) + "_" + some(ALNUM, 59),
    "gitlab": "glpat-" + some(ALNUM, 20),
    "aws key id": "AKIA" + some(UPPER, 16),
    "aws session key id": "ASIA" + some(UPPER, 16),
    "stripe live": "sk_live_" + some(ALNUM, 24),
    "stripe test": "sk_test_" + some(ALNUM, 24),
    "stripe webhook": "whsec_" + some(ALNUM, 32),
    "openai": "sk-proj-" + some(ALNUM, 48),
    "anthropic": "sk-ant-api03-" + b64(60) + "-" + some(ALNUM, 6) + "AA",
    "groq": "gsk_" + some(ALNUM, 52),
    "hugging face": "hf_" + some(ALNUM, 34),
    "slack bot": "xoxb-" + "123456789012-1234567890123-" + some(ALNUM, 24),
    "slack webhook": "hooks.slack.com/services/T"
    + some(UPPER, 8)
    + "/B"
    + some(UPPER, 8)
    + "/"
    + some(ALNUM, 24),
    "discord": "MTA" + some(ALNUM, 21) + "." + some(ALNUM, 6) + "." + some(ALNUM, 38),
    "telegram": "110201543:AA" + some(ALNUM, 33),
    "google api": "AIza" + some(ALNUM, 35),
    "google oauth": "ya29." + some(ALNUM, 60),
    "sendgrid": "SG." + some(ALNUM, 22) + "." + some(ALNUM, 43),
    "twilio": "SK" + some(HEX, 32),
    "mailgun": "key-" + some(HEX, 32),
    "mailchimp": some(HEX, 32) + "-us14",
    "npm": "npm_" + some(ALNUM, 36),
    "pypi": "pypi-AgEIcHlwaS5vcmc" + some(ALNUM, 70),
    "docker": "dckr_pat_" + some(ALNUM, 27),
    "digitalocean": "dop_v1_" + some(HEX, 64),
    "planetscale": "pscale_tkn_" + some(ALNUM, 43),
    "supabase": "sbp_" + some(HEX, 40),
    "databricks": "dapi" + some(HEX, 32),
    "vault": "hvs." + some(ALNUM, 90),
    "doppler": "dp.pt." + some(ALNUM, 43),
    "grafana": "glsa_" + some(ALNUM, 32) + "_" + some(HEX, 8),
    "new relic": "NRAK-" + some(UPPER, 27),
    "shopify": "shpat_" + some(HEX, 32),
    "linear": "lin_api_" + some(ALNUM, 40),
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI" + b64(30) + "." + b64(32),
    "email": "jane.doe+shop@example.com",
    "client ipv4": "203.0.113.87",
    "client ipv6": "2001:db8:85a3::8a2e:370:7334",
    "card": "4111 1111 1111 1111",
    "card without blanks": "5555555555554444",
    "phone": "+49 151 23456789",
    "phone in the US": "(415) 555-0132",
    "facebook app": "671892337725003|" + some(ALNUM, 27),
    "slack legacy": "xoxa-" + some(ALNUM, 8),
}

# Lines and the part that must go: only their surroundings betray them.
IN_CONTEXT: dict[str, tuple[str, str]] = {
    "password in a URL": ("connecting to postgres://app:{}@db.internal:5432/app", "hunter2pass"),
    "redis URL without a user": ("REDIS_URL=redis://:{}@cache:6379/0", "s3cr3t-of-redis"),
    "token in a clone URL": ("git clone https://{}@github.com/acme/shop.git", "x9f3kq0s8d7f6a5s4d3f"),
    "sentry dsn": ("dsn=https://{}@o4501.ingest.sentry.io/42", some(HEX, 32)),
    "assignment": ("DB_PASSWORD={} retry", "correcthorse"),
    "json password": ('{{"user": "app", "password": "{}"}}', "tr0ub4dor&3"),
    "yaml password": ("password: {}", "tr0ub4dor&3"),
    "quoted password with blanks": ("password='{}'", "correct horse battery"),
    "python dict": ("{{'client_secret': '{}'}}", some(ALNUM, 32)),
    "ruby hash": (':secret_key_base=>"{}"', some(HEX, 64)),
    "flag": ("mysqldump --password={} shop", "pa55word"),
    "aws secret": ("aws_secret_access_key = {}", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "azure storage": ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};Suffix=x", b64(64)),
    "railway token": ("RAILWAY_TOKEN={}", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
    "datadog": ("DD_API_KEY={}", some(HEX, 32)),
    "header": ("authorization: Bearer {}", some(ALNUM, 30)),
    "basic header": ("Authorization: Basic {}", "YXBwOmh1bnRlcjJwYXNz"),
    "header in json": ('"authorization":"Token {}"', some(ALNUM, 30)),
    "bare bearer": ("sent Bearer {} to the API", some(ALNUM, 40)),
    "api key header": ("x-api-key: {}", some(ALNUM, 32)),
    "camel case": ('{{"accessToken":"{}"}}', some(ALNUM, 30)),
    "suffix": ("API_TOKEN_PROD={}", some(ALNUM, 30)),
    "query": ("GET /callback?state=1&access_token={}&x=2", some(ALNUM, 30)),
    "signed url": ("GET https://b.s3.amazonaws.com/k?X-Amz-Signature={}", some(HEX, 64)),
    "cookie": ("cookie: theme=dark; session={}", some(ALNUM, 40)),
    "set-cookie": ("Set-Cookie: sid={}; Path=/; HttpOnly", some(ALNUM, 40)),
    "one-time code": ("otp={} sent", "482913"),
    "private key": (
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEA" + b64(60),
    ),
    "private key in one line": (
        '"private_key": "-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----\\n"',
        "MIIEvQIBADANBgkq" + b64(60),
    ),
    "cut private key": ("-----BEGIN EC PRIVATE KEY-----\n{}", "MHcCAQEEI" + b64(60)),
    # Notations of languages, formats and tools.
    "json number": ('{{"otp": {}, "user": 7}}', "482913"),
    "pretty json": ('{{\n  "apiKey" : "{}",\n  "retries": 3\n}}', some(ALNUM, 32)),
    "json name and value": ('{{"name": "DB_PASSWORD", "value": "{}"}}', "Tulip, 9 Harbours; 31"),
    "yaml name and value": ("env:\n  - name: SMTP_PASSWORD\n    value: {}\n  - name: PORT", "cold-Harbour9"),
    "yaml block": ("password: |\n  {}\nport: 5432", "correct horse battery"),
    "toml": ('[database]\npassword = "{}"\nport = 1', "Tulip, 9 Harbours; 31"),
    "toml triple": ('secret_key = """{}"""', some(ALNUM, 40)),
    "xml element": ("<config><password>{}</password><port>1</port></config>", "Tulip 9 Harbours"),
    "xml with attributes": ('<Password type="text">{}</Password>', "s3cr3t&amp;x"),
    ".NET appsettings": ('<add key="ApiKey" value="{}" />', some(ALNUM, 32)),
    "spring property": ("spring.datasource.password={}", "correcthorse"),
    "plist": ("<key>Password</key>\n<string>{}</string>", "Harbour-Tulip9"),
    "php var_dump": ('["password"]=>\n  string(12) "{}"', "tulipharbour"),
    "php print_r": ("[password] => {}\n[port] => 5432", "tulipharbour9"),
    "php array": ("'DB_PASSWORD' => '{}',", "Tulip Harbour"),
    "php define": ("define('DB_PASSWORD', '{}');", "tul1pharbour"),
    "php serialized": ('s:8:"password";s:11:"{}";', "tul1pharbour"),
    "ruby inspect": ('#<Config user="app", password="{}">', "tulipharbour"),
    "ruby symbol": ('{{:user=>"app", :password=>"{}"}}', "tulip harbour"),
    "elixir map": ('%{{user: "app", password: "{}"}}', "tulip harbour"),
    "elixir tuple": ('{{:password, "{}"}}', "tulip9harbour"),
    "go struct": ("{{User:app Password:{} Port:5432}}", "tulipharbour"),
    "go header map": ("map[Content-Type:[application/json] X-Api-Key:[{}]]", some(ALNUM, 32)),
    "rust debug": ('Config {{ user: "app", password: "{}" }}', "tulip harbour"),
    "rust option": ('token: Some("{}"), retries: 3', some(ALNUM, 24)),
    "java toString": ("Credentials[user=app, password={}, port=1]", "tulipharbour"),
    "kotlin type": ('val apiKey: String = "{}"', some(ALNUM, 24)),
    "python tuple": ("('password', '{}')", "tul1pharbour"),
    "python bytes": ("{{'password': b'{}'}}", "tul1pharbour"),
    "python auth": ("requests.get(url, auth=('app', password='{}'))", "tulip harbour"),
    "bytes in decimal": ("password: [{}]", "116, 117, 108, 105, 112, 57"),
    "table": ("| user | password | port |\n|---|---|---|\n| app | {} | 1 |", "tulipharbour"),
    "csv": ("id,user,password\n1,app,{}\n", "tulipharbour"),
    "libpq": ("host=db user=app password={} dbname=shop", "tulipharbour"),
    "ado": ("Server=db;User Id=app;Password={};Encrypt=true", "tulipharbour"),
    "jdbc": ("jdbc:mysql://db:3306/shop?user=app&password={}&ssl=true", "tulipharbour"),
    "go mysql": ("app:{}@tcp(db:3306)/shop", "tulip/harbour"),
    "oracle": ("jdbc:oracle:thin:scott/{}@//db:1521/orcl", "tulip9"),
    "raw at sign in a URL": ("postgres://app:{}@db.internal:5432/shop", "p@ss:w0rd"),
    "sql identified by": ("CREATE USER 'app'@'%' IDENTIFIED BY '{}'", "tulip harbour"),
    "sql password": ("ALTER ROLE app WITH PASSWORD '{}'", "tulip harbour"),
    "mysql -p": ("mysql -h db -u app -p{} shop", "tul1pharbour"),
    "redis-cli": ("redis-cli -h cache -a {} ping", "tulipharbour"),
    "curl -u": ("curl -s -u app:{} https://api.example.org/x", "tulipharbour"),
    "sshpass": ("sshpass -p {} ssh app@host", "tulipharbour"),
    "argument list": ('["redis-cli", "-a", "{}", "ping"]', "tulipharbour"),
    "netrc": ("machine api.example.org login app password {}", "tulipharbour"),
    "export": ("export STRIPE_SECRET={}", "tulipharbourx"),
    "docker -e": ("docker run -e DB_PASSWORD={} -p 80:80 shop", "tulipharbour"),
    "dotted key": ("db.password={}", "Tulip, 9 Harbours; 31"),
    "reset path": ("GET /users/password-reset/{} 200", some(ALNUM, 24)),
    "oauth code": ("GET /callback?code={}&scope=x 302", some(ALNUM, 32)),
    "code in a sentence": ("Your verification code is {}.", "482913"),
    "password in a sentence": ("login failed for app with password {}", "tul1pharbour"),
    "token in a sentence": ("the token that we sent, {}, was refused", some(ALNUM, 32)),
    "compared": ('if ("{}" == password) {{', "Tulip Harbour"),
    "digest header": ('Authorization: Digest username="app", response="{}"', some(HEX, 32)),
    "azure sas": ("https://x.blob.core.windows.net/c?sv=2022&sig={}&se=2026", b64(32)),
    "laravel key": ("APP_KEY=base64:{}", base64.b64encode(RANDOM.randbytes(32)).decode()),
    "rails credentials": ("secret_key_base: {}", some(HEX, 128)),
    "django setting": ("SECRET_KEY = 'django-insecure-{}'", "k3$x&9@q!z7#m2*w5^t8"),
    "bcrypt": ("hash: {}", "$2b$12$" + some(ALNUM, 53)),
    "terraform": ('  master_password = "{}"', "tulip harbour"),
    "spanish": ("contraseña: {}", "tulip9harbour"),
    "chinese": ("密码：{}".replace("：", ": "), "tulip9harbour"),
    "quoted with braces": ('api_key = "{}"', "{{h}o)p${e]nob(ody[finds>-_$#x7}}"),
    "directive with braces": ("private_key '{}';", "{{h}o)p${e]nob(ody[finds>-_$#x7}}"),
    "helper that checks a password": ("COMMAND=/srv/app/bin/chkpasswd jane {}", "Sunf1ower77"),
}

# Kinds of public reports, which are tried alone: where they stand is part of them.
REPORTED: dict[str, tuple[str, str]] = {
    "hook in a path": ("POST https://chat.example.org/hooks/{}: no such host", "xyo1qd8ju3yq7pzkwtb4hc9m5e"),
    "path that is the key": ("GET /calendars/{}/basic 200", some(ALNUM, 32)),
    "bot in a path": ("Post https://api.telegram.org/bot{}/sendMessage: EOF", SHAPES["telegram"]),
    "braces that stay open": ("password: {}", "{{hunter2Xy"),
    "section of .NET": ('"Jwt__Token" = "{}"', "SomeTokenXyzabc"),
    "domain, user and password": ("authenticating corp:jane:{}", "Harbour7Tulip"),
    "response to a challenge": ("{{'type': 'auth_response', 'response': '{}'}}", "Tulip7Harb"),
    "mail, plain": ("C: AUTH PLAIN {}", "AGpvQGFjbWUuaW8ASGFmZW5tZWlsZTc="),
    "mail, challenge": ("prepared AUTH LOGIN challenge: '{}'", "TulipHarbourside"),
    "mail, asked for": ("S: 334 UGFzc3dvcmQ6\nC: {}\nS: 235 ok", "MTk4NDA3MTI="),
    "redis monitor": ('"HELLO" "3" "AUTH" "jane" "{}" "SETNAME" "w1"', "Rotkehlchen"),
    "redis crash": ("argv[0]: '\"auth\"'\nargv[1]: '\"{}\"'", "Rotkehlchen3"),
    "redis user": ('"ACL" "SETUSER" "worker" "on" ">{}" "~*" "+@all"', "Rotkehlchen"),
    "directory, traced": ("simple_bind\n(('uid=jane,dc=example,dc=org', '{}', None), {{}})", "Seerose81"),
    "directory, request": ('{{"protocolOp":"BindRequest","credentials":"{}"}}', "SeCrEtly"),
    "connection in a trace": ("PDO->__construct('mysql:host=loca...', 'shop', '{}', Array)", "sommerregen"),
    "row that SQL inserts": ("INSERT INTO users (id, password) VALUES (7, '{}')", "Pflaumenmus"),
    "row with values behind": (
        'INSERT INTO "user"("email", "password") VALUES ($1, $2) -- PARAMETERS: ["a", "{}"]',
        "Pflaumenmus",
    ),
    "query with a dot": ("jdbc:postgresql://db:5432/app?user=etl&password={}", "Lerchen.Weg7"),
    "glued name": ('"isampwd": "{}",', "QuietHarbor"),
    "glued name of a bind": ("auth_opt_ldap_bindpw={}", "eisvogel77"),
    "answer": (':secret_answer=>"{}"', "Mauersegler"),
    "verifier": ("grant_type=authorization_code\ncode_verifier={}", some(ALNUM, 43)),
    "scheme of a vendor": ("{{'Authorization': 'Splunk {}'}}", "7f3e9a21-c04b-4d5e-8f6a-7b8c9d0e1f2a"),
    "token for a user": ("git fetch https://{}:x-oauth-basic@github.com/acme/shop.git", some(HEX, 40)),
}

# Where a secret stands: eight, of prose, logs, JSON, code, tables and markup.
SURROUNDINGS = (
    "{}",
    "2026-02-03 10:12:00,123 ERROR app.client request with {} failed after 31 ms",
    '{{"level":"error","value":"{}","attempt":3}}',
    "    at send ('{}', 12)",
    "key={}, next",
    "[{}]",
    "| {} | 12 |",
    "web.1 | 10:12:00 info > {}",
)


def in_colour(secret: str) -> str:
    """As grep shows a match inside a word."""
    middle = len(secret) // 2
    return f"{secret[:middle]}\x1b[01;31m\x1b[K{secret[middle:]}\x1b[m\x1b[K"


# How the whole line may be written; each returns the line and what must be gone from it.
def coloured(line: str, secret: str) -> tuple[str, str]:
    return line.replace(secret, in_colour(secret)), in_colour(secret)


def as_json(line: str, secret: str) -> tuple[str, str]:
    return json.dumps({"message": line}), json.dumps(secret)[1:-1]


def as_json_in_json(line: str, secret: str) -> tuple[str, str]:
    line, secret = as_json(line, secret)
    return as_json(line, secret)


def percent_encoded(line: str, secret: str) -> tuple[str, str]:
    return f"GET /log?line={quote(line, safe='')} 200", quote(secret, safe="")


def in_base64(line: str, secret: str) -> tuple[str, str]:
    encoded = base64.b64encode(line.encode()).decode()
    return f"payload {encoded} was rejected", encoded.rstrip("=")


def in_markup(line: str, secret: str) -> tuple[str, str]:
    return f"<pre>{html.escape(line)}</pre>", html.escape(secret)


ENCODINGS = (coloured, as_json, as_json_in_json, percent_encoded, in_base64, in_markup)

LOOKALIKES = (
    "mounted secret shop2go into the pod",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "request 0b9e7f5c-93a2-4b7e-8a34-bb2d4f6f3c11 done",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "commit 9fceb02",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "md5 5d41402abc4b2a76b9719d911017c592",
    "TraceID: 1b8b75303e41dbaa4829261c19d7eb37 SpanID: 9815154aa691b520",
    "cache-key-5d41402abc4b2a76b9719d911017c592 hit",
    "v1.18.33",
    "node v22.14.0, npm 10.9.2",
    "Chrome/120.0.6099.109 Safari/537.36",
    "System.Text.Json, Version=8.0.0.0",
    "ImageMagick version 6.9.11.60",
    "react@19.3.1",
    "@prisma/client@5.22.0",
    "glob@7.2.3: no longer supported",
    "github.com/acme/pkg@v0.0.0-20260203101112-abcdef012345",
    "git@github.com:acme/shop.git",
    "logo@2x.png not found",
    "kafka.server.ReplicaFetcherThread$FetchRequest@26408511",
    "took 1532.7 ms",
    "2026-02-03T10:12:00.123456Z",
    "2026-02-03 10:12:00 +0000",
    "1767225600123",
    "1767225600123456789",
    "order 4111111111111112 not found",
    "order 88123456789 not found",
    "listening on :8080",
    "listening on 0.0.0.0:3000",
    "connect ECONNREFUSED 127.0.0.1:5999",
    "upstream 10.0.0.4:9000 refused",
    "fd12:3456:789a::17 refused",
    "[::1]:5432",
    "postgres.railway.internal:5432",
    "redis://cache:6379/0",
    "https://api.stripe.com/v1/charges",
    'File "/app/service/views.py", line 214, in get',
    "at lineTotal (/app/checkout.js:7:23)",
    "/src/main.go:26 +0xb1",
    "main.quote({0x95b330, 0x199a0a154f00}, 0x0?)",
    "core::panicking::panic_fmt",
    "std::sync::mpsc::dead::beef",
    "KeyError: 'STRIPE_SECRET_KEY'",
    'key = os.environ["STRIPE_SECRET_KEY"]',
    "api_key=os.environ.get('API_KEY')",
    "STRIPE_KEY is not set",
    "token: undefined",
    "password=None",
    "password authentication failed for user app",
    "the password is wrong",
    "secret: missing",
    "Invalid token: unexpected end of input",
    "max_tokens=4096 total_tokens=15320",
    "token expired 31 s ago",
    "auth: failed",
    "session_id=8412",
    "pwd=/app/service",
    "${DATABASE_PASSWORD}",
    "PASSWORD=${DB_PASSWORD}",
    "error TS2339: Property 'price' does not exist",
    "error[E0308]: mismatched types",
    "ORA-00942: table or view does not exist",
    "exit code 137",
    'HTTP/1.1" 500 Internal Server Error',
    "GET /api/v1/orders/37808/pay 502",
    "CPU 3.71 vCPU of 8, memory 0.512 GB",
    "00:1b:44:11:3a:b7",
    "goroutine 78 [running]:",
    "thread 'main' panicked at src/main.rs:10:5:",
    "pid 7166, attempt 3 of 100",
    "disk-cache-index-rebuild-finished-in-background",
    "task-runner-worker-7f9c8d6b5-x2x4z restarted",
    "sk-learn 1.5.2",
    "us-east4-eqdc4a",
    "ghcr.io/railwayapp/function:1.2.3",
    "image: node:22-alpine",
    "/var/lib/postgresql/data/base/16384/2619",
    "PGRES_FATAL_ERROR 57P01",
    "x-request-id: 0HMVD5R1J2K3L",
    "Content-Length: 4111",
    "+1532 ms since the last beat",
    "10.251.73.220:50010",
    "blk_-1608999687919862906",
    "9ms p50, 31ms p95",
    "1,532,113 rows",
    "version 1.2.3.4",
    "Cookie header is missing",
    "basic authentication is off",
    "bearer of bad news",
    "Authorization header is missing",
    "postgres://db:5432/app",
    "arn:aws:s3:::bucket/key",
    "i-0abcd1234ef567890",
    "2:15:07 uptime",
    "AKIA is a prefix",
    "eyJ is how a JWT begins",
    "user_id=48151623 plan_id=42",
    'ETag: W/"5d-1b8b7530"',
    "webpack 5.97.1 compiled with 1 error in 4102 ms",
    # Public keys and names of secrets.
    "kid=9f86d081884c7d65",
    "public_key=9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit",
    "pk_live_9Cnzj4p4WGeKLs1Pt8QuKUpR",
    "aws kms key_id 555ea4a3-d53a-4412-9c66-3a7cb667b0d6",
    "clientId=73082700-1f09-405b-80d0-3131bfd6272d",
    "token_type=bearer expires_in=3600",
    "secretName: shop-production-tls-2",
    "token_url=https://login.example.org/oauth2/v2.0/token",
    "next_page_token: CAUQAA8x7Zk1",
    "csrf token mismatch for POST /cart",
    "primaryKey=order_id_2026_02_03_batch7",
    "cancellationToken = source.Token",
    "password must be at least 12 characters",
    "password_reset_tokens table is missing",
    "passwordLength=12",
    "JWT_ALGORITHM=RS256",
    "auth_provider=google-oauth2",
    "PASS src/auth/token.test.ts (5.31 s)",
    "--- PASS: TestLogin2 (0.01s)",
    "docker pull ghcr.io/acme/token-service@sha256:9f86d081884c7d659a2feaa0c55ad015",
    "secret projected volume kube-api-access-x7k2p is not ready",
    "invalid token at position 4096 of bundle-9f8e7d6c.js",
    "session_id 3f2504e0-4f89-41d3-9a0c-0305e82c3301 closed",
    # What public reports show beside secrets.
    "AUTH LOGIN command trace suppressed",
    """raise TypeError(f'Invalid "auth" argument: {auth!r}')""",
    "250-AUTH LOGIN PLAIN\\r\\n250-STARTTLS",
    "S: 334 VXNlcm5hbWU6",
    "Incorrect API key provided: sk-v3s3w****************bfcr.",
    "authenticating as system:serviceaccount:kube-system:node7",
    "INSERT INTO users (id, password) VALUES ($1, $2) RETURNING *",
    "GET /orders/V1StGXR8_Z5jdHi6B-myT 200",
    "GET /_next/static/9fK2mQ7xT4vB8nL3wR6zP/_buildManifest.js 200",
    "POST /webhooks/48151623 202",
    "/var/lib/docker/overlay2/d714e95fe0d8971faf8e46614435ede8ca3b0f12b8b9d2efdc089cb64b379fd1/merged",
    "fetch(url, { credentials: 'include' })",
    "Authorization: header check of the proxy failed",
    "element.bind('click=once', 'handler')",
    "password: {{ .Values.db.password",
)

# Lines of diffs in eight languages: they speak of secrets without holding one, or only look like mail.
CODE_LINES = (
    '+@app.route("/login")',
    "+@router.post('/token', response_model=Token)",
    "+@celery.task(bind=True, max_retries=5)",
    "-@pytest.mark.parametrize('token', [None, ''])",
    '+    password = request.form["password"]',
    "+    if not check_password_hash(user.password, password):",
    '+SECRET_KEY = os.environ["SECRET_KEY"]',
    "+    token: str = Field(default=None, min_length=8)",
    "+def verify_password(plain_password: str, hashed_password: str) -> bool:",
    "+    return authenticate(username=email, password=form.password)",
    "+const token = await getToken({ req, secret: process.env.NEXTAUTH_SECRET });",
    "+  apiKey: process.env.STRIPE_API_KEY,",
    "-  const { clientId, clientSecret, scopes } = options;",
    '+  password: z.string().min(8, "The password is too short"),',
    '+      <input type="password" name="password" autoComplete="current-password" />',
    "+  token?: string;",
    "+  headers: { Authorization: `Bearer ${token}` },",
    '+\ttoken := os.Getenv("API_TOKEN")',
    '+\tPassword string `json:"password" validate:"required"`',
    '+\tcfg.Password = viper.GetString("db.password")',
    '+\treq.Header.Set("Authorization", "Bearer "+token)',
    "+    params.require(:user).permit(:email, :password, :password_confirmation)",
    "+  password: <%= ENV['DB_PASSWORD'] %>",
    "+  has_secure_password validations: false",
    "+    let token = headers.get(AUTHORIZATION).ok_or(Error::MissingToken)?;",
    "+    pub api_key: Option<String>,",
    "+        password: config.password.clone(),",
    '+    @Value("${spring.datasource.password}") private String password;',
    "+        this.passwordEncoder = passwordEncoder;",
    "+        return new UsernamePasswordAuthenticationToken(principal, credentials, authorities);",
    '+    var token = Configuration["Jwt:Key"];',
    "+        options.Password.RequiredLength = 8;",
    "+        public string ApiKey { get; set; }",
    "+        $user->password = Hash::make($request->password);",
    "+        'password' => 'required|confirmed|min:8',",
    "+        'token' => env('POSTMARK_TOKEN'),",
    '+  password_reset: "Reset your password"',
    "+      POSTGRES_PASSWORD: ${DB_PASSWORD}",
    "+          token: ${{ secrets.GITHUB_TOKEN }}",
    "+ALTER TABLE users ADD COLUMN password_hash VARCHAR(255) NOT NULL;",
    "+    return this@MainActivity.finish()",
    "+types-contextvars==2.4.7.3",
    "+    rails (7.0.4.3)",
    "+import { login } from '@acme/auth@2.1.0';",
    "index 9fceb02d0a..3b18e512db 100644",
    '+AZURE_OPENAI_API_KEY = get_env_variable("AZURE_OPENAI_API_KEY", "")',
    "+        var eOrganizationApiKey = builder.Entity<OrganizationApiKey>();",
    '+    token = jwt.encode(payload, jwt_secret, algorithm="HS256")',
    '+CONNECTION_STRING = f"postgresql+psycopg2://{connection_suffix}"',
    "+        'password' => 'موجودہ خفیہ لفظ',",
)
