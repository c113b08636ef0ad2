"""Numbers the facts, redacts them, and renders them so that no line can pose as anything but data."""

import re
import unicodedata
from collections.abc import Sequence

from railmend.contracts.incident import EvidenceItem, EvidencePacket, Facts
from railmend.evidence.redact import Redactor

MAX_TEXT = 6000
ANSI = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")


def visible(text: str) -> str:
    """Control and zero-width characters shown by name; colours dropped; line breaks and tabs stay."""
    text = ANSI.sub("", text).replace("\r\n", "\n")
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf") else f"<U+{ord(c):04X}>" for c in text
    )


def fenced(text: str) -> str:
    """A code fence longer than any run of backticks in the text, so that no line can close it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}\n{text}\n{fence}"


def number(service_name: str, facts: Sequence[Facts]) -> EvidencePacket:
    """Items E1, E2 ... in the order given; one redactor, so that equal secrets stay equal."""
    redactor = Redactor()
    triples = [triple for source in facts for triple in source.items]
    items = []
    for position, (kind, source, text) in enumerate(triples, start=1):
        clean = visible(redactor(text))
        cut = f"\n({len(clean) - MAX_TEXT} characters cut)" if len(clean) > MAX_TEXT else ""
        items.append(EvidenceItem(id=f"E{position}", kind=kind, source=source, text=clean[:MAX_TEXT] + cut))
    unseen = tuple(visible(redactor(sentence))[:500] for source in facts for sentence in source.unseen)
    return EvidencePacket(service_name=service_name, items=tuple(items), unseen=unseen)


def render(packet: EvidencePacket) -> str:
    """Markdown for the model, the Web UI and the pull request alike."""
    parts = [f"# Evidence for service {packet.service_name}"]
    parts += [f"[{item.id}] ({item.kind}) {item.source}\n{fenced(item.text)}" for item in packet.items]
    if packet.unseen:
        parts.append("Could not be seen:\n" + "\n".join(f"- {sentence}" for sentence in packet.unseen))
    return "\n\n".join(parts)
