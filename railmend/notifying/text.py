"""The words of a notice. Pure."""

from urllib.parse import quote

from railmend.contracts.notification import Notification, NotificationKind

HEADLINES = {
    NotificationKind.INCIDENT: "{services} in trouble: {verdict}",
    NotificationKind.APPROVAL: "{services}: a plan waits for your approval",
    NotificationKind.PULL_REQUEST: "{services}: pull request opened",
    NotificationKind.OUTCOME: "{services}: repair ended, {outcome}",
}
MAX_TITLE = 200


def headline(notification: Notification) -> str:
    """One line, for a chat and for an issue's title."""
    text = HEADLINES[notification.kind].format(
        services=", ".join(dict.fromkeys(notification.services)),
        verdict=notification.verdict.replace("_", " "),
        outcome=notification.outcome.replace("_", " "),
    )
    return text[:MAX_TITLE]


def link(notification: Notification, web_url: str | None, namespace: str) -> str:
    """The run in the Temporal Web UI, the newest of its workflow ID; empty without an address."""
    if not web_url:
        return ""
    return f"{web_url.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows/" + quote(
        notification.workflow_id, safe=""
    )


def lines(notification: Notification) -> list[str]:
    """What follows the headline, plain, one thought each."""
    said = [f"- {symptom}" for symptom in notification.symptoms]
    if notification.summary:
        said.append(notification.summary)
    if notification.kind is NotificationKind.APPROVAL:
        said.append(f"Approve: starter.py approve {notification.workflow_id}")
        said.append(f"Reject: starter.py reject {notification.workflow_id} --reason '...'")
    if notification.repository:
        said.append(f"Repository: {notification.repository}")
    return said


def slack(notification: Notification, url: str) -> dict[str, str]:
    """The body of an incoming webhook, in Slack's mrkdwn; Mattermost, Rocket.Chat and Discord's
    `/slack` address take the same."""
    said = [f"*{_escaped(headline(notification))}*", *map(_escaped, lines(notification))]
    if notification.pull_request:
        said.append(f"<{_escaped(notification.pull_request)}|Pull request>")
    if url:
        said.append(f"<{_escaped(url)}|Open in Temporal>")
    return {"text": "\n".join(said)}


def _escaped(text: str) -> str:
    """Slack's three control characters: so what a model wrote can neither link nor call a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def generic(notification: Notification, url: str) -> dict[str, object]:
    """The body of the generic webhook: the notice's facts, its headline and its link."""
    return {
        "type": f"railmend.{notification.kind.value}",
        "headline": headline(notification),
        "link": url,
    } | {"data": notification.model_dump(mode="json")}


def markdown(notification: Notification, url: str) -> str:
    """For a GitHub issue. The facts stand in a code block, where nothing in them can mention or link."""
    fence = "`" * 4
    body = "\n".join(lines(notification)).replace(fence, "")
    said = [f"**{headline(notification)}**", f"{fence}text\n{body}\n{fence}"]
    if notification.pull_request:
        said.append(f"Pull request: {notification.pull_request}")
    if url:
        said.append(f"[Open in Temporal]({url})")
    return "\n\n".join(said)
