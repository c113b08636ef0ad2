"""Who Railmend is to GitHub: a token, or an app whose tokens are narrowed to one repository each."""

import re
import threading
from datetime import UTC, datetime, timedelta
from typing import Protocol

import httpx
from github import Auth
from pydantic import SecretStr

from railmend.publishing.github.errors import GitHubError

# All that a repair needs, and no more: https://docs.github.com/rest/authentication/permissions-required-for-github-apps
PERMISSIONS = {
    "checks": "read",
    "contents": "write",
    "issues": "write",
    "metadata": "read",
    "pull_requests": "write",
}
TIMEOUT_SECONDS = 15
# An installation's token lives an hour; a push that begins with it must also end with it.
RENEW_BEFORE = timedelta(minutes=10)

NUMBER = re.compile(r"/repositories/(\d+)/installation$")


class Credentials(Protocol):
    def auth(self, repository: str) -> Auth.Auth:
        """For calls about this repository. Its `token` also serves git, as the user `x-access-token`."""
        ...


class TokenCredentials:
    """A fine-grained or classic token: the same for every repository."""

    def __init__(self, token: SecretStr) -> None:
        self._auth = Auth.Token(token.get_secret_value())

    def auth(self, repository: str) -> Auth.Auth:
        return self._auth


class AppCredentials:
    """An app, found again in each repository where it is installed.

    `app_id`: its number or client id. `private_key`: PEM. `transport`: for tests.
    """

    def __init__(
        self,
        api_url: str,
        app_id: str,
        private_key: SecretStr,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._app = Auth.AppAuth(app_id, private_key.get_secret_value())
        self._http = httpx.Client(
            base_url=api_url.rstrip("/"), timeout=TIMEOUT_SECONDS, transport=transport, follow_redirects=True
        )
        self._known: dict[str, NarrowToken] = {}

    def auth(self, repository: str) -> Auth.Auth:
        return self._known.setdefault(repository, NarrowToken(self, repository))

    def renew(self, repository: str) -> tuple[str, datetime]:
        """A new token for this repository alone, and when it ends."""
        found = self._ask("GET", f"/repos/{repository}/installation", repository)
        # A renamed repository is reached by its number: the old name means nothing to an installation.
        number = NUMBER.search(found.url.path)
        which: dict[str, object] = {"repositories": [repository.partition("/")[2]]}
        if number:
            which = {"repository_ids": [int(number[1])]}
        made = self._ask(
            "POST",
            f"/app/installations/{found.json()['id']}/access_tokens",
            repository,
            {**which, "permissions": PERMISSIONS},
        ).json()
        return str(made["token"]), datetime.fromisoformat(str(made["expires_at"]))

    def _ask(
        self, method: str, path: str, repository: str, body: dict[str, object] | None = None
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._app.token}", "Accept": "application/vnd.github+json"}
        try:
            answer = self._http.request(method, path, headers=headers, json=body)
        except httpx.HTTPError as error:
            raise GitHubError(
                f"App token for {repository}: GitHub did not answer ({type(error).__name__}).", retryable=True
            ) from error
        if answer.is_success:
            return answer
        mend = {
            401: "Check GITHUB_APP_ID and the key.",
            404: "Install the app in this repository.",
            422: "The app lacks one of the permissions that docs/repairs.md names.",
        }.get(answer.status_code, "")
        raise GitHubError(
            f"App token for {repository}: GitHub answered {answer.status_code}. {mend}".strip(),
            retryable=answer.status_code >= 500 or answer.status_code == 429,
            status=answer.status_code,
        )


class NarrowToken(Auth.Auth):
    """An installation token for one repository, renewed before it ends."""

    def __init__(self, app: AppCredentials, repository: str) -> None:
        self._app = app
        self._repository = repository
        self._lock = threading.Lock()
        self._token, self._ends = "", datetime.fromtimestamp(0, UTC)

    @property
    def token_type(self) -> str:
        return "token"

    @property
    def token(self) -> str:
        with self._lock:
            if self._ends - RENEW_BEFORE <= datetime.now(UTC):
                self._token, self._ends = self._app.renew(self._repository)
            return self._token
