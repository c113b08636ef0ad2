"""Culprits survive in few tokens: in cases of our own, and in a benchmark beside the checkout."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.build_log_samples import BUILD_SAMPLES
from tests.unit.log_samples import RUNTIME_SAMPLES, Sample
from tests.unit.test_condense import case

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


def condensed(cases: Path, budget: int, folder: Path) -> Path:
    predicted = folder / "predicted.jsonl"
    arguments = ["condense", str(cases), "--budget", str(budget)]
    with predicted.open("w") as out:
        subprocess.run([sys.executable, "starter.py", *arguments], cwd=ROOT, stdout=out, check=True)
    return predicted


def as_case(sample: Sample) -> str:
    lines = [
        {
            "ts": row.timestamp.isoformat(),
            "stream": sample.stream,
            "severity": row.severity,
            "message": row.message,
        }
        for row in case(sample, times=3, torn=False)
    ]
    return json.dumps({"id": sample.name, "lines": lines})


def test_culprits_of_our_own_cases_survive(tmp_path: Path) -> None:
    samples = {sample.name: sample for sample in (*RUNTIME_SAMPLES, *BUILD_SAMPLES)}
    cases = tmp_path / "cases.jsonl"
    cases.write_text("".join(as_case(sample) + "\n" for sample in samples.values()))
    predicted = [json.loads(line) for line in condensed(cases, 1000, tmp_path).read_text().splitlines()]
    assert [row["id"] for row in predicted] == list(samples)
    texts = {row["id"]: re.sub(r"\s+", " ", row["text"]) for row in predicted}
    lost = [
        (name, wanted)
        for name, sample in samples.items()
        for wanted in sample.wanted
        if not re.search(wanted, texts[name], re.IGNORECASE)
    ]
    assert lost == []


def score(benchmark: str, budget: int, folder: Path) -> dict[str, float]:
    cases, labels = DATA / benchmark / "log_cases.jsonl", DATA / benchmark / "log_labels.jsonl"
    predicted = condensed(cases, budget, folder)
    scored = subprocess.run(
        [
            *(sys.executable, str(DATA / "score.py"), "logs", "--labels", str(labels)),
            *("--pred", str(predicted), "--budget", str(budget), "--json"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(scored.stdout)
    return found


if DATA.is_dir():

    @pytest.mark.parametrize(
        ("benchmark", "budget", "recall"),
        [("logs", 2000, 1.0), ("logs", 1000, 1.0), ("logs", 500, 0.97), ("logs_wild", 1000, 1.0)],
    )
    def test_culprits_survive(benchmark: str, budget: int, recall: float, tmp_path: Path) -> None:
        found = score(benchmark, budget, tmp_path)
        assert found[f"culprit_recall_in_{budget}_tokens"] >= recall
        assert found["tokens_mean"] <= 700
