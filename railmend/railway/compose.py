"""Compose many single-field operations into one document by aliases; ids are variables, never text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    REMOVE,
    DocumentNode,
    FieldNode,
    NameNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

DOCUMENTS = Path(__file__).parent / "documents"
# One scan asks as the one before: some fields of each service, under the same names.
KEPT_FIELDS = 4096


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
    return 1 + len(paths(name))


@cache
def paths(name: str) -> frozenset[str]:
    """Return the dotted paths of all fields below a document's root field."""
    found: set[str] = set()

    class Collect(Visitor):
        def enter_field(self, field: FieldNode, _: Any, __: Any, ___: Any, above: list[Node]) -> None:
            found.add(_path(field, above))

    visit(root_field(name), Collect())
    return frozenset(found - {""})


def _path(field: FieldNode, above: Sequence[Node]) -> str:
    """Return a field's path below the root field, given the nodes above it; empty for the root field."""
    names = [node.name.value for node in (*above, field) if isinstance(node, FieldNode)]
    return ".".join(names[1:])


class _Rewrite(Visitor):
    """Rename variables, and leave out dropped paths and what selects nothing then."""

    def __init__(self, names: Mapping[str, str], dropped: frozenset[str]) -> None:
        super().__init__()
        self._names = names
        self._dropped = dropped

    def enter_variable(self, node: VariableNode, *_: Any) -> Node:
        return VariableNode(name=NameNode(value=self._names[node.name.value]))

    def enter_field(self, field: FieldNode, _: Any, __: Any, ___: Any, above: list[Node]) -> Any:
        return REMOVE if _path(field, above) in self._dropped else None

    def leave_field(self, field: FieldNode, *_: Any) -> Any:
        emptied = field.selection_set is not None and not field.selection_set.selections
        return REMOVE if emptied else None


@cache
def _variables(name: str) -> list[tuple[str, TypeNode, str]]:
    """Return the name of each variable of a document, its type, and that as text."""
    definitions = operation(name).variable_definitions or ()
    return [(each.variable.name.value, each.type, print_ast(each.type)) for each in definitions]


@lru_cache(KEPT_FIELDS)
def _rewritten(document: str, names: tuple[tuple[str, str], ...], dropped: frozenset[str]) -> FieldNode:
    """Return the root field of a document with other names of variables, and without dropped paths."""
    field: FieldNode = visit(root_field(document), _Rewrite(dict(names), dropped))
    return field


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
        for name, kind, told in _variables(query.document):
            value = query.variables.get(name)
            unique = shared.setdefault((name, told, repr(value)), f"{name}_{len(shared)}")
            names[name] = unique
            values[unique] = value
            definitions[unique] = VariableDefinitionNode(
                variable=VariableNode(name=NameNode(value=unique)), type=kind
            )
        field = _rewritten(
            query.document, tuple(names.items()), (dropped or {}).get(query.document, frozenset())
        )
        fields.append(
            FieldNode(
                alias=NameNode(value=f"a{number}"),
                name=field.name,
                arguments=field.arguments,
                selection_set=field.selection_set,
            )
        )
    node = OperationDefinitionNode(
        operation=operation(queries[0].document).operation,
        variable_definitions=tuple(definitions.values()),
        selection_set=SelectionSetNode(selections=tuple(fields)),
    )
    return DocumentNode(definitions=(node,)), values
