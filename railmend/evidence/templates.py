"""Templates of log lines and routes: what varies from line to line or from request to request is masked.

Lines are grouped by a Drain-like tree (He et al., "Drain", ICWS 2017): variable tokens are masked, lines with
the same number of tokens and the same first token are compared, and those that are similar enough share a
template in which the differing tokens are `<*>`.
"""

import re
from dataclasses import dataclass, field
from itertools import repeat

MASK = re.compile(
    r"""(?x)
    \b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b
    |\b0x[0-9a-fA-F]+\b
    |\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?
    |\b(?=[0-9a-fA-F]{0,63}\d)[0-9a-fA-F]{8,64}\b
    |(?<![A-Za-z])\d+(?:[.,:]\d+)*
    |(?<=[a-z_-])\d{2,}
    """
)
# All that is masked has one.
DIGIT = re.compile(r"\d")
WILDCARD = "<*>"
MAX_TOKENS = 60
MAX_IN_LEAF = 60
# Share of equal tokens from which two lines share a template; errors need more in common.
MIN_SIMILARITY, MIN_ERROR_SIMILARITY = 0.6, 0.7
# Numbers, hashes, UUIDs, mails, and long mixtures of letters and digits such as tokens and slugs with an id.
ROUTE_ID = re.compile(
    r"^(?:[\d.,:_-]*\d[\d.,:_-]*|[0-9a-fA-F-]{8,64}|[^/]*@[^/]*|[^/]*%[0-9A-Fa-f]{2}[^/]*"
    r"|(?=[^/]*\d)(?=[^/]*[A-Za-z])[\w.~:=-]{16,}|[A-Za-z]{1,8}[-_:]?\d{3,}[\w-]*)$"
)
API_VERSION = re.compile(r"^v\d{1,3}$")
HEX_WORD = re.compile(r"^[a-fA-F-]+$")
MAX_DEPTH = 10
MAX_SEGMENT = 200


@dataclass(slots=True)
class Template:
    """A line's tokens, `<*>` where its lines differ. `number`: unique within its tree."""

    number: int
    tokens: list[str]


class _Leaf:
    """Templates of one length: all are compared with a line at once.

    A number holds a byte for each template. `lanes`: by position and token, 1 in the bytes of those that have
    the token there; `wild`: how many wildcards each has. Both know only the first `_indexed` templates: what
    is never compared is never indexed.
    """

    __slots__ = ("_indexed", "lanes", "templates", "wild")

    def __init__(self, templates: list[Template]) -> None:
        self.templates = templates
        self.lanes: list[dict[str, int]] = []
        self.wild = self._indexed = 0

    def _index(self) -> None:
        self.lanes = self.lanes or [{} for _ in self.templates[0].tokens]
        for number in range(self._indexed, len(self.templates)):
            lane = 1 << 8 * number
            for lanes, token in zip(self.lanes, self.templates[number].tokens, strict=True):
                if token == WILDCARD:
                    self.wild += lane
                else:
                    lanes[token] = lanes.get(token, 0) | lane
        self._indexed = len(self.templates)

    def closest(self, tokens: list[str]) -> tuple[int, int]:
        """Return the index of the template that has most tokens in common with these, and how many."""
        if self._indexed < len(self.templates):
            self._index()
        equal = sum(map(dict.get, self.lanes, tokens, repeat(0)), self.wild)
        counts = equal.to_bytes(len(self.templates), "little")
        most = max(counts)
        return counts.index(most), most

    def widen(self, index: int, tokens: list[str]) -> None:
        """Put wildcards where a template and these tokens differ."""
        template, lane = self.templates[index], 1 << 8 * index
        common = [old if old == new else WILDCARD for old, new in zip(template.tokens, tokens, strict=True)]
        for lanes, old, new in zip(self.lanes, template.tokens, common, strict=True):
            if old != new:
                lanes[old] ^= lane
                self.wild += lane
        template.tokens = common


@dataclass
class Tree:
    """A parse tree that grows with the number of distinct templates, not of lines; its owner bounds it."""

    size: int = 0
    _leaves: dict[tuple[int, str, str], _Leaf] = field(default_factory=dict)

    def place(self, masked: str, kind: str, *, strict: bool) -> Template:
        """Return a masked line's template, created if needed. Lines of different `kind` never share one."""
        tokens = masked.split(maxsplit=MAX_TOKENS)[:MAX_TOKENS] or [""]
        key = (len(tokens), tokens[0] if "#" not in tokens[0] else WILDCARD, kind)
        leaf = self._leaves.get(key)
        if leaf is not None:
            index, equal = leaf.closest(tokens)
            enough = (MIN_ERROR_SIMILARITY if strict else MIN_SIMILARITY) * len(tokens)
            if equal >= enough or len(leaf.templates) >= MAX_IN_LEAF:
                if equal < len(tokens):
                    leaf.widen(index, tokens)
                return leaf.templates[index]
        self.size += 1
        template = Template(self.size, tokens)
        if leaf is None:
            self._leaves[key] = _Leaf([template])
        else:
            leaf.templates.append(template)
        return template

    def only(self, numbers: frozenset[int]) -> "Tree":
        """Return a tree that holds only the templates of these numbers; this one is used up."""
        leaves = {}
        for key, leaf in self._leaves.items():
            kept = [template for template in leaf.templates if template.number in numbers]
            if kept:
                leaves[key] = leaf if len(kept) == len(leaf.templates) else _Leaf(kept)
        return Tree(self.size, leaves)


def mask(line: str) -> str:
    """Return the line with times, numbers, hashes and ids as `#`.

    Codes such as `TS2339` or `E0308` distinguish lines and stay.
    """
    return MASK.sub("#", line) if DIGIT.search(line) else line


def route(path: str) -> str:
    """Return a path's template: `/api/v1/orders/8412/pay?x=1` gives `/api/v1/orders/{id}/pay`."""
    segments = path.partition("?")[0].split("/")
    masked = [_segment(segment) for segment in segments[:MAX_DEPTH]]
    return "/".join([*masked, "…"] if len(segments) > MAX_DEPTH else masked)


def _segment(segment: str) -> str:
    if len(segment) > MAX_SEGMENT:
        return "{id}"
    if API_VERSION.match(segment) or not ROUTE_ID.match(segment) or HEX_WORD.match(segment):
        return segment
    return "{id}"
