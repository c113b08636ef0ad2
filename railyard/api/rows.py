"""Completes lists of plain rows at once: the executor completes each value of each point by itself."""

from collections.abc import Callable
from typing import Any

from graphql import GraphQLObjectType, GraphQLOutputType, get_nullable_type, is_leaf_type
from graphql.execution.executor_throwing_on_incremental import ExecutorThrowingOnIncremental

# Of each selected field: the name it is told by, its key in the row, and how its value is told.
Columns = list[tuple[str, str, Callable[[Any], Any]]]


class RowExecutor(ExecutorThrowingOnIncremental):
    """As the ordinary one, which gets whatever is not plain, and what does not fit its type."""

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: Any,
        info: Any,
        path: Any,
        items: Any,
        *rest: Any,
    ) -> Any:
        columns = _columns(get_nullable_type(item_type), field_details_list)
        if columns and isinstance(items, list):
            try:
                return [{told: coerce(row[key]) for told, key, coerce in columns} for row in items]
            except Exception:  # noqa: BLE001 - to be told as the executor tells it
                columns = []
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, *rest)


def _columns(row_type: Any, fields: Any) -> Columns:
    """Return what is selected of each row; nothing unless all of it is a plain value of a dictionary."""
    if not isinstance(row_type, GraphQLObjectType) or len(fields) != 1:
        return []
    columns: Columns = []
    for node in fields[0].node.selection_set.selections:
        field = row_type.fields.get(node.name.value) if node.kind == "field" else None
        leaf = get_nullable_type(field.type) if field else None
        if field is None or field.resolve or node.arguments or node.directives or not is_leaf_type(leaf):
            return []
        told = (node.alias or node.name).value
        columns.append((told, node.name.value, leaf.coerce_output_value))
    return columns
