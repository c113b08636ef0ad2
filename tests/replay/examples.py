"""An example of each stored model, full of values that are no defaults, made from its types.

`python -m tests.replay.examples` writes those of the release to come to `golden/next.json`.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tests.replay.freeze import GOLDEN, NEXT
from tests.replay.stored_types import payload_types, stored_enums

# A key and a value that no version has.
FUTURE, AHEAD = "from_the_future", {"kept": ["as", 1, None]}
MOMENT = datetime(2026, 11, 24, 9, 30, 15, tzinfo=UTC)


def examples() -> dict[str, Any]:
    """Return an example per payload, as JSON, and the values of each enum, by their names."""
    return {
        "models": {model.__name__: example(model).model_dump(mode="json") for model in payload_types()},
        "enums": {each.__name__: [member.value for member in each] for each in stored_enums()},
    }


def example(model: type[BaseModel]) -> BaseModel:
    return model(
        **{name: _value(field.annotation, name, field) for name, field in model.model_fields.items()}
    )


def _value(annotation: Any, name: str, field: FieldInfo | None = None) -> Any:
    origin, inside = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, UnionType):
        return _value(next(each for each in inside if each is not NoneType), name, field)
    if origin is tuple:
        return (_value(inside[0], name),)
    if origin is dict:
        return {_value(inside[0], f"{name} key"): _value(inside[1], name)}
    default = None if field is None or field.default is PydanticUndefined else field.default
    if issubclass(annotation, BaseModel):
        return example(annotation)
    if issubclass(annotation, Enum):
        return next(member for member in reversed(annotation) if member is not default)
    if annotation is bool:
        return not default
    if annotation in (int, float):
        return _number(annotation, default, field)
    return {str: f"some {name}", datetime: MOMENT}[annotation]


def _number(kind: type, default: Any, field: FieldInfo | None) -> Any:
    """Return a number within the field's bounds that is not its default."""
    bounds = field.metadata if field else ()
    high = next((each.le for each in bounds if hasattr(each, "le")), None)
    low = next((each.ge for each in bounds if hasattr(each, "ge")), 0)
    start = low if default is None else default
    number = kind(start + 1 if high is None else (start + high) / 2)
    return number if number != default else kind(low)


def from_the_future(model: type[BaseModel], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the example with an unknown key in every model, and an unknown value for every enum."""
    fields = model.model_fields
    changed = {key: _ahead(fields[key].annotation, each) for key, each in value.items()}
    return {**changed, FUTURE: AHEAD}


def _ahead(annotation: Any, value: Any) -> Any:
    if value is None:
        return None
    origin, inside = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, UnionType):
        return _ahead(next(each for each in inside if each is not NoneType), value)
    if origin is tuple:
        return [_ahead(inside[0], each) for each in value]
    if origin is dict:
        return {_ahead(inside[0], key): _ahead(inside[1], each) for key, each in value.items()}
    if issubclass(annotation, BaseModel):
        return from_the_future(annotation, value)
    return FUTURE if issubclass(annotation, Enum) else value


def golden_files() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each release with its examples; `next` is the one to come."""
    for file in sorted(GOLDEN.glob("*.json")):
        yield file.stem, json.loads(file.read_text())


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / f"{NEXT}.json").write_text(json.dumps(examples(), indent=1, sort_keys=True) + "\n")
