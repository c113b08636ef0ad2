"""What one source file uses of providers: imports, host names and environment variables, with their lines."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from railmend.providers.names import Names
from railmend.providers.registry import Provider
from railmend.source.files import language_of, ships, without_comments
from railmend.source.manifests import is_manifest

PY_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(\w[\w.]*)[ \t]+import[ \t]*([^\n]*)|import[ \t]+(\w[^\n;]*))", re.M
)
JS_IMPORT = re.compile(r"(?:\bfrom|\brequire\(|\bimport\(|\bimport)\s*[\"'`]([^\"'`\n]{1,200})[\"'`]")
GO_IMPORT = re.compile(
    r"^[ \t]*(?:import[ \t]+)?(?:[\w.]+[ \t]+)?\"([a-z0-9.-]+\.[a-z]+/[^\"\s]+)\"[ \t]*$", re.M
)
RUBY_REQUIRE = re.compile(r"^[ \t]*require[ \t(]*[\"']([^\"'\n]+)[\"']", re.M)
RUST_USE = re.compile(r"^[ \t]*(?:pub[ \t]+)?(?:use|extern[ \t]+crate)[ \t]+(?:::)?([a-z_]\w*)", re.M)
JAVA_IMPORT = re.compile(r"^[ \t]*import[ \t]+(?:static[ \t]+)?([\w.]+)", re.M)
CS_USING = re.compile(
    r"^[ \t]*(?:global[ \t]+)?using[ \t]+(?:static[ \t]+)?(?:\w+[ \t]*=[ \t]*)?([\w.]+)[ \t]*;", re.M
)
PHP_USE = re.compile(r"^[ \t]*use[ \t]+\\?([\w\\]+)", re.M)
NPM_URL = re.compile(r"^(?:npm:|https://(?:esm\.sh|cdn\.skypack\.dev|esm\.run|cdn\.jsdelivr\.net/npm)/)(.+)$")

VARIABLE = re.compile(
    r"(?:process\.env|import\.meta\.env|Bun\.env)(?:\??\.|\[\s*[\"'`])([A-Z][A-Z0-9_]{2,})"
    # `env`, `os.getenv`, `environ.get`, `ENV.fetch`, `std::env::var`, and a project's own `require_env`.
    r"|\b(?:\w{0,40}(?:[eE]nv|ENV)\w{0,40}!?(?:(?:\.|::)\w{1,20})?|dotenvy::var|config)\s*[\[(]\s*"
    r"[\"']([A-Z][A-Z0-9_]{2,})[\"']"
    r"|\$\{([A-Z][A-Z0-9_]{2,})(?=[:}])"
)
# Where a service's settings are declared or looked up: schemas of zod, Joi and envalid, as t3-env has them;
# Nest's ConfigService and viper; tags of Go; credentials of Rails.
DECLARED = re.compile(
    r"\b([A-Z][A-Z0-9_]{2,})\s*:\s*(?:z|[Jj]oi|v|envalid|str|url|host|email|makeValidator)\b\s*[.(]"
    r"|\b(?:[\w]*[cC]onfig(?:Service)?|viper|[eE]nv)\s*\.\s*(?:[gG]et\w*|require\w*)\s*(?:<[^>\n]{0,80}>)?\(\s*"
    r"[\"'`]([\w.]{3,80})[\"'`]"
    r"|\b(?:env|environment|settings)\.([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b"
    r"|`[^`\n]{0,200}\benv(?:config)?:\"([A-Z][A-Z0-9_]{2,})"
    r"|\bcredentials(?:&?\.dig\(\s*:|\[:|&?\.)([a-z]\w{2,})"
)
# Fields of pydantic's settings, whose names are those of variables.
SETTINGS_CLASS = re.compile(r"^class \w+\([^)\n]*Settings\b[^)\n]*\):[^\n]*\n((?:[ \t]+[^\n]*\n|\n)*)", re.M)
FIELD = re.compile(r"^[ \t]+([A-Za-z]\w{2,})[ \t]*:[ \t]", re.M)
# So many characters of its line before and after a host tell what it is.
NEAR = 500
# A host that is shown to people, not called, and one that an address is compared with.
SHOWN = re.compile(r"placeholder|\be\.g\.|example|help_?text|description|tooltip|\bhint\b", re.I)
PLACEHOLDER = re.compile(r"placeholder=\{[^{}<>]{0,200}\Z", re.I)
COMPARED = re.compile(
    r"(?:(?:starts?_?with|ends?_?with|hasprefix|hassuffix|includes?\??|contains|indexof|match(?:es)?)\(\s*|[!=]==?\s*)"
    r"[\"'`](?:https?://)?\Z",
    re.I,
)
# One of a list of domains, which has neither a scheme nor a path.
LISTED_BEFORE, LISTED_AFTER = re.compile(r"[\"'`]\s*,\s*[\"'`]\Z"), re.compile(r"[\"'`]\s*,\s*[\"'`][\w-]+\.")
USER_INTERFACE = (".vue", ".svelte", ".astro", ".tsx", ".jsx")
DESTRUCTURED = re.compile(r"\{([^{}]{1,1000})\}\s*=\s*(?:process|import\.meta|Bun)\.env\b")
NAME = re.compile(r"\b[A-Z][A-Z0-9_]{2,}\b")
# A client with another address than its library's default, by protocol. A path is no address.
_ASSIGNED = r"[\"']?\s*(?:=>|[:=])\s*(?!None\b|null\b|undefined\b|[\"'`]/)"
ADDRESS_SET = {
    "s3": re.compile(
        rf"\b(?:endpoint_url|endpointUrl|endpoint|BaseEndpoint|ServiceURL){_ASSIGNED}"
        r"|\b(?:endpointOverride|endpoint_url)\("
    ),
    "openai": re.compile(
        rf"\b(?:base_url|baseURL|baseUrl|BaseURL|uri_base){_ASSIGNED}|\b(?:WithBaseURL|with_api_base)\("
    ),
}
# In these languages namespaces are so general that the package must be declared as well.
NEEDS_PACKAGE = frozenset({"rust", "csharp", "php"})


class CodeMatch(NamedTuple):
    """A trace of a provider in code. `kind`: import, host or variable."""

    kind: str
    name: str
    line: int
    provider: Provider


def read(path: str, text: str, names: Names) -> Iterator[CodeMatch]:
    """Yield the traces of providers in a file; none if it does not ship or is not code.

    Manifests are left out: their addresses are their own home page and where packages are downloaded from.
    """
    language = language_of(path)
    if language is None or not ships(path) or is_manifest(path):
        return
    clean = without_comments(text, language)
    for position, name, provider in _imports(language, clean, names):
        yield CodeMatch("import", name, _line(clean, position), provider)
    for position, name, provider in names.hosts_in(clean):
        if _is_called(path, clean, position, position + len(name)):
            yield CodeMatch("host", name, _line(clean, position), provider)
    for match in VARIABLE.finditer(clean):
        yield from _variable(match[1] or match[2] or match[3], match.start(), clean, names)
    for name, position in _declared(language, clean):
        yield from _variable(name, position, clean, names)
    for match in DESTRUCTURED.finditer(clean):
        for word in NAME.finditer(match[1]):
            yield from _variable(word[0], match.start(1) + word.start(), clean, names)


def _declared(language: str, text: str) -> Iterator[tuple[str, int]]:
    """Yield the names of variables in declarations of settings, and where they stand."""
    for match in DECLARED.finditer(text):
        name = next(group for group in match.groups() if group)
        yield f"{name.upper().replace('.', '_')}{'_' if match[5] else ''}", match.start()
    if language == "python":
        for settings in SETTINGS_CLASS.finditer(text):
            for field in FIELD.finditer(settings[1]):
                yield field[1].upper(), settings.start(1) + field.start(1)


def _is_called(path: str, text: str, position: int, end: int) -> bool:
    """Tell whether a host is one that code calls, not a preset or an example for whoever fills in a form."""
    start = text.rfind("\n", 0, position) + 1
    line_end = text.find("\n", end)
    line = text[max(start, position - NEAR) : min(line_end if line_end >= 0 else len(text), end + NEAR)]
    before = text[max(start, position - 80) : position]
    if SHOWN.search(line) or COMPARED.search(before):
        return False
    if LISTED_BEFORE.search(before) or (before.endswith(('"', "'", "`")) and LISTED_AFTER.match(text, end)):
        return False
    if not path.endswith(USER_INTERFACE):
        return True
    return "://" in before and not PLACEHOLDER.search(text, max(position - 240, 0), position)


def sets_address(path: str, text: str, protocols: Iterable[str]) -> bool:
    """Return whether a client of one of the protocols gets an address other than its library's default."""
    language = language_of(path)
    if language is None:
        return False
    clean = without_comments(text, language)
    return any(ADDRESS_SET[protocol].search(clean) for protocol in protocols)


def _variable(name: str, position: int, text: str, names: Names) -> Iterator[CodeMatch]:
    if provider := names.variable(name):
        yield CodeMatch("variable", name, _line(text, position), provider)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _imports(language: str, text: str, names: Names) -> Iterable[tuple[int, str, Provider]]:
    find = FINDERS.get(language)
    if find is None:
        return
    for position, name, provider in find(text, names):
        if provider is not None:
            yield position, name, provider


ImportMatches = Iterator[tuple[int, str, Provider | None]]


def _python(text: str, names: Names) -> ImportMatches:
    for match in PY_IMPORT.finditer(text):
        source, imported, modules_list = match.groups()
        if source:
            parts = re.findall(r"\w+", re.sub(r"\bas\s+\w+", "", imported))
            modules = [f"{source}.{part}" for part in parts] or [source]
        else:
            modules = [words[0] for item in modules_list.split(",") if (words := item.split())]
        for module in modules:
            yield match.start(), module, names.imported("python", module)


def npm_package(specifier: str) -> str | None:
    """Return the package of an import specifier; None for a path within the repository."""
    if match := NPM_URL.match(specifier):
        specifier = match[1]
    elif specifier.startswith((".", "/", "~", "#", "@/")) or ":" in specifier:
        return None
    parts = specifier.split("/")
    name = "/".join(parts[:2]) if specifier.startswith("@") else parts[0]
    return re.sub(r"(?<=.)@.*$", "", name)


def _javascript(text: str, names: Names) -> ImportMatches:
    for match in JS_IMPORT.finditer(text):
        if package := npm_package(match[1]):
            yield match.start(), package, names.package("npm", package)


def _finder(
    pattern: re.Pattern[str],
    look_up: Callable[[Names, str], Provider | None],
    spellings: Callable[[str], Iterable[str]] = lambda name: (name,),
) -> Callable[[str, Names], ImportMatches]:
    """Return a finder of what a pattern imports. `spellings`: the names that it may have in the registry."""

    def find(text: str, names: Names) -> ImportMatches:
        for match in pattern.finditer(text):
            for name in dict.fromkeys(spellings(match[1])):
                yield match.start(), name, look_up(names, name)

    return find


FINDERS: dict[str, Callable[[str, Names], ImportMatches]] = {
    "python": _python,
    "javascript": _javascript,
    "component": _javascript,
    "go": _finder(GO_IMPORT, lambda names, name: names.package("go", name)),
    "ruby": _finder(
        RUBY_REQUIRE,
        lambda names, name: names.package("rubygems", name),
        lambda name: (name.replace("/", "-"), name.partition("/")[0]),
    ),
    "rust": _finder(
        RUST_USE,
        lambda names, name: names.package("cargo", name),
        lambda name: (name, name.replace("_", "-")),
    ),
    "java": _finder(JAVA_IMPORT, lambda names, name: names.imported("java", name)),
    "csharp": _finder(CS_USING, lambda names, name: names.imported("csharp", name)),
    "php": _finder(
        PHP_USE, lambda names, name: names.imported("php", name), lambda name: (name.replace("\\", "."),)
    ),
}
