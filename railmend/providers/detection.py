"""Which outside services a service uses. Pure; what it does not see it does not claim.

A dependency of tests or tools, a comment, a README and a log line that merely mentions a host are not use.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from railmend.contracts.providers import Strength, Trace, UsedProvider
from railmend.providers.calls import Failing, failing_calls
from railmend.providers.code import NEEDS_PACKAGE, CodeMatch, read, readdresses
from railmend.providers.names import Names, known_names
from railmend.providers.registry import Provider
from railmend.source.files import language_of, ships
from railmend.source.manifests import manifests_of, runtime_packages

MAX_TRACES = 4
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
    """What the running service was seen to do, names only. `log_lines` oldest first."""

    log_lines: Iterable[str] = ()
    resolved: Collection[str] = ()  # host names it looked up
    unresolved: Collection[str] = ()  # host names whose look-up failed
    connected: Collection[str] = ()  # host names of peers it talked to
    dropped: Collection[str] = ()  # host names of peers whose traffic was dropped


@dataclass
class _Case:
    """All that speaks for one provider, by kind and name, with the first place."""

    provider: Provider
    traces: dict[tuple[str, str], str] = field(default_factory=dict)
    failing: Failing = field(default_factory=Failing)
    readdressed: bool = False  # its library is told another address

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
    """`files`: path (from the service's root directory) and text. The surest providers first.

    `variables`: names of the service's variables; None: not known. A variable that only code reads, and that
    the service is known not to have, does not count.
    """
    known = names or known_names()
    cases: dict[str, _Case] = {}
    paths = dict(files)
    _from_manifests(paths, known, cases)
    _from_code(paths, known, cases, variables)
    for name in sorted(variables or ()):
        if provider := known.variable(name):
            _case(cases, provider).add("service variable", name, "variables of the service")
    _from_runtime(runtime or RunTime(), known, cases)
    used = [_used(case) for case in cases.values() if not _speaks_to_another(case, cases)]
    return tuple(sorted(used, key=lambda one: (-one.failing_calls, ORDER[one.strength], one.provider)))


def _case(cases: dict[str, _Case], provider: Provider) -> _Case:
    return cases.setdefault(provider.id, _Case(provider))


def _from_manifests(paths: Mapping[str, str], names: Names, cases: dict[str, _Case]) -> None:
    """Not from examples, nor from a lock file whose manifest is there to say what is direct."""
    lowered = {path.lower() for path in paths}
    for path, text in paths.items():
        if not ships(path) or not lowered.isdisjoint(manifests_of(path)):
            continue
        for ecosystem, package in runtime_packages(path, text):
            if provider := names.package(ecosystem, package):
                _case(cases, provider).add("package", package, path)


def _from_code(
    paths: Mapping[str, str], names: Names, cases: dict[str, _Case], variables: Collection[str] | None
) -> None:
    own = _own_modules(paths)
    for path, text in paths.items():
        for found in read(path, text, names):
            if _believable(found, path, own, cases, variables):
                case = _case(cases, found.provider)
                case.add(found.kind, found.name, f"{path}:{found.line}")
                if found.kind == "import" and case.provider.portable and not case.readdressed:
                    case.readdressed = readdresses(path, text, case.provider.portable)


def _own_modules(paths: Mapping[str, str]) -> set[str]:
    """Python names that mean a module of the repository itself."""
    own: set[str] = set()
    for path in paths:
        pure = PurePosixPath(path)
        if pure.suffix == ".py":
            own |= {pure.stem, *pure.parts[:-1]}
    return own


def _believable(
    found: CodeMatch,
    path: str,
    own: set[str],
    cases: dict[str, _Case],
    variables: Collection[str] | None,
) -> bool:
    if found.kind == "variable":
        return variables is None or found.name in variables
    if found.kind != "import":
        return True
    language = language_of(path) or ""
    case = cases.get(found.provider.id)
    declared = case is not None and "package" in case.kinds()
    if language in NEEDS_PACKAGE:
        return declared
    if language == "python":
        return declared or found.name.partition(".")[0] not in own
    return True


def _from_runtime(runtime: RunTime, names: Names, cases: dict[str, _Case]) -> None:
    for kind, hosts, where, failed in (
        ("dns", runtime.resolved, "names it resolved", False),
        ("dns", runtime.unresolved, "look-ups that failed", True),
        ("flow", runtime.connected, "peers it talked to", False),
        ("flow", runtime.dropped, "peers whose traffic was dropped", True),
    ):
        for host in sorted(hosts):
            if provider := names.host(host):
                case = _case(cases, provider)
                case.add(kind, host, where)
                if failed:
                    case.failing.events += 1
                    case.failing.hosts[host] = case.failing.hosts.get(host, 0) + 1
    for provider_id, failing in failing_calls(runtime.log_lines, names).items():
        case = _case(cases, names.provider(provider_id))
        # The line itself stays here: what is printed may hold anything.
        case.add("log", next(iter(failing.hosts), "its library"), "deploy logs")
        case.failing.events += failing.events
        for host, count in failing.hosts.items():
            case.failing.hosts[host] = case.failing.hosts.get(host, 0) + count


def _speaks_to_another(case: _Case, cases: Mapping[str, _Case]) -> bool:
    """Only its library is there, and it is told to speak to somebody else who understands its protocol.

    So `boto3` with an address of Cloudflare R2 is no use of AWS, and the `openai` package pointed at Groq, or
    at an address that only a variable's value tells, none of OpenAI.
    """
    for protocol, portable in case.provider.portable.items():
        others = [
            other
            for other in cases.values()
            if protocol in other.provider.speaks and not other.kinds() & {"package", "import"}
        ]
        if (others or case.readdressed) and all(_matches(name, portable) for _, name in case.traces):
            return True
    return False


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _used(case: _Case) -> UsedProvider:
    ranked = sorted(case.traces.items(), key=lambda item: ORDER[STRENGTHS[item[0][0]]])
    hosts = sorted(case.failing.hosts, key=lambda host: -case.failing.hosts[host])
    return UsedProvider(
        provider=case.provider.id,
        name=case.provider.name,
        category=case.provider.category,
        strength=STRENGTHS[ranked[0][0][0]],
        traces=tuple(
            Trace(kind=kind, name=name[:120], where=where[:200])
            for (kind, name), where in ranked[:MAX_TRACES]
        ),
        failing_calls=case.failing.events,
        failing_hosts=tuple(hosts[:5]),
    )
