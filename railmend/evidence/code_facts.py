"""The service's code and what changed in it, as evidence: both share the room that other evidence leaves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from posixpath import normpath

from railmend.contracts.incident import Fact, IncidentRequest
from railmend.evidence.change import CommitComparison, describe
from railmend.evidence.clues import places_in, requests_in
from railmend.evidence.code import CodeChooser, CodeText, Excerpt
from railmend.evidence.tokens import estimate

# A change needs little of the room where traces name what matters, and is seldom worth more than this.
CHANGE_SHARE, MAX_CHANGE_TOKENS = 0.25, 3500
CODE_SOURCE = "the code that serves, as its repository has it"


def code_facts(
    incident: IncidentRequest,
    files: Mapping[str, str],
    comparison: CommitComparison | None,
    *,
    logs: Sequence[str],
    requests: Sequence[str],
    redact: Callable[[str], str],
    room: int,
) -> tuple[tuple[Fact, ...], str]:
    """Return the facts of the code, and the text of the change, in at most `room` tokens together.

    `files`: texts by path from the service's root directory. `logs`, `requests`: what the logs and the
    summaries of HTTP logs say.
    """
    root = incident.service.root_directory
    chooser = CodeChooser(files, [finding.kind for finding in incident.findings])
    code = CodeText(chooser, redact, root)
    named = chooser.named(places_in(logs), requests_in(requests))

    def change(budget: int) -> str:
        if comparison is None:
            return ""
        whole = not files  # else the first commit's code is shown as the service's
        return redact(
            describe(comparison, root, named=_lines(named, root), budget=max(budget, 300), whole=whole)
        )

    wanted = estimate(change(MAX_CHANGE_TOKENS))
    reserved = min(wanted, int(room * CHANGE_SHARE))
    code.add(named, room - reserved)
    code.add(chooser.called(named), room - reserved)
    changed = change(min(room - code.used, MAX_CHANGE_TOKENS))
    paths = [file.path.removeprefix(f"{root.strip('/')}/") for file in comparison.files] if comparison else []
    code.add(chooser.rest(named, paths), room - estimate(changed), in_parts=True)
    text = code.text()
    return (Fact(kind="code", source=CODE_SOURCE, text=text),) if text else (), changed


def _lines(named: Iterable[Excerpt], root_directory: str) -> dict[str, list[int]]:
    """Return the lines that are named, by path from the repository's root."""
    root = f"{root_directory.strip('/')}/" if root_directory.strip("/") else ""
    lines: dict[str, list[int]] = {}
    for excerpt in named:
        lines.setdefault(normpath(root + excerpt.path), []).append(excerpt.focus or excerpt.start)
    return lines
