# ruff: noqa: E501 - one rule a line, to be read as a table
"""Redaction rules: vendors' tokens, credentials in context, personal data.

Every repeat is bounded, so that no crafted line is slow. A rule is tried only where the text contains one of
its needles (lower case). Sources of the formats: the vendors' documentation, the rules of gitleaks and of
GitHub's secret scanning.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from railmend.evidence import lookalikes


@dataclass(frozen=True)
class Rule:
    """A pattern of secrets of one `kind`.

    `secret`: whether a match is one, not a look-alike. `in_context`: only the one group that matched is replaced.
    """

    kind: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    in_context: bool = False
    secret: Callable[[re.Match[str]], bool] | None = None


def _token(kind: str, needles: str, pattern: str) -> Rule:
    """Return a token known by its prefix. The pattern begins with the prefix, which makes the search fast."""
    return Rule(kind, tuple(needles.split()), re.compile(pattern), False, lookalikes.stands_alone)


TOKENS = (
    _token("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{20,255}"),
    _token("github-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{20,255}"),
    _token("gitlab-token", "glpat- gldt- glrt- glcbt- glptt-", r"gl(?:pat|dt|rt|cbt|ptt)-[\w-]{20,250}"),
    _token("aws-key", "akia asia abia acca", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _token("stripe-key", "sk_ rk_ whsec_", r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{10,250}|whsec_[A-Za-z0-9+/=]{20,100})"),
    _token("model-key", "sk-", r"sk-[A-Za-z0-9_-]{20,250}"),
    _token("model-key", "gsk_ xai- pplx- r8_ hf_ nvapi-", r"(?:gsk_|xai-|pplx-|r8_|hf_|nvapi-)[A-Za-z0-9_-]{20,200}"),
    _token("slack-token", "xox xapp-", r"(?:xox[abeprs]|xapp)-[A-Za-z0-9-]{10,250}"),
    _token("slack-webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,200}"),
    _token("discord-webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/\d{10,25}/[\w-]{40,120}"),
    _token("discord-token", ".", r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}(?![\w-])"),
    _token("telegram-token", ":aa", r"\d{8,10}:AA[A-Za-z0-9_-]{32,34}(?![\w-])"),
    _token("google-key", "aiza", r"AIza[A-Za-z0-9_-]{35}"),
    _token("google-token", "ya29. gocspx-", r"(?:ya29\.[A-Za-z0-9_-]{20,500}|GOCSPX-[A-Za-z0-9_-]{20,60})"),
    _token("sendgrid-key", "sg.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,60}"),
    _token("twilio-key", "sk", r"SK[0-9a-f]{32}(?![0-9A-Za-z])"),
    _token("mailgun-key", "key-", r"(?<!-)key-[0-9a-f]{32}(?![0-9A-Za-z])"),
    _token("mailchimp-key", "-us", r"[0-9a-f]{32}-us\d{1,2}(?!\w)"),
    _token("resend-key", "re_", r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,40}"),
    _token("npm-token", "npm_", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    _token("pypi-token", "pypi-", r"pypi-[A-Za-z0-9_-]{50,300}"),
    _token("rubygems-key", "rubygems_", r"rubygems_[0-9a-f]{48}"),
    _token("docker-token", "dckr_", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,60}"),
    _token("cloud-token", "dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[0-9a-f]{64}"),
    _token("cloud-token", "hrku- nfp_ fo1_ fm2_", r"(?:HRKU-[0-9A-Za-z_-]{30,70}|nfp_[A-Za-z0-9]{30,60}|f(?:o1|m2)_[A-Za-z0-9_+/=-]{40,500})"),
    _token("database-token", "pscale_ sbp_ sb_secret_ dapi", r"(?:pscale_(?:tkn|pw|oauth)_[\w.=-]{30,80}|sbp_[0-9a-f]{40}|sb_secret_[\w-]{20,60}|dapi[0-9a-f]{32})"),
    _token("vault-token", "hvs. hvb. hvr.", r"hv[sbr]\.[A-Za-z0-9_-]{24,300}"),
    _token("doppler-token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{20,80}"),
    _token("monitoring-key", "nrak- glsa_ glc_ sntrys_ sntryu_", r"(?:NRAK-[A-Z0-9]{27}|gl(?:sa|c)_[A-Za-z0-9_+/=]{32,300}|sntry[su]_[A-Za-z0-9_+/=]{40,300})"),
    _token("shop-token", "shpat_ shpca_ shppa_ shpss_ sq0 eaaa", r"(?:shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|sq0[a-z]{3}-[\w-]{22,60}|EAAA[A-Za-z0-9_-]{56,64})"),
    _token("work-token", "lin_api_ ntn_ figd_ pmak- atatt", r"(?:lin_api_[A-Za-z0-9]{40}|ntn_[A-Za-z0-9]{40,60}|figd_[\w-]{40}|PMAK-[0-9a-f-]{50,70}|ATATT[A-Za-z0-9_=-]{60,300})"),
    _token("work-token", "pat", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    _token("age-key", "age-secret-key-", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    _token("jwt", "eyj", r"eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{4,4000}(?:\.[A-Za-z0-9_-]{0,4000}){0,3}"),
)  # fmt: skip

PRIVATE_KEY = Rule(
    "private-key",
    ("private key",),
    # Nothing behind the header can fail, so there is no backtracking; a truncated key ends where it stops looking like one.
    re.compile(
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:\s|\\[nr]|[A-Za-z0-9+/=]{16,4000}|(?:Proc-Type|DEK-Info|Version|Comment): [^\r\n]{1,100}){0,400}"
        r"(?:[A-Za-z0-9+/=]{1,15}(?:\s|\\[nr]){0,4})?(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?"
    ),
)

# Names of secrets before `=`, `:` or `=>`, in shells, JSON, YAML, URLs, headers and flags.
STRONG = r"passw(?:or)?d|otp|cvv|cvc|passphrase|pwd|client[_-]?secret|secret[_-]?(?:access[_-]?)?key(?:[_-]?base)?|private[_-]?key"
WEAK = (
    r"secret|token|api[_-]?key|apikey|access[_-]?key|auth[_-]?key|account[_-]?key|encryption[_-]?key"
    r"|signing[_-]?key|master[_-]?key|shared[_-]?access[_-]?key|session[_-]?(?:id|key|token)|sid|credentials?"
    r"|x-api-key|signature|sig|jwt|auth|csrf[_-]?token|nonce_secret|webhook[_-]?secret|license[_-]?key"
)
SUFFIX = r"(?:[_-](?:prod|production|staging|test|dev|live|old|new|v?\d{1,2})|\d{1,2})?"
# Where a short name may begin: not within a word, except in camel case.
WORD_START = r"(?:(?<![A-Za-z])|(?-i:(?<=[a-z])(?=[A-Z])))"
SEPARATOR = r"[\"']?\]?\s{0,3}(?:=>|:=|=|:)\s{0,3}"
VALUE = r"(?:\"([^\"\r\n]{1,500})\"|'([^'\r\n]{1,500})'|([^\s\"',;&<>(){}\[\]|]{3,500}))"

CONTEXT = (
    Rule(
        "credential",
        ("authorization",),
        re.compile(
            r"(?i)authorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?"
            r"((?:(?:bearer|basic|token|digest|apikey|ssws|negotiate|aws4-hmac-sha256) {1,4})?[^\s\"',}]{6,4000})"
        ),
        True,
    ),
    Rule(
        "credential",
        ("bearer", "basic"),
        re.compile(r"(?i)\b(?:bearer|basic) {1,4}([A-Za-z0-9._~+/=-]{12,4000})"),
        True,
        lookalikes.is_mixed,
    ),
    Rule(
        "cookie",
        ("cookie",),
        re.compile(
            r"(?i)\b(?:set-)?cookies?[\"']?\s{0,3}[:=]\s{0,3}[\"']?([^\s\"'=;]{1,100}=[^\r\n\"']{1,4000})"
        ),
        True,
    ),
    Rule(
        "password",
        ("://",),
        re.compile(r"(?<=://)[^\s/:@\"'<>]{0,100}:([^\s/@\"'<>]{1,200})(?=@)"),
        True,
    ),
    Rule("credential", ("://",), re.compile(r"(?<=://)([^\s/:@\"'<>]{12,200})(?=@)"), True),
    Rule(
        "password",
        ("pass", "pwd", "secret", "key", "otp", "cvv", "cvc"),
        re.compile(rf"(?i)(?:{STRONG}){SUFFIX}{SEPARATOR}{VALUE}"),
        True,
        lookalikes.is_literal,
    ),
    Rule(
        "password",
        ("--pass", "--pwd", "--token", "--secret", "--api"),
        re.compile(r"(?i)--(?:password|passwd|pwd|token|secret|api-key)[ =]([^\s\"'-][^\s\"']{3,300})"),
        True,
        lookalikes.is_literal,
    ),
    Rule(
        "secret",
        ("secret", "token", "key", "session", "sid", "credential", "sig", "jwt", "auth"),
        re.compile(rf"(?i){WORD_START}(?:{WEAK}){SUFFIX}{SEPARATOR}{VALUE}"),
        True,
        lookalikes.is_random,
    ),
)

PERSONAL = (
    Rule(
        "email",
        ("@",),
        re.compile(
            r"(?<![\w.%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?![\w-])"
        ),
        False,
        lookalikes.is_mail_address,
    ),
    Rule(
        "ip",
        (".",),
        re.compile(r"(?<![\w.-])(?<![A-Za-z]/)\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)"),
        False,
        lookalikes.is_public_v4,
    ),
    Rule(
        "ip",
        (":",),
        re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"),
        False,
        lookalikes.is_public_v6,
    ),
    Rule(
        "card",
        (),
        re.compile(
            r"(?<![\w.:-])(?:\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{3,4}|\d{4}[ -]\d{6}[ -]\d{5}|\d{15,16})(?![\w-]|\.\d)"
        ),
        False,
        lookalikes.is_card_number,
    ),
    Rule(
        "phone",
        ("+",),
        re.compile(
            r"(?<![\w.+/-])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){1,4}(?![\w-]|\.\d)"
        ),
        False,
        lookalikes.is_phone_number,
    ),
    Rule("phone", ("-",), re.compile(r"(?<![\w.:/+-])(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?![\w-])")),
    Rule(
        "phone",
        ("phone", "mobile", "msisdn"),
        re.compile(
            r"(?i)(?:phone(?:[_-]?number)?|mobile|msisdn)[\"']?\s{0,3}[:=]\s{0,3}[\"']?(\d[\d ().-]{6,20}\d)"
        ),
        True,
    ),
)

RULES = (PRIVATE_KEY, *TOKENS, *CONTEXT, *PERSONAL)
