"""Texts, signatures, and that a change of state is told once on each channel whatever fails."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
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
from railmend.contracts.action import ActionKind, ActionRequest
from railmend.contracts.notification import (
    Notification,
    NotificationBatch,
    NotificationKind,
    action_notification,
    approval_notification,
    incident_notification,
    outcome_notification,
    thread_of,
)
from railmend.contracts.scan import ServiceRow
from railmend.notifying import delivery, text
from railmend.notifying.delivery import DeliveryError, MessageLimit
from railmend.publishing.github import Issues
from railmend.publishing.github.accounts import Accounts
from railmend.settings import ConfigurationError, Settings
from tests import samples

SECRET = SecretStr("whsec_" + base64.b64encode(b"k" * 32).decode())

ROLLBACK = ActionRequest(
    kind=ActionKind.ROLLBACK,
    environment_id="env",
    service_id="id-checkout",
    service_name="checkout",
    deployment_id="d1",
    reason="The deploy broke it.",
)
SENDER, TO = "railmend@acme.example", ["ops@acme.example"]


def notification(**changes: object) -> Notification:
    incident = samples.incident()
    row = ServiceRow(
        service_id="id-checkout", name="checkout", verdict="code", detail="A cache grows & grows."
    )
    return incident_notification(incident, row, "incident/env/id-checkout", "run").model_copy(update=changes)


def test_an_incident_names_service_symptoms_verdict_and_its_run() -> None:
    url = text.link(notification(), "https://ui.example/", "prod")
    sent = str(text.format_slack(notification(), url)["text"])
    assert "checkout in trouble: code" in sent
    assert "checkout is in trouble." in sent
    assert "A cache grows &amp; grows." in sent
    assert "https://ui.example/namespaces/prod/workflows/incident%2Fenv%2Fid-checkout" in sent


def test_what_a_model_wrote_can_neither_link_nor_call_people() -> None:
    evil = notification(
        summary="<!channel> <https://evil.example|click> @octocat ```` [x](https://evil.example)"
    )
    assert "<!channel>" not in json.dumps(text.format_slack(evil, ""))
    issue = text.format_markdown(evil, "")
    inside = issue.split("`````")[1]
    assert "octocat" in inside
    assert "@octocat" not in inside
    assert "evil.example" in inside
    assert issue.count("`````") == 2


def test_a_waiting_plan_says_how_to_approve_it() -> None:
    waiting = approval_notification(samples.repair(), "repair/acme/checkout/k", "run")
    sent = str(text.format_slack(waiting, "")["text"])
    assert "waits for your approval" in sent
    assert "starter.py approve repair/acme/checkout/k" in sent


def test_a_pull_request_and_another_outcome_are_told_apart() -> None:
    repair = samples.repair()
    opened = outcome_notification(
        repair, "pull_request", "https://forge/acme/checkout/pull/1", "repair/x", "run"
    )
    refused = outcome_notification(repair, "refused", "The guard refused it.", "repair/x", "run")
    url = text.link(opened, "https://ui.example", "prod")
    assert "<https://forge/acme/checkout/pull/1|Open>" in str(text.format_slack(opened, url)["text"])
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


def activities(*channels: Channel, per_hour: int = 100) -> NotificationActivities:
    return NotificationActivities(channels, MessageLimit(per_hour))


class Receiver:
    def __init__(self, *answers: Exception | None) -> None:
        self.got: list[str] = []
        self.seen: list[Notification] = []
        self._answers = list(answers)

    async def __call__(self, notification: Notification) -> None:
        self.got.append(notification.notification_id)
        self.seen.append(notification)
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
    work = activities(Channel("slack", slack, False), Channel("webhook", hook, True))
    assert await attempts(work, notification()) == 2
    assert len(slack.got) == 2
    assert set(hook.got) == {notification().notification_id}


async def test_what_may_have_arrived_in_a_chat_is_not_said_twice() -> None:
    slack = Receiver(DeliveryError("slack: no answer.", retryable=True, uncertain=True))
    work = activities(Channel("slack", slack, False))
    assert await attempts(work, notification()) == 2
    assert slack.got == [notification().notification_id]


async def test_a_message_that_was_delivered_is_not_repeated_for_anothers_sake() -> None:
    slack = Receiver()
    hook = Receiver(DeliveryError("webhook: answered 503.", retryable=True))
    work = activities(Channel("slack", slack, False), Channel("webhook", hook, True))
    await attempts(work, notification(), notification(notification_id="incident/other/run"))
    assert sorted(slack.got) == sorted([notification().notification_id, "incident/other/run"])


async def test_a_channel_that_is_down_is_asked_once_an_attempt_not_for_every_notice() -> None:
    down = DeliveryError("slack: not reached.", retryable=True)
    slack = Receiver(down)
    work = activities(Channel("slack", slack, False))
    many = [notification(notification_id=f"incident/{number}/run") for number in range(5)]
    assert await attempts(work, *many) == 2
    assert len(slack.got) == 6
    assert set(slack.got) == {entry.notification_id for entry in many}


async def test_a_wrong_address_is_given_up_at_once() -> None:
    slack = Receiver(DeliveryError("slack: answered 404.", retryable=False))
    assert await attempts(activities(Channel("slack", slack, False)), notification()) == 1


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
        delivery.post_issue(github, "acme/ops", again, text.link(again, None, ""))
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


def test_slack_takes_the_blocks_of_a_long_message_and_the_link_is_in_them() -> None:
    long = notification(symptoms=("x" * 900,) * 5, summary="<" * 600, project="p" * 200, environment="e")
    header, section, context = text.format_slack(long, "https://forge/pull/1")["blocks"]  # type: ignore[misc]
    assert len(header["text"]["text"]) <= 150
    assert len(section["text"]["text"]) <= 3000
    assert section["text"]["text"].endswith("<https://forge/pull/1|Open>")
    assert context["elements"][0]["text"].startswith("warning, ppp")


def test_a_message_says_how_bad_where_and_what_railmend_does() -> None:
    unproven = outcome_notification(
        samples.repair(), "pull_request", "https://forge/pull/1", "repair/x", "run", "unproven"
    )
    lines = text.format_plain(unproven, text.link(unproven, "https://ui.example", "prod")).splitlines()
    assert lines[0] == "warning, shop / production, acme/checkout"
    assert "It is unproven: no test shows that the fault is gone." in lines[-2]
    assert lines[-1] == "https://forge/pull/1"
    for outcome, said in (
        ("held", "Nothing is left to do."),
        ("not_held", "changes nothing"),
        ("worse", "revert"),
    ):
        ended = outcome_notification(samples.repair(), outcome, "Because.", "repair/x", "run")
        assert said in text.format_plain(ended, "")


def test_a_rollback_says_how_to_answer_it() -> None:
    sent = action_notification(ROLLBACK, "run")
    assert text.format_headline(sent) == "checkout: a rollback waits for your approval"
    assert f"starter.py approve {sent.workflow_id}" in text.format_plain(sent, "")
    restart = action_notification(ROLLBACK.model_copy(update={"kind": ActionKind.RESTART}), "run")
    assert text.format_headline(restart) == "checkout: a restart waits for your approval"


async def test_the_hour_has_so_many_messages_and_the_last_one_says_so() -> None:
    now = [0.0]
    limit = MessageLimit(2, lambda: now[0])
    receiver = Receiver()
    work = NotificationActivities([Channel("slack", receiver, False)], limit)
    many = [notification(notification_id=f"incident/{number}/run") for number in range(4)]
    await attempts(work, *many)
    await attempts(work, *many)  # another attempt, whose heartbeat was lost, takes no more of the hour
    assert receiver.got == ["incident/0/run", "incident/1/run"] * 2
    assert ["left out" in text.format_plain(each, "") for each in receiver.seen[:2]] == [False, True]
    now[0] = 3600.0
    await attempts(work, notification(notification_id="incident/9/run"))
    assert receiver.got[-1] == "incident/9/run"


class MailServer:
    """As much of a server as takes one e-mail; `refuses`: what it answers to the sender's address."""

    def __init__(self, refuses: bytes = b"") -> None:
        self.got: list[str] = []
        self._refuses = refuses

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail\r\n")
        data = False
        while line := await reader.readline():
            self.got.append(line.decode().rstrip("\r\n"))
            if data and line != b".\r\n":
                continue
            data, word = line.upper().startswith(b"DATA"), line[:4].upper()
            refused = self._refuses if word == b"MAIL" else b""
            answers = {
                b"EHLO": b"250-mail\r\n250 AUTH PLAIN\r\n",
                b"DATA": b"354 go on\r\n",
                b"QUIT": b"221 bye\r\n",
            }
            writer.write(refused or answers.get(word, b"250 ok\r\n"))
            await writer.drain()
        writer.close()


async def mail(server: MailServer, sent: Notification) -> None:
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        url = SecretStr(f"smtp://127.0.0.1:{port}")
        message = delivery.email_of(
            sent, "https://forge/pull/1", "railmend@acme.example", ["ops@acme.example"]
        )
        await asyncio.to_thread(
            delivery.post_email, url, "railmend@acme.example", ["ops@acme.example"], message
        )


async def test_an_e_mail_is_one_of_its_incidents_conversation() -> None:
    server = MailServer()
    await mail(server, notification(services=("checkout\nBcc: evil@evil.example",)))
    head = server.got[server.got.index("data") + 1 : server.got.index("")]
    assert not [line for line in head if line.startswith("Bcc")]
    assert any(line.startswith("References: <") for line in head)
    assert "https://forge/pull/1" in server.got


@pytest.mark.parametrize(("answer", "retryable"), [(b"451 later\r\n", True), (b"550 never\r\n", False)])
async def test_a_mail_server_says_whether_to_come_again(answer: bytes, retryable: bool) -> None:
    with pytest.raises(DeliveryError) as refused:
        await mail(MailServer(answer), notification())
    assert (refused.value.retryable, refused.value.uncertain) == (retryable, False)


async def test_a_password_is_not_sent_without_tls() -> None:
    server = MailServer()
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        url = SecretStr(f"smtp://user:pass@127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        message = delivery.email_of(notification(), "", SENDER, TO)
        with pytest.raises(DeliveryError):
            await asyncio.to_thread(delivery.post_email, url, SENDER, TO, message)
    assert not [line for line in server.got if line.upper().startswith(("AUTH", "MAIL"))]


async def test_any_service_of_apprise_gets_the_same_words() -> None:
    got: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head, re.I)[1])  # type: ignore[index]
        got.append(await reader.readexactly(length))
        status = b"200 OK" if len(got) > 1 else b"500 No"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        url = f"json://127.0.0.1:{listening.sockets[0].getsockname()[1]}/secret-path"
        set_ = Settings(notify_urls=SecretStr(url))
        assert set_.policy().notify
        work = activities(*channels(set_, httpx.AsyncClient()))
        assert await attempts(work, notification()) == 2
    told = json.loads(got[-1])
    assert told["title"] == "checkout in trouble: code"
    assert "A cache grows & grows." in told["message"]


def test_an_address_that_apprise_does_not_know_is_named_by_its_place_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrong = Settings(notify_urls=SecretStr("json://hook.example nosuch://secret-token"))
    with pytest.raises(ConfigurationError, match="address 2") as refused:
        channels(wrong, httpx.AsyncClient())
    assert "secret-token" not in str(refused.value) + caplog.text


@pytest.mark.parametrize("kind", list(NotificationKind))
def test_every_kind_has_words(kind: NotificationKind) -> None:
    assert "checkout" in text.format_headline(notification(kind=kind))
