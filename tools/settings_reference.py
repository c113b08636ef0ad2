"""Write the table of settings into docs/settings.md: `python -m tools.settings_reference`."""

import sys
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from railmend.settings import Settings

FILE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
BEGIN, END = "<!-- settings -->", "<!-- end of settings -->"


def table() -> str:
    """Return Markdown: name, form and bounds, default, meaning; in the order of the model."""
    rows = [
        f"| `{name.upper()}` | {_form(field)} | {_default(field)} | {field.description or ''} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| name | form | default | meaning |", "| --- | --- | --- | --- |", *rows])


def _form(field: FieldInfo) -> str:
    bounds = [
        f"{words} {value:g}"
        for words, name in (("at least", "ge"), ("at most", "le"))
        for rule in field.metadata
        if (value := getattr(rule, name, None)) is not None
    ]
    return ", ".join([_type(field.annotation), *bounds])


def _type(kind: Any) -> str:
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _type(next(member for member in inside if member is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin is tuple and isinstance(inside[0], type) and issubclass(inside[0], BaseModel):
        return "tables"
    if origin is tuple:
        return "JSON list"
    if origin is dict:
        return "JSON"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "table or JSON"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    names = {int: "whole number", float: "number", bool: "`0` or `1`", Path: "path"}
    return {**names, str: "text", SecretStr: "secret"}[kind]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}, "") or isinstance(value, BaseModel):
        return ""
    return f"`{int(value) if isinstance(value, bool) else value}`"


def updated(text: str) -> str:
    """Return the page with the table between its two marks."""
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def main() -> None:
    FILE.write_text(updated(FILE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")


if __name__ == "__main__":
    main()
