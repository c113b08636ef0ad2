"""The whole loop on a bug that the rehearsal's model does not know."""

import asyncio
from pathlib import Path

import pytest

from commands.demo_run import until_symptoms
from railmend.contracts.repair import RepairOutcome
from tests.integration.test_end_to_end import QUIET, Run, running, scan
from tests.unit.test_workspace import run

pytestmark = [pytest.mark.integration, pytest.mark.long]


async def test_a_bug_the_model_does_not_recognise_gets_no_pull_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(360), running(tmp_path) as on:
        await on.start_railyard("--service", "checkout")
        alter(on, tmp_path / "altered")
        on.variables["RAILMEND_WINDOW_SECONDS"] = "30"
        client, settings = await on.client(await on.start_worker(), monkeypatch)
        await asyncio.sleep(10)  # nothing of the old deployment is left in the window
        await until_symptoms(settings, QUIET, ["checkout"])
        ending = await scan(client, settings)
        (row,) = ending.report.rows
        assert row.verdict == "code"
        (result,) = ending.repairs.values()
        assert result.outcome is RepairOutcome.NO_CHANGE
        assert "NO CHANGE: [rehearsal] no container at module level" in result.reason
        assert on.pull_requests("acme/checkout") == []
        assert run(on.git_dir("acme/checkout"), "branch", "--list", "railmend/*") == ""


def alter(on: Run, folder: Path) -> None:
    """The same leak in another shape: a list, which the rehearsal does not know."""
    bare = on.git_dir("acme/checkout")
    run(folder.parent, "clone", "-q", str(bare), str(folder))
    file = folder / "quotes.py"
    text = file.read_text()
    for old, new in (
        ("RENDERED: dict[str, bytes] = {}", "RENDERED: list[bytes] = []"),
        ("    if quote_id not in RENDERED:\n", ""),
        (
            "        RENDERED[quote_id] = render(quote_id, items)\n",
            "    RENDERED.append(render(quote_id, items))\n",
        ),
        ("    return RENDERED[quote_id]\n", "    return RENDERED[-1]\n"),
    ):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    run(folder, "commit", "-qam", "Keep quotes in a list")
    run(folder, "push", "-q", "origin", "main")
