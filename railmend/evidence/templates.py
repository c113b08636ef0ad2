"""A Drain-like tree (He et al., ICWS 2017): lines of one shape become one template.

Tokens that vary are masked first; then lines with as many tokens and the same beginning are compared, and
those that are alike enough share a template in which what differs is `<*>`.
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
# Share of equal tokens from which two lines share a template; errors are kept further apart.
ALIKE, ALIKE_ERRORS = 0.6, 0.7


@dataclass(slots=True)
class Template:
    """`number` names it; `tokens` hold what all of its lines have in common."""

    number: int
    tokens: list[str]


@dataclass
class Tree:
    """Grows with the number of different shapes, not of lines; its owner bounds that number."""

    size: int = 0
    _leaves: dict[tuple[int, str, str], list[Template]] = field(default_factory=dict)

    def place(self, line: str, kind: str, *, strict: bool) -> Template:
        """The template of this line, made if there is none. Lines of different `kind` never share one."""
        tokens = mask(line).split()[:MAX_TOKENS] or [""]
        first = tokens[0] if "#" not in tokens[0] else WILDCARD
        leaf = self._leaves.setdefault((len(tokens), first, kind), [])
        best, most = None, -1.0
        for template in leaf:
            alike = _alike(template.tokens, tokens)
            if alike > most:
                best, most = template, alike
        full = len(leaf) >= MAX_IN_LEAF
        if best is not None and (most >= (ALIKE_ERRORS if strict else ALIKE) or full):
            best.tokens = [a if a == b else WILDCARD for a, b in zip(best.tokens, tokens, strict=True)]
            return best
        self.size += 1
        template = Template(self.size, tokens)
        leaf.append(template)
        return template

    def only(self, kept: frozenset[int]) -> "Tree":
        """A copy that holds the templates of these numbers only."""
        leaves = {
            key: [template for template in leaf if template.number in kept]
            for key, leaf in self._leaves.items()
        }
        return Tree(self.size, {key: leaf for key, leaf in leaves.items() if leaf})


def _alike(known: list[str], tokens: list[str]) -> float:
    equal: int = sum(map(eq, known, tokens))
    return (equal + (known.count(WILDCARD) if WILDCARD in known else 0)) / len(tokens)


def mask(line: str) -> str:
    """Times, numbers, hashes and ids as `#`. Codes such as `TS2339` or `E0308` tell lines apart and stay."""
    return MASK.sub("#", line)
