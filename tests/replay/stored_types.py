"""Every type that Temporal stores: what workflows, their handlers and activities take and return."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from enum import Enum
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel
from temporalio import activity, workflow

import activities
from hosting.workers import WORKFLOWS


def payload_types() -> list[type[BaseModel]]:
    """Return the models that are payloads themselves, by name."""
    found = {each for each in map(_bare, _signatures()) if isinstance(each, type)}
    return sorted((each for each in found if issubclass(each, BaseModel)), key=lambda each: each.__name__)


def stored_models() -> set[type[BaseModel]]:
    """Return the payloads' models, with those inside them."""
    return {each for each in _all_types() if issubclass(each, BaseModel)}


def stored_enums() -> list[type[Enum]]:
    return sorted((each for each in _all_types() if issubclass(each, Enum)), key=lambda each: each.__name__)


def _bare(annotation: Any) -> Any:
    """Return X for `X | None`."""
    inside = [each for each in get_args(annotation) if each is not type(None)]
    return inside[0] if isinstance(annotation, UnionType) and len(inside) == 1 else annotation


def _all_types() -> set[type]:
    found: set[type] = set()
    waiting = list(_signatures())
    while waiting:
        annotation = waiting.pop()
        waiting += get_args(annotation)
        if isinstance(annotation, type) and not get_args(annotation) and annotation not in found:
            found.add(annotation)
            if issubclass(annotation, BaseModel):
                waiting += [field.annotation for field in annotation.model_fields.values()]
    return found


def _signatures() -> Iterator[Any]:
    for definition in (*_activities(), *_workflows()):
        yield from definition.arg_types or ()
        if getattr(definition, "ret_type", None) is not None:  # a signal has none
            yield definition.ret_type


def _activities() -> Iterator[Any]:
    for module in pkgutil.iter_modules(activities.__path__):
        imported = importlib.import_module(f"activities.{module.name}")
        for _, each in inspect.getmembers(imported, inspect.isclass):
            for method in vars(each).values():
                definition = activity._Definition.from_callable(method) if callable(method) else None
                if definition is not None:
                    yield definition


def _workflows() -> Iterator[Any]:
    for each in WORKFLOWS:
        definition = workflow._Definition.must_from_class(each)
        yield definition
        yield from definition.queries.values()
        yield from (*definition.updates.values(), *definition.signals.values())
