# ruff: noqa: E501 - one rule a line, to be read as a table
"""Redaction rules for what betrays itself by its shape: vendors' tokens, addresses with credentials, personal data.

Every repeat is bounded, so that no crafted line is slow. A rule is tried only where the text contains one of
its needles (lower case). Sources of the formats: the vendors' documentation and the rules of gitleaks (MIT).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
    before = match.string[match.start() - 1 : match.start()]
    return not before.isalnum()


def _random_tail(match: re.Match[str]) -> bool:
    """Return whether what follows the words of a prefix looks random."""
    tail = re.split(r"[_-](?=[A-Za-z0-9]{8})", match[0])[-1]
    public = re.match(r"(?:[a-z0-9]+[_-])?(?:pk|pub|public|publishable)[_-]", match[0])
    return _stands_alone(match) and not public and lookalikes.looks_random(tail, 14)


def _token(kind: str, needles: str, pattern: str) -> Rule:
    """Return a token known by its prefix. The pattern begins with the prefix, which makes the search fast."""
    return Rule(kind, tuple(needles.split()), re.compile(pattern), _stands_alone)


TOKENS = (
    _token("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_(?:[A-Za-z0-9]{20,255}|\d{1,12}_eyJ[\w.-]{20,1000})"),
    _token("github-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{20,255}"),
    _token("gitlab-token", "glpat- gldt- glrt- glcbt- glptt- glft- glffct- glimt- glagent- gloas- glsoat- gr1348941", r"(?:gl(?:pat|dt|rt|cbt|ptt|ft|ffct|imt|agent|oas|soat)-|GR1348941)[\w.-]{20,300}"),
    _token("aws-key", "akia asia abia acca a3t", r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _token("aws-key", "absk bedrock-api-key-", r"(?:ABSK[A-Za-z0-9+/]{100,280}={0,2}|bedrock-api-key-[A-Za-z0-9+/=]{20,2000})"),
    _token("stripe-key", "sk_ rk_ whsec_", r"(?:[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,250}|whsec_[A-Za-z0-9+/=]{20,100})"),
    _token("model-key", "sk-", r"sk-[A-Za-z0-9_-]{20,250}"),
    _token("model-key", "gsk_ xai- pplx- r8_ hf_ nvapi- api_org_", r"(?:gsk_|xai-|pplx-|r8_|hf_|nvapi-|api_org_)[A-Za-z0-9_-]{20,200}"),
    _token("slack-token", "xox xapp-", r"(?:xox[abeprso](?:\.xox[bp])?|xapp)-[A-Za-z0-9-]{10,250}"),
    _token("slack-webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{20,200}"),
    _token("discord-webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/\d{10,25}/[\w-]{40,120}"),
    _token("teams-webhook", ".webhook.office.com", r"[a-z0-9]{1,60}\.webhook\.office\.com/webhookb2/[\w@/-]{60,300}"),
    _token("discord-token", ".", r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}(?![\w-])"),
    _token("telegram-token", ":a", r"\d{8,10}:A[A-Za-z0-9_-]{33,35}(?![\w-])"),
    _token("google-key", "aiza", r"AIza[A-Za-z0-9_-]{35}"),
    _token("google-token", "ya29. gocspx- 1//0", r"(?:ya29\.[A-Za-z0-9_-]{20,500}|GOCSPX-[A-Za-z0-9_-]{20,60}|1//0[A-Za-z0-9_-]{40,120})"),
    _token("azure-key", "q~", r"[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}"),
    _token("sendgrid-key", "sg.", r"SG\.[A-Za-z0-9_=-]{16,32}\.[A-Za-z0-9_=.-]{30,60}"),
    _token("mail-key", "xkeysib- xsmtpsib- ezak eztk pubkey-", r"(?:x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}|EZ[AT]K[A-Za-z0-9]{54})"),
    _token("twilio-key", "sk", r"SK[0-9a-fA-F]{32}(?![0-9A-Za-z])"),
    _token("mailgun-key", "key-", r"(?<!-)key-[0-9a-f]{32}(?![0-9A-Za-z])"),
    _token("mailchimp-key", "-us", r"[0-9a-f]{32}-us\d{1,2}(?!\w)"),
    _token("resend-key", "re_", r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,40}"),
    _token("package-token", "npm_ pypi- rubygems_ clojars_ akcp cmvmd oy2", r"(?:npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])|pypi-[A-Za-z0-9_-]{50,1000}|rubygems_[0-9a-f]{48}|(?i:clojars_)[A-Za-z0-9]{60}|AKCp[A-Za-z0-9]{69}|cmVmd[A-Za-z0-9]{59}|oy2[a-z0-9]{43}(?![a-z0-9]))"),
    _token("docker-token", "dckr_", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,60}"),
    _token("cloud-token", "dop_v1_ doo_v1_ dor_v1_ v1.0- tk-us- pul- ltai", r"(?:do[opr]_v1_[0-9a-f]{64}|v1\.0-[a-f0-9]{24}-[a-f0-9]{146}|tk-us-[\w-]{48}|pul-[a-f0-9]{40}|LTAI[A-Za-z0-9]{20}(?![A-Za-z0-9]))"),
    _token("cloud-token", "tskey- vcp_ vci_ vca_ vcr_ vck_ cfat_ cfut_ cfk_", r"(?:tskey-[a-z]{2,12}-[A-Za-z0-9-]{20,80}|vc[pciark]_[A-Za-z0-9]{30,80}|cf(?:at|ut|k)_[A-Za-z0-9]{30,80})"),
    _token("cloud-token", "hrku- nfp_ fo1_ fm1 fm2_", r"(?:HRKU-[0-9A-Za-z_-]{30,70}|nfp_[A-Za-z0-9]{30,60}|f(?:o1|m1[ar]|m2)_[A-Za-z0-9_+/=-]{40,500})"),
    _token("database-token", "pscale_ sbp_ sb_secret_ dapi 4b1d aivencloud", r"(?:pscale_(?:tkn|pw|oauth)_[\w.=-]{30,80}|sbp_[0-9a-f]{40}|sb_secret_[\w-]{20,60}|dapi[0-9a-f]{32}|4b1d[A-Za-z0-9]{38}(?![A-Za-z0-9])|AVNS_[A-Za-z0-9_-]{15,30})"),
    _token("vault-token", "hvs. hvb. hvr. s.", r"(?:hv[sbr]\.[A-Za-z0-9_-]{24,300}|s\.(?=[A-Za-z]{0,23}\d)[A-Za-z0-9]{24}(?![\w.]))"),
    _token("doppler-token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{20,80}"),
    _token("terraform-token", ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}"),
    _token("vault-token", "ops_eyj a3-", r"(?:ops_eyJ[A-Za-z0-9+/_-]{100,2000}={0,3}|A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3})"),
    _token("monitoring-key", "nrak- nrii- nrjs- glsa_ glc_ sntrys_ sntryu_ dt0c01.", r"(?:NRAK-[A-Z0-9]{27}|NRII-[A-Za-z0-9-]{32}|NRJS-[a-f0-9]{19}|gl(?:sa|c)_[A-Za-z0-9_+/=]{32,400}|sntry[su]_[A-Za-z0-9_+/=]{40,500}|dt0c01\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64})"),
    _token("shop-token", "shpat_ shpca_ shppa_ shpss_ sq0 eaaa flwseck", r"(?:shp(?:at|ca|pa|ss)_[0-9a-zA-Z]{30,64}|sq0[a-z]{3}-[\w-]{22,60}|EAAA[A-Za-z0-9_-]{22,64}|FLWSECK(?:_TEST)?-[A-Za-z0-9]{12,40}(?:-X)?)"),
    _token("facebook-token", "eaa", r"EAA[A-Za-z0-9]{90,300}"),
    _token("work-token", "lin_api_ ntn_ figd_ pmak- atatt api- fio-u- rdme_ _mmk", r"(?:lin_api_[A-Za-z0-9]{40}|ntn_[A-Za-z0-9]{40,60}|figd_[\w-]{40}|PMAK-[0-9a-f-]{50,70}|ATATT[A-Za-z0-9_=-]{60,300}|API-[A-Z0-9]{26}(?!\w)|fio-u-[\w=-]{60,70}|rdme_[a-z0-9]{70}|[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk)"),
    _token("work-token", "pat sat.", r"(?:pat[A-Za-z0-9]{14}\.[0-9a-f]{64}|[ps]at\.[\w-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20})"),
    _token("work-token", "p8e- pnu_ ico- sgp_ s-s4t2 sha256~ sm_ tfp_ sonar sqp_ squ_ sqa_ access- dnkey- aqvn t1. sl. sdk-", r"(?:p8e-[A-Za-z0-9]{32}|pnu_[A-Za-z0-9]{36}|ico-[A-Za-z0-9]{32}|sgp_(?:(?:[a-fA-F0-9]{16}|local)_)?[a-fA-F0-9]{40}|s-s4t2(?:ud|af)-[a-f0-9]{64}|sha256~[\w-]{43}|sm_[aps]at_[A-Za-z0-9]{16}|tfp_[\w.=-]{40,60}|sq[aup]_[\w=-]{40}|access-(?:sandbox|development|production)-[0-9a-f-]{36}|dnkey-[\w=-]{26}-[\w=-]{52}|AQVN[\w-]{35,38}|t1\.[\w-]{10,200}={0,2}\.[\w-]{86}={0,2}|sl\.[\w=-]{130,140}|sdk-[0-9a-f]{8}-[0-9a-f-]{27})"),
    _token("age-key", "age-secret-key-", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    _token("service-token", "authress_ scauth_ sc_ ext_ zxlk eyjrijoi |", r"(?:(?:sc|ext|scauth|authress)_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[\w+/=-]{30,120}|ZXlK[A-Za-z0-9_-]{40,4000}|eyJrIjoi[A-Za-z0-9+/]{60,400}={0,3}|\d{15,16}\|[\w-]{27,40}(?![\w-]))"),
    _token("jwt", "eyj", r"eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{4,4000}(?:\.[A-Za-z0-9_-]{0,4000}){0,3}"),
    _token("password-hash", "$2 $argon2 $5$ $6$ $1$ $y$ pbkdf2 scrypt {ss", r"(?:\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{20,60}|\$argon2(?:id|i|d)\$[\w=,+/$-]{20,200}|\$(?:[156y]|md5|apr1)\$[\w./$=]{12,140}|pbkdf2[_:]sha\d+[$:]\d+[$:][\w+/=$:.-]{16,200}|scrypt:\d+:\d+:\d+\$[\w$+/=]{16,200}|\{SSHA\d{0,3}\}[\w+/=]{20,120})"),
    # A prefix that calls itself a secret, of whichever vendor.
    Rule("token", ("sk_", "sk-", "secret", "token", "pat", "live", "test_", "prod_", "api", "auth", "access", "refresh", "priv"), re.compile(r"(?<![\w/.-])(?:[a-z0-9]{1,12}[_-]){0,3}(?:sk|rk|secret|token|pat|live|test|prod|apikey|api|priv|private|auth|oauth|access|refresh)[_-](?:[a-z0-9]{1,10}[_-]){0,2}[A-Za-z0-9](?:[\w-]{15,200})(?![\w-])=?"), _random_tail),
)  # fmt: skip

# Addresses, headers, command lines and sentences in which the place betrays the secret.
CONTEXT = (
    # With a raw `@`, `/` or `#` in the password; what looks like a port and a path is none.
    Rule("password", ("://",), re.compile(r"(?<=://)[^\s/:@\"'<>\\]{0,100}:(?!\d{1,5}/)([^\s\"'<>\\]{1,200})(?=@[\w.\[{$*-]{1,200}(?:[:/?,\s\"'<>);\\]|\Z))"), lambda match: _unreferenced(match[1])),
    Rule("credential", ("://",), re.compile(r"(?<=://)([^\s/:@\"'<>\\]{12,200}):?(?=@)"), lambda match: _unreferenced(match[1])),
    Rule("password", ("@tcp(", "@unix(", "@udp(", "@("), re.compile(r"(?<![\w/])[\w.-]{1,60}:([^\s\"'<>]{1,200})@(?:tcp|unix|udp)?\("), lambda match: _unreferenced(match[1])),
    Rule("password", ("@",), re.compile(r"(?<![\w/@])[\w.-]{1,60}/([^\s\"'/@]{3,100})@(?://)?[\w.-]{1,100}:\d{2,5}[/:]\w"), lambda match: _unreferenced(match[1])),
    Rule("password", ("@",), re.compile(r"(?<![\w/@:])[\w.-]{1,60}:([^\s\"'/@:]{3,100})@[A-Za-z][\w.-]{1,100}(?::\d{2,5}(?!\d)|/\w)"), lambda match: lookalikes.has_letters_and_digits(match[1]) or len(match[1]) >= 8),
    Rule("credential", ("authorization", "authorisation"), re.compile(r"(?i)authori[sz]ation[\"'`]?\]?\s{0,3}(?:=>|[:=,])\s{0,3}[\[(]?[\"'`]?((?:(?:bearer|basic|token|digest|apikey|api-key|ssws|negotiate|key|aws4-hmac-sha256) {1,4})?[^\s\"'`,\])}]{6,4000}(?:, ?\w{1,20}=\"?[^\s\",]{1,400}\"?){0,12})"), lambda match: _credential(match[1])),
    Rule("credential", ("bearer", "basic"), re.compile(r"(?i)\b(?:bearer|basic)(?: {1,4}|%20|\+|[\"'`]?\s{0,2}[:=,]\s{0,2}[\"'`]?)([A-Za-z0-9._~+/=-]{8,4000})"), lambda match: lookalikes.is_mixed(match[1]) and lookalikes.is_opaque(match[1]) and not re.match(r"[a-z_]+=.", match[1])),
    Rule("cookie", ("cookie",), re.compile(r"(?i)\b(?:set-)?cookies?[\"'`]?\]?\s{0,3}(?:=>|[:=,])\s{0,3}[\[(]?[\"'`]?([^\s\"'`=;<>]{1,100}=[^\r\n\"'`<>]{1,4000})"), lambda match: not match[1].endswith((";", ",")) or len(match[1]) > 40),
    Rule("password", ("mysql", "mariadb", "redis-cli", "valkey-cli", "sshpass", "login ", "mongo", "twine", "skopeo", "cockroach", "sqlcmd", "mosquitto_", "zip", "7z", "ldap", "htpasswd", "curl", "wget", "http", "xh ", "restic", "rabbitmqctl", "smbclient", "requirepass", "masterauth", "-passin", "-passout", "auth ", "pass "), re.compile(
        r"(?:\b(?:mysql|mysqldump|mysqladmin|mariadb|mysqlsh)\b[^\n|;]{0,200}?\s-p(?=\S)"
        r"|\b(?:redis-cli|valkey-cli)\b[^\n|;]{0,200}?\s(?:-a|--pass)[\s=]{1,3}"
        r"|\b(?:sshpass|docker login|podman login|helm registry login|mongo(?:sh|dump|restore)?|az login|oc login|cockroach|twine|skopeo|nexus|cf login|influx)\b[^\n|;]{0,200}?\s-p[\s=]{0,3}"
        r"|\b(?:sqlcmd|mosquitto_(?:pub|sub)|zip|bcp|isql)\b[^\n|;]{0,200}?\s-P[\s=]{0,3}|\b7z\b[^\n|;]{0,100}?\s-p(?=\S)"
        r"|\bldap(?:search|modify|add|whoami|passwd)\b[^\n|;]{0,200}?\s-[wys] {1,3}|\bhtpasswd\b[^\n|;]{0,100}?\s-\w*b\w* \S{1,100} \S{1,60} "
        r"|\b(?:curl|wget|http|https|xh|restic)\b[^\n|;]{0,300}?\s(?:-u|--user|-a|--auth|--proxy-user|-U)[\s=]{0,3}[\"']?[^\s:\"']{1,80}:"
        r"|\brabbitmqctl (?:add_user|change_password) \S{1,60} |\bsmbclient\b[^\n|;]{0,200}?\s-U \S{1,60}%|\b(?:requirepass|masterauth) {1,3}"
        r"|-pass(?:in|out) pass:|\blogin \S{1,80}\s{1,3}password |\bAUTH (?:PLAIN |LOGIN |default )?|\bPASS )"
        r"[\"']?([^\s\"']{3,300})"), lambda match: lookalikes.is_literal(match[1]) and (lookalikes.has_letters_and_digits(match[1]) or not re.search(r"(?:AUTH|PASS) [^ ]*$", match[0]))),
    # One-time codes, in paths, in queries and in sentences.
    Rule("one-time-code", ("reset", "verif", "confirm", "magic", "invit", "activat", "unsubscribe", "recover", "one-time", "onetime", "unlock", "validate"), re.compile(r"(?i)/[\w-]{0,30}(?:reset|verif\w{0,8}|confirm\w{0,6}|magic|invit\w{0,6}|activat\w{0,4}|unsubscribe|recover\w{0,2}|one-?time|unlock|validate)[\w-]{0,24}/(?:[\w-]{1,24}/)?([A-Za-z0-9_.~=-]{6,400})"), lambda match: lookalikes.looks_random(match[1], 8) or bool(re.fullmatch(r"\d{6,8}", match[1]))),
    Rule("one-time-code", ("code=", "state=", "hash=", "ticket=", "nonce=", "assertion=", "samlresponse=", "otp=", "oob"), re.compile(r"(?i)[?&;](?:oob)?(?:code|state|hash|ticket|nonce|assertion|samlresponse)=([^\s\"'&;<>#]{8,4000})"), lambda match: lookalikes.looks_random(match[1])),
    Rule("one-time-code", ("code", "otp", "pin", "2fa", "passcode"), re.compile(r"(?i)\b(?:(?:verification|security|one[- ]?time|confirmation|login|sign[- ]?in|authenticat\w{0,4}|auth|access|activation|recovery|backup|sms|2fa|mfa|reset)[ _-]{0,2}(?:code|pin|passcode)|totp|otp|2fa|passcode)s?[\"'`]?(?: (?:code|is|was|of|to|sent|for \S{1,60}))*\s{0,2}[:=#-]?>?\s{0,2}[\"'`]?(\d{4,8}|\d{3}[ -]\d{3}|[A-Z0-9]{4,5}-[A-Z0-9]{4,5})(?![\w-]|\.\d)")),
    Rule("one-time-code", ("code", "otp", "pin"), re.compile(r"(?i)(?<![\w.-])(\d{4,8}|[A-Z0-9]{4,5}-[A-Z0-9]{4,5}) (?:is|as) (?:your|the|his|her|their) [\w -]{0,30}?(?:code|otp|pin|passcode)\b")),
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
    return not lookalikes.REFERENCE.fullmatch(text) and not lookalikes.PLACEHOLDER.search(text)


def _credential(text: str) -> bool:
    """Return whether a header's value carries something: not a reference, nor a word that says what it is."""
    secret = text.split(" ")[-1]
    return lookalikes.is_literal(secret) and (lookalikes.is_mixed(secret) or "=" in text)
