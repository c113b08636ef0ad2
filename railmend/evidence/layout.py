"""Learn what a stream puts before every line, so that joining sees the program's own text and indent.

Process managers, containers and request tags put a label before each line, a stack's lines included; a
logger puts its time and level before the first line of an event alone. Only the former is taken off.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix

from railmend.evidence.log_level import LEVELS_BY_NAME

# So many lines are enough to learn from; a prefix must stand before this share of them.
SAMPLE = 256
SHARE = 0.85
# A service has few processes and threads; what has more values is no label.
MAX_LABELS = 16
MAX_LAYERS = 3

TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
PREFIXES = tuple(
    re.compile(pattern)
    for pattern in (
        # pm2's `0|api  | `; foreman, overmind, docker compose: `22:07:41 web.1  | `.
        rf"(?:(?:{TIME}|\d\d:\d\d:\d\d)\s+)?"
        r"(?P<label>\d+\|[^|\s]{1,40}|(?=[^|\s]*[A-Za-z])[^|\s]{1,48}?)\s*[|│»>] ?",
        # Syslog and Heroku: `Nov 20 01:30:00 host app[12]: `, `2026-... app[web.1]: `.
        rf"(?:<\d+>)?(?:{TIME}|[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d)(?: [\w.-]+)?"
        r" (?P<label>[\w./-]{1,40}\[[\w.]+\]): ?",
        # Passenger: `App 1234 output: `.
        r"App (?P<label>\d+) (?:output|stdout|stderr): ?",
        # Kubernetes and Docker: `2026-11-20T01:30:00.123456789Z stdout F `.
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z (?:std(?:out|err) [FP](?: |$))?",
        # Turborepo, concurrently, threads: `@acme/api:start: `, `[0] `, `[worker-1] `.
        r"(?P<label>[@\w./-]{1,48}:(?:dev|start|serve|build)): ?",
        r"\[(?P<label>[^\[\]\s]{1,40})\] ?",
        # A symbol before every line, as Next.js has: ` ⨯ `.
        r"\s{0,2}(?P<label>[^\w\s!-~]{1,2})\s",
    )
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The prefixes of a stream, outermost first."""

    layers: tuple[re.Pattern[str], ...] = ()

    def split(self, line: str) -> tuple[str, str, str]:
        """Return a line's label ("" without one), its prefix, and the rest."""
        label, end = "", 0
        for layer in self.layers:
            match = layer.match(line, end)
            if match is None:
                break
            end = match.end()
            label += match.groupdict().get("label") or ""
        return label, line[:end], line[end:]


def learn(lines: Sequence[str]) -> Layout:
    """Return the layout of a stream by a sample of its lines, at most `SAMPLE` of them."""
    rest = [line for line in lines[:SAMPLE] if line.strip()]
    layers: list[re.Pattern[str]] = []
    while len(rest) > 1 and len(layers) < MAX_LAYERS:
        layer = next((prefix for prefix in PREFIXES if _is_usual(prefix, rest)), None) or _common(rest)
        if layer is None:
            break
        layers.append(layer)
        rest = [line[match.end() :] for line in rest if (match := layer.match(line))]
        rest = [line for line in rest if line.strip()]
    return Layout(tuple(layers))


def _is_usual(prefix: re.Pattern[str], lines: Sequence[str]) -> bool:
    matches = [match for line in lines if (match := prefix.match(line))]
    if len(matches) < max(SHARE * len(lines), 2):
        return False
    labels = {label for match in matches if (label := match.groupdict().get("label"))}
    if any(label.strip(":").upper() in LEVELS_BY_NAME for label in labels):
        return False
    return len(labels) <= min(MAX_LABELS, max(len(lines) // 2, 1))


def _common(lines: Sequence[str]) -> re.Pattern[str] | None:
    """Return what all lines begin with: an indent, or words behind which some lines are indented."""
    common = commonprefix(lines)  # noqa: RUF071 - they are no paths
    words = common[: common.rfind(" ") + 1]
    indented = sum(line[len(words) :][:1] in (" ", "\t") for line in lines)
    indent = common[: len(common) - len(common.lstrip(" \t"))]
    prefix = words if words.strip() and 0 < indented < len(lines) else indent
    return re.compile(re.escape(prefix)) if prefix else None
