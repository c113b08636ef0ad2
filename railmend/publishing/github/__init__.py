"""GitHub by PyGithub: pull requests, the talk on them, and what became of them. Blocking."""

from railmend.publishing.github.auth import AppCredentials, TokenCredentials
from railmend.publishing.github.client import Found, GitHubClient, Issues
from railmend.publishing.github.errors import GitHubError
from railmend.publishing.github.talk import Talk

__all__ = ["AppCredentials", "Found", "GitHubClient", "GitHubError", "Issues", "Talk", "TokenCredentials"]
