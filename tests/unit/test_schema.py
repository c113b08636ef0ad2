"""Documents and the miniature Railway against Railway's own schema, where a copy lies beside the checkout."""

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    parse,
    validate,
)

from railmend.railway.compose import DOCUMENTS

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "railway" / "subset.graphql"
OURS = ROOT / "railyard" / "api" / "schema.graphql"
beside = pytest.mark.skipif(not REAL.is_file(), reason="no copy of Railway's schema beside the checkout")
Fielded = GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType


def schema(file: Path) -> GraphQLSchema:
    return build_schema(file.read_text())


@pytest.mark.parametrize("taker", [OURS, pytest.param(REAL, marks=beside)], ids=["railyard", "railway"])
@pytest.mark.parametrize("file", sorted(DOCUMENTS.glob("*.graphql")), ids=lambda file: file.stem)
def test_railway_would_take_every_document(file: Path, taker: Path) -> None:
    assert validate(schema(taker), parse(file.read_text())) == []


def differences(name: str, ours: object, real: object) -> list[str]:
    if isinstance(ours, GraphQLEnumType) and isinstance(real, GraphQLEnumType):
        return [f"{name}.{value}" for value in ours.values if value not in real.values]
    if not isinstance(ours, Fielded) or not isinstance(real, Fielded):
        return []
    found = []
    for field_name, field in ours.fields.items():
        other = real.fields.get(field_name)
        if other is None or str(other.type) != str(field.type):
            found.append(f"{name}.{field_name}: {field.type}, really {other and other.type}")
            continue
        arguments = {key: str(one.type) for key, one in getattr(field, "args", {}).items()}
        allowed = {key: str(one.type) for key, one in getattr(other, "args", {}).items()}
        found += [f"{name}.{field_name}({key})" for key in arguments if arguments[key] != allowed.get(key)]
    return found


@beside
def test_the_miniature_railway_serves_the_same_types() -> None:
    real, ours = schema(REAL), schema(OURS)
    wrong = [f"{name}: unknown" for name in ours.type_map if name not in real.type_map]
    for name, kind in ours.type_map.items():
        if not name.startswith("__"):
            wrong += differences(name, kind, real.type_map.get(name))
    assert wrong == []
