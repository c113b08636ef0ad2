"""Deliver notifications: webhooks (Slack's form, or signed as Standard Webhooks says), e-mail, GitHub issues.

A webhook call whose response is lost may have arrived: such an error is `uncertain`; the caller decides.
"""

import base64
import hashlib
import hmac
import json
import smtplib
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import httpx
from github.Issue import Issue
from github.IssueComment import IssueComment
from pydantic import SecretStr

from railmend.contracts.approval import PlanIssue, PlanIssueRequest
from railmend.contracts.notification import Notification
from railmend.evidence.safe_text import MarkdownText
from railmend.notifying.text import format_headline, format_markdown, format_plain
from railmend.publishing.github import GitHubClient, Issues
from railmend.publishing.github.decision import PLAN_MARK, digest_of
from railmend.publishing.text import format_plan_issue

TIMEOUT_SECONDS = 10.0
MAX_RETRY_AFTER = 60.0
SECRET_PREFIX = "whsec_"  # noqa: S105 - the specification's prefix of a secret
# Newest issues searched for a thread; an older thread is started anew.
MAX_SEARCHED = 300
LABEL = "railmend-incident"
HOUR_SECONDS = 3600.0
MOST_KNOWN = 2_000  # newest messages that are known again


class DeliveryError(Exception):
    """A channel's failure. The message never holds the address, which is the channel's secret.

    `uncertain`: the call may have arrived nevertheless.
    """

    def __init__(
        self, message: str, *, retryable: bool, uncertain: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.uncertain = uncertain
        self.retry_after = retry_after


def signature_headers(secret: SecretStr, message_id: str, body: bytes, at: int) -> dict[str, str]:
    """Return the headers that authenticate the sender: https://www.standardwebhooks.com, version 1.

    HMAC-SHA256 of "id.timestamp.body"; a secret that begins with `whsec_` is base64. `at`: Unix time in s.
    """
    text = secret.get_secret_value()
    key = base64.b64decode(text[len(SECRET_PREFIX) :]) if text.startswith(SECRET_PREFIX) else text.encode()
    digest = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


async def post_webhook(
    client: httpx.AsyncClient,
    channel: str,
    url: SecretStr,
    body: Mapping[str, object],
    *,
    message_id: str,
    secret: SecretStr | None = None,
) -> None:
    """Call a webhook. Raise `DeliveryError`; `channel` names it in the message."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": message_id}
    if secret is not None:
        headers |= signature_headers(secret, message_id, content, int(time.time()))
    try:
        response = await client.post(url.get_secret_value(), content=content, headers=headers)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise DeliveryError(f"{channel}: not reached ({type(error).__name__}).", retryable=True) from None
    except httpx.HTTPError as error:
        raise DeliveryError(
            f"{channel}: no answer ({type(error).__name__}).", retryable=True, uncertain=True
        ) from None
    except httpx.InvalidURL:
        raise DeliveryError(f"{channel}: its address is not a URL.", retryable=False) from None
    if not response.is_success:
        raise _refused(channel, response)


def _refused(channel: str, response: httpx.Response) -> DeliveryError:
    """Return the error of a status: 429 and 503 were not accepted, any other 5xx may have been."""
    status = response.status_code
    after = response.headers.get("retry-after", "")
    return DeliveryError(
        f"{channel}: answered {status}." + ("" if status >= 500 or status == 429 else " Check its address."),
        retryable=status >= 500 or status in (408, 429),
        uncertain=status >= 500 and status != 503,
        retry_after=min(float(after), MAX_RETRY_AFTER) if after.isdigit() else None,
    )


def post_email(server: SecretStr, sender: str, receivers: Sequence[str], message: EmailMessage) -> None:
    """Send an e-mail by SMTP. Blocking. Raise `DeliveryError`.

    `server`: smtps://[USER:PASSWORD@]HOST[:PORT] for TLS from the start, smtp:// for STARTTLS; a password is
    never sent without TLS.
    """
    parts = urlsplit(server.get_secret_value())
    host, context = parts.hostname or "", ssl.create_default_context()
    sent = accepted = False
    try:
        with (
            smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_SECONDS, context=context)
            if parts.scheme == "smtps"
            else smtplib.SMTP(host, parts.port or 587, timeout=TIMEOUT_SECONDS)
        ) as connection:
            connection.ehlo()
            if parts.scheme == "smtp" and (parts.username or connection.has_extn("starttls")):
                connection.starttls(context=context)
            if parts.username:
                connection.login(unquote(parts.username), unquote(parts.password or ""))
            sent = True
            connection.send_message(message, sender, list(receivers))
            accepted = True
    except smtplib.SMTPResponseException as error:
        if accepted:  # only the farewell was refused
            return
        # 4xx asks to come again, 5xx refuses for good: RFC 5321, 4.2.1.
        raise DeliveryError(
            f"email: the server answered {error.smtp_code}.", retryable=400 <= error.smtp_code < 500
        ) from None
    except smtplib.SMTPException as error:
        uncertain = isinstance(error, smtplib.SMTPServerDisconnected) and sent
        retryable = isinstance(error, smtplib.SMTPServerDisconnected)
        raise DeliveryError(
            f"email: not sent ({type(error).__name__}).", retryable=retryable, uncertain=uncertain
        ) from None
    except OSError as error:
        raise DeliveryError(
            f"email: not reached ({type(error).__name__}).", retryable=True, uncertain=sent
        ) from None


def email_of(notification: Notification, url: str, sender: str, receivers: Sequence[str]) -> EmailMessage:
    """Return an e-mail; those about one incident are one conversation."""
    message = EmailMessage()
    message["Subject"] = format_headline(notification)
    message["From"], message["To"] = sender, ", ".join(receivers)
    message["Message-ID"] = f"<{_hashed(notification.notification_id)}@railmend.invalid>"
    thread = f"<{_hashed(notification.threads[0])}@railmend.invalid>"
    message["In-Reply-To"] = message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(format_plain(notification, url))
    return message


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def issue_marker(name: str) -> MarkdownText:
    """Return a comment that is invisible in the rendered issue."""
    return MarkdownText.comment(f"railmend:{name}")


def post_issue(github: GitHubClient, repository: str, notification: Notification, url: str) -> None:
    """Open one issue per incident, and add a comment for each further notification. Blocking.

    Safe to repeat: what an issue of Railmend's account holds already is not written again. Raise
    `GitHubError`.
    """
    body = format_markdown(notification, url)
    with github.issues(repository) as issues:
        for thread in dict.fromkeys(notification.threads):
            _post(issues, thread, notification, body)


def post_plan(github: GitHubClient, request: PlanIssueRequest) -> PlanIssue:
    """Show a plan on the issue of its first incident, in place of its notification there. As `post_issue`.

    An issue that was closed with an earlier plan is opened again.
    """
    repair, notification = request.repair, request.notification
    with github.issues(repair.repository) as issues:
        issue, shown = _post(issues, notification.threads[0], notification, format_plan_issue(request))
        if issue.state == "closed" and PLAN_MARK in (issue.body or ""):
            issue.edit(state="open")
    return PlanIssue(
        repository=repair.repository,
        number=issue.number,
        url=shown.html_url,
        plan=repair.plan_hash,
        shown_at=shown.created_at,
        digest=digest_of(shown),
    )


def _post(
    issues: Issues, thread: str, notification: Notification, body: MarkdownText
) -> tuple[Issue, Issue | IssueComment]:
    """Return the issue of a thread, and what on it holds the notification."""
    mark, thread_mark = issue_marker(notification.notification_id), issue_marker(f"thread {thread}")
    marked = MarkdownText.joined([body, mark])
    issue = issues.find(LABEL, thread_mark, MAX_SEARCHED)
    if issue is None:
        opened = MarkdownText.joined([marked, thread_mark], "\n")
        issue = issues.create(format_headline(notification), opened, LABEL)
        return issue, issue
    return issue, issues.written(issue, mark) or issue.create_comment(marked)


class MessageLimit:
    """Counts in this process: each orchestration worker has its own hour. `clock`: seconds, monotonic."""

    def __init__(self, per_hour: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_hour, self._clock = per_hour, clock
        self._admitted: deque[float] = deque()
        self._known: dict[str, Notification | None] = {}

    def admit(self, notification: Notification) -> Notification | None:
        """Return what may be sent; the hour's last one says that more is left out. None: the hour is full.

        A message that is asked for again, as by another attempt, gets the same answer.
        """
        name = notification.notification_id
        if name not in self._known:
            self._known[name] = self._new(notification)
            if len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        return self._known[name]

    def _new(self, notification: Notification) -> Notification | None:
        now = self._clock()
        while self._admitted and now - self._admitted[0] >= HOUR_SECONDS:
            self._admitted.popleft()
        if len(self._admitted) >= self._per_hour:
            return None
        self._admitted.append(now)
        full = len(self._admitted) == self._per_hour
        return notification.model_copy(update={"last": True}) if full else notification
