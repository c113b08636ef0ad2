"""Pull requests by PyGithub; blocking, so in threads."""

import asyncio
from dataclasses import replace

from temporalio import activity

from activities.by_reference import material_of
from activities.heartbeat import working
from railmend.artifacts import ArtifactStore
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.repair import PullRequest, PullRequestRequest
from railmend.publishing.github import GitHubClient, NewPullRequest
from railmend.publishing.proof import head_check, is_draft, labels, marked
from railmend.publishing.text import body, title

# With any other autonomy, one that a later version added too, the pull request is a draft.
OPENS_READY = (Autonomy.PLAN, Autonomy.PULL_REQUEST)


class PullRequestActivities:
    def __init__(self, github: GitHubClient, artifacts: ArtifactStore) -> None:
        self._github = github
        self._artifacts = artifacts

    @activity.defn
    async def open_pull_request(self, request: PullRequestRequest) -> PullRequest:
        """Return the pull request, created where an earlier attempt left none; its commit says its proof."""
        publish = request.publish
        repair = publish.repair
        async with working():
            base = repair.base_branch or await asyncio.to_thread(
                self._github.default_branch, repair.repository
            )
            unseen = await asyncio.to_thread(self._github.unseen_checks, repair.repository, base)
            material = replace(await material_of(publish, self._artifacts), unseen=unseen)
            pull_request = await asyncio.to_thread(
                self._github.open_pull_request,
                repair.repository,
                NewPullRequest(
                    branch=request.commit.branch,
                    base=base,
                    title=marked(title(repair), publish),
                    body=body(publish, material),
                    draft=repair.autonomy not in OPENS_READY or is_draft(publish),
                    labels=labels(publish),
                    reviewers=repair.policy.follow_up.reviewers,
                    since=repair.requested_at,
                ),
            )
            if (check := head_check(publish.proof, publish.doubts)) is not None:
                checks = await asyncio.to_thread(self._github.head_checks, repair.repository)
                await asyncio.to_thread(checks.show, request.commit.sha, check, pull_request.url)
            return pull_request
