"""What is recorded when an activity ends, and that dashboard and documentation speak of the same metrics."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from hosting.metrics import BUCKETS, api_budget, begin, record
from railmend.contracts.incident import Verdict, Waiting
from railmend.contracts.ledger import SettlementBatch, SettleRequest
from railmend.contracts.repair import CodingResult, CodingState
from railmend.contracts.scan import HealthReport, ServiceRow
from railmend.publishing.github import GitHubClient
from railmend.railway.pool import RailwayPool
from tests import samples
from workflows.shared import metrics

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy/grafana/railmend.json"


class Meter:
    """Remembers what was recorded, by metric and labels."""

    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[float, dict[str, str]]]] = defaultdict(list)

    def __getattr__(self, kind: str) -> Any:
        if not kind.startswith("create_"):
            raise AttributeError(kind)
        return lambda name, description=None, unit=None: _Metric(self.seen[name])


class _Metric:
    def __init__(self, seen: list[tuple[float, dict[str, str]]]) -> None:
        self._seen = seen

    def add(self, value: float, labels: dict[str, str] | None = None) -> None:
        self._seen.append((value, labels or {}))

    set = record = add


def recorded(activity: str, *args: Any, result: Any = None, seconds: float = 1.0) -> Meter:
    meter = Meter()
    record(meter, activity, args, result, seconds)  # type: ignore[arg-type]
    return meter


def scanned() -> dict[str, list[tuple[float, dict[str, str]]]]:
    row = ServiceRow(service_id="id-checkout", name="checkout", findings=(samples.finding(),))
    report = HealthReport(
        project_name="acme", environment_name="production", window=samples.WINDOW, rows=(row,)
    )
    meter = Meter()
    metrics.record(meter, report)  # type: ignore[arg-type]
    return meter.seen


def test_a_scan_counts_itself_its_findings_and_the_services_in_trouble() -> None:
    seen = scanned()
    assert seen["railmend_scans"] == [(1, {})]
    assert seen["railmend_findings"] == [(1, {"kind": "memory_leak", "severity": "warning"})]
    assert seen["railmend_services_affected"] == [(1, {"project": "acme", "environment": "production"})]


def test_an_investigation_counts_its_verdict_and_what_it_cost() -> None:
    report = samples.report(verdict=Verdict.BAD_DEPLOY)
    costly = report.diagnosis.model_copy(update={"cost_usd": 0.25})
    seen = recorded("describe_incident", report.model_copy(update={"diagnosis": costly})).seen
    assert seen["railmend_verdicts"] == [(1, {"verdict": "bad_deploy"})]
    assert seen["railmend_cost_usd"] == [(0.25, {"kind": "diagnosis"})]


def test_an_investigation_that_waits_for_budget_has_no_verdict() -> None:
    waiting = samples.report().model_copy(update={"waiting": Waiting(limit="5 a day", again_at=samples.NOW)})
    seen = recorded("describe_incident", waiting).seen
    assert seen["railmend_verdicts"] == [(1, {"verdict": "waiting"})]


def test_a_session_is_measured() -> None:
    result = CodingResult(state=CodingState.ABORTED, session_id="s", text="", cost_usd=1.5)
    seen = recorded("run_session", result=result, seconds=90.0).seen
    assert seen["railmend_session_seconds"] == [(90.0, {"state": "aborted"})]
    assert seen["railmend_cost_usd"] == [(1.5, {"kind": "session"})]


def test_only_repairs_count_as_repairs() -> None:
    def settled(holder: str, outcome: str) -> SettleRequest:
        return SettleRequest(
            settle_id="s",
            fingerprints=(),
            holder=holder,
            outcome=outcome,
            detail="",
            cooldown_seconds=1,
            at=samples.NOW,
        )

    both = (settled("repair/acme/x/k", "pull_request"), settled("incident/e/s", "healthy"))
    seen = recorded("settle", SettlementBatch(project_id="p", settlements=both)).seen
    assert seen["railmend_repairs"] == [(1, {"outcome": "pull_request"})]


def test_what_is_counted_begins_at_nothing_under_the_names_that_count_later() -> None:
    meter = Meter()
    begin(meter)  # type: ignore[arg-type]
    assert {value for values in meter.seen.values() for value, _ in values} == {0}
    later = recorded("describe_incident", samples.report(verdict=Verdict.BAD_DEPLOY)).seen
    later |= scanned()
    for name in ("railmend_verdicts", "railmend_findings"):
        assert later[name][0][1] in [labels for _, labels in meter.seen[name]]
    counters = {name.removesuffix("_total") for name in _own_metrics() if name.endswith("_total")}
    assert set(meter.seen) == counters


def test_other_activities_record_nothing() -> None:
    assert recorded("screen").seen == {}


def test_a_budget_that_is_not_known_yet_is_not_told() -> None:
    meter = Meter()
    pool = RailwayPool("http://railway.invalid", tuple)
    github = GitHubClient("http://github.invalid", SecretStr("t"))
    for gauge in (api_budget("railway", lambda: pool.left), api_budget("github", lambda: github.left)):
        gauge.record(meter)  # type: ignore[arg-type]
    assert meter.seen == {}


def _own_metrics() -> set[str]:
    """As they are exported: counters end in `_total`, histograms have three series."""
    files = ("hosting/metrics.py", "workflows/shared/metrics.py")
    source = "".join((ROOT / file).read_text() for file in files)
    counters = {f"{name}_total" for name in re.findall(r'create_counter\(\s*"(\w+)"', source)}
    gauges = set(re.findall(r'(?:create_gauge|Gauge)\(\s*"(\w+)"', source))
    parts = {f"{name}_{part}" for name in BUCKETS for part in ("bucket", "sum", "count")}
    return counters | gauges | parts


def test_dashboard_and_alerts_show_metrics_that_exist() -> None:
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel.get("targets")]
    assert all(panel["fieldConfig"]["defaults"]["noValue"] for panel in panels)
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    (group,) = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    assert len(expressions) >= 10
    expressions += [rule["expr"] for rule in group["rules"]]
    shown = {name for expression in expressions for name in re.findall(r"railmend_\w+", expression)}
    assert shown <= _own_metrics()


@pytest.mark.parametrize("name", sorted({re.sub("_(bucket|sum|count)$", "", one) for one in _own_metrics()}))
def test_every_metric_is_documented_and_on_the_dashboard(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs/observability.md").read_text()
    assert name in DASHBOARD.read_text()
