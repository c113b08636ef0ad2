"""Markdown from templates. What they show is escaped as `MarkdownText` does it; a blank line ends a part."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from railmend.contracts.scan import service_url
from railmend.evidence.safe_text import MarkdownText

BULLET = re.compile(r"^[-*+] ")
# Escaping leaves no such character in a value.
END_OF_PART = "\f"


class PartsLoader(FileSystemLoader):
    """Marks the ends of parts in the templates, before any value is filled in."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, file, is_current = super().get_source(environment, template)
        return source.replace("\n\n", f"\n{END_OF_PART}\n"), file, is_current


def _escaped(value: Any) -> Markup:
    # What a template has rendered itself is markup.
    return value if isinstance(value, Markup) else Markup(MarkdownText(value))  # noqa: S704


def folded(summary: str, text: str) -> MarkdownText:
    """Return `text` in a fence, which opens at a click."""
    head = MarkdownText.of_markup(summary) if isinstance(summary, Markup) else MarkdownText(summary)
    return MarkdownText.of(
        "<details><summary>{}</summary>\n\n{}\n\n</details>", head, MarkdownText.block(text)
    )


ENVIRONMENT = Environment(
    loader=PartsLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    finalize=_escaped,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters |= {"code": MarkdownText.code, "block": MarkdownText.block, "link": MarkdownText.link}
ENVIRONMENT.globals |= {"folded": folded, "service_url": service_url}


def account(text: str) -> MarkdownText:
    """Return what an agent wrote, as one quotation: a line for each of its own, and nothing of it live."""
    lines = (BULLET.sub("• ", line.strip()) for line in text.splitlines() if line.strip())
    return MarkdownText.joined((MarkdownText.of("> {}", line) for line in lines), "\n")


def parts(template: str, **values: object) -> list[MarkdownText]:
    """Return the parts of a text, each of which can be left out. `template`: its name."""
    rendered = ENVIRONMENT.get_template(f"{template}.md.j2").render(values)
    found: Iterable[str] = (part.strip("\n") for part in rendered.split(END_OF_PART))
    return [MarkdownText.of_markup(Markup(part)) for part in found if part]  # noqa: S704 - of the template


def text(template: str, **values: object) -> MarkdownText:
    return MarkdownText.joined(parts(template, **values))
