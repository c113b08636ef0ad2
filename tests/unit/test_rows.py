"""Rows that are completed at once are told as GraphQL's own executor tells them, faults included."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from graphql import ExecutionResult, build_schema, execute, parse

from railyard.api.rows import RowExecutor

SCHEMA = build_schema(
    """
    scalar Any
    enum State { UP DOWN }
    interface Named { name: String }
    type Part implements Named {
      name: String, size: Float!, any: Any!, state: State, said(loud: Boolean): String
    }
    type Row { id: ID!, count: Int, at: [Float!], part: Part, parts: [Part!]!, named: Named }
    type Query { rows: [Row!], maybe: [Row] }
    """
)
SELECTED = (
    "id count",
    "a: id b: id at",
    "id part { size any state } parts { name state }",
    "id part { said(loud: true) size }",
    "parts { said } id",
    "id named { name }",
    "__typename id count",
    "id part { name } part { size }",
    "id ... on Row { count }",
    "id @skip(if: true) count @include(if: true)",
)
PART = {"name": "a", "size": 1.5, "any": {"b": [1]}, "state": "UP", "said": "hm"}
ROW = {
    "id": "1",
    "count": 2,
    "at": [0.5],
    "part": PART,
    "parts": [PART, PART],
    "named": {"__typename": "Part"},
}
WRONG = (None, "x", 2**40, float("nan"), [], [None], {}, {"size": None}, lambda *_, **__: "called", object())


def tables() -> Iterator[list[Any]]:
    yield from ([], [ROW, ROW], [ROW, None], [ROW, "x"], [{}], [{"id": "1"}])
    for name in ROW:
        for wrong in WRONG:
            yield [ROW, {**ROW, name: wrong}]
    for name in PART:
        for wrong in WRONG:
            yield [{**ROW, "part": {**PART, name: wrong}, "parts": [PART, {**PART, name: wrong}]}]


@pytest.mark.parametrize("selected", SELECTED)
@pytest.mark.parametrize("field", ["rows", "maybe"])
def test_rows_are_told_as_the_ordinary_executor_tells_them(selected: str, field: str) -> None:
    document = parse(f"{{ {field} {{ {selected} }} }}")

    def told(table: list[Any], **executor: Any) -> Any:
        result = execute(SCHEMA, document, {field: table}, **executor)
        assert isinstance(result, ExecutionResult)
        return result.formatted

    for table in tables():
        assert told(table, executor_class=RowExecutor) == told(table)


def test_a_table_is_completed_without_asking_for_each_of_its_fields() -> None:
    asked: list[str] = []

    def resolver(source: Any, info: Any, **_: Any) -> Any:
        asked.append(info.field_name)
        return source[info.field_name]

    table = {"rows": [ROW] * 50}
    chosen: Callable[..., Any] = resolver
    document = parse("{ rows { id at part { size } parts { name state } } }")
    execute(SCHEMA, document, table, field_resolver=chosen, executor_class=RowExecutor)
    assert asked == ["rows"]
