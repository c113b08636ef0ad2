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


def headline(notice: Notification) -> str:
    """One line, for a chat and for an issue's title."""
    text = HEADLINES[notice.kind].format(
        services=", ".join(dict.fromkeys(notice.services)),
        verdict=notice.verdict.replace("_", " "),
        outcome=notice.outcome.replace("_", " "),
    )
    return text[:MAX_TITLE]


def link(notice: Notification, web_url: str | None, namespace: str) -> str:
    """The run in the Temporal Web UI, the newest of its workflow ID; empty without an address."""
    if not web_url:
        return ""
    return f"{web_url.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows/" + quote(
        notice.workflow_id, safe=""
    )


def lines(notice: Notification) -> list[str]:
    """What follows the headline, plain, one thought each."""
    said = [f"- {symptom}" for symptom in notice.symptoms]
    if notice.summary:
        said.append(notice.summary)
    if notice.kind is NotificationKind.APPROVAL:
        said.append(f"Approve: starter.py approve {notice.workflow_id}")
        said.append(f"Reject: starter.py reject {notice.workflow_id} --reason '...'")
    if notice.repository:
        said.append(f"Repository: {notice.repository}")
    return said


def slack(notice: Notification, url: str) -> dict[str, str]:
    """The body of an incoming webhook, in Slack's mrkdwn; Mattermost, Rocket.Chat and Discord's
    `/slack` address take the same."""
    said = [f"*{_escaped(headline(notice))}*", *map(_escaped, lines(notice))]
    if notice.pull_request:
        said.append(f"<{_escaped(notice.pull_request)}|Pull request>")
    if url:
        said.append(f"<{_escaped(url)}|Open in Temporal>")
    return {"text": "\n".join(said)}


def _escaped(text: str) -> str:
    """Slack's three control characters: so what a model wrote can neither link nor call a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def generic(notice: Notification, url: str) -> dict[str, object]:
    """The body of the generic webhook: the notice's facts, its headline and its link."""
    return {"type": f"railmend.{notice.kind.value}", "headline": headline(notice), "link": url} | {
        "data": notice.model_dump(mode="json")
    }


def markdown(notice: Notification, url: str) -> str:
    """For a GitHub issue. The facts stand in a code block, where nothing in them can mention or link."""
    fence = "`" * 4
    body = "\n".join(lines(notice)).replace(fence, "")
    said = [f"**{headline(notice)}**", f"{fence}text\n{body}\n{fence}"]
    if notice.pull_request:
        said.append(f"Pull request: {notice.pull_request}")
    if url:
        said.append(f"[Open in Temporal]({url})")
    return "\n\n".join(said)
