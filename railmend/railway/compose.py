"""Compose many single-field operations into one document by aliases; ids are variables, never text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    NameNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

DOCUMENTS = Path(__file__).parent / "documents"


@dataclass(frozen=True, eq=False)
class Query:
    """One root field: its document's file name and variables; compared by identity.

    `points`: most values of its result. `label`: its name for people, such as "HTTP status counts of
    checkout".
    """

    document: str
    variables: Mapping[str, Any]
    label: str
    points: int = 0


@cache
def operation(name: str) -> OperationDefinitionNode:
    """Return the one operation of a document of the folder `documents`, parsed once."""
    (definition,) = parse((DOCUMENTS / f"{name}.graphql").read_text()).definitions
    if not isinstance(definition, OperationDefinitionNode):
        raise ValueError(f"{name}.graphql does not hold an operation.")
    return definition


def root_field(name: str) -> FieldNode:
    """Return the one root field of a document."""
    (field,) = operation(name).selection_set.selections
    if not isinstance(field, FieldNode):
        raise ValueError(f"{name}.graphql does not start with a field.")
    return field


@cache
def breadth(name: str) -> int:
    """Return the number of fields that a document selects, which Railway limits to 500."""
    return sum(1 for _ in _fields(root_field(name)))


@cache
def paths(name: str) -> frozenset[str]:
    """Return the dotted paths of all fields below a document's root field."""

    def below(field: FieldNode, prefix: str) -> Iterator[str]:
        for child in field.selection_set.selections if field.selection_set else ():
            if isinstance(child, FieldNode):
                path = f"{prefix}{child.name.value}"
                yield path
                yield from below(child, f"{path}.")

    return frozenset(below(root_field(name), ""))


@cache
def _without(name: str, dropped: frozenset[str]) -> FieldNode:
    """Return a document's root field without some of its paths, and without what is empty then."""

    def kept(field: FieldNode, prefix: str) -> FieldNode | None:
        if not field.selection_set:
            return field
        children = [
            kept(child, f"{prefix}{child.name.value}.")
            for child in field.selection_set.selections
            if isinstance(child, FieldNode) and f"{prefix}{child.name.value}" not in dropped
        ]
        selections = tuple(child for child in children if child is not None)
        if not selections:
            return None
        return FieldNode(
            name=field.name,
            arguments=field.arguments,
            selection_set=SelectionSetNode(selections=selections),
        )

    field = kept(root_field(name), "")
    if field is None:
        raise ValueError(f"Nothing is left of {name}.graphql.")
    return field


def _fields(field: FieldNode) -> Iterator[FieldNode]:
    yield field
    for child in field.selection_set.selections if field.selection_set else ():
        if isinstance(child, FieldNode):
            yield from _fields(child)


class _Rename(Visitor):
    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self._names = names

    def enter_variable(self, node: VariableNode, *_: Any) -> Node:
        return VariableNode(name=NameNode(value=self._names[node.name.value]))


def single(name: str) -> DocumentNode:
    """Return a document of one operation, as it is written in its file."""
    return DocumentNode(definitions=(operation(name),))


def compose(
    queries: Sequence[Query], dropped: Mapping[str, frozenset[str]] | None = None
) -> tuple[DocumentNode, dict[str, Any]]:
    """Return one document with aliases `a0`, `a1` ... in order, and its variables; equal ones are shared.

    `dropped`: paths that are left out, by the name of their document.
    """
    definitions: dict[str, VariableDefinitionNode] = {}
    values: dict[str, Any] = {}
    shared: dict[tuple[str, str, str], str] = {}
    fields: list[FieldNode] = []
    for number, query in enumerate(queries):
        names: dict[str, str] = {}
        for definition in operation(query.document).variable_definitions or ():
            name = definition.variable.name.value
            value = query.variables.get(name)
            key = (name, print_ast(definition.type), repr(value))
            unique = shared.setdefault(key, f"{name}_{len(shared)}")
            names[name] = unique
            values[unique] = value
            definitions[unique] = VariableDefinitionNode(
                variable=VariableNode(name=NameNode(value=unique)), type=definition.type
            )
        renamed: FieldNode = visit(
            _without(query.document, (dropped or {}).get(query.document, frozenset())), _Rename(names)
        )
        fields.append(
            FieldNode(
                alias=NameNode(value=f"a{number}"),
                name=renamed.name,
                arguments=renamed.arguments,
                selection_set=renamed.selection_set,
            )
        )
    node = OperationDefinitionNode(
        operation=operation(queries[0].document).operation,
        variable_definitions=tuple(definitions.values()),
        selection_set=SelectionSetNode(selections=tuple(fields)),
    )
    return DocumentNode(definitions=(node,)), values
