"""Texts of notifications. Pure code."""

from collections.abc import Sequence
from urllib.parse import quote

from railmend.contracts.action import ActionKind
from railmend.contracts.incident import CODING_VERDICTS, Verdict
from railmend.contracts.notification import Notification, NotificationKind
from railmend.contracts.proof import ProofOutcome
from railmend.contracts.repair import RepairOutcome
from railmend.contracts.status import RESTART_WAITS, ROLLBACK_WAITS, WAITS_FOR_APPROVAL, ending_label
from railmend.evidence.safe_text import ADDRESS, MarkdownText, PlainText, SafeText

HEADLINES = {
    NotificationKind.INCIDENT: "{services} in trouble: {verdict}",
    NotificationKind.APPROVAL: "{services}: {waits}",
    NotificationKind.PULL_REQUEST: "{services}: {outcome}",
    NotificationKind.OUTCOME: "{services}: {outcome}",
    NotificationKind.MISSED_SCANS: "Project {services} is not being scanned: scans fail or are skipped",
    NotificationKind.ACTION: "{services}: {action}",
}
# What Railmend does next: by verdict, by how a repair ended, by what was proved of a change.
AFTER_VERDICT = {
    **dict.fromkeys(
        (verdict.value for verdict in CODING_VERDICTS),
        "Railmend prepares a fix, as far as its autonomy level allows.",
    ),
    Verdict.DEPENDENCY_DOWN.value: "Railmend offers a restart, if it is a service of the project.",
    Verdict.BAD_DEPLOY.value: "Railmend offers a rollback, if there is a deployment to go back to.",
    "waiting": "Railmend continues when the limit allows it.",
    "repair_stuck": "The repair is stuck, and a person has to look at it.",
}
AFTER_OUTCOME = {
    RepairOutcome.HELD.value: "Nothing is left to do.",
    RepairOutcome.CLOSED.value: "Railmend leaves this fault alone for a while.",
    RepairOutcome.WORSE.value: "Railmend opens a revert, and offers a rollback where it can.",
    RepairOutcome.RELATED.value: "Railmend has commented there.",
}
UNPROVEN = {
    ProofOutcome.FAILED.value: "Its proof failed: read its proof table first.",
    ProofOutcome.UNPROVEN.value: "It is unproven: no test shows that the fault is gone.",
}
REVIEW_IT = "Review it: Railmend answers comments, and measures production after the merge."
CHANGES_NOTHING = "Railmend changes nothing by itself."
LAST = "This hour's limit of messages is reached; `starter.py status` shows what is left out."
MAX_TITLE = 200
# Slack refuses a message with longer ones: https://docs.slack.dev/reference/block-kit/blocks
MAX_HEADER, MAX_SECTION = 150, 3000
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
        action=RESTART_WAITS if notification.verdict == ActionKind.RESTART.value else ROLLBACK_WAITS,
        kind=notification.kind.value.replace("_", " "),
    )
    return text.cut(MAX_TITLE)


def link(notification: Notification, web_url: str | None, namespace: str) -> str:
    """Return the one address to open: the pull request, the plan, else the run in the Temporal Web UI.

    Empty where there is none of them, or no `web_url`.
    """
    if address := notification.pull_request or notification.issue:
        return address
    if not web_url:
        return ""
    return f"{web_url.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows/" + quote(
        notification.workflow_id, safe=""
    )


def format_place(notification: Notification) -> PlainText:
    """Return severity, project and environment, as far as they are known."""
    place = " / ".join(filter(None, (notification.project, notification.environment)))
    return PlainText(", ".join(filter(None, (notification.severity, place, notification.repository))))


def next_step(notification: Notification) -> str:
    """Return what Railmend does next, or waits for."""
    kind = notification.kind
    if kind is NotificationKind.INCIDENT:
        return AFTER_VERDICT.get(notification.verdict, CHANGES_NOTHING)
    if kind is NotificationKind.PULL_REQUEST:
        return " ".join(filter(None, (UNPROVEN.get(notification.proof), REVIEW_IT)))
    if kind is NotificationKind.OUTCOME:
        return AFTER_OUTCOME.get(notification.outcome, CHANGES_NOTHING)
    return ""


def format_lines(notification: Notification) -> list[str]:
    """Return the plain lines that follow the headline."""
    lines = [f"- {symptom}" for symptom in notification.symptoms]
    lines += filter(None, (notification.summary, next_step(notification)))
    if notification.kind in (NotificationKind.APPROVAL, NotificationKind.ACTION):
        seen = f" --plan {notification.plan}" if notification.plan else ""
        lines.append(f"Approve: starter.py approve {notification.workflow_id}{seen}")
        lines.append(f"Reject: starter.py reject {notification.workflow_id} --reason '...'")
    return [*lines, LAST] if notification.last else lines


def format_plain(notification: Notification, url: str) -> PlainText:
    """Return the text of an e-mail or of a service that Apprise knows, without the headline."""
    lines = (format_place(notification), *format_lines(notification), PlainText.link(url))
    return PlainText.joined(lines, "\n")


def format_slack(notification: Notification, url: str) -> dict[str, object]:
    """Return the body of an incoming webhook: Slack's blocks, and the same as mrkdwn.

    Mattermost, Rocket.Chat and Discord's `/slack` address show the text; Slack shows it where blocks do not
    fit, as in a notification on a phone.
    """
    headline, place = format_headline(notification), format_place(notification)
    lines = [SlackText(line) for line in format_lines(notification)]
    if url:
        lines.append(SlackText.link(url, "Open"))
    section = SlackText.joined(lines, "\n")
    blocks: list[dict[str, object]] = [
        {"type": "header", "text": {"type": "plain_text", "text": headline.cut(MAX_HEADER), "emoji": False}}
    ]
    if section:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": _whole_lines(lines)}})
    if place:
        blocks.append(
            {"type": "context", "elements": [{"type": "plain_text", "text": place, "emoji": False}]}
        )
    text = SlackText.joined([SlackText.of("*{}*", headline), SlackText(place), section], "\n")
    return {"text": text, "blocks": blocks}


def _whole_lines(lines: Sequence[SlackText]) -> SlackText:
    """Return as many lines as a section takes; the last one, which has the link, is always among them."""
    *most, last = lines
    room, kept = MAX_SECTION - len(last), []
    for line in most:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return SlackText.joined([*kept, last.cut(MAX_SECTION)], "\n")


def format_webhook(notification: Notification, url: str) -> dict[str, object]:
    """Return the body of the generic webhook: type, headline, link and the notification's data.

    Whoever receives it may post it anywhere: what others wrote is made inert here.
    """
    inert = notification.model_copy(
        update={
            "summary": PlainText(notification.summary),
            "symptoms": tuple(map(PlainText, notification.symptoms)),
            "services": tuple(map(PlainText, notification.services)),
            "project": PlainText(notification.project),
            "environment": PlainText(notification.environment),
        }
    )
    return {
        "type": f"railmend.{notification.kind.value}",
        "headline": format_headline(notification),
        "link": url,
        "next_step": next_step(notification),
        "data": inert.model_dump(mode="json"),
    }


def format_markdown(notification: Notification, url: str) -> MarkdownText:
    """Return the text of a GitHub issue."""
    parts = [
        MarkdownText.of("**{}**", format_headline(notification)),
        MarkdownText.block("\n".join(format_lines(notification)), "text"),
    ]
    if place := format_place(notification):
        parts.append(MarkdownText(place))
    if url:
        parts.append(MarkdownText.link(url))
    return MarkdownText.joined(parts)
