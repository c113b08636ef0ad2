"""The regression test that comes with an edit: it fails on the code as it was, for what was diagnosed."""

import ast
import re
from dataclasses import dataclass

# What stands for an argument, by the beginning of its annotation.
VALUES = {"list": "[]", "dict": "{}", "str": '"x"', "int": "7"}
HEAD = "import unittest\n\nimport {module}\n\n\nclass RegressionTest(unittest.TestCase):\n"
BOUND = """    def test_{name}_stays_bounded(self) -> None:
        for number in range({calls}):
            {module}.{function}({arguments})
        self.assertLess(len({module}.{container}), {calls})
"""
OPTIONAL = """    def test_{function}_works_without_{key}(self) -> None:
        record = {record}
        shown = {module}.{function}(record)
        for name, value in record.items():
            self.assertEqual(shown[name], value)
"""
INDEX = """import sqlite3
import unittest
from pathlib import Path

SCHEMA = Path(__file__).parents[1] / "{schema}"
QUERY = "EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {where}"


class RegressionTest(unittest.TestCase):
    def test_{table}_are_not_scanned(self) -> None:
        connection = sqlite3.connect(":memory:")
        connection.executescript(SCHEMA.read_text())
        plan = " ".join(row[3] for row in connection.execute(QUERY, {values}))
        connection.close()
        self.assertIn("SEARCH {table}", plan)
"""


@dataclass(frozen=True)
class NewTest:
    path: str
    text: str


def bounded_test(path: str, text: str, container: str, limit: int) -> NewTest | None:
    """Return a test that the container of a module keeps fewer entries than there were calls."""
    function = _function_with(text, rf"{container}\[\w+\] = ")
    if function is None:
        return None
    module, name = _module(path), container.lower()
    first, *rest = function.args.args
    arguments = ", ".join([f"{first.arg}=f'regression-{{number}}'", *(_argument(each) for each in rest)])
    filled = (HEAD + BOUND).format(
        module=module,
        name=name,
        container=container,
        function=function.name,
        arguments=arguments,
        calls=limit + limit // 2,
    )
    return _test(path, f"{name}_bounded", filled)


def optional_key_test(path: str, text: str, function: str, key: str) -> NewTest | None:
    """Return a test that a record without the key is shown, with all that it has."""
    body = _function_with(text, rf'\["{key}"\]', function)
    if body is None or not body.args.args:
        return None
    record = body.args.args[0].arg
    keys = dict.fromkeys(re.findall(rf'\b{record}\["(\w+)"\]', ast.get_source_segment(text, body) or ""))
    values = {name: 100 for name in keys if name != key}
    filled = (HEAD + OPTIONAL).format(module=_module(path), function=function, key=key, record=values)
    return _test(path, f"without_{key}", filled.replace("'", '"'))


def index_test(path: str, table: str, columns: list[str]) -> NewTest:
    """Return a test that the schema lets the table be searched by these columns."""
    filled = INDEX.format(
        schema=path.rsplit("/", 1)[-1],
        table=table,
        where=" AND ".join(f"{column} = ?" for column in columns),
        values=tuple(1 for _ in columns),
    )
    return _test(path, f"{table}_index", filled)


def _module(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".py")


def _test(path: str, name: str, text: str) -> NewTest:
    folder = path.rpartition("/")[0]
    return NewTest(f"{folder}/tests/test_regression_{name}.py", text)


def _function_with(text: str, pattern: str, name: str = "") -> ast.FunctionDef | None:
    """Return the function, of this name if one is given, in whose text the pattern is found."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef) or name not in ("", node.name):
            continue
        if re.search(pattern, ast.get_source_segment(text, node) or ""):
            return node
    return None


def _argument(argument: ast.arg) -> str:
    kind = ast.unparse(argument.annotation) if argument.annotation else ""
    value = next((value for start, value in VALUES.items() if kind.startswith(start)), "None")
    return f"{argument.arg}={value}"
