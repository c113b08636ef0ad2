"""Texts, signatures, and that a change of state is told once on each channel whatever fails."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from unittest.mock import MagicMock

import httpx
import pytest
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.notifications import Channel, NotificationActivities
from hosting.notification_channels import channels
from railmend.contracts.notification import (
    Notification,
    NotificationBatch,
    NotificationKind,
    approval_notification,
    incident_notification,
    outcome_notification,
    thread_of,
)
from railmend.contracts.scan import ServiceRow
from railmend.notifying import delivery, text
from railmend.notifying.delivery import DeliveryError
from railmend.publishing.github import Issues
from railmend.publishing.github.accounts import Accounts
from railmend.settings import Settings
from tests import samples

SECRET = SecretStr("whsec_" + base64.b64encode(b"k" * 32).decode())


def notification(**changes: object) -> Notification:
    incident = samples.incident()
    row = ServiceRow(
        service_id="id-checkout", name="checkout", verdict="code", detail="A cache grows & grows."
    )
    return incident_notification(incident, row, "incident/env/id-checkout", "run").model_copy(update=changes)


def test_an_incident_names_service_symptoms_verdict_and_its_run() -> None:
    sent = text.format_slack(notification(), text.link(notification(), "https://ui.example/", "prod"))["text"]
    assert "checkout in trouble: code" in sent
    assert "checkout is in trouble." in sent
    assert "A cache grows &amp; grows." in sent
    assert "https://ui.example/namespaces/prod/workflows/incident%2Fenv%2Fid-checkout" in sent


def test_what_a_model_wrote_can_neither_link_nor_call_people() -> None:
    evil = notification(
        summary="<!channel> <https://evil.example|click> @octocat ```` [x](https://evil.example)"
    )
    assert "<!channel>" not in text.format_slack(evil, "")["text"]
    issue = text.format_markdown(evil, "")
    inside = issue.split("`````")[1]
    assert "octocat" in inside
    assert "@octocat" not in inside
    assert "evil.example" in inside
    assert issue.count("`````") == 2


def test_a_waiting_plan_says_how_to_approve_it() -> None:
    waiting = approval_notification(samples.repair(), "repair/acme/checkout/k", "run")
    sent = text.format_slack(waiting, "")["text"]
    assert "waits for your approval" in sent
    assert "starter.py approve repair/acme/checkout/k" in sent


def test_a_pull_request_and_another_outcome_are_told_apart() -> None:
    repair = samples.repair()
    opened = outcome_notification(
        repair, "pull_request", "https://forge/acme/checkout/pull/1", "repair/x", "run"
    )
    refused = outcome_notification(repair, "refused", "The guard refused it.", "repair/x", "run")
    assert "https://forge/acme/checkout/pull/1|Pull request" in text.format_slack(opened, "")["text"]
    assert text.format_headline(refused) == "checkout: the change was refused"
    assert opened.notification_id != refused.notification_id


def test_notices_of_one_trouble_share_a_thread_and_ids_repeat_themselves() -> None:
    repair = samples.repair()
    threads = outcome_notification(repair, "failed", "", "repair/x", "run").threads
    assert threads == (thread_of(repair.incidents[0].request),)
    assert notification().notification_id == notification().notification_id


async def deliver(answer: Callable[[httpx.Request], httpx.Response]) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        await delivery.post_webhook(
            client,
            "webhook",
            SecretStr("https://hook.example/secret-path"),
            text.format_webhook(notification(), ""),
            message_id="incident/x/run",
            secret=SECRET,
        )


async def test_the_generic_webhook_is_signed_so_that_a_receiver_can_check_it() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    await deliver(answer)
    (request,) = seen
    signed = ".".join(
        [request.headers["webhook-id"], request.headers["webhook-timestamp"], request.content.decode()]
    )
    expected = base64.b64encode(hmac.new(b"k" * 32, signed.encode(), hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    body = json.loads(request.content)
    assert body["type"] == "railmend.incident"
    assert body["data"]["services"] == ["checkout"]


@pytest.mark.parametrize(
    ("status", "retryable", "uncertain"),
    [(404, False, False), (429, True, False), (503, True, False), (500, True, True)],
)
async def test_a_refusal_says_whether_to_try_again_and_never_the_address(
    status: int, retryable: bool, uncertain: bool
) -> None:
    with pytest.raises(DeliveryError) as refused:
        await deliver(lambda _: httpx.Response(status, headers={"Retry-After": "7"}))
    assert (refused.value.retryable, refused.value.uncertain) == (retryable, uncertain)
    assert "secret-path" not in str(refused.value)


async def test_a_lost_answer_is_uncertain_a_refused_connection_is_not() -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no", request=request)

    def closed(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("https://hook.example/secret-path", request=request)

    with pytest.raises(DeliveryError) as first:
        await deliver(lost)
    with pytest.raises(DeliveryError) as second:
        await deliver(closed)
    assert (first.value.uncertain, second.value.uncertain) == (True, False)
    assert "secret-path" not in str(second.value)


class Receiver:
    def __init__(self, *answers: Exception | None) -> None:
        self.got: list[str] = []
        self._answers = list(answers)

    async def __call__(self, notification: Notification) -> None:
        self.got.append(notification.notification_id)
        answer = self._answers.pop(0) if self._answers else None
        if answer is not None:
            raise answer


async def attempts(work: NotificationActivities, *notifications: Notification, most: int = 4) -> int:
    """As the server does it: again while it fails, with the details of the attempt before."""
    details: list[object] = []
    for attempt in range(1, most + 1):
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, heartbeat_details=details, attempt=attempt)
        beats: list[object] = []
        environment.on_heartbeat = lambda *given, into=beats: into.append(list(given))  # type: ignore[misc]
        try:
            await environment.run(work.notify, NotificationBatch(notifications=notifications))
        except ApplicationError as error:
            assert not error.non_retryable  # noqa: PT017 - the loop is what is tested
            details = beats[-1] if beats else details  # type: ignore[assignment]
            continue
        return attempt
    return most + 1


async def test_a_channel_that_is_down_costs_the_others_nothing_and_gets_its_message_later() -> None:
    slack = Receiver(DeliveryError("slack: answered 503.", retryable=True))
    hook = Receiver()
    work = NotificationActivities([Channel("slack", slack, False), Channel("webhook", hook, True)])
    assert await attempts(work, notification()) == 2
    assert len(slack.got) == 2
    assert set(hook.got) == {notification().notification_id}


async def test_what_may_have_arrived_in_a_chat_is_not_said_twice() -> None:
    slack = Receiver(DeliveryError("slack: no answer.", retryable=True, uncertain=True))
    work = NotificationActivities([Channel("slack", slack, False)])
    assert await attempts(work, notification()) == 2
    assert slack.got == [notification().notification_id]


async def test_a_message_that_was_delivered_is_not_repeated_for_anothers_sake() -> None:
    slack = Receiver()
    hook = Receiver(DeliveryError("webhook: answered 503.", retryable=True))
    work = NotificationActivities([Channel("slack", slack, False), Channel("webhook", hook, True)])
    await attempts(work, notification(), notification(notification_id="incident/other/run"))
    assert sorted(slack.got) == sorted([notification().notification_id, "incident/other/run"])


async def test_a_channel_that_is_down_is_asked_once_an_attempt_not_for_every_notice() -> None:
    down = DeliveryError("slack: not reached.", retryable=True)
    slack = Receiver(down)
    work = NotificationActivities([Channel("slack", slack, False)])
    many = [notification(notification_id=f"incident/{number}/run") for number in range(5)]
    assert await attempts(work, *many) == 2
    assert len(slack.got) == 6
    assert set(slack.got) == {entry.notification_id for entry in many}


async def test_a_wrong_address_is_given_up_at_once() -> None:
    slack = Receiver(DeliveryError("slack: answered 404.", retryable=False))
    assert await attempts(NotificationActivities([Channel("slack", slack, False)]), notification()) == 1


class FakeIssue:
    def __init__(self, body: str) -> None:
        self.body = body
        self.user = MagicMock(id=1)
        self.comments: list[str] = []

    def get_comments(self) -> list[MagicMock]:
        return [MagicMock(body=text, user=self.user) for text in self.comments]

    def create_comment(self, text: str) -> None:
        self.comments.append(text)


class FakeRepository:
    def __init__(self) -> None:
        self.all: list[FakeIssue] = []

    def get_issues(self, **_: object) -> list[FakeIssue]:
        return list(reversed(self.all))

    def create_issue(self, *, title: str, body: str, labels: list[str]) -> FakeIssue:
        self.all.append(FakeIssue(f"{title}\n{body}"))
        return self.all[-1]


def test_an_incident_is_one_issue_and_each_later_change_one_comment() -> None:
    repository = FakeRepository()
    github = MagicMock()
    github.issues.return_value.__enter__.return_value = Issues(
        repository,  # type: ignore[arg-type]
        Accounts(MagicMock(), lambda: {1}),
    )
    repair = samples.repair()
    first = notification(threads=(thread_of(repair.incidents[0].request),))
    opened = outcome_notification(repair, "pull_request", "https://forge/pull/1", "repair/x", "run")
    for again in (first, first, opened, opened):
        delivery.post_issue(github, "acme/ops", again, "")
    (issue,) = repository.all
    assert issue.body.startswith("checkout in trouble: code")
    (comment,) = issue.comments
    assert "https://forge/pull/1" in comment


async def test_only_what_is_set_is_told() -> None:
    assert channels(Settings(), httpx.AsyncClient()) == []
    chosen = Settings(
        notify_slack_url=SecretStr("https://slack.example"),
        notify_github_repository="acme/ops",
        github_token=SecretStr("t"),
    )
    assert [channel.name for channel in channels(chosen, httpx.AsyncClient())] == ["slack", "github"]
    assert chosen.policy().notify
    assert not Settings().policy().notify


@pytest.mark.parametrize("kind", list(NotificationKind))
def test_every_kind_has_words(kind: NotificationKind) -> None:
    assert "checkout" in text.format_headline(notification(kind=kind))
