"""The demo's bugs, mended by the rehearsal model through the real server, sandbox, checks and guard."""

from pathlib import Path

import pytest

from railmend.contracts.checks import Verification
from railmend.contracts.incident import EvidenceItem, EvidencePacket
from railmend.contracts.repair import CodingState
from railyard.rehearsal.server import build_rehearsal
from tests import samples
from tests.integration.coding_stage import CodingRoom
from tests.integration.serving import serving
from tests.kept import memory_store
from tests.unit.test_rehearsal import FIXES, SERVICES, TRACE

pytestmark = pytest.mark.integration

SYMPTOMS = {
    "checkout": ("memory_leak", "deploy_log", "quotes: 900 rendered pages kept in memory"),
    "catalog": ("error_rate", "deploy_log", TRACE),
    "reports": (
        "latency",
        "http_log",
        "GET /reports/{id}: 30x (100.0% of all) [200 30x], p50 900 ms, p95 1500 ms",
    ),
}

FAULTS = {
    "checkout": "Without the change: AssertionError: 150 not less than 150",
    "catalog": "Without the change: KeyError: 'discount'",
    "reports": "Without the change: AssertionError: 'SEARCH orders' not found in 'SCAN orders'",
}


def files_of(name: str) -> dict[str, str]:
    found = (path for path in (SERVICES / name).rglob("*") if path.suffix in (".py", ".sql", ".md"))
    return {str(path.relative_to(SERVICES / name)): path.read_text() for path in found}


@pytest.mark.parametrize("name", SYMPTOMS)
async def test_a_known_bug_is_mended_verified_and_let_through(name: str, tmp_path: Path) -> None:
    finding, kind, text = SYMPTOMS[name]
    items = (
        EvidenceItem(id="E1", kind="finding", source=finding, text=finding),
        EvidenceItem(id="E2", kind=kind, source=kind, text=text),
    )
    repair = samples.repair()
    packet = EvidencePacket(service_name=name, items=items)
    reference = await memory_store().put_model(packet)
    incident = repair.incidents[0].model_copy(update={"packet": reference})
    repair = repair.model_copy(update={"incidents": (incident,)})
    with serving(build_rehearsal()) as address:
        room = CodingRoom(tmp_path, files_of(name), model_url=f"{address}/v1", repair=repair)
        await room.artifacts.put_model(packet)
        before = await room.before()
        result = await room.session()
        assert result.state is CodingState.DONE, result.reason
        change = await room.change()
        verification = Verification(before=before, after=await room.after())
        proof = await room.proof()
    file, fix = FIXES[name]
    assert change.refused == ()
    assert [each.path.startswith("tests/") for each in change.files] == [False, True]
    row, _ = proof.rows
    assert (row.base, row.change, row.reason) == ("fails 3 of 3", "passes 3 of 3", FAULTS[name])
    assert proof.proven
    assert fix in (room.tree / file).read_text()
    assert verification.verified, verification
    assert [run.passed for run in before.runs] == [True]
