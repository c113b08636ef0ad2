"""The service's code and what changed in it, as evidence: both share the room that other evidence leaves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from posixpath import normpath, relpath

from railmend.contracts.incident import Fact, IncidentRequest
from railmend.evidence.change import CommitComparison, describe
from railmend.evidence.clues import file_of, places_in, requests_in
from railmend.evidence.code import CodeChooser, CodeText, Excerpt
from railmend.evidence.tokens import estimate
from railmend.source.reading_process import CodeReaderProcess

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
    listed = comparison.files if comparison else ()
    changed = {relpath(file.path, root.strip("/") or "."): file.status for file in listed}
    places = places_in(logs)
    # Traces also name what is not read: beside the root directory, or all if the code is out of reach.
    known = {**changed, **files} if changed.keys() - files.keys() else {}
    found = ((file_of(place.path, known), place.line) for place in places)
    beside = [(path, line) for path, line in found if path is not None and path not in files]
    # Where the service itself is new, its code is shown as such.
    new = bool(files) and all(changed.get(path) == "added" for path in files)

    def change(budget: int, named: Iterable[Excerpt]) -> str:
        if comparison is None:
            return ""
        whole = not (new or (files and not comparison.base))
        lines = _lines(root, [(one.path, one.focus or min(one.start, one.end)) for one in named] + beside)
        return redact(describe(comparison, root, named=lines, budget=max(budget, 300), whole=whole))

    with CodeReaderProcess() as reader:
        chooser = CodeChooser(files, reader, [finding.kind for finding in incident.findings])
        code = CodeText(chooser, redact, root)
        named = chooser.named(places, requests_in(requests))
        wanted = estimate(change(MAX_CHANGE_TOKENS, named))
        reserved = min(wanted, int(room * CHANGE_SHARE))
        code.add(named, room - reserved)
        code.add(chooser.called(named), room - reserved)
        text = change(min(room - code.used, MAX_CHANGE_TOKENS), named)
        code.add(chooser.rest(named, changed), room - estimate(text), in_parts=True)
    shown = code.text()
    return (Fact(kind="code", source=CODE_SOURCE, text=shown),) if shown else (), text


def _lines(root_directory: str, named: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """Return the lines that are named, 0 for none of the file, by path from the repository's root."""
    root = f"{root_directory.strip('/')}/" if root_directory.strip("/") else ""
    lines: dict[str, list[int]] = {}
    for path, line in named:
        lines.setdefault(normpath(root + path), []).extend([line] if line else [])
    return lines
