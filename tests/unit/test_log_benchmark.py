"""The log benchmark, where its data lies beside the checkout: culprits survive in few tokens."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


def score(budget: int, folder: Path) -> dict[str, float]:
    predicted = folder / "predicted.jsonl"
    cases, labels = DATA / "logs" / "log_cases.jsonl", DATA / "logs" / "log_labels.jsonl"
    arguments = ["condense", str(cases), "--budget", str(budget)]
    with predicted.open("w") as out:
        subprocess.run([sys.executable, "starter.py", *arguments], cwd=ROOT, stdout=out, check=True)
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

    @pytest.mark.parametrize(("budget", "recall"), [(2000, 0.98), (1000, 0.95)])
    def test_culprits_survive(budget: int, recall: float, tmp_path: Path) -> None:
        found = score(budget, tmp_path)
        assert found[f"culprit_recall_in_{budget}_tokens"] >= recall
        assert found["tokens_mean"] <= 700
