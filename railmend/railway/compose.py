"""Puts many single-field operations into one document, by aliases. Ids travel as variables, never as text."""

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
from graphql.language import FieldNode as Field

DOCUMENTS = Path(__file__).parent / "documents"


@dataclass(frozen=True, eq=False)
class Query:
    """One root field: its document's file name and the variables. Each ask stands for itself.

    `points`: how many values it may answer with. `label`: what is asked, for people, such as
    "HTTP status counts of checkout".
    """

    document: str
    variables: Mapping[str, Any]
    label: str
    points: int = 0


@cache
def operation(name: str) -> OperationDefinitionNode:
    """A document of the folder `documents`, parsed once; it holds one operation."""
    (definition,) = parse((DOCUMENTS / f"{name}.graphql").read_text()).definitions
    if not isinstance(definition, OperationDefinitionNode):
        raise ValueError(f"{name}.graphql does not hold an operation.")
    return definition


def root_field(name: str) -> FieldNode:
    """The one root field of a document."""
    (field,) = operation(name).selection_set.selections
    if not isinstance(field, FieldNode):
        raise ValueError(f"{name}.graphql does not start with a field.")
    return field


@cache
def breadth(name: str) -> int:
    """Number of fields selected in the document: what Railway's limit of 500 counts."""
    return sum(1 for _ in _fields(root_field(name)))


@cache
def depth(name: str) -> int:
    return _depth(root_field(name))


def _fields(field: FieldNode) -> Iterator[FieldNode]:
    yield field
    for child in field.selection_set.selections if field.selection_set else ():
        if isinstance(child, FieldNode):
            yield from _fields(child)


def _depth(field: FieldNode) -> int:
    children = field.selection_set.selections if field.selection_set else ()
    return 1 + max((_depth(child) for child in children if isinstance(child, Field)), default=0)


class _Rename(Visitor):
    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self._names = names

    def enter_variable(self, node: VariableNode, *_: Any) -> Node:
        return VariableNode(name=NameNode(value=self._names[node.name.value]))


def single(name: str) -> DocumentNode:
    """A document that holds one operation of the folder, as it stands there."""
    return DocumentNode(definitions=(operation(name),))


def compose(asks: Sequence[Query]) -> tuple[DocumentNode, dict[str, Any]]:
    """One document whose alias `a0` is the first ask, and its variables. Equal variables are shared."""
    definitions: dict[str, VariableDefinitionNode] = {}
    values: dict[str, Any] = {}
    known: dict[tuple[str, str, str], str] = {}
    fields: list[FieldNode] = []
    for number, ask in enumerate(asks):
        names: dict[str, str] = {}
        for definition in operation(ask.document).variable_definitions or ():
            name = definition.variable.name.value
            value = ask.variables.get(name)
            key = (name, print_ast(definition.type), repr(value))
            unique = known.setdefault(key, f"{name}_{len(known)}")
            names[name] = unique
            values[unique] = value
            definitions[unique] = VariableDefinitionNode(
                variable=VariableNode(name=NameNode(value=unique)), type=definition.type
            )
        renamed: FieldNode = visit(root_field(ask.document), _Rename(names))
        fields.append(
            FieldNode(
                alias=NameNode(value=f"a{number}"),
                name=renamed.name,
                arguments=renamed.arguments,
                selection_set=renamed.selection_set,
            )
        )
    node = OperationDefinitionNode(
        operation=operation(asks[0].document).operation,
        variable_definitions=tuple(definitions.values()),
        selection_set=SelectionSetNode(selections=tuple(fields)),
    )
    return DocumentNode(definitions=(node,)), values
