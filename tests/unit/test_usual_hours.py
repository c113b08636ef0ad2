"""What comes at the same hour each day or week is usual, as a scan reads it; what was never so is not."""

import pytest

from railmend.contracts.scan import FindingKind
from tests.unit.railway_yard import END, Yard

DAY, WEEK = 86_400, 7 * 86_400
NAME = "service-0000"


def _ago(ts: float, *before: int) -> bool:
    """Whether a time lies in the newest 25 minutes, or in the 90 from their beginning some time before."""
    return any(-25 * 60 <= ts - END.timestamp() + back < 65 * 60 for back in (0, *before))


async def _kinds(services: int, what: str, usual: float, unusual: float, *before: int) -> set[FindingKind]:
    curves = {(NAME, what): lambda ts: unusual if _ago(ts, *before) else usual}
    yard = await Yard(services, services // 2, curves=curves).connected()
    return (await yard.scan()).kinds(NAME)


@pytest.mark.parametrize("services", [4, 50])
async def test_an_export_of_each_night_is_no_incident_in_small_and_large_projects(services: int) -> None:
    assert await _kinds(services, "latency", 90, 1500) == {FindingKind.LATENCY}
    assert await _kinds(services, "latency", 90, 1500, DAY) == set()
    assert await _kinds(services, "latency", 90, 1500, WEEK) == set()
    assert await _kinds(services, "latency", 90, 1500, 3 * DAY) == {FindingKind.LATENCY}


@pytest.mark.parametrize("services", [4, 50])
async def test_visitors_who_leave_as_a_week_ago_are_no_drop(services: int) -> None:
    assert await _kinds(services, "requests", 120, 6) == {FindingKind.TRAFFIC_DROP}
    assert await _kinds(services, "requests", 120, 6, WEEK) == set()


async def test_a_quiet_project_costs_one_request_and_a_suspect_one_more() -> None:
    quiet = await Yard(4, 2).connected()
    await quiet.requests()
    assert await quiet.requests() == 1
    troubled = await Yard(4, 2, 1).connected()
    await troubled.requests()
    assert await troubled.requests() == 2
