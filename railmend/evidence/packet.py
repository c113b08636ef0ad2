"""Evidence packets: facts of all sources, numbered, redacted, within a budget; rendered, hashed, exported."""

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256

from railmend.contracts.incident import PACKET_VERSION, EvidenceItem, EvidencePacket, Fact, Facts
from railmend.evidence.escaping import inline, visible
from railmend.evidence.redact import Numbering, Redactor
from railmend.evidence.safe_text import PromptText
from railmend.evidence.tokens import cut, estimate

# Tokens of one item, by kind, and of all items together: few enough for any model, and far below the 64 KiB
# of an activity's payload.
BUDGETS = {
    "finding": 250,
    "chart": 900,
    "architecture": 400,
    "deployment": 700,
    "change": 3600,
    "code": 8000,
    "drift": 500,
    "state": 500,
    "build_log": 1400,
    "deploy_log": 2200,
    "http_log": 1000,
    "neighbour": 400,
    "past_repair": 400,
    "provider": 800,
}
OTHER_BUDGET = 600
TOTAL_BUDGET = 8000
MAX_UNSEEN = 20
# The order in which items are cut if all together are too long; never below so many tokens each.
CUT_FIRST = (
    "past_repair",
    "architecture",
    "chart",
    "deployment",
    "build_log",
    "http_log",
    "change",
    "deploy_log",
)
MIN_TOKENS = 250
NOTE_TOKENS = 12  # of the note that a text was cut
MIN_CHARACTERS = 200  # items of at most this length are not halved
# What code and changes get at least, however much else there is.
MIN_CODE_TOKENS = 3500
# Kinds that may explain all other items precede them.
FIRST = ("provider_outage", "provider_incident")


class PacketError(Exception):
    """An export that cannot be used; the message says why."""


def number(service_name: str, facts: Sequence[Facts], *, redaction_key: str = "packet") -> EvidencePacket:
    """Return a packet of items E1, E2 ... in the order given, after incidents of providers.

    `redaction_key`: the key of the sources' redactors, so that equal secrets have one placeholder.
    """
    redactor, numbering = Redactor(redaction_key=redaction_key), Numbering()
    ordered = [fact for source in facts for fact in source.items]
    ordered.sort(key=_order)  # stable: the others keep their order
    texts = _fit([(fact.kind, visible(redactor(fact.text))) for fact in ordered])
    items = tuple(
        _item(position, fact, numbering(text), numbering(redactor(fact.source)))
        for position, (fact, text) in enumerate(zip(ordered, texts, strict=True), start=1)
    )
    sentences = [inline(numbering(redactor(sentence)), 400) for source in facts for sentence in source.unseen]
    unseen = tuple(dict.fromkeys(sentences))[:MAX_UNSEEN]
    unread = tuple(source.unread for source in facts if source.unread is not None)
    return EvidencePacket(service_name=inline(service_name), items=items, unseen=unseen, unread=unread)


def following(
    packet: EvidencePacket, facts: Facts, call: str, room: int
) -> tuple[EvidencePacket, tuple[EvidenceItem, ...]]:
    """Return the packet with what a call gave as its next items, and those, in at most `room` tokens.

    Items for which there is no room are left out. Placeholders of secrets go on from those of the packet.
    """
    shown = facts.items[: room // MIN_TOKENS] if room > 0 else ()
    redactor, numbering = Redactor(redaction_key=call), Numbering(item.text for item in packet.items)
    added: list[EvidenceItem] = []
    for position, fact in enumerate(shown, start=len(packet.items) + 1):
        text = _cut(visible(redactor(fact.text)), room // len(shown) - NOTE_TOKENS)
        item = _item(position, fact, numbering(text), numbering(redactor(fact.source)))
        added.append(item.model_copy(update={"call": inline(call)}))
    unseen = tuple(inline(sentence, 400) for sentence in facts.unseen)
    fields = {
        "items": (*packet.items, *added),
        "unseen": tuple(dict.fromkeys((*packet.unseen, *unseen)))[:MAX_UNSEEN],
    }
    return packet.model_copy(update=fields), tuple(added)


def halved(packet: EvidencePacket) -> EvidencePacket:
    """Return the packet with half of each item's text, and a note. Ids stay, so citations remain valid."""
    items = tuple(
        item
        if len(item.text) <= MIN_CHARACTERS
        else item.model_copy(update={"text": f"{item.text[: len(item.text) // 2]}\n(the rest is cut)"})
        for item in packet.items
    )
    return packet.model_copy(update={"items": items})


def room_for_code(facts: Iterable[Fact]) -> int:
    """Return the tokens that all other facts leave to the code and its changes."""
    used = sum(min(estimate(fact.text), BUDGETS.get(fact.kind, OTHER_BUDGET)) for fact in facts)
    return max(TOTAL_BUDGET - used, MIN_CODE_TOKENS)


def _order(fact: Fact) -> int:
    return FIRST.index(fact.kind) if fact.kind in FIRST else len(FIRST)


def _item(position: int, fact: Fact, text: str, source: str) -> EvidenceItem:
    return EvidenceItem(
        id=f"E{position}",
        kind=inline(fact.kind, 40),
        source=inline(source),
        text=text,
        start=fact.start,
        end=fact.end,
    )


def _fit(texts: Sequence[tuple[str, str]]) -> list[str]:
    """Each text within its kind's budget, then all within the total, with a note where one was cut."""
    fitted = [_cut(text, BUDGETS.get(kind, OTHER_BUDGET)) for kind, text in texts]
    sizes = [estimate(text) for text in fitted]
    for kind in CUT_FIRST:
        for position, (kind_here, _) in enumerate(texts):
            excess = sum(sizes) - TOTAL_BUDGET
            if excess <= 0:
                return fitted
            if kind_here == kind and sizes[position] > MIN_TOKENS:
                fitted[position] = _cut(fitted[position], max(sizes[position] - excess, MIN_TOKENS))
                sizes[position] = estimate(fitted[position])
    return fitted


def _cut(text: str, budget: int) -> str:
    kept = cut(text, budget)
    return text if kept == text else f"{kept}\n({len(text) - len(kept)} characters cut)"


def render(packet: EvidencePacket) -> PromptText:
    """Return the packet as a model reads it: each item's text is fenced as data."""
    parts = [PromptText.of("# Evidence for service {}", inline(packet.service_name))]
    parts += map(render_item, packet.items)
    if packet.unseen:
        rows = (PromptText.of("- {}", sentence) for sentence in packet.unseen)
        parts.append(PromptText.joined([PromptText.of("Could not be seen:"), *rows], "\n"))
    return PromptText.joined(parts)


def render_item(item: EvidenceItem) -> PromptText:
    return PromptText.of("[{}] ({}) {}\n{}", item.id, item.kind, item.source, PromptText.block(item.text))


def missing(service_name: str) -> PromptText:
    """Return what stands in place of a packet that is no longer stored."""
    return PromptText.of(
        "# Evidence for service {}\n\nThe evidence is no longer stored; what was concluded from it is in the "
        "diagnosis.",
        inline(service_name),
    )


def canonical(packet: EvidencePacket) -> str:
    """Return the packet's canonical JSON: keys sorted, no blanks, times in UTC."""
    return json.dumps(
        packet.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


def digest(packet: EvidencePacket) -> str:
    """Return the packet's content hash: `sha256:` and 64 hex digits, over the canonical JSON."""
    return f"sha256:{sha256(canonical(packet).encode()).hexdigest()}"


def export(packet: EvidencePacket) -> str:
    """Return the text of a file that `load` reads."""
    return json.dumps(
        {"hash": digest(packet), "packet": json.loads(canonical(packet)), "version": packet.version},
        indent=2,
        ensure_ascii=False,
    )


def load(text: str) -> EvidencePacket:
    """Return an exported packet. Raise `PacketError` for another version or a hash that does not match."""
    try:
        tree = json.loads(text)
        version = tree["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise PacketError("This is not an exported evidence packet.") from error
    if version != PACKET_VERSION:
        raise PacketError(
            f"The packet has version {version}, this Railmend reads {PACKET_VERSION}: use the Railmend that "
            "made it, or export it again."
        )
    packet = EvidencePacket.model_validate(tree.get("packet"))
    if digest(packet) != tree.get("hash"):
        raise PacketError("The packet was changed after it was exported: its hash does not match.")
    return packet
