# ruff: noqa: E501 - one rule a line, to be read as a table
"""Redaction rules for what betrays itself by its shape: vendors' tokens, addresses with credentials, personal data.

Every repeat is bounded, so that no crafted line is slow. A rule is tried only where the text contains one of
its needles (lower case).
"""

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from railmend.evidence import lookalikes

Span = tuple[int, int, str]


@dataclass(frozen=True)
class Rule:
    """A pattern of secrets of one `kind`: the one group that matched, or the whole match without groups.

    `secret`: whether a match is one, not a look-alike.
    """

    kind: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    secret: Callable[[re.Match[str]], bool] | None = None

    def find(self, text: str, lowered: str) -> Iterator[Span]:
        """Yield start, end and kind of each secret. `lowered`: the text in lower case, as far as it has it."""
        if self.needles and not any(needle in lowered for needle in self.needles):
            return
        for match in self.pattern.finditer(text):
            if self.secret is None or self.secret(match):
                groups = (number for number in range(1, (match.lastindex or 0) + 1) if match[number])
                yield (*match.span(next(groups, 0)), self.kind)


def _stands_alone(match: re.Match[str]) -> bool:
    """Return whether a token with a prefix does not begin inside a word."""
    return not match.string[match.start() - 1 : match.start()].isalnum()


def _random_tail(match: re.Match[str]) -> bool:
    """Return whether what follows the words of a prefix looks random."""
    tail = re.split(r"[_-](?=[A-Za-z0-9]{8})", match[0])[-1]
    public = re.match(r"(?:[a-z0-9]+[_-])?(?:pk|pub|public|publishable)[_-]", match[0])
    return (
        _stands_alone(match)
        and not (public or lookalikes.POD.search(match[0]))
        and lookalikes.looks_random(tail, 14)
    )


def _tokens() -> tuple[Rule, ...]:
    table = tomllib.loads(Path(__file__).with_name("vendor_tokens.toml").read_text(encoding="utf-8"))
    rules = [
        Rule(kind, tuple(needles.split()), re.compile(pattern), _stands_alone)
        for kind, needles, pattern in table["rules"]
    ]
    named = table["named"]
    return *rules, Rule(
        named["kind"], tuple(named["needles"].split()), re.compile(named["pattern"]), _random_tail
    )


TOKENS = _tokens()

# Codes that are not one person's, and numbers that are counted.
OTHER_CODE = re.compile(
    r"(?i)\b(?:error|exit|status|return|response|http|zip|postal|post|area|country|region|product|item|sku|op|source|sql|vendor|reason|oracle|of|lines?)\b"
)

# Cookies of a look or a language alone, with what says how long and where they hold.
PREFERENCE = re.compile(
    r"(?i)\s*(?:[\w-]{0,20}(?:theme|lang|language|locale|currency|timezone|consent|banner|sidebar)=[\w/-]{1,16}"
    r"|(?:expires|path|max-age|domain|samesite)=.{0,60}|secure|httponly)?\s*"
)

# What is typed before a password, and what its line has: a command with its flag, or what a server is told.
TYPED = (
    (" -p", r"\b(?:mysql|mysqldump|mysqladmin|mariadb|mysqlsh)\b[^\n|;]{0,200}?\s-p(?=\S)|\b7z\b[^\n|;]{0,100}?\s-p(?=\S)"),
    (" -p", r"\b(?:sshpass|login|unlock-keychain)\b[^\n|;]{0,200}?\s-p[\s=]{0,3}|\b(?:un)?zip\b[^\n|;]{0,100}?\s-P[\s=]{0,3}"),
    ("-cli", r"\b(?:redis-cli|valkey-cli)\b[^\n|;]{0,200}?\s(?:-a|--pass)[\s=]{1,3}"),
    ("ldap", r"\bldap(?:search|modify|add|whoami|passwd)\b[^\n|;]{0,200}?\s-[wys] {1,3}"),
    ("passwd ", r"\bhtpasswd\b[^\n|;]{0,100}?\s-\w*b\w* \S{1,100} \S{1,60} |(?<!/etc)/[\w-]{0,20}passwd (?:-\w{1,4} ){0,3}(?!-)[\w.@-]{1,60} "),
    (" -u|--user|--proxy-user| -a|--auth", r"\b(?:curl|wget|https?|xh|restic)\b[^\n|;]{0,300}?\s(?:-u|--user|-a|--auth|--proxy-user|-U)[\s=]{0,3}[\"']?[^\s:\"']{1,80}:"),
    ("rabbitmqctl", r"\brabbitmqctl (?:add_user|change_password) \S{1,60} "),
    ("smbclient", r"\bsmbclient\b[^\n|;]{0,200}?\s-U \S{1,60}%"),
    ("requirepass|masterauth", r"\b(?:requirepass|masterauth) {1,3}"),
    (" pass:", r"-pass(?:in|out)? pass:"),
    ("openssl", r"\bopenssl\b[^\n|;]{0,200}?\s-[kK] {1,3}"),
    ("mc ", r"\bmc (?:alias set|config host add) \S{1,60} \S{1,200} \S{1,100} "),
    ("snmp", r"\bsnmp\w+\b[^\n|;]{0,200}?\s-[AXc] {1,3}"),
    ("community", r"\b(?i:snmp)[^\n]{0,200}?\b(?i:community)(?i:[ _-]?(?:string|name))?[\"']?[ :=]{1,3}"),
    ("influx", r"\binflux\b[^\n|;]{0,200}?\s-t "),
    ("schtasks", r"\bschtasks\b[^\n|;]{0,300}?\s/rp "),
    ("net use", r"\bnet user \S{1,60} (?!/)|\bnet use [^\n|]{0,100}?\\\\\S{1,100} "),
    (" using ", r"\buser (?!when )\S{1,60} using "),
    ("identify ", r"(?i:\bnickserv[^\n]{0,20}?\bidentify )"),
    ("pass", r"\b(?:login|user(?:name)?) (?!(?:and|or|on|with|has|in|by|for|whose) )\S{1,80}(?<!,)\s{1,3}pass(?:word|wd)? "),
    ("stats auth", r"\bstats auth \S{1,60}?:"),
    ("import", r"\bsecurity import\b[^\n|;]{0,200}?\s-P "),
)  # fmt: skip


def _is_literal(match: re.Match[str]) -> bool:
    return lookalikes.is_literal(match[match.lastindex or 0])


def _flagged(match: re.Match[str]) -> bool:
    """Return whether what a flag has is a password: no port, no setting, no database of a prompting client."""
    value, flags = match[match.lastindex or 0], match[0][: match.start(match.lastindex or 0) - match.start()]
    before = match.string[max(match.start() - 80, 0) : match.start()]
    if not re.search(r"[A-Za-z]", value) or value[0] == "{" or not lookalikes.is_literal(value):
        return False
    if lookalikes.has_letters_and_digits(value) or re.search(r"[^\w./:=-]", value):
        return not re.match(r"[\d.]+:\d", value)
    apart = flags[-1] in " =:\"'" and not re.search(r"mysql|maria", before)
    return apart and "=" not in value and re.match(r"(?i)-u|--user|/u", match[0]) is not None


def _typed() -> Iterator[Rule]:
    for needles, before in TYPED:
        pattern = re.compile(
            rf"(?:{before})(?:\"([^\"\n]{{3,300}})\"|'([^'\n]{{3,300}})'|[\"']?([^\s\"']{{3,300}}))"
        )
        yield Rule("password", tuple(needles.split("|")), pattern, _is_literal)


# Addresses, headers, command lines and sentences in which the place betrays the secret.
CONTEXT = (
    # With a raw `@`, `/` or `#` in the password; what looks like a port and a path is none.
    Rule("password", ("://",), re.compile(r"(?<=://)[^\s/:@\"'<>\\]{0,100}:(?!\d{1,5}/)([^\s\"'<>\\]{1,200})(?=@[\w.\[{$*-]{1,200}(?:[:/?,\s\"'<>);\\]|\Z))"), lambda match: _unreferenced(match[1])),
    # With blanks, and cut off behind the password.
    Rule("password", ("://",), re.compile(r"(?<=://)[^\s/:@\"'<>\\]{1,60}:(?!\d{1,5}[ /])((?:[^\s\"'<>@/\\]{1,60} ){1,5}[^\s\"'<>@/\\]{1,60})(?=@[\w.-]{1,100}(?:[:/?,\s]|\Z))"), lambda match: _unreferenced(match[1])),
    Rule("password", ("://",), re.compile(r"(?<=://)[\w.-]{1,60}:([^\s\"'<>@/\\]{3,100})(?=\\?[\"'])"), lambda match: lookalikes.has_letters_and_digits(match[1]) and _unreferenced(match[1])),
    Rule("credential", ("://",), re.compile(r"(?<=://)([^\s/:@\"'<>\\]{12,200})(?::(?:x-oauth-basic|x)?)?(?=@)"), lambda match: _unreferenced(match[1])),
    Rule("password", ("@tcp(", "@unix(", "@udp(", "@("), re.compile(r"(?<![\w/])[\w.-]{1,60}:([^\s\"'<>]{1,200})@(?:tcp|unix|udp)?\("), lambda match: _unreferenced(match[1])),
    Rule("password", ("@",), re.compile(r"(?<![\w/@])[\w.-]{1,60}/([^\s\"'/@]{3,100})@(?://)?[\w.-]{1,100}:\d{2,5}[/:]\w"), lambda match: _unreferenced(match[1])),
    Rule("password", ("@",), re.compile(r"(?<![\w/@:])[\w.-]{1,60}:([^\s\"'/@:]{3,100})@(?:[A-Za-z][\w.-]{1,100}(?::\d{2,5}(?!\d)|/\w)|/\w)"), lambda match: lookalikes.has_letters_and_digits(match[1]) or len(match[1]) >= 8),
    Rule("password", ("@",), re.compile(r"(?<![\w/@:])[\w.+-]{1,60}@[\w-]{1,60}(?:\.[\w-]{1,60}){1,4}:([^\s\"'/:@<>]{6,100})"), lambda match: lookalikes.has_letters_and_digits(match[1]) and re.search(r"[!#$%^&*]", match[1]) is not None),
    Rule("credential", ("authorization", "authorisation"), re.compile(r"(?i)authori[sz]ation[\"'`]?\]?\s{0,3}(?:=>|[:=,])\s{0,3}[\[(]?[\"'`]?((?:[\w-]{2,24} {1,4})?[^\s\"'`,\])}]{6,4000}(?:, ?\w{1,20}=\"?[^\s\",]{1,400}\"?){0,12})"), lambda match: _credential(match[1])),
    Rule("credential", ("bearer", "basic"), re.compile(r"(?i)\b(?:bearer|basic)(?: {1,4}|%20|\+|[\"'`]?\s{0,2}[:=,]\s{0,2}[\"'`]?)([A-Za-z0-9._~+/=-]{8,4000})"), lambda match: lookalikes.is_mixed(match[1]) and lookalikes.is_opaque(match[1]) and not re.match(r"[a-z_]+=.", match[1])),
    Rule("cookie", ("cookie",), re.compile(r"(?i)\b(?:set-)?cookies?[\"'`]?\]?\s{0,3}(?:=>|[:=,])\s{0,3}[\[(]?[\"'`]?([^\s\"'`=;<>]{1,100}=[^\r\n\"'`<>]{1,4000})"), lambda match: (not match[1].endswith((";", ",")) or len(match[1]) > 40) and not all(map(PREFERENCE.fullmatch, match[1].split(";")))),
    *_typed(),
    Rule("password", ("convertto-securestring",), re.compile(r"(?i)convertto-securestring (?:-string )?[\"']?([^\s\"'$][^\"'\n]{2,200}?)[\"']?(?= -|\s*$|[\"')])")),
    Rule("password", ("8=fix",), re.compile(r"(?<![^|^\x01\s])(?:554|925)=([^|\x01\s]{3,200})")),
    Rule("secret", ("secret",), re.compile(r"(?i)\bsecret[_ -]?id[\"']?\s{0,12}[:=]\s{0,12}[\"']?([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})")),
    Rule("password", ("@",), re.compile(r"(?<![\w/@.])[\w.-]{1,60}/([^\s\"'/@:]{6,100})@[A-Z][A-Z0-9_]{1,30}\b"), lambda match: lookalikes.has_letters_and_digits(match[1])),
    # What is hashed, compared and decrypted, and a here-string for a program that asks.
    Rule("password", ("crypt", "password_", "hash::", "_password("), re.compile(r"\b(?:crypt|bcrypt\.\w{1,20}|password_(?:verify|hash)|Hash::(?:check|make)|(?:check|make)_password(?:_hash)?)\(b?[\"']([^\"'\n$]{4,200})[\"']\s?[,)]"), lambda match: lookalikes.is_literal(match[1]) and not lookalikes.PROSE.search(match[1])),
    Rule("secret", ("aes_", "pgp_sym_"), re.compile(r"(?i)\b(?:aes_(?:en|de)crypt|pgp_sym_(?:en|de)crypt)\([^()\n]{1,200}?,\s?[\"']([^\"'\n]{3,200})[\"']\s?[,)]"), lambda match: lookalikes.is_literal(match[1])),
    Rule("password", ("<<<",), re.compile(r"(?i)(?:secret|passw\w{0,6}|token|login|stdin)[^\n]{0,80}<<< ?[\"']([^\"'\n$]{4,200})[\"']"), lambda match: lookalikes.is_literal(match[1])),
    # Routers tell in a digit how a secret is written: `enable secret 5 x`.
    Rule("password", ("secret ", "password ", "key ", "key-string ", "community ", "pre-shared-key"), re.compile(r"(?:\b(?:secret|password|key|key-string|community) [05789]|\bsnmp-server community|\bisakmp key|-server (?:[^\n]{0,80}? )?key(?: \d)?|\bpre-shared-key(?: ascii-text)?|authentication-key \d{1,5} md5|\bneighbor \S{1,60} password) [\"']?([^\s\"']{4,200})"), lambda match: lookalikes.has_letters_and_digits(match[1])),
    # Files of one secret a line: of libpq, of Postfix, of Dovecot; and the words of a wallet.
    Rule("password", (":",), re.compile(r"(?m)(?:^|\| )(?:(?:localhost|\*|[\w-]+(?:\.[\w-]+)+):(?:\d{4,5}|\*):[\w*-]{1,60}:[\w.*-]{1,60}|\[[\w.-]{1,100}\]:\d{2,5}[ \t]{1,9}[^\s:]{1,80}):([^\s:][^\s]{2,200})(?=\s*$)")),
    Rule("password", ("{plain}", "{clear", "{crypt}", "{sha", "{md5", "{blf"), re.compile(r"\{(?:PLAIN|CLEAR(?:TEXT)?|CRYPT|S?SHA\d{0,3}|S?MD5|BLF-CRYPT)\}([^\s:\"']{3,200})")),
    Rule("mnemonic", ("mnemonic", "phrase", "seed", "wallet"), re.compile(r"(?i)(?:mnemonic|phrase|seed|wallet)\b[^\n]{0,40}?(?<![a-z])((?-i:[a-z]{3,8}[ ,]{1,2}){11,23}(?-i:[a-z]{3,8}))(?![a-z])"), lambda match: not lookalikes.PROSE.search(match[1])),
    # A user and a password as flags, of whatever program; words with a `!` inside, which nothing else has.
    Rule("password", ("-p", "/p", "-w"), re.compile(r"(?i)(?<![\w-])(?:-[unl]|--user(?:name)?|/u(?:ser)?)(?:[ =:]{1,3}[\"']?|[\"'],\s?[\"'])(?![-\d])[^\s\"']{1,60}[^\n|;&]{0,120}?(?<![\w-])(?:-pw?|-w|/pw?(?=:))(?:[ =:]{0,3}|[\"'],\s?)(?:\"([^\"\n-][^\"\n]{2,200})\"|'([^'\n-][^'\n]{2,200})'|([^\s\"',-][^\s\"']{2,200}))"), lambda match: _flagged(match)),
    Rule("password", ("--user",), re.compile(r"\s--user[ =][\"']?[\w.-]{1,60}:([^\s\"':]{6,200})"), lambda match: lookalikes.looks_random(match[1], 8) or (lookalikes.has_letters_and_digits(match[1]) and re.search(r"[!#$%^&*]", match[1]) is not None)),
    Rule("password", ("!",), re.compile(r"(?<![\w./:@=$&#%!+-])(?=[^\d\s]{0,40}\d)(?=[^A-Za-z\s]{0,40}[A-Za-z])(?!\w{1,40}!\$?[A-Z]{1,3}\$?\d)(?:[A-Za-z0-9]{1,40}[!^](?!important)[A-Za-z0-9!^#$%&*]{2,40}|(?<=[\"'])[A-Za-z]{1,20}\d{1,3}[A-Za-z]{2,20}!(?=[\"']))(?![\w=(.\[])"), lambda match: len(match[0]) >= 8),
    Rule("password", ("-u", "--auth", "-a"), re.compile(r"\s(?:-u|--user|-a|--auth|--proxy-user)[\s=]{1,3}(?:\"[^\s:\"]{1,80}:([^\"\n]{3,200})\"|'[^\s:']{1,80}:([^'\n]{3,200})')"), lambda match: lookalikes.is_literal(match[1] or match[2])),
    # What is said to a server of mail, files or Redis, and arguments of a bind to a directory and of a connection.
    Rule("password", ("auth", "pass ", "setuser", "user "), re.compile(r"(?:(?:[>:] ?)PASS (?=\S{3,100}(?:[\r\n]|\Z))|\b(?:SETUSER|setuser|user \S{1,60} (?:on|off))\b[^\n]{0,200}?[\s\"']>|\bAUTH(?:ENTICATE)? (?:PLAIN |LOGIN |default )?(?:challenge: )?|\bPASS |\"(?i:auth2?)\"(?:'?\s(?:argv\[\d\]: ')?\"[^\"\s]{1,60}\")?(?:'?\s(?:argv\[\d\]: ')?|,\s?(?:\"\w{1,10}\":\s?)?\[(?:\"[^\"\s]{1,60}\",\s?(?=\"))?)(?=\"))[\"']?([^\s\"'\\]{3,300})"), lambda match: lookalikes.has_letters_and_digits(match[1]) or (lookalikes.is_literal(match[1]) and re.search(r"(?i)\"auth|setuser|^user |challenge|[>:] ?pass|\sdefault\s", match[0]) is not None)),
    Rule("password", ("ugfzc3dvcmq6",), re.compile(r"334 UGFzc3dvcmQ6(?:[^\n]{0,200}\n){1,3}?[^\n]{0,80}?(?:CLIENT -> SERVER:|\bC:|[<>=-]{1,3}:?|^) ?([A-Za-z0-9+/]{4,400}={0,2})(?=\s|\\|\Z)"), lambda match: not lookalikes.PLACEHOLDER.search(match[0])),
    Rule("password", ("bind",), re.compile(r"(?i)bind(?:[^'\"]{0,160}?['\"]\w{1,12}=[^'\"\n=]{1,80},\s?\w{1,12}=[^'\"\n]{1,200}['\"],\s?u?['\"]|request[^\n]{1,300}?credentials['\"]?\s?[:=]\s?['\"])([^'\"\n(*]{3,200})['\"]"), lambda match: lookalikes.is_literal(match[1])),
    Rule("password", ("host=", "://", "mysqli", "jdbc:", "dbname=", "connect("), re.compile(r"(?:['\"](?:jdbc|mysql|pgsql|postgres|sqlsrv|oci|odbc|dblib|firebird):[^'\"\n]{1,200}|(?:\bmysqli\w{0,20}(?:->__construct)?|connect)\(['\"][^'\"\n]{1,100})['\"], ?['\"][^'\"\n]{1,100}['\"], ?['\"]([^'\"\n]{3,200})['\"]"), lambda match: lookalikes.is_literal(match[1])),
    Rule("password", ("auth", "credential", "login", "passwd", "basic"), re.compile(r"(?i)(?:\bauthenticat\w{1,5}(?: (?:as|user|with|for|to))? (?!system:)(?:[\w.-]{1,60}:)?[\w.@-]{1,60}:|\b(?:auth|credentials?|login|basic)(?:\W{0,3}|: \w{1,20} |[\w.-]{0,30}[\"']?\s?[:=]\s?\[?)[\"'](?!https?:)|auth[._-]?(?:user[._-]?info)?\s?=\s?|\bchpasswd <<<\s?[\"']?)[\w.@-]{1,60}:([^\s\"'<>:/]{4,200})(?![^\s\"',;.)])"), lambda match: (lookalikes.has_letters_and_digits(match[1]) or re.search(r" [\w.-]+:[\w.@-]+:", match[0]) is not None) and _unreferenced(match[1])),
    # A call in a trace, with user and password; what is piped into a command that asks for a password.
    Rule("password", ("login", "logon", "signin", "sign_in", "auth", "credential"), re.compile(r"(?i)(?:sp_\w{0,20}login (?=[\"'])|(?:log_?in|logon|sign_?in|authenticate|auth|credentials?)(?:[\"']\),? (?:array)?|[\"']\], |[\"']?\s?(?:=>?|:)\s?|\s(?:(?:with|as|using) )?)?[(\[]\s?)[\"'][^\"'\n]{1,80}[\"'], ?[\"']([^\"'\n]{3,200})[\"']\s?[,)\]]"), lambda match: lookalikes.is_literal(match[1]) and not lookalikes.PROSE.search(match[1])),
    Rule("password", ("cred", "login", "log in", "admin", "zugangsdaten", "identifiants"), re.compile(r"(?i)(?<![<\w])(?:cred(?:ential|encial|enzial)?(?:e?s|i)?|log ?in(?= with)|login|admin|account|zugangsdaten|identifiants)\b[^\n]{0,30}?(?:[:=>]|\b(?:is|with)\b)\s?[\w.@-]{1,60} ?[/|:] ?([^\s\"'/|]{6,100})(?=\s|[\"',;]|\Z)"), lambda match: lookalikes.has_letters_and_digits(match[1]) and ("/" in match[0][-len(match[1]) - 3 :] or lookalikes.looks_random(match[1], 8) or re.search(r"[!#$%^&*]", match[1]) is not None)),
    Rule("password", ("cred", "login"), re.compile(r"(?i)(?<![<\w])(?:credentials?|login)(?:[:=]? [\[(][\w.@-]{1,60} ?[/|:] ?([A-Za-z][^\s\"'/|\])]{3,100})[\])]|: [\w.@-]{1,60}:(?=[a-z]{0,20}\d)([^\s\"':/]{5,100})(?=\s|\Z))"), _is_literal),
    Rule("password", ("echo ", "printf "), re.compile(r"<\((?:echo|printf) [\"']?([^\s\"'()|$]{3,200})[\"']?\)")),
    Rule("password", ("echo ", "printf "), re.compile(r"\b(?:echo|printf)(?: -\w)? (?:[\"'](?:[\w.-]{1,60}:)?([^\n\"']{3,200})[\"']|(?:[\w.-]{1,60}:)?([^\s\"'|]{3,200})) ?\| ?[^|\n]{0,100}?(?:-stdin|passwd|sudo -S|passphrase-fd 0|-pass stdin|cryptsetup|kinit)"), _is_literal),
    Rule("password", (" login ",), re.compile(r"(?im)(?:^|[\s:>\"'])[a-z]{0,5}\d{1,6} (?-i:LOGIN) (?:\"[^\"\n]{1,80}\"|\S{1,80}) (\"(?:[^\"\\\n]|\\.){1,200}\"|[^\s\"']{3,200})(?=[\s\"']|\Z|\\r)")),
    Rule("password", ("response",), re.compile(r"(?i)(?:\b\w{0,20}auth[^\n]{0,120}?[\"']response\\{0,3}[\"']\s{0,2}(?::|=>)\s{0,2}|\bdigest [^\n]{0,400}?\bresponse=)[\"']([^\s\"'\\]{4,200})(?=[\"'])"), lambda match: lookalikes.is_literal(match[1]) and (lookalikes.has_letters_and_digits(match[1]) or lookalikes.has_symbols(match[1]))),
    # One-time codes, in paths, in queries and in sentences.
    Rule("one-time-code", ("reset", "verif", "confirm", "magic", "invit", "activat", "unsubscribe", "recover", "one-time", "onetime", "unlock", "validate", "passwordless", "sign", "sso"), re.compile(r"(?i)/[\w-]{0,30}(?:reset|verif\w{0,8}|confirm\w{0,6}|magic|invit\w{0,6}|activat\w{0,4}|unsubscribe|recover\w{0,2}|one-?time|unlock|validate|passwordless|sign-?in|sso)[\w-]{0,24}/(?:[\w-]{1,24}/)?([A-Za-z0-9_.~=-]{6,400})"), lambda match: lookalikes.looks_random(match[1], 8) or bool(re.fullmatch(r"\d{6,8}", match[1]))),
    Rule("one-time-code", ("reset", "verif", "confirm", "magic", "invit", "activat", "unlock", "one-time"), re.compile(r"(?i)\b(?:reset|verif|confirm|magic|invit|activat|unlock|one-time)[^\n]{0,80}?\bhttps?://[^\s\"'<>]{1,200}[/=]([A-Za-z0-9_.~-]{10,400})(?=[\"'\s<>)]|\Z)"), lambda match: lookalikes.looks_random(match[1], 10)),
    Rule("token", ("?", "&"), re.compile(r"(?i)[?&](?:app_?id|key|k|passkey|user_?key|licen[cs]e|auth|tk|tok|s)=([A-Za-z0-9_-]{16,200})(?=[&\s\"'#)]|\Z)"), lambda match: lookalikes.looks_random(match[1], 16)),
    # A path that is itself the key: what is longer than ids are, and what is named a hook or a feed.
    Rule("token", ("/",), re.compile(r"(?:://[^\s/\"'<>]{1,200}|(?<![\w/.+=~-]))(?:/[\w.~%:@-]{0,80}){0,8}?/([A-Za-z0-9_-]{24,400})(?=[/?#&\s\"'`<>),;:]|\Z)"), lambda match: lookalikes.looks_random(match[1], 24) and match[1] not in (match[1].lower(), match[1].upper())),
    Rule("token", ("hook", "/bot", "/key/", "feed/", "ical/", "/rpc/", "/v3/"), re.compile(r"(?i)/(?:[\w-]{0,30}hooks?|bot|key|feed|ical|rpc|v3)/([A-Za-z0-9_-]{16,400})(?=[/?#&\s\"'`<>),;:]|\Z)"), lambda match: lookalikes.looks_random(match[1], 16)),
    Rule("token", ("hook",), re.compile(r"(?i)://(?=[^\s\"'<>]{0,100}hook)[^\s\"'<>]{0,200}?/((?-i:[A-Z0-9]{8,20}/){0,3}[A-Za-z0-9_-]{12,400})(?=[/?#&\s\"'`<>),;:]|\Z)"), lambda match: lookalikes.looks_random(match[1].rpartition("/")[2])),
    Rule("one-time-code", ("grant_type", "redirect_uri", "code_verifier"), re.compile(r"[\"']code\\{0,3}[\"']\s?(?::|=>)\s?[\[(]?\\{0,3}[\"']([^\s\"'\\]{8,4000})"), lambda match: lookalikes.has_letters_and_digits(match[1])),
    Rule("one-time-code", ("code=", "state=", "hash=", "ticket=", "nonce=", "assertion=", "samlresponse=", "otp=", "oob"), re.compile(r"(?i)[?&;](?:oob)?(?:code|state|hash|ticket|nonce|assertion|samlresponse)=([^\s\"'&;<>#]{8,4000})"), lambda match: lookalikes.looks_random(match[1])),
    Rule("one-time-code", ("code", "otp", "pin", "2fa", "puk", "passcode"), re.compile(r"(?i)\b(?:(?:verification|two[ _-]?factor|security|one[- ]?time|confirmation|login|sign[- ]?in|authenticat\w{0,4}|auth|access|activation|recovery|backup|sms|2fa|mfa|reset)[ _-]{0,2}(?:code|pin|passcode)|totp|otp|2fa|puk|passcode)s?[\"'`]?(?: (?:code|is|was|of|to|sent|generated|issued|for \S{1,60}))*\s{0,2}[:=#-]?>?\s{0,2}[\"'`]?(\d{4,8}|\d{3}[ -]\d{3}|[A-Z0-9]{4,5}-[A-Z0-9]{4,5})(?![\w-]|\.\d)")),
    Rule("one-time-code", ("code",), re.compile(r"(?i)\b(?:your|ihr|dein|votre|ton|su|tu)\b[^\n]{0,40}?(?<!zip )(?<!exit )(?<!error )(?<!postal )\bcode[:\s]{1,3}(?:is |ist )?(\d{3}[ -]\d{3}|\d{4,8})(?![\w-]|\.\d)")),
    Rule("one-time-code", ("code", "kod", "códig", "codice", "код"), re.compile(r"(?i)(?<![a-z_</-])(?:code|código|codice|kode?|код)\b[^\n\d{};#]{0,30}?(?<![\d.,/=-])(\d{6}|\d{3}[ -]\d{3})(?![\w-]|[.,]\d)"), lambda match: not OTHER_CODE.search(match.string, max(match.start() - 24, 0), match.start(1))),
    Rule("one-time-code", ("code",), re.compile(r"(?i)\bcode (?:sent|texted|mailed)\b[^\n]{0,60}?[:=] ?(\d{4,8})(?![\w-])|\b(?:otp|sms|[2m]fa|verif\w{0,8})\b[^\n]{0,80}?(?<![a-z])code[\"']?[=:] ?[\"']?(\d{4,8})(?![\w-]|\.\d)")),
    Rule("one-time-code", ("recovery", "backup"), re.compile(r"(?i)\b(?:recovery|backup)[ _-]?codes?[^\n]{0,30}?(?<!\w)((?:[a-z0-9]{4,8}-[a-z0-9]{4,8}[\s,\"']{1,4}){1,20}[a-z0-9]{4,8}-[a-z0-9]{4,8})(?!\w)")),
    Rule("one-time-code", ("code", "otp", "pin", "sign", "log", "verif"), re.compile(r"(?i)(?<![\w.-])(?:[A-Z]-)?(\d{4,8}|\d{3}-\d{3}|[A-Z0-9]{4,5}-[A-Z0-9]{4,5}) (?:(?:is|as) (?:your|the|his|her|their) [\w -]{0,30}?(?:code|otp|pin|passcode)\b|to (?:sign|log) ?in\b|to verify\b)")),
)  # fmt: skip

PERSONAL = (
    Rule("email", ("@",), re.compile(r"(?<![\w.%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?![\w-])"), lookalikes.is_mail_address),
    Rule("ip", (".",), re.compile(r"(?<![\w.-])(?<![A-Za-z]/)\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)"), lookalikes.is_public_v4),
    Rule("ip", (":",), re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"), lookalikes.is_public_v6),
    Rule("card", (), re.compile(r"(?<![\w.:-])(?:\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{3,4}|\d{4}[ -]\d{6}[ -]\d{5}|\d{15,16})(?![\w-]|\.\d)"), lookalikes.is_card_number),
    Rule("phone", ("+",), re.compile(r"(?<![\w.+/-])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){1,4}(?![\w-]|\.\d)"), lookalikes.is_phone_number),
    Rule("phone", ("-",), re.compile(r"(?<![\w.:/+-])(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?![\w-])")),
    Rule("phone", ("phone", "mobile", "msisdn"), re.compile(r"(?i)(?:phone(?:[_-]?number)?|mobile|msisdn)[\"']?\s{0,3}[:=]\s{0,3}[\"']?(\d[\d ().-]{6,20}\d)")),
)  # fmt: skip


def _unreferenced(text: str) -> bool:
    """Return whether it is no variable, mask or placeholder."""
    documented = text.lower() in ("password", "passwd", "pass", "pwd")
    return not (documented or lookalikes.REFERENCE.fullmatch(text) or lookalikes.PLACEHOLDER.search(text))


def _credential(text: str) -> bool:
    """Return whether a header's value carries something: not a reference, nor a word that says what it is."""
    secret = text.split(" ")[-1]
    if (
        not lookalikes.is_literal(secret)
        or lookalikes.PLACEHOLDER.match(secret)
        or "(" in secret
        or lookalikes.is_identifier(secret)
    ):
        return False
    return (
        lookalikes.is_mixed(secret) or secret.endswith("=") or '="' in text or "=" in text.partition(", ")[2]
    )
