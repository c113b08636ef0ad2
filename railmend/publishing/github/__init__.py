"""GitHub client on PyGithub: repositories, pull requests and their threads. All calls block."""

from railmend.publishing.github.auth import AppCredentials, NoCredentials, TokenCredentials
from railmend.publishing.github.client import GitHubClient, NewPullRequest, PullRequestMatch
from railmend.publishing.github.errors import GitHubError
from railmend.publishing.github.issues import Issues
from railmend.publishing.github.thread import PullRequestThread

__all__ = [
    "AppCredentials",
    "GitHubClient",
    "GitHubError",
    "Issues",
    "NewPullRequest",
    "NoCredentials",
    "PullRequestMatch",
    "PullRequestThread",
    "TokenCredentials",
]
