"""Texts of notifications. Pure code."""

from urllib.parse import quote

from railmend.contracts.notification import Notification, NotificationKind

HEADLINES = {
    NotificationKind.INCIDENT: "{services} in trouble: {verdict}",
    NotificationKind.APPROVAL: "{services}: a plan waits for your approval",
    NotificationKind.PULL_REQUEST: "{services}: pull request opened",
    NotificationKind.OUTCOME: "{services}: repair ended, {outcome}",
    NotificationKind.MISSED_SCANS: "Project {services} is not looked at: scans fail or are skipped",
}
MAX_TITLE = 200


def format_headline(notification: Notification) -> str:
    """Return one line, for a chat message or an issue's title."""
    text = HEADLINES.get(notification.kind, "{services}: {kind}").format(
        services=", ".join(dict.fromkeys(notification.services)),
        verdict=notification.verdict.replace("_", " "),
        outcome=notification.outcome.replace("_", " "),
        kind=notification.kind.value.replace("_", " "),
    )
    return text[:MAX_TITLE]


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
        lines.append(f"Approve: starter.py approve {notification.workflow_id}")
        lines.append(f"Reject: starter.py reject {notification.workflow_id} --reason '...'")
    if notification.repository:
        lines.append(f"Repository: {notification.repository}")
    return lines


def format_slack(notification: Notification, url: str) -> dict[str, str]:
    """Return the body of an incoming webhook in Slack's mrkdwn.

    Mattermost, Rocket.Chat and Discord's `/slack` address take the same.
    """
    lines = [f"*{_escaped(format_headline(notification))}*", *map(_escaped, format_lines(notification))]
    if notification.pull_request:
        lines.append(f"<{_escaped(notification.pull_request)}|Pull request>")
    if url:
        lines.append(f"<{_escaped(url)}|Open in Temporal>")
    return {"text": "\n".join(lines)}


def _escaped(text: str) -> str:
    """Escape Slack's three control characters, so that no model's text links or mentions a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def format_webhook(notification: Notification, url: str) -> dict[str, object]:
    """Return the body of the generic webhook: type, headline, link and the notification's data."""
    return {
        "type": f"railmend.{notification.kind.value}",
        "headline": format_headline(notification),
        "link": url,
        "data": notification.model_dump(mode="json"),
    }


def format_markdown(notification: Notification, url: str) -> str:
    """Return the text of a GitHub issue; a code block keeps facts from mentioning people or linking."""
    fence = "`" * 4
    body = "\n".join(format_lines(notification)).replace(fence, "")
    paragraphs = [f"**{format_headline(notification)}**", f"{fence}text\n{body}\n{fence}"]
    if notification.pull_request:
        paragraphs.append(f"Pull request: {notification.pull_request}")
    if url:
        paragraphs.append(f"[Open in Temporal]({url})")
    return "\n\n".join(paragraphs)
