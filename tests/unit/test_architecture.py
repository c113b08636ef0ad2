"""Rules of the code base that no linter knows."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("railmend", "workflows", "activities", "hosting", "commands")


def test_patch_ids_are_constants_of_the_policies() -> None:
    ids = [
        ast.unparse(node.args[0])
        for file in (ROOT / "workflows").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("workflow.patched")
    ]
    assert [each for each in ids if not each.startswith("policies.PATCH_")] == []
    assert len(set(ids)) == len(ids), "one id, one place"


def test_a_public_class_name_has_one_meaning() -> None:
    places = defaultdict(list)
    for package in PRODUCT:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
