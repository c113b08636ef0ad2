"""Credentials for GitHub: a token, or an app whose tokens are each limited to one repository."""

import re
import threading
import time
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
from github import Auth, Consts
from pydantic import SecretStr

from railmend.publishing.github.errors import GitHubError, server_time

# Exactly what a repair needs: https://docs.github.com/rest/authentication/permissions-required-for-github-apps
PERMISSIONS = {"contents": "write", "issues": "write", "metadata": "read", "pull_requests": "write"}
# Asked for as far as they are granted: to see checks, and to show on a commit what its proof came to.
IF_GRANTED = ("checks", "statuses")
TIMEOUT_SECONDS = 15
# An installation token is valid for an hour; a push that begins with it must also end with it.
RENEW_BEFORE_SECONDS = 600
# A signature is valid from a minute before it is made.
CLOCKS_APART_SECONDS = 30

NUMBER = re.compile(r"/repositories/(\d+)/installation$")


class Credentials(Protocol):
    def auth(self, repository: str) -> Auth.Auth:
        """Return the authentication for a repository; git uses its `token` as user `x-access-token`."""
        ...

    @property
    def is_app(self) -> bool: ...

    @property
    def app_slug(self) -> str | None:
        """The app's name, which its account bears with `[bot]` behind it; None: an account of its own."""
        ...


class TokenCredentials:
    """A fine-grained or classic token, the same for every repository."""

    is_app = False
    app_slug = None

    def __init__(self, token: SecretStr) -> None:
        self._auth = Auth.Token(token.get_secret_value())

    def auth(self, repository: str) -> Auth.Auth:
        return self._auth


class NoCredentials:
    """Stands for a token that is not set: refuses each call with `reason`."""

    is_app = False
    app_slug = None

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def auth(self, repository: str) -> Auth.Auth:
        raise GitHubError(self._reason, retryable=False)


class AppCredentials:
    """A GitHub app, with one installation token per repository.

    `app_id`: its number or client id. `private_key`: PEM. `transport`: for tests.
    """

    is_app = True

    def __init__(
        self,
        api_url: str,
        app_id: str,
        private_key: SecretStr,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._jwt = Auth.AppAuth.create_jwt_sign(private_key.get_secret_value(), Consts.DEFAULT_JWT_ALGORITHM)
        self._app = Auth.AppAuth(app_id, sign_func=self._sign)
        self._ahead = 0  # seconds by which GitHub's clock is ahead of this machine's
        self._http = httpx.Client(
            base_url=api_url.rstrip("/"), timeout=TIMEOUT_SECONDS, transport=transport, follow_redirects=True
        )
        self._tokens: dict[str, RepositoryToken] = {}

    def auth(self, repository: str) -> Auth.Auth:
        return self._tokens.setdefault(repository, RepositoryToken(self, repository))

    @property
    def app_slug(self) -> str | None:
        return str(self._request("GET", "/app", "the app itself").json()["slug"])

    def renew(self, repository: str) -> tuple[str, float]:
        """Return a new token for this repository alone, and the seconds for which it is valid."""
        installation = self._request("GET", f"/repos/{repository}/installation", repository)
        # A renamed repository is reached by its number: the old name means nothing to an installation.
        number = NUMBER.search(installation.url.path)
        scope: dict[str, object] = {"repositories": [repository.partition("/")[2]]}
        if number:
            scope = {"repository_ids": [int(number[1])]}
        installed = installation.json()
        granted = installed.get("permissions", {})
        optional = {name: granted[name] for name in IF_GRANTED if name in granted}
        path = f"/app/installations/{installed['id']}/access_tokens"
        body = {**scope, "permissions": {**PERMISSIONS, **optional}}
        response = self._request("POST", path, repository, body)
        created, now = response.json(), server_time(response.headers.get("date", ""))
        ends = datetime.fromisoformat(str(created["expires_at"]))
        return str(created["token"]), (ends - now).total_seconds()

    def _request(
        self, method: str, path: str, repository: str, body: dict[str, object] | None = None
    ) -> httpx.Response:
        try:
            response = self._signed_in(method, path, body)
            if response.status_code == httpx.codes.UNAUTHORIZED and self._clocks_are_apart(response):
                response = self._signed_in(method, path, body)
        except httpx.HTTPError as error:
            raise GitHubError(
                f"App token for {repository}: GitHub did not answer ({type(error).__name__}).", retryable=True
            ) from error
        if response.is_success:
            return response
        hint = {
            401: "Check GITHUB_APP_ID and the key.",
            404: "Install the app in this repository.",
            422: "The app lacks one of the permissions that docs/github.md names.",
        }.get(response.status_code, "")
        raise GitHubError(
            f"App token for {repository}: GitHub answered {response.status_code}. {hint}".strip(),
            retryable=response.status_code >= 500 or response.status_code == 429,
            status=response.status_code,
        )

    def _signed_in(self, method: str, path: str, body: dict[str, object] | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._app.token}", "Accept": "application/vnd.github+json"}
        return self._http.request(method, path, headers=headers, json=body)

    def _sign(self, claims: dict[str, Any]) -> str | bytes:
        """Sign what is valid from and until certain times, by GitHub's clock."""
        return self._jwt(claims | {name: claims[name] + self._ahead for name in ("iat", "exp")})

    def _clocks_are_apart(self, response: httpx.Response) -> bool:
        """Note by how much; False where it was known, so that a signature was refused for another reason."""
        now = server_time(response.headers.get("date", ""))
        known, self._ahead = self._ahead, int((now - datetime.now(UTC)).total_seconds())
        return abs(self._ahead - known) > CLOCKS_APART_SECONDS


class RepositoryToken(Auth.Auth):
    """An installation token for one repository, renewed before it ends, whatever the clock here says."""

    def __init__(self, app: AppCredentials, repository: str) -> None:
        self._app = app
        self._repository = repository
        self._lock = threading.Lock()
        self._token, self._renew_at = "", 0.0

    @property
    def token_type(self) -> str:
        return "token"

    @property
    def token(self) -> str:
        with self._lock:
            if not self._token or self._renew_at <= time.monotonic():
                self._token, valid = self._app.renew(self._repository)
                self._renew_at = time.monotonic() + valid - RENEW_BEFORE_SECONDS
            return self._token
