"""The registry's data: every entry well-formed, no name claimed twice."""

import re
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from railmend.providers.registry import FOLDER, Provider, load, parse
from railmend.providers.status.reader import FORMATS, addresses

GOOD = """
[[provider]]
id = "one"
name = "One"
category = "test"
packages.npm = ["one"]
hosts = ["api.one.com"]
variables = ["ONE_"]
"""
PROVIDERS = load().providers
CATEGORIES = {
    *("ai", "analytics", "auth", "blockchain", "business", "cdn", "chat", "cloud", "code", "content"),
    *("database", "flags", "mail", "maps", "media", "observability", "payment", "push", "queue"),
    *("realtime", "search", "secrets", "storage", "support", "telephony", "work"),
}


def test_there_are_enough_in_every_field_a_service_may_depend_on() -> None:
    assert len(PROVIDERS) >= 80
    assert sum(provider.status is not None for provider in PROVIDERS) >= 80
    assert {provider.category for provider in PROVIDERS} == CATEGORIES


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.id)
def test_an_entry_can_be_found_and_its_page_asked(provider: Provider) -> None:
    for host in provider.hosts:
        assert not host.startswith("www."), "a website is not an API"
    for ecosystem, names in provider.packages.items():
        assert len(set(names)) == len(names), ecosystem
        if ecosystem == "maven":
            assert all(re.fullmatch(r"[\w.-]+:(?:[\w.-]+|\*)", name) for name in names)
        if ecosystem == "packagist":
            assert all("/" in name for name in names)
    if provider.status is not None:
        urls = addresses(provider.status)
        assert urls
        assert provider.status.format in FORMATS
        assert {urlsplit(url).netloc for url in urls} <= provider.status.hosts()


def test_what_speaks_a_protocol_speaks_one_that_somebody_owns() -> None:
    owned = {protocol for provider in PROVIDERS for protocol in provider.portable}
    assert {protocol for provider in PROVIDERS for protocol in provider.speaks} == owned


@pytest.mark.parametrize(
    "again", ['packages.npm = ["one"]', 'hosts = ["api.one.com"]', 'variables = ["ONE_"]']
)
def test_two_that_claim_one_name_are_refused(again: str) -> None:
    other = f'[[provider]]\nid = "two"\nname = "Two"\ncategory = "test"\n{again}\n'
    if "hosts" not in again:
        other += 'hosts = ["api.two.com"]\n'
    with pytest.raises(ValidationError, match="one and two both claim"):
        parse({"a.toml": GOOD, "b.toml": other})


@pytest.mark.parametrize(
    "wrong",
    [
        'status = { page = "http://status.one.com", format = "statuspage" }',
        'status = { page = "https://status.one.com", format = "magic" }',
        'status = { page = "https://status.one.com", format = "feed" }',
        'website = "https://one.com"',
    ],
)
def test_an_entry_that_is_not_well_formed_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        parse({"a.toml": GOOD + wrong})


def test_the_data_is_read_from_files_beside_the_code() -> None:
    assert len(parse({path.name: path.read_text() for path in FOLDER.glob("*.toml")}).providers) == len(
        PROVIDERS
    )
