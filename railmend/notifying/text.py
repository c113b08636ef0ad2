"""Texts of notifications. Pure code."""

from urllib.parse import quote

from railmend.contracts.notification import Notification, NotificationKind
from railmend.contracts.status import WAITS_FOR_APPROVAL, ending_label
from railmend.evidence.safe_text import ADDRESS, MarkdownText, PlainText, SafeText

HEADLINES = {
    NotificationKind.INCIDENT: "{services} in trouble: {verdict}",
    NotificationKind.APPROVAL: "{services}: {waits}",
    NotificationKind.PULL_REQUEST: "{services}: {outcome}",
    NotificationKind.OUTCOME: "{services}: {outcome}",
    NotificationKind.MISSED_SCANS: "Project {services} is not being scanned: scans fail or are skipped",
}
MAX_TITLE = 200
# Slack's control characters, and its code.
MRKDWN = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "'", "*": "\u2217", "~": "\u223c"})


class SlackText(SafeText):
    """Slack's mrkdwn, which Mattermost and Discord read nearly as Markdown. A value is one plain line."""

    __slots__ = ()

    @classmethod
    def escape(cls, text: str) -> str:
        return PlainText.escape(text).translate(MRKDWN)

    @classmethod
    def link(cls, url: str, text: str) -> "SlackText":
        if not ADDRESS.fullmatch(url):
            return cls.of("{}: {}", text, url)
        return cls.of("<{}|{}>", cls._made(url), text)


def format_headline(notification: Notification) -> PlainText:
    """Return one line, for a chat message or an issue's title."""
    text = PlainText.of(
        HEADLINES.get(notification.kind, "{services}: {kind}"),
        services=", ".join(dict.fromkeys(notification.services)),
        verdict=notification.verdict.replace("_", " "),
        outcome=ending_label(notification.outcome),
        waits=WAITS_FOR_APPROVAL,
        kind=notification.kind.value.replace("_", " "),
    )
    return text.cut(MAX_TITLE)


def link(notification: Notification, web_url: str | None, namespace: str) -> str:
    """Return the address of the workflow's newest run in the Temporal Web UI; empty without `web_url`."""
    if not web_url:
        return ""
    return f"{web_url.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows/" + quote(
        notification.workflow_id, safe=""
    )


def format_lines(notification: Notification) -> list[str]:
    """Return the plain lines that follow the headline."""
    lines = [f"- {symptom}" for symptom in notification.symptoms]
    if notification.summary:
        lines.append(notification.summary)
    if notification.kind is NotificationKind.APPROVAL:
        seen = f" --plan {notification.plan}" if notification.plan else ""
        lines.append(f"Approve: starter.py approve {notification.workflow_id}{seen}")
        lines.append(f"Reject: starter.py reject {notification.workflow_id} --reason '...'")
    if notification.repository:
        lines.append(f"Repository: {notification.repository}")
    return lines


def format_slack(notification: Notification, url: str) -> dict[str, str]:
    """Return the body of an incoming webhook in Slack's mrkdwn.

    Mattermost, Rocket.Chat and Discord's `/slack` address take the same.
    """
    lines = [SlackText.of("*{}*", format_headline(notification)), *map(SlackText, format_lines(notification))]
    if notification.pull_request:
        lines.append(SlackText.link(notification.pull_request, "Pull request"))
    if notification.issue:
        lines.append(SlackText.link(notification.issue, "Read the plan, and decide by a comment"))
    if url:
        lines.append(SlackText.link(url, "Open in Temporal"))
    return {"text": SlackText.joined(lines, "\n")}


def format_webhook(notification: Notification, url: str) -> dict[str, object]:
    """Return the body of the generic webhook: type, headline, link and the notification's data.

    Whoever receives it may post it anywhere: what others wrote is made inert here.
    """
    told = notification.model_copy(
        update={
            "summary": PlainText(notification.summary),
            "symptoms": tuple(map(PlainText, notification.symptoms)),
            "services": tuple(map(PlainText, notification.services)),
        }
    )
    return {
        "type": f"railmend.{notification.kind.value}",
        "headline": format_headline(notification),
        "link": url,
        "data": told.model_dump(mode="json"),
    }


def format_markdown(notification: Notification, url: str) -> MarkdownText:
    """Return the text of a GitHub issue."""
    parts = [
        MarkdownText.of("**{}**", format_headline(notification)),
        MarkdownText.block("\n".join(format_lines(notification)), "text"),
    ]
    if notification.pull_request:
        parts.append(MarkdownText.of("Pull request: {}", MarkdownText.link(notification.pull_request)))
    if notification.issue:
        parts.append(MarkdownText.of("The plan, to decide: {}", MarkdownText.link(notification.issue)))
    if url:
        parts.append(MarkdownText.link(url, "Open in Temporal"))
    return MarkdownText.joined(parts)
