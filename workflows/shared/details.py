"""What the Web UI shows of a run as Markdown: values are escaped, whoever wrote them."""

from collections.abc import Iterable

from temporalio import workflow

from railmend.contracts.status import RepairStatus, capitalized
from railmend.evidence.safe_text import MarkdownText

# Bytes: Temporal refuses a start whose summary is longer than 400, or whose details are longer than 20,000.
MOST_SUMMARY = 400
MOST_DETAILS = 6_000  # characters


def show(template: str, *values: object) -> None:
    """Set the run's current details. `template`: literal, in the notation of `str.format`."""
    workflow.set_current_details(MarkdownText.of(template, *values))


def show_markdown(text: MarkdownText) -> None:
    """Set them to a text that was escaped where it was made."""
    workflow.set_current_details(text)


def show_status(status: RepairStatus) -> None:
    """Show how a repair stands: its label first, and below it the command that answers, or the address."""
    show_markdown(format_status(status))


def format_status(status: RepairStatus) -> MarkdownText:
    head = MarkdownText.of("{}.{}", capitalized(status.label), f" {status.detail}" if status.detail else "")
    command = [code(status.command)] if status.command else []
    return MarkdownText.joined([head, *command, *([link(status.link)] if status.link else [])])


def line(text: str) -> MarkdownText:
    """Return a summary: one bounded line of Markdown that the Web UI shows of an activity or a run."""
    shown = MarkdownText(text)
    while len(shown.encode()) > MOST_SUMMARY:
        shown = shown.cut(len(shown) * 3 // 4)
    return shown


def items(texts: Iterable[str], most: int = MOST_DETAILS) -> MarkdownText:
    """Return a list of at most so many characters."""
    return MarkdownText.bounded((MarkdownText.of("- {}", text) for text in texts), most, "\n")


def code(text: str) -> MarkdownText:
    return MarkdownText.code(text)


def link(url: str) -> MarkdownText:
    return MarkdownText.link(url)
