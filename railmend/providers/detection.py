"""Detect which providers a service uses; what is not seen is not claimed.

Neither a dependency of tests or tools, a comment, a README nor a log line that merely mentions a host is use.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from railmend.contracts.providers import Strength, Trace, UsedProvider
from railmend.providers.calls import FailedCalls, failing_calls
from railmend.providers.code import NEEDS_PACKAGE, CodeMatch, read, sets_address
from railmend.providers.names import Names, known_names
from railmend.providers.registry import Provider
from railmend.source.files import language_of, ships
from railmend.source.manifests import manifests_of, runtime_packages

MAX_TRACES = 4
# Laravel's configuration comes with these, whether they are used or not.
SCAFFOLD = re.compile(
    r"(?:^|/)config/(?:services|cache|mail|queue|filesystems|broadcasting|logging|session|database|scout)\.php$"
)
SCAFFOLDED = frozenset(
    ("aws", "mailgun", "postmark", "resend", "slack", "pusher", "ably", "algolia", "papertrail", "sendgrid")
)
# Files that name providers without using them: scripts beside the service, data, other tools' settings.
FOR_SHOW = re.compile(
    r"(?:^|/)(?:scripts?|tools?|hack|migrations?|seeds?|data|locales?|i18n|lang|presets?|grafana|prometheus|helm"
    r"|charts|k8s|kubernetes|terraform|ansible)/"
    r"|(?:domains|presets|templates|snapshots?|catalog)\.\w+$"
    r"|(?:^|/)(?!(?:\w+[.-])?(?:config|settings|appsettings|application|app|env)[\w.-]*\.)[^/]+\.json$",
    re.I,
)
STRENGTHS = {
    "dns": Strength.SEEN,
    "flow": Strength.SEEN,
    "log": Strength.SEEN,
    "import": Strength.CALLED,
    "host": Strength.CALLED,
    "variable": Strength.CALLED,
    "package": Strength.DECLARED,
    "service variable": Strength.DECLARED,
}
ORDER = {strength: position for position, strength in enumerate(Strength)}


@dataclass(frozen=True)
class RunTime:
    """Observations of the running service, names only; `log_lines` are oldest first."""

    log_lines: Iterable[str] = ()
    resolved: Collection[str] = ()  # host names it looked up
    unresolved: Collection[str] = ()  # host names whose look-up failed
    connected: Collection[str] = ()  # host names of peers it exchanged traffic with
    dropped: Collection[str] = ()  # host names of peers whose traffic was dropped


@dataclass
class _ProviderEvidence:
    """Evidence for one provider: kind, name, first location.

    `address_set`: its library gets another address.
    """

    provider: Provider
    traces: dict[tuple[str, str], str] = field(default_factory=dict)
    failed: FailedCalls = field(default_factory=FailedCalls)
    address_set: bool = False

    def add(self, kind: str, name: str, where: str) -> None:
        self.traces.setdefault((kind, name), where)

    def kinds(self) -> set[str]:
        return {kind for kind, _ in self.traces}


def detect(
    files: Iterable[tuple[str, str]],
    *,
    runtime: RunTime | None = None,
    variables: Collection[str] | None = None,
    names: Names | None = None,
) -> tuple[UsedProvider, ...]:
    """Return the providers in use, those with failing calls and strong evidence first.

    `files`: paths (from the service's root directory) and texts. `variables`: names of the service's
    variables, None if unknown; a variable that code reads but the service does not have does not count.
    """
    names = names or known_names()
    by_provider: dict[str, _ProviderEvidence] = {}
    paths = dict(files)
    _from_manifests(paths, names, by_provider)
    _from_code(paths, names, by_provider, variables)
    for name in sorted(variables or ()):
        if provider := names.variable(name):
            _evidence(by_provider, provider).add("service variable", name, "variables of the service")
    _from_runtime(runtime or RunTime(), names, by_provider)
    used = [_used(evidence) for evidence in by_provider.values() if not _calls_another(evidence, by_provider)]
    return tuple(sorted(used, key=lambda used: (-used.failing_calls, ORDER[used.strength], used.provider)))


def _evidence(by_provider: dict[str, _ProviderEvidence], provider: Provider) -> _ProviderEvidence:
    return by_provider.setdefault(provider.id, _ProviderEvidence(provider))


def _from_manifests(
    paths: Mapping[str, str], names: Names, by_provider: dict[str, _ProviderEvidence]
) -> None:
    """Leave out examples, and lock files beside their manifest, which shows what is a direct dependency."""
    lowered = {path.lower() for path in paths}
    for path, text in paths.items():
        if not ships(path) or not lowered.isdisjoint(manifests_of(path)):
            continue
        for ecosystem, package in runtime_packages(path, text):
            if provider := names.package(ecosystem, package):
                _evidence(by_provider, provider).add("package", package, path)


def _from_code(
    paths: Mapping[str, str],
    names: Names,
    by_provider: dict[str, _ProviderEvidence],
    variables: Collection[str] | None,
) -> None:
    own = _own_modules(paths)
    # What may be there for show comes last, and counts only for a provider that is used elsewhere.
    for_show = {path for path in paths if FOR_SHOW.search(path) or SCAFFOLD.search(path)}
    for path, text in sorted(paths.items(), key=lambda item: item[0] in for_show):
        for match in read(path, text, names):
            if not (match.provider.id in by_provider or _is_set(match, variables)) and (
                FOR_SHOW.search(path) or (SCAFFOLD.search(path) and match.provider.id in SCAFFOLDED)
            ):
                continue
            if _is_credible(match, path, own, by_provider, variables):
                evidence = _evidence(by_provider, match.provider)
                evidence.add(match.kind, match.name, f"{path}:{match.line}")
                if match.kind == "import" and evidence.provider.portable and not evidence.address_set:
                    evidence.address_set = sets_address(path, text, evidence.provider.portable)


def _is_set(match: CodeMatch, variables: Collection[str] | None) -> bool:
    return match.kind == "variable" and variables is not None and match.name in variables


def _own_modules(paths: Mapping[str, str]) -> set[str]:
    """Names of Python modules of the repository itself."""
    own: set[str] = set()
    for path in paths:
        pure = PurePosixPath(path)
        if pure.suffix == ".py":
            own |= {pure.stem, *pure.parts[:-1]}
    return own


def _is_credible(
    match: CodeMatch,
    path: str,
    own: set[str],
    by_provider: Mapping[str, _ProviderEvidence],
    variables: Collection[str] | None,
) -> bool:
    if match.kind == "variable":
        return variables is None or match.name in variables
    if match.kind != "import":
        return True
    language = language_of(path) or ""
    evidence = by_provider.get(match.provider.id)
    declared = evidence is not None and "package" in evidence.kinds()
    if language in NEEDS_PACKAGE:
        return declared
    if language == "python":
        return declared or match.name.partition(".")[0] not in own
    return True


def _from_runtime(runtime: RunTime, names: Names, by_provider: dict[str, _ProviderEvidence]) -> None:
    for kind, hosts, where, failed in (
        ("dns", runtime.resolved, "names it resolved", False),
        ("dns", runtime.unresolved, "look-ups that failed", True),
        ("flow", runtime.connected, "peers it talked to", False),
        ("flow", runtime.dropped, "peers whose traffic was dropped", True),
    ):
        for host in sorted(hosts):
            if provider := names.host(host):
                evidence = _evidence(by_provider, provider)
                evidence.add(kind, host, where)
                if failed:
                    evidence.failed.add(1, {host: 1})
    for provider_id, calls in failing_calls(runtime.log_lines, names).items():
        evidence = _evidence(by_provider, names.provider(provider_id))
        # Never the line itself, which may contain anything.
        evidence.add("log", next(iter(calls.hosts), "its library"), "deploy logs")
        evidence.failed.add(calls.events, calls.hosts)


def _calls_another(evidence: _ProviderEvidence, by_provider: Mapping[str, _ProviderEvidence]) -> bool:
    """Whether only the provider's library is there, and it calls another provider that has the same protocol.

    So `boto3` with an address of Cloudflare R2 is no use of AWS, and the `openai` package with an address of
    Groq, or with one that only a variable's value tells, is no use of OpenAI.
    """
    for protocol, portable in evidence.provider.portable.items():
        others = [
            other
            for other in by_provider.values()
            if protocol in other.provider.speaks and not other.kinds() & {"package", "import"}
        ]
        if (others or evidence.address_set) and all(_matches(name, portable) for _, name in evidence.traces):
            return True
    return False


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _used(evidence: _ProviderEvidence) -> UsedProvider:
    ranked = sorted(evidence.traces.items(), key=lambda item: ORDER[STRENGTHS[item[0][0]]])
    hosts = sorted(evidence.failed.hosts, key=lambda host: -evidence.failed.hosts[host])
    return UsedProvider(
        provider=evidence.provider.id,
        name=evidence.provider.name,
        category=evidence.provider.category,
        strength=STRENGTHS[ranked[0][0][0]],
        traces=tuple(
            Trace(kind=kind, name=name[:120], where=where[:200])
            for (kind, name), where in ranked[:MAX_TRACES]
        ),
        failing_calls=evidence.failed.events,
        failing_hosts=tuple(hosts[:5]),
    )
