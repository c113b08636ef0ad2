"""Who Railmend is to GitHub, and what its refusals mean."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github import GithubException, RateLimitExceededException
from pydantic import SecretStr

from railmend.evidence.change import describe
from railmend.publishing.github import GitHubClient
from railmend.publishing.github.auth import AppCredentials, TokenCredentials
from railmend.publishing.github.compare import comparison
from railmend.publishing.github.errors import GitHubError, from_status
from railmend.publishing.github.obstacles import _matches


def key() -> SecretStr:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    pem = made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return SecretStr(pem.decode())


class App:
    """GitHub's side of an app's sign-in."""

    def __init__(
        self,
        lives: timedelta = timedelta(hours=1),
        status: int = 201,
        clock_ahead: timedelta = timedelta(0),
    ) -> None:
        self.asked: list[dict[str, object]] = []
        self.refused = 0
        self._lives, self._status, self._clock_ahead = lives, status, clock_ahead

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer by its own clock; refuse a signature that is valid from later on, or is not any more."""
        now = datetime.now(UTC) + self._clock_ahead
        claims = jwt.decode(
            request.headers["authorization"].removeprefix("Bearer "), options={"verify_signature": False}
        )
        if not claims["iat"] <= now.timestamp() < claims["exp"]:
            self.refused += 1
            answer = httpx.Response(401)
        else:
            answer = self._answer(request, now)
        answer.headers["date"] = format_datetime(now, usegmt=True)
        return answer

    def _answer(self, request: httpx.Request, now: datetime) -> httpx.Response:
        if request.url.path.endswith("/old/installation"):
            return httpx.Response(301, headers={"location": "/api/v3/repositories/42/installation"})
        if request.url.path.endswith("/installation"):
            granted = {"checks": "write", "statuses": "read", "actions": "write", "contents": "write"}
            return httpx.Response(200, json={"id": 7, "permissions": granted})
        if request.url.path == "/api/v3/app":
            return httpx.Response(200, json={"id": 123, "slug": "railmend-acme"})
        assert request.url.path == "/api/v3/app/installations/7/access_tokens"
        self.asked.append(json.loads(request.content))
        ends = (now + self._lives).isoformat()
        token = {"token": f"ghs_{len(self.asked)}", "expires_at": ends}
        return httpx.Response(self._status, json=token)

    def credentials(self) -> AppCredentials:
        url = "https://github.example/api/v3"
        return AppCredentials(url, "123", key(), httpx.MockTransport(self))


def test_an_apps_token_reaches_one_repository_with_few_rights_and_is_kept() -> None:
    app = App()
    credentials = app.credentials()
    assert credentials.auth("acme/shop").token == credentials.auth("acme/shop").token == "ghs_1"
    assert credentials.auth("acme/api").token == "ghs_2"
    assert [asked["repositories"] for asked in app.asked] == [["shop"], ["api"]]
    assert app.asked[0]["permissions"] == {
        "checks": "write",
        "contents": "write",
        "issues": "write",
        "metadata": "read",
        "pull_requests": "write",
        "statuses": "read",
    }, "what a repair needs, and of the rest no more than was granted"


def test_an_apps_token_for_a_renamed_repository_goes_by_its_number() -> None:
    app = App()
    assert app.credentials().auth("acme/old").token == "ghs_1"
    assert app.asked[0]["repository_ids"] == [42]
    assert "repositories" not in app.asked[0]


def test_an_app_knows_the_name_of_its_account() -> None:
    assert App().credentials().app_slug == "railmend-acme"
    assert TokenCredentials(SecretStr("t")).app_slug is None


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_an_apps_token_is_renewed_before_it_ends_whatever_the_clocks_say(hours: int) -> None:
    ends_soon = App(lives=timedelta(minutes=9), clock_ahead=timedelta(hours=hours))
    auth = ends_soon.credentials().auth("acme/shop")
    assert [auth.token, auth.token] == ["ghs_1", "ghs_2"]
    lasts = App(clock_ahead=timedelta(hours=hours))
    auth = lasts.credentials().auth("acme/shop")
    assert [auth.token, auth.token] == ["ghs_1", "ghs_1"]
    assert lasts.refused == abs(hours), "once, and then it signs by GitHub's clock"


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_rate_limit_is_waited_for_by_githubs_clock(hours: int) -> None:
    now = datetime.now(UTC) + timedelta(hours=hours)
    reset = str(int(now.timestamp()) + 120)
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset, "date": format_datetime(now, True)}
    error = from_status("Pull request", RateLimitExceededException(403, {}, headers))
    assert error.retry_after == pytest.approx(120, abs=2)


@pytest.mark.parametrize(
    ("status", "retryable", "message"),
    [(404, False, "Install the app"), (422, False, "lacks one of the permissions"), (503, True, "503")],
)
def test_an_app_that_is_refused_says_what_to_do(status: int, retryable: bool, message: str) -> None:
    auth = App(status=status).credentials().auth("acme/shop")
    with pytest.raises(GitHubError, match=message) as caught:
        _ = auth.token
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(
    ("status", "headers", "retryable", "after"),
    [
        (403, {"retry-after": "31"}, True, 31),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"}, True, 3600),
        (429, {}, True, 60),
        (403, {"x-ratelimit-remaining": "4000"}, False, None),
        (422, {}, False, None),
        (502, {}, True, None),
    ],
    ids=["secondary", "primary", "unsaid", "forbidden", "refused", "down"],
)
def test_limits_are_waited_for_and_refusals_are_not(
    status: int, headers: dict[str, str], retryable: bool, after: float | None
) -> None:
    error = from_status("Thing", GithubException(status, {"message": "no"}, headers))
    assert (error.retryable, error.retry_after) == (retryable, after)


@pytest.mark.parametrize(
    ("kind", "refused", "after"), [("FORBIDDEN", True, None), ("RATE_LIMITED", False, 60)]
)
def test_errors_of_graphql_are_refusals_or_limits(kind: str, refused: bool, after: float | None) -> None:
    """Their answers have the status 200, of which PyGithub makes 400."""
    data = {"data": None, "errors": [{"type": kind, "message": "Resource not accessible"}]}
    error = from_status("Threads", GithubException(400, data, {}))
    assert (error.refused, error.retry_after) == (refused, after)
    assert not refused or "Resource not accessible" in str(error)


@pytest.mark.parametrize(("head", "counts"), [(1, True), (2, False), (None, False)])
def test_an_apps_pull_request_counts_from_a_branch_here_and_never_from_a_fork(
    head: int | None, counts: bool
) -> None:
    """Anybody can run an app on a fork of their own; a fork that was deleted is None."""
    here, there = SimpleNamespace(id=1), None if head is None else SimpleNamespace(id=head)
    pull: Any = SimpleNamespace(
        number=1,
        user=SimpleNamespace(type="Bot"),
        head=SimpleNamespace(repo=there),
        base=SimpleNamespace(repo=here),
    )
    nobody: Any = SimpleNamespace(writes=lambda user: False)
    assert GitHubClient("http://forge", SecretStr("t"))._counts(pull, nobody) is counts


@pytest.mark.parametrize(
    ("operator", "pattern", "allowed"),
    [
        ("starts_with", "railmend/", True),
        ("ends_with", "/abc", True),
        ("contains", "feature", False),
        ("regex", r"^railmend/\w+$", True),
        ("regex", "feature", False),
        ("regex", "(", None),
        ("of a later version", "x", None),
    ],
)
def test_a_pattern_of_a_rule_allows_or_forbids_and_what_is_not_understood_forbids_nothing(
    operator: str, pattern: str, allowed: bool | None
) -> None:
    rule = {"operator": operator, "pattern": pattern}
    assert _matches(rule, "railmend/abc") is (allowed is not False)
    assert _matches({**rule, "negate": True}, "railmend/abc") is (allowed is not True)


def test_of_a_long_range_the_newest_commits_are_shown() -> None:
    """GitHub lists the oldest first; what broke a deployment is more often among the newest."""
    rows = [
        SimpleNamespace(sha=f"{n:040x}", commit=SimpleNamespace(author=None, message=f"Change {n}"))
        for n in range(260)
    ]
    compared = SimpleNamespace(commits=iter(rows), status="ahead", total_commits=len(rows), files=())
    repository: Any = SimpleNamespace(compare=lambda base, head: compared)
    shown = comparison(repository, "a" * 40, "b" * 40)
    assert [row.message for row in shown.commits] == [f"Change {n}" for n in range(210, 260)]
    text = describe(shown, "", budget=800)
    assert "Change 259" in text
    assert "(245 commits left out)" in text
