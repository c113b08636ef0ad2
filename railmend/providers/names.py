"""Look up providers by names of packages, imports, hosts and variables."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from railmend.providers.registry import Language, Provider, Registry, load
from railmend.source.manifests import Ecosystem, canonical_name

# Build tools require these prefixes of variables that reach the browser.
PUBLIC_PREFIX = re.compile(r"^(?:NEXT_PUBLIC|VITE|REACT_APP|EXPO_PUBLIC|NUXT_PUBLIC|NUXT|PUBLIC|GATSBY)_")
# Of a vendor's site this is what programs call.
API_PATH = re.compile(r"/(?:api|graphql|v\d|(?:login/)?oauth2?)(?:/|\b)")
SEPARATORS = {"go": "/", "imports": "."}


@dataclass
class Prefixes:
    """Providers by name or prefix: the longest match of whole parts, separated by `separator` ("": no parts).

    A name that ends in `*` matches any ending.
    """

    separator: str = ""
    exact: dict[str, Provider] = field(default_factory=dict)
    wildcards: list[tuple[str, Provider]] = field(default_factory=list)

    def add(self, name: str, provider: Provider) -> None:
        if name.endswith("*"):
            self.wildcards.append((name[:-1], provider))
        else:
            self.exact[name] = provider

    def find(self, name: str) -> Provider | None:
        rest = name
        while rest:
            if rest in self.exact:
                return self.exact[rest]
            rest = rest.rpartition(self.separator)[0] if self.separator else ""
        return next((provider for prefix, provider in self.wildcards if name.startswith(prefix)), None)


class Names:
    """An index of the registry's providers by their names."""

    def __init__(self, registry: Registry) -> None:
        self._by_id = registry.by_id()
        self._packages: dict[str, Prefixes] = {}
        self._imports: dict[str, Prefixes] = {}
        self._hosts: dict[str, Provider] = {}
        self._all_hosts: dict[str, Provider] = {}
        self._variables: list[tuple[str, Provider]] = []
        for provider in registry.providers:
            self._add(provider)
        self._variables.sort(key=lambda pair: -len(pair[0]))
        endings = sorted({host.rpartition(".")[2] for host in self._all_hosts})
        self._host = re.compile(
            # At the start of a name, after a user name, or after a placeholder: `${account}.host.com`.
            r"(?:(?<![\w.@-])|(?<=[}>)\"'`]\.)|(?<=://)[^\s/\"'@]{1,256}@)"
            rf"((?:[a-z0-9-]{{1,63}}\.){{1,8}}(?:{'|'.join(endings)}))(?![\w-]|\.\w)",
            re.I,
        )

    def _add(self, provider: Provider) -> None:
        for ecosystem, names in provider.packages.items():
            index = self._packages.setdefault(ecosystem, Prefixes(SEPARATORS.get(ecosystem, "")))
            for name in names:
                index.add(canonical_name(ecosystem, name), provider)
        for language, prefixes in provider.imports.items():
            index = self._imports.setdefault(language, Prefixes(SEPARATORS["imports"]))
            for name in prefixes:
                index.add(name, provider)
        self._hosts.update(dict.fromkeys(provider.hosts, provider))
        self._all_hosts.update(dict.fromkeys((*provider.hosts, *provider.runtime_hosts), provider))
        self._variables += [(prefix, provider) for prefix in provider.variables]

    def provider(self, provider_id: str) -> Provider:
        return self._by_id[provider_id]

    def package(self, ecosystem: Ecosystem, name: str) -> Provider | None:
        index = self._packages.get(ecosystem)
        return index.find(canonical_name(ecosystem, name)) if index else None

    def imported(self, language: Language, name: str) -> Provider | None:
        """Return the provider of a module or namespace, with dots between its parts."""
        index = self._imports.get(language)
        return index.find(name) if index else None

    def host(self, name: str) -> Provider | None:
        """Return the provider of a host that the running service called, by its longest suffix."""
        return _by_suffix(self._all_hosts, name)

    def hosts_in(self, text: str, *, runtime: bool = False) -> Iterable[tuple[int, str, Provider]]:
        """Yield position, name and provider of each registered host, not of the domains of mail addresses.

        `runtime`: the text is output of the running service, not code.
        """
        for match in self._host.finditer(text):
            hosts = self._all_hosts if runtime or API_PATH.match(text, match.end()) else self._hosts
            if provider := _by_suffix(hosts, match[1]):
                yield match.start(1), match[1].lower(), provider

    def variable(self, name: str) -> Provider | None:
        unprefixed = PUBLIC_PREFIX.sub("", name)
        return next((provider for prefix, provider in self._variables if unprefixed.startswith(prefix)), None)


def _by_suffix(hosts: Mapping[str, Provider], name: str) -> Provider | None:
    rest = name.lower().rstrip(".")
    while rest:
        if rest in hosts:
            return hosts[rest]
        rest = rest.partition(".")[2]
    return None


@cache
def known_names() -> Names:
    """Return the index of the installed registry, built once."""
    return Names(load())
