"""Ways in which languages, formats and tools write a name and its value, to be filled with any of them."""

from collections.abc import Iterator

# Those that a name with a dash or a dot cannot stand in are `CODE`.
CODE = (
    "{n}={v}",
    'export {n}="{v}"',
    "connect(host='h', {n}='{v}', port=1)",
    '{{:{n}=>"{v}", :x=>1}}',
    '{{{n}: "{v}", x: 1}}',
    "$this->{n} = '{v}';",
    '    {n} = "{v}"',
    '{{user, "app"}}, {{{n}, "{v}"}}',
    '{{{n},<<"{v}">>}}',
    'Config {{ user: "app", {n}: "{v}" }}',
    '{n}: Some("{v}"),',
    '{n}: Some(\n    "{v}",\n)',
    '{{:user "app" :{n} "{v}"}}',
    'set {n} "{v}"',
    "${{{n}:-{v}}}",
)
QUOTED = (
    '{n}: "{v}"',
    '{{"user": "app", "{n}": "{v}", "port": 1}}',
    "{{'{n}': '{v}', 'x': 1}}",
    "config['{n}'] = '{v}'",
    "'{n}' => '{v}',",
    "define('{n}', '{v}');",
    '  ["{n}":protected]=>\n  string(9) "{v}"',
    '<cfg user="app" {n}="{v}" port="1"/>',
    '<add key="{n}" value="{v}" />',
    '[a]\n{n} = "{v}"\nb = 1',
    '  ~ {n} = "" -> "{v}"',
    '{n} "{v}";',
    'ENV {n}="{v}"',
    '- name: {n}\n  value: "{v}"',
    '{{"value":"{v}","name":"{n}"}}',
    '"{n}":{{"value":"{v}"}}',
    'app --{n} "{v}" --x 1',
    "terraform -var '{n}={v}'",
    'docker run -e "{n}={v}" img',
    'Environment="{n}={v}"',
    '"Env": ["A=b", "{n}={v}", "C=d"]',
    'aws ssm put-parameter --name {n} --value "{v}"',
    'curl -H "{n}: {v}" https://h.example',
    'host=h {n}="{v}" user=app',
    "UPDATE t SET {n} = '{v}' WHERE id = 1",
    "INSERT INTO t (id, {n}) VALUES (1, '{v}')",
    'UPDATE t SET {n} = $1 WHERE id = $2 -- params: ["{v}", 7]',
    "Executed [Parameters=[@p0='4', @p1='{v}' (Size = 40)]]\nUPDATE [t] SET [{n}] = @p1 WHERE [Id] = @p0",
    'os.environ.get("{n}", "{v}")',
)
ELEMENTS = (
    "<{n}>{v}</{n}>",
    '<property name="{n}">{v}</property>',
    "<key>{n}</key>\n<string>{v}</string>",
    '<setting name="{n}" serializeAs="String"><value>{v}</value></setting>',
    'Content-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n--b',
    "| `{n}` | `{v}` |",
    "| user | {n} |\n|---|---|\n| a | {v} |",
)
BARE = (
    "  db:\n    {n}: {v}\n    port: 1",
    "{n}:\n  - {v}\n  - x",
    "    [{n}] => {v}\n    [x] => 1",
    "[a]\n{n} = {v}\nb = 1",
    "    - {n}={v}",
    "ENV {n} {v}",
    "- name: {n}\n  value: {v}\n- name: X",
    "java -D{n}={v} -jar a.jar",
    "helm --set {n}={v}",
    "* [HTTP/2] [1] [{n}: {v}]",
    "level=info user=a {n}={v} ok=true",
    "using {n}: {v}",
    "{n} → {v}",
    "{n} ........ : {v}",
)
# In which a value ends where its member does.
MEMBERS = (
    "Config[user=app, {n}={v}, port=1]",
    "{{user=app, {n}={v}}}",
    "{{ User = app, {n} = {v}, Port = 1 }}",
    "Server=h;User=a;{n}={v};X=1",
)
# In which words that could be an expression of code are a value.
DATA = (
    "map[user:a {n}:{v} port:1]",
    "{{User:a {n}:{v} Port:1}}",
    "host=h user=a {n}={v} port=1",
    "{{user=a, {n}={v}, port=1}}",
    "Server=h;User=a;{n}={v};X=1",
    "    [{n}] => {v}\n    [x] => 1",
    "docker run -e APP_PASSWORD={v} -e A=b img",
    "APP_PASSWORD={v}\nA=b",
    "db.user=a\n{n}={v}\n",
    "kubectl create secret generic a --from-literal={n}={v}",
    "  APP_PASSWORD: {v}\n  A: b",
    "spring.mail.{n}: {v}\n",
    "{n} = <<EOT\n{v}\nEOT",
    'variable "{n}" {{\n  type    = string\n  default = "{v}"\n}}',
    '  ["{n}"]=>\n  string(9) "{v}"',
)
WORDS = ("fountain_pen", "blue.moon", "Tulip$Field", "Marigold")
PASSWORDS = ("password", "DB_PASS", "smtpPassword", "client_secret", "webhookSecret")
TOKENS = ("api_key", "accessToken", "GITHUB_TOKEN", "encryption_key")
TEXTS = ("Tr0ub4dor&3!x", "hunter22", "tulipharbour", "Grüße42")
PHRASES = ("correct horse battery", "Tulip, 9 Harbours!", *TEXTS)
RANDOM = ("9f3a7c1e5b2d8f604a6c9e1b3d5f7a82", "kQ7xT4vB8nL3wR6zP0aY", "c2VjcmV0LXBhc3N3b3JkMTI=")
NOTATIONS = (*CODE, *QUOTED, *ELEMENTS, *BARE, *MEMBERS)
# What stands where a secret would, and is none.
HARMLESS = (
    "${DB_PASSWORD}",
    "null",
    "********",
    "[FILTERED]",
    "required",
    "not_set",
    "/run/secrets/db",
    "expired",
    "",
)
# Names that hold a sensitive word, and values that look like secrets.
OTHERS = {
    "token_type": "bearer",
    "max_tokens": "4096",
    "password_updated_at": "2026-02-03T10:11:12Z",
    "secret_name": "shop-db-2",
    "authorId": "48151623",
    "monkey": "banana7split9",
    "cert_fingerprint": "SHA256:Zr7nQe2pWb5tYx0aJk8mLc3v",
    "passenger": "Ann Lee 42",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}


def written() -> Iterator[tuple[str, str]]:
    """Yield text and the secret in it: each notation with each value, and names by turns."""
    turn = 0
    for notation in NOTATIONS:
        texts = TEXTS if notation in (*CODE[:1], *CODE[-1:], *BARE, *MEMBERS[:2]) else PHRASES
        texts = (*texts, PHRASES[0]) if notation in MEMBERS else texts
        for names, values in ((PASSWORDS, (*texts, *RANDOM)), (TOKENS, RANDOM)):
            for value in values:
                turn += 1
                yield notation.format(n=names[turn % len(names)], v=value), value
    for notation in DATA:
        yield from ((notation.format(n="smtpPassword", v=value), value) for value in WORDS)


def harmless() -> Iterator[str]:
    for turn, notation in enumerate((*NOTATIONS, *DATA)):
        names = (*PASSWORDS, *TOKENS)
        for number, value in enumerate(HARMLESS):
            if value or '"{v}"' in notation or "'{v}'" in notation:
                yield notation.format(n=names[(turn + number) % len(names)], v=value)
        for name, value in OTHERS.items() if "{n}" in notation else ():
            yield notation.format(n=name, v=value)
