"""The GitHub channel through PyGithub and HTTP: one issue per incident, found by its marker."""

from typing import Any

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from railmend.contracts.notification import incident_notification, outcome_notification
from railmend.contracts.scan import ServiceRow
from railmend.notifying import delivery
from railmend.notifying.text import link
from railmend.publishing.github import GitHubClient, GitHubError
from tests import samples
from tests.integration.serving import serving

pytestmark = pytest.mark.integration


OWN, STRANGER = {"login": "railmend", "id": 1}, {"login": "eve", "id": 2}


class Tracker:
    """The calls of GitHub's that the channel makes; `closed` answers as a repository without issues."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.comments: dict[int, list[str]] = {}
        self.closed = False
        self.author = OWN
        here = "/repos/acme/ops"
        self.app = Starlette(
            routes=[
                Route("/user", self._user),
                Route(here, self._repository),
                Route(f"{here}/issues", self._list),
                Route(f"{here}/issues", self._create, methods=["POST"]),
                Route(f"{here}/issues/{{n:int}}/comments", self._comments, methods=["GET", "POST"]),
            ]
        )

    async def _repository(self, request: Request) -> JSONResponse:
        return JSONResponse({"full_name": "acme/ops", "url": str(request.url), "name": "ops"})

    async def _user(self, request: Request) -> JSONResponse:
        return JSONResponse(OWN)

    async def _list(self, request: Request) -> JSONResponse:
        if self.closed:
            return JSONResponse({"message": "Issues are disabled for this repo"}, 410)
        assert request.query_params["state"] == "all"
        label = request.query_params["labels"]
        found = [one for one in reversed(self.issues) if label in [each["name"] for each in one["labels"]]]
        return JSONResponse(found)

    async def _create(self, request: Request) -> JSONResponse:
        sent = await request.json()
        number = len(self.issues) + 1
        row = {"number": number, "url": f"{request.url}/{number}", "state": "open", **sent}
        row["user"] = self.author
        row["labels"] = [{"name": name} for name in sent["labels"]]
        self.issues.append(row)
        return JSONResponse(row, 201)

    async def _comments(self, request: Request) -> JSONResponse:
        said = self.comments.setdefault(request.path_params["n"], [])
        if request.method == "POST":
            said.append((await request.json())["body"])
        rows = [
            {"id": at, "url": f"{request.url}/{at}", "body": body, "user": self.author}
            for at, body in enumerate(said)
        ]
        return JSONResponse(rows[-1] if request.method == "POST" else rows, 200)


def test_an_incident_and_its_repair_are_one_issue_however_often_they_are_told() -> None:
    tracker, repair = Tracker(), samples.repair()
    row = ServiceRow(service_id="id-checkout", name="checkout", verdict="code", detail="A cache grows.")
    found = incident_notification(repair.incidents[0].request, row, "incident/env/id-checkout", "run")
    opened = outcome_notification(repair, "pull_request", "https://forge/pull/1", "repair/x", "run")
    with serving(tracker.app) as api:
        github = GitHubClient(api, SecretStr("t"), pace=False)
        for notification in (found, found, opened, opened):
            url = link(notification, "https://ui.example", "default")
            delivery.post_issue(github, "acme/ops", notification, url)
    (issue,) = tracker.issues
    assert issue["title"] == "checkout in trouble: code"
    assert [one["name"] for one in issue["labels"]] == ["railmend-incident"]
    assert "https://ui.example/namespaces/default/workflows/incident%2Fenv%2Fid-checkout" in issue["body"]
    (comment,) = tracker.comments[1]
    assert "\nhttps://forge/pull/1\n" in comment


def test_a_repository_without_issues_is_told_and_not_tried_again() -> None:
    tracker = Tracker()
    tracker.closed = True
    notification = outcome_notification(samples.repair(), "failed", "no", "repair/x", "run")
    with serving(tracker.app) as url:
        github = GitHubClient(url, SecretStr("t"), pace=False)
        with pytest.raises(GitHubError, match=r"Issues of acme/ops.*410") as refused:
            delivery.post_issue(github, "acme/ops", notification, "")
    assert not refused.value.retryable


def test_a_stranger_who_posts_the_marks_takes_no_message_away() -> None:
    tracker, repair = Tracker(), samples.repair()
    opened = outcome_notification(repair, "pull_request", "https://forge/pull/1", "repair/x", "run")
    with serving(tracker.app) as url:
        github = GitHubClient(url, SecretStr("t"), pace=False)
        tracker.author = STRANGER
        delivery.post_issue(github, "acme/ops", opened, "")
        tracker.author = OWN
        delivery.post_issue(github, "acme/ops", opened, "")
    assert [issue["user"]["login"] for issue in tracker.issues] == ["eve", "railmend"]
