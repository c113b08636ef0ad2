"""Edits derived from the code; without a match there is none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from railyard.rehearsal.evidence import items, missing_key, symptoms
from railyard.rehearsal.regression import NewTest, bounded_test, index_test, optional_key_test

MAX_ENTRIES = 100
# In the message that follows comments of reviewers.
REVIEW = "Reviewers and checks say:"
CONTAINER = re.compile(r"^([A-Z_]+)(?:: dict(\[.+\]))? = \{\}$", re.M)
TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\n\);", re.S)
FILTER = re.compile(r"FROM (\w+) WHERE ((?:\w+ = \?(?: AND )?)+)")


@dataclass(frozen=True)
class Edit:
    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Repair:
    """Edits to make. `summary`: what was wrong and what changes, or why nothing does. `test`: to be added."""

    edits: tuple[Edit, ...]
    summary: str
    test: NewTest | None = None


def repair(task: str, files: Mapping[str, str]) -> Repair:
    """Return the edits for a task. `task`: the prompt with its evidence. `files`: text by absolute path."""
    if REVIEW in task:
        return _least_recently_used(task, files)
    attempt = Repair((), "the task holds no finding that this rehearsal knows.")
    for finding in symptoms(items(task)):
        if finding.source == "memory_leak":
            attempt = _bound(files)
        elif finding.source == "latency":
            attempt = _index(files)
        else:
            attempt = _tolerate(task, files) if missing_key(items(task)) else _index(files)
        if attempt.edits:
            break
    return attempt


def _least_recently_used(task: str, files: Mapping[str, str]) -> Repair:
    """Turn first-in-first-out eviction into LRU on a reviewer's request: a read entry moves to the end."""
    if "LRU" not in task:
        return Repair((), "the reviewers ask for nothing that this rehearsal knows.")
    for path, text in files.items():
        for name in re.findall(r"^([A-Z_]+): OrderedDict", text, re.M):
            read = re.search(rf"^( +)return {name}\[(\w+)\]$", text, re.M)
            if read is None or f"{name}.move_to_end(" in text:
                continue
            moved = f"{read[1]}{name}.move_to_end({read[2]})\n{read[0]}"
            summary = f"`{name}` now drops what was not read for longest, instead of what came first."
            return Repair((Edit(path, read[0], moved),), summary)
    return Repair((), "no bounded container is returned from.")


def _bound(files: Mapping[str, str]) -> Repair:
    """Bound a module-level dictionary that is written to and never emptied."""
    for path, text in files.items():
        for declaration in CONTAINER.finditer(text):
            name, types = declaration[1], declaration[2] or ""
            write = re.search(rf"^( +){name}\[[^\]]+\] = .+$", text, re.M)
            taken = re.search(rf"{name}\.(?:pop|popitem|clear)\(|del {name}\[|len\({name}\) >", text)
            if write is None or taken:
                continue
            limit, indent = f"MAX_{name}", write[1]
            bounded = (
                f"{name}: OrderedDict{types} = OrderedDict()\n"
                f"# The oldest goes first, so that memory stays bounded whatever the traffic.\n"
                f"{limit} = {MAX_ENTRIES}"
            )
            drop = f"{indent}while len({name}) > {limit}:\n{indent}    {name}.popitem(last=False)"
            edits = (
                _import(path, text, "from collections import OrderedDict"),
                Edit(path, declaration[0], bounded),
                Edit(path, write[0], f"{write[0]}\n{drop}"),
            )
            summary = (
                f"`{name}` got an entry for each request and never lost one; it now keeps {MAX_ENTRIES}."
            )
            return Repair(edits, summary, bounded_test(path, text, name, MAX_ENTRIES))
    return Repair((), "no container at module level is written to without ever being emptied.")


def _import(path: str, text: str, line: str) -> Edit:
    first = re.search(r"^(?:import|from) .+$", text, re.M)
    if first:
        return Edit(path, first[0], f"{line}\n{first[0]}")
    docstring = text.split("\n", 1)[0]
    return Edit(path, docstring, f"{docstring}\n\n{line}")


def _tolerate(task: str, files: Mapping[str, str]) -> Repair:
    """Tolerate a missing optional key, in the file that the evidence leads to."""
    missing = missing_key(items(task))
    if missing is None:
        return Repair((), "the evidence holds no stack trace with a missing key.")
    key, place = missing.key, missing.place
    for path, text in files.items():
        if path.rsplit("/", 1)[-1] != place.file:
            continue
        lookup = re.compile(rf'^.*?(\w+)\["{key}"\](?:\["(\w+)"\])?(?! *=[^=]).*$', re.M)
        function = place.function or _looking_up(text, lookup)
        match = lookup.search(_function(text, function))
        if match is None:
            break
        nested = match[2]
        old = f'{match[1]}["{key}"]' + (f'["{nested}"]' if nested else "")
        new = f'{match[1]}.get("{key}", {{}}).get("{nested}", 0)' if nested else f'{match[1]}.get("{key}")'
        summary = f"`{key}` is optional, but `{function}` demanded it; it now works without."
        test = optional_key_test(path, text, function, key)
        return Repair((Edit(path, match[0], match[0].replace(old, new)),), summary, test)
    return Repair((), f"{place.file} holds no direct lookup of `{key}`.")


def _looking_up(text: str, lookup: re.Pattern[str]) -> str:
    """Return the name of the first function that holds such a lookup; empty: none does."""
    names = re.findall(r"^ *def (\w+)\(", text, re.M)
    return next((name for name in names if lookup.search(_function(text, name))), "")


def _function(text: str, name: str) -> str:
    """Return the text of one function, up to the next line that is not indented deeper."""
    match = re.search(rf"^( *)def {name}\(.*\n(?:(?:\1 +.*)?\n)*", text, re.M) if name else None
    return match[0] if match else ""


def _index(files: Mapping[str, str]) -> Repair:
    """Add an index to a table that is selected by columns without one."""
    schemas = {path: text for path, text in files.items() if path.endswith(".sql")}
    for query in FILTER.finditer("\n".join(files.values())):
        table, columns = query[1], re.findall(r"(\w+) = \?", query[2])
        for path, text in schemas.items():
            match = next((m for m in TABLE.finditer(text) if m[1] == table), None)
            if match is None or re.search(rf"CREATE INDEX .+ ON {table}\b", text):
                continue
            name = "_".join([table, *columns])
            index = f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({', '.join(columns)});"
            last = match[0].rsplit("\n", 2)[-2] + "\n);"
            summary = f"`{table}` was searched by {' and '.join(columns)} without an index; it has one now."
            edits = (Edit(path, last, f"{last}\n\n{index}"),)
            return Repair(edits, summary, index_test(path, table, columns))
    return Repair((), "no table is selected by columns that lack an index.")
