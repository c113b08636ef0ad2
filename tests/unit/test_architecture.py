"""Rules of the code base that no linter knows."""

import ast
import re
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


def test_what_an_activity_decides_does_not_rest_on_its_worker_s_clock() -> None:
    """Times are the server's: they come with the request. A ledger that was lost is no decision of a run."""
    reading = [
        path.name
        for path in sorted((ROOT / "activities").glob("*.py"))
        if re.search(r"datetime\.now\(|time\.time\(", path.read_text())
    ]
    assert reading == ["ledger_recovery.py"]
