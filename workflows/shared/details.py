"""What the Web UI shows of a run as Markdown: values are escaped, whoever wrote them."""

from collections.abc import Iterable

from temporalio import workflow

from railmend.evidence.safe_text import MarkdownText


def show(template: str, *values: object) -> None:
    """Set the run's current details. `template`: literal, in the notation of `str.format`."""
    workflow.set_current_details(MarkdownText.of(template, *values))


def line(text: str) -> MarkdownText:
    """Return a summary: one line of Markdown that the Web UI shows of an activity or a run."""
    return MarkdownText(text)


def items(texts: Iterable[str]) -> MarkdownText:
    return MarkdownText.joined((MarkdownText.of("- {}", text) for text in texts), "\n")


def code(text: str) -> MarkdownText:
    return MarkdownText.code(text)


def link(url: str) -> MarkdownText:
    return MarkdownText.link(url)
