"""Recorded slices: saved from a scan, assessed again with other thresholds."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from commands import record
from commands.backtest import assess_recorded, load_rules, write_predictions
from railmend.assessment.recorded import Recorded, coarsen
from railmend.assessment.settings import AssessmentRules
from railmend.contracts.scan import FindingKind, ScanRequest, ScanSettings
from railmend.railway.limits import RateLimits
from railmend.railway.pool import RailwayPool, WatchedEnvironment
from railmend.settings import ConfigurationError, Settings
from railyard.api.behaviour import Gatekeeper
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, Synthetic, build_synthetic
from tests import samples

POINTS = 180


def row(**changes: Any) -> dict[str, Any]:
    """A service that fails for 20 minutes, after it failed for none."""
    base = {
        "id": "a",
        "service": "checkout",
        "start": (samples.NOW - timedelta(minutes=POINTS)).isoformat(),
        "step_seconds": 60,
        "minutes": POINTS,
        "cpu": [0.1] * POINTS,
        "cpu_limit": 8.0,
        "memory_gb": [0.5] * POINTS,
        "memory_limit": 1.0,
        "http": {"2xx": [500.0] * 160 + [450.0] * 20, "5xx": [0.0] * 160 + [50.0] * 20},
        "latency_ms": {name: [20.0] * POINTS for name in ("p50", "p90", "p95", "p99")},
    }
    return base | changes


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "slices.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return file


async def told(file: Path, settings: Path | None = None, **options: bool) -> list[dict[str, Any]]:
    out = StringIO()
    await write_predictions(file, settings, None, out, **options)
    return [json.loads(line) for line in out.getvalue().splitlines()]


async def test_one_prediction_a_line_in_the_order_of_the_file(tmp_path: Path) -> None:
    quiet = row(id="b", http=None, latency_ms=None)
    failing, well = await told(write(tmp_path, row(), quiet))
    assert failing == {
        "id": "a",
        "affected": True,
        "chronic": None,
        "kind": "error_rate",
        "score": failing["score"],
        "severity": "warning",
        "onset": (samples.NOW - timedelta(minutes=20)).isoformat(),
    }
    assert 0.9 < failing["score"] < 1
    nothing = {"affected": False, "chronic": None, "kind": None, "score": 0.0, "severity": None}
    assert well == {"id": "b", **nothing, "onset": None}


async def test_every_finding_can_be_asked_for(tmp_path: Path) -> None:
    (failing,) = await told(write(tmp_path, row()), explain=True)
    (finding,) = failing["findings"]
    assert finding["rule"] == "error_rate.share"
    assert (finding["value"], finding["unit"]) == (0.1, "share of requests")
    assert "1000 of 10000 requests" in finding["sentence"]


async def test_thresholds_come_from_a_file(tmp_path: Path) -> None:
    settings = tmp_path / "railmend.toml"
    settings.write_text("[assessment.services.checkout]\nerror_share = 0.3\n")
    (tolerated,) = await told(write(tmp_path, row()), settings)
    assert not tolerated["affected"]


def test_a_project_s_table_is_laid_over_the_general_one(tmp_path: Path) -> None:
    file = tmp_path / "railmend.toml"
    file.write_text(
        "[assessment]\nerror_share = 0.02\nlatency_ms = 700\n"
        '[[projects]]\nname = "shop"\n[projects.assessment]\nerror_share = 0.05\n'
        '[[projects.assessment.ignore]]\nservice = "blog"\nkind = "latency"\nuntil = 2026-12-31\n'
    )
    shop = load_rules(file, "shop")
    assert (shop.error_share, shop.latency_ms) == (0.05, 700)
    assert shop.ignore[0].kind is FindingKind.LATENCY
    assert load_rules(file).error_share == 0.02
    with pytest.raises(ConfigurationError, match="no project is named blog"):
        load_rules(file, "blog")


def test_the_worker_s_settings_hold_the_same_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "railmend.toml").write_text(
        '[assessment]\nerror_share = 0.02\n[[projects]]\nname = "shop"\nproject_id = "p"\n'
        'environment_id = "e"\n[projects.assessment]\nlatency_ms = 700\n'
    )
    settings = Settings()
    rules = settings.assessment.over(settings.watched()[0].assessment)
    assert (rules.error_share, rules.latency_ms) == (0.02, 700)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[assessment]\nerror_shard = 1\n", "error_shard"),
        ("[assessment\n", "railmend.toml"),
        (None, "cannot be read"),
    ],
    ids=["unknown threshold", "no TOML", "no file"],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "railmend.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        load_rules(file)


async def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, row(), row(step_seconds="often"))
    with pytest.raises(ConfigurationError, match=r"slices.jsonl:2: no recorded slice.*"):
        await told(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await told(tmp_path / "missing.jsonl")


def test_the_coarse_look_comes_first() -> None:
    """Four failed requests in two minutes of three hours are no sign for it."""
    few = [0.0] * 170 + [2.0, 2.0] + [0.0] * 8
    assert (
        assess_recorded(
            Recorded.model_validate(row(http={"2xx": [500.0] * POINTS, "5xx": few})), AssessmentRules()
        )
        == []
    )
    one = coarsen(Recorded.model_validate(row()).slice(), 360)
    assert len(one.cpu) == len(one.http["5xx"]) == len(one.latency["p95"]) == 30
    assert one.http["5xx"][-4:] == [100.0, 300.0, 300.0, 300.0]
    assert one.latency["p99"][0] == pytest.approx(20)
    assert one.cpu[0] == pytest.approx(0.1)


async def test_what_a_scan_sees_is_recorded_and_read_back(tmp_path: Path) -> None:
    app = build_synthetic(Synthetic(5, 3, 1), Gatekeeper())
    watched = WatchedEnvironment(
        name="shop", project_id=PROJECT, environment_id=ENVIRONMENT, token=SecretStr(TOKEN)
    )
    pool = RailwayPool(
        "http://railway/graphql/v2",
        lambda: [watched],
        RateLimits(per_second=10_000),
        httpx.ASGITransport(app=app),
    )
    request = ScanRequest(project_id=PROJECT, environment_id=ENVIRONMENT)
    rows, unseen = await record.slices(pool, request, ScanSettings(), samples.NOW)
    assert (len(rows), unseen) == (5, [])
    file = tmp_path / "slices.jsonl"
    file.write_text("".join(one.model_dump_json() + "\n" for one in rows))
    again = [Recorded.model_validate_json(line) for line in file.read_text().splitlines()]
    assert again == rows
    assert [one.http is None for one in again] == [False] * 3 + [True] * 2
    assert (again[0].minutes, len(again[0].memory_gb)) == (180, 180)
    assert again[0].history is not None
    assert again[0].history.step_seconds == 1800
