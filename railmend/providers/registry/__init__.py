"""The registry of upstream providers: the TOML files in this folder, checked when they are loaded.

A field that is not certain is left empty: a wrong status page is worse than none.
"""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from railmend.source.manifests import Ecosystem

FOLDER = Path(__file__).parent

Language = Literal["python", "java", "csharp", "php"]
# Protocols of one provider that others implement too.
Protocol = Literal["s3", "openai"]
StatusFormat = Literal[
    "statuspage", "instatus", "statusio", "betterstack", "google", "aws", "slack", "heroku", "feed"
]

Name = Annotated[str, StringConstraints(min_length=2, pattern=r"^\S+$")]
HostSuffix = Annotated[str, StringConstraints(pattern=r"^(?:[a-z0-9-]+\.)+[a-z]{2,}$")]
Prefix = Annotated[str, StringConstraints(min_length=3, pattern=r"^[A-Z][A-Z0-9_]*$")]
Https = Annotated[str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(?:/\S*)?$")]


class RegistryError(ValueError):
    """A contradiction in the data; the message names the entries."""


class Entry(BaseModel):
    """Base of the registry's models: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StatusPage(Entry):
    """A provider's status page.

    `page`: for people; `endpoint`: what is fetched, if the format does not derive it from the page;
    `components`: those a caller of the API depends on, empty for all; `aliases`: hosts it may redirect to.
    """

    page: Https
    format: StatusFormat
    endpoint: Https | None = None
    components: tuple[str, ...] = ()
    aliases: tuple[HostSuffix, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> "StatusPage":
        if self.format in ("statusio", "google", "aws", "feed") and self.endpoint is None:
            raise ValueError(f"{self.page}: the format {self.format} needs an endpoint.")
        return self

    def hosts(self) -> frozenset[str]:
        """Return the only hosts that may be fetched from."""
        hosts = {urlsplit(url).netloc for url in (self.page, self.endpoint) if url}
        return frozenset({*hosts, *self.aliases})


class Provider(Entry):
    """An upstream provider, and the names by which code, logs and traffic show that it is used.

    `packages`: client libraries by ecosystem (Go: module paths, Maven: group:artifact; a trailing `*` matches
    any ending). `imports`: module or namespace prefixes, dots between parts, for languages whose imports do
    not contain the package's name. `hosts`: suffixes of its API's host names; `runtime_hosts`: those that
    count only if the running service called them, as code also contains them as links. `variables`: prefixes
    of environment variables. `speaks`: protocols of other providers that its API implements; `portable`: its
    own packages, imports and variables that, by such a protocol, serve other providers too.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
    name: Annotated[str, StringConstraints(min_length=2)]
    category: Name
    packages: dict[Ecosystem, tuple[Name, ...]] = {}
    imports: dict[Language, tuple[Name, ...]] = {}
    hosts: tuple[HostSuffix, ...] = ()
    runtime_hosts: tuple[HostSuffix, ...] = ()
    variables: tuple[Prefix, ...] = ()
    speaks: tuple[Protocol, ...] = ()
    portable: dict[Protocol, tuple[Name, ...]] = {}
    status: StatusPage | None = None

    @model_validator(mode="after")
    def _can_be_reached(self) -> "Provider":
        if not self.hosts and not self.runtime_hosts:
            raise ValueError(f"{self.id}: without a host nobody can tell that calls to it fail.")
        return self


class Registry(Entry):
    """All providers; no two may claim the same name."""

    providers: tuple[Provider, ...]

    @model_validator(mode="after")
    def _no_two_claim_one_name(self) -> "Registry":
        owners: dict[tuple[str, str], str] = {}
        for provider in self.providers:
            for claim in _claims(provider):
                if claim in owners:
                    raise RegistryError(
                        f"{owners[claim]} and {provider.id} both claim {claim[0]} {claim[1]}."
                    )
                owners[claim] = provider.id
        return self

    def by_id(self) -> Mapping[str, Provider]:
        return {provider.id: provider for provider in self.providers}


def _claims(provider: Provider) -> Iterable[tuple[str, str]]:
    yield "id", provider.id
    for ecosystem, names in provider.packages.items():
        yield from ((f"{ecosystem} package", name.lower()) for name in names)
    for language, names in provider.imports.items():
        yield from ((f"{language} import", name) for name in names)
    yield from (("host", name) for name in (*provider.hosts, *provider.runtime_hosts))
    yield from (("variable prefix", name) for name in provider.variables)


def parse(documents: Mapping[str, str]) -> Registry:
    """Return the registry of TOML texts by file name; a file's `category` applies to entries without one.

    Raise pydantic's `ValidationError` (which names entry and field) or `tomllib.TOMLDecodeError`.
    """
    entries: list[dict[str, Any]] = []
    for text in documents.values():
        document = tomllib.loads(text)
        shared = {key: value for key, value in document.items() if key == "category"}
        entries += [{**shared, **entry} for entry in document["provider"]]
    return Registry.model_validate({"providers": entries})


@cache
def load() -> Registry:
    """Return the registry of this installation, read once."""
    return parse({path.name: path.read_text() for path in sorted(FOLDER.glob("*.toml"))})
