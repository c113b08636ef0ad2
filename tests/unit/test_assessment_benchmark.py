"""What the assessment finds among many slices, through `backtest` and both passes of a scan."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.detection import generate
from commands.backtest import prediction, recordings
from railmend.assessment.recorded import Recorded
from railmend.assessment.settings import AssessmentRules

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
DETECTION = DATA / "detection"
RULES = AssessmentRules()


def test_generated_slices_are_told_apart() -> None:
    """Every shape of trouble, and of what only looks like it, at lengths from 25 minutes to 6 hours."""
    wrong: Counter[str] = Counter()
    kinds = affected = healthy = 0
    for row, label in generate(each=8, seed=11):
        predicted = prediction(Recorded.model_validate(row), RULES)
        affected += bool(label["affected"])
        healthy += not label["affected"]
        if predicted["affected"] != label["affected"]:
            wrong["missed" if label["affected"] else "false alarm"] += 1
        elif label["affected"]:
            kinds += predicted["kind"] in label["accept"]  # type: ignore[operator]
    assert wrong["missed"] <= 0.03 * affected, wrong
    assert wrong["false alarm"] <= 0.03 * healthy, wrong
    assert kinds >= 0.97 * (affected - wrong["missed"])


# The recorded benchmark is not part of the repository; where it lies beside the checkout it is scored too.
if DETECTION.is_dir():

    def scored(folder: Path, command: str, labels: str, slices: Iterable[Recorded]) -> dict[str, Any]:
        predictions = folder / "predictions.jsonl"
        predictions.write_text("".join(json.dumps(prediction(recorded, RULES)) + "\n" for recorded in slices))
        arguments = ["--labels", str(DETECTION / labels), "--pred", str(predictions), "--json"]
        return score(command, *arguments)

    def score(command: str, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, str(DATA / "score.py"), command, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def test_recorded_slices_reach_the_floors(tmp_path: Path) -> None:
        result = scored(tmp_path, "detect", "slice_labels.jsonl", recordings(DETECTION / "slices.jsonl"))
        assert result["f1"] >= 0.98
        assert result["false_positive_rate"] <= 0.012
        assert result["kind_accuracy_on_tp"] >= 0.97
        assert result["severity_accuracy_on_tp"] >= 0.95

    def test_a_scan_every_ten_minutes_finds_each_incident_and_little_else(tmp_path: Path) -> None:
        windows = tmp_path / "windows.jsonl"
        score("expand", "--streams", str(DETECTION / "streams.jsonl"), "--out", str(windows), "--json")
        result = scored(tmp_path, "streams", "stream_labels.jsonl", recordings(windows))
        assert result["false_alarms_per_service_day"] <= 0.1
        assert result["incident_recall"] == 1
        assert result["kind_right_on_found"] == 1
        assert result["median_delay_min"] <= 10
