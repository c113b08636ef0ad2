"""The table of calls in the docs is current, and its names are GitHub's."""

import re
from pathlib import Path

import github

from tools.github_reference import CALLS, FILE, updated

# Asked without a method of PyGithub's.
BY_HAND = {
    ("GET", "/repos/{}/{}/rules/branches/{}"),
    ("GET", "/repos/{}/{}/rulesets/{}"),
    ("POST", "/graphql"),
}


def test_the_table_is_current() -> None:
    text = FILE.read_text()
    assert updated(text) == text, "run `python -m tools.github_reference`"


def test_each_call_has_the_name_that_github_gives_it() -> None:
    """PyGithub's methods name the calls they make, as in GitHub's own reference."""
    documented = re.compile(r"`(GET|POST|PATCH|PUT) (/[^ `]*)")
    sources = (file.read_text() for file in Path(github.__file__).parent.glob("*.py"))
    names = {
        (m, re.sub(r"\{[^}]*\}", "{}", path)) for text in sources for m, path in documented.findall(text)
    }
    ours = {(c.method, re.sub(r"\{[^}]*\}", "{}", c.path)) for c in CALLS if c.method != "GIT"}
    assert ours - names - BY_HAND == set()


def test_no_fine_grained_token_is_asked_for_checks() -> None:
    assert [call.path for call in CALLS if call.token.startswith("Checks")] == []
    assert [call.path for call in CALLS if not call.token and "check-runs" not in call.path] == []
