"""Completes lists of plain values at once: the executor completes each field of each row by itself."""

from collections.abc import Callable
from typing import Any

from graphql import (
    FieldNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    is_leaf_type,
    is_specified_scalar_type,
)
from graphql.execution.executor_throwing_on_incremental import ExecutorThrowingOnIncremental

# Returns how a value is told; raises for what the executor must tell.
Teller = Callable[[Any], Any]


class RowExecutor(ExecutorThrowingOnIncremental):
    """As the ordinary one, which gets whatever is not plain, and what does not fit its type."""

    def complete_iterable_value(
        self, item_type: Any, field_details_list: Any, info: Any, path: Any, items: Any, *rest: Any
    ) -> Any:
        tellers: dict[int, Teller | None] = self.__dict__.setdefault("_tellers", {})
        # The document lives as long as this executor, and so does the id of each node.
        node = field_details_list[0].node
        if id(node) not in tellers:
            tellers[id(node)] = _teller(item_type, node) if len(field_details_list) == 1 else None
        if (tell := tellers[id(node)]) and isinstance(items, list):
            try:
                return list(map(tell, items))
            except Exception:  # noqa: BLE001 - to be told as the executor tells it
                tellers[id(node)] = None
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, *rest)


def _teller(kind: Any, node: FieldNode) -> Teller | None:
    """Return what tells values of a type; None unless all that is selected of them is plain."""
    if isinstance(kind, GraphQLNonNull):
        tell = _told_whole(kind.of_type, node)
        refuses_none = is_leaf_type(kind.of_type) and is_specified_scalar_type(kind.of_type)
        return tell if tell is None or refuses_none else _present(tell)
    tell = _told_whole(kind, node)
    return tell and (lambda value: None if value is None else tell(value))


def _told_whole(kind: Any, node: FieldNode) -> Teller | None:
    if isinstance(kind, GraphQLList):
        each = _teller(kind.of_type, node)
        return each and (lambda values: list(map(each, _listed(values))))
    if isinstance(kind, GraphQLObjectType):
        return _told_fields(kind, node)
    if not is_leaf_type(kind):
        return None
    return kind.coerce_output_value if is_specified_scalar_type(kind) else _plain(kind.coerce_output_value)


def _told_fields(kind: GraphQLObjectType, node: FieldNode) -> Teller | None:
    columns: dict[str, tuple[str, Teller]] = {}
    for selected in node.selection_set.selections if node.selection_set else ():
        if not isinstance(selected, FieldNode) or selected.arguments or selected.directives:
            return None
        field = kind.fields.get(selected.name.value)
        told = (selected.alias or selected.name).value
        tell = _teller(field.type, selected) if field and not field.resolve else None
        if tell is None or told in columns:
            return None
        columns[told] = selected.name.value, tell
    return lambda row: {told: tell(row.get(key)) for told, (key, tell) in columns.items()}


def _plain(coerce: Teller) -> Teller:
    def told(value: Any) -> Any:
        if callable(value):  # a resolver
            raise TypeError("no plain value")
        return coerce(value)

    return told


def _present(tell: Teller) -> Teller:
    def told(value: Any) -> Any:
        if value is None:
            raise ValueError("a value is missing")
        return tell(value)

    return told


def _listed(values: Any) -> Any:
    if not isinstance(values, list | tuple):
        raise TypeError("no list")
    return values
