"""Templates of log lines and routes: what varies from line to line or from request to request is masked.

Lines are grouped by a Drain-like tree (He et al., "Drain", ICWS 2017): variable tokens are masked, lines with
the same number of tokens and the same first token are compared, and those that are similar enough share a
template in which the differing tokens are `<*>`.
"""

import re
from dataclasses import dataclass, field
from operator import eq

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


@dataclass
class Tree:
    """A parse tree that grows with the number of distinct templates, not of lines; its owner bounds it."""

    size: int = 0
    _leaves: dict[tuple[int, str, str], list[Template]] = field(default_factory=dict)

    def place(self, line: str, kind: str, *, strict: bool) -> Template:
        """Return the line's template, created if needed. Lines of different `kind` never share one."""
        tokens = mask(line).split()[:MAX_TOKENS] or [""]
        first = tokens[0] if "#" not in tokens[0] else WILDCARD
        leaf = self._leaves.setdefault((len(tokens), first, kind), [])
        closest, highest = None, -1.0
        for template in leaf:
            similarity = _similarity(template.tokens, tokens)
            if similarity > highest:
                closest, highest = template, similarity
        full = len(leaf) >= MAX_IN_LEAF
        if closest is not None and (highest >= (MIN_ERROR_SIMILARITY if strict else MIN_SIMILARITY) or full):
            closest.tokens = [a if a == b else WILDCARD for a, b in zip(closest.tokens, tokens, strict=True)]
            return closest
        self.size += 1
        template = Template(self.size, tokens)
        leaf.append(template)
        return template

    def only(self, numbers: frozenset[int]) -> "Tree":
        """Return a copy that holds only the templates of these numbers."""
        leaves = {
            key: [template for template in leaf if template.number in numbers]
            for key, leaf in self._leaves.items()
        }
        return Tree(self.size, {key: leaf for key, leaf in leaves.items() if leaf})


def _similarity(template: list[str], tokens: list[str]) -> float:
    """Return the share of equal tokens, 0 to 1; a wildcard equals any token."""
    equal: int = sum(map(eq, template, tokens))
    return (equal + (template.count(WILDCARD) if WILDCARD in template else 0)) / len(tokens)


def mask(line: str) -> str:
    """Return the line with times, numbers, hashes and ids as `#`.

    Codes such as `TS2339` or `E0308` distinguish lines and stay.
    """
    return MASK.sub("#", line)


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
