"""Tell what each threshold decides: moved by 15 % either way, and chosen without the shape that is judged.

`python -m bench.thresholds [SLICES LABELS ...]`: pairs of files in the format of `backtest`; without any, the
generated shapes of `bench/`. Prints tables in Markdown.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench.detection import generate
from bench.shapes import SHAPES, newest, simulated
from railmend.assessment.recorded import Recorded, coarsen
from railmend.assessment.rules import assess
from railmend.assessment.screening import is_candidate
from railmend.assessment.settings import AssessmentSettings
from railmend.contracts.scan import Finding, Service, Window
from railmend.railway.model import Slice
from railmend.railway.plan import coarse

MOVED = (0.85, 1.15)
DEFAULTS = AssessmentSettings()


@dataclass(frozen=True)
class Case:
    """One slice, read as both passes of a scan read it, and what must be said of it."""

    shape: str
    kinds: tuple[str, ...]
    severity: str | None
    service: Service
    fine: Slice
    coarse: Slice | None
    history: Slice | None

    def judge(self, settings: AssessmentSettings) -> Finding | None:
        """Return the root of what both passes find, without what was always so."""
        if self.coarse is not None and not is_candidate(self.coarse, self.service, settings):
            return None
        found = assess(
            self.fine, self.service, environment_id="bench", history=self.history, settings=settings
        )
        return next((finding for finding in found if not finding.chronic), None)


def case(recorded: Recorded, shape: str, kinds: Iterable[str], severity: str | None = None) -> Case:
    fine = recorded.slice()
    length = timedelta(seconds=recorded.points * recorded.step_seconds)
    window = Window(start=fine.start, end=fine.start + length, step_seconds=recorded.step_seconds)
    step = coarse(window).step_seconds
    return Case(
        shape,
        tuple(kinds),
        severity,
        recorded.subject(),
        fine,
        coarsen(fine, step) if step > recorded.step_seconds else None,
        recorded.history.slice() if recorded.history else None,
    )


def read(slices: Path, labels: Path) -> Iterator[Case]:
    """Yield the cases of a labelled file, without debatable ones."""
    by_id = {label["id"]: label for label in map(json.loads, labels.read_text().splitlines())}
    with slices.open(encoding="utf-8") as lines:
        for line in lines:
            recorded = Recorded.model_validate_json(line)
            label = by_id[recorded.id]
            if not label.get("debatable"):
                kinds = label["accept"] if label["affected"] else ()
                yield case(recorded, label["variant"], kinds, label.get("severity"))


def generated() -> Iterator[Case]:
    for row, label in generate(each=4):
        yield case(Recorded.model_validate(row), str(label["variant"]), label["accept"])  # type: ignore[arg-type]
    for name, shape in SHAPES.items():
        for rate in () if shape.needs_history else shape.rates:
            whole = simulated(shape.simulate, rate)
            for minutes in shape.windows:
                yield case(Recorded.model_validate(newest(whole, minutes)), name, shape.kinds)


@dataclass(frozen=True)
class Figures:
    precision: float
    recall: float
    severity: float

    def __str__(self) -> str:
        return f"{self.precision:.3f} | {self.recall:.3f} | {self.severity:.1%}"


def figures(cases: Sequence[Case], found: Sequence[Finding | None]) -> Figures:
    pairs = list(zip(cases, found, strict=True))
    hits = [(each, finding) for each, finding in pairs if finding and each.kinds]
    graded = [(each, finding) for each, finding in hits if each.severity]
    right = sum(finding.severity.value == each.severity for each, finding in graded)
    return Figures(
        len(hits) / max(sum(finding is not None for finding in found), 1),
        len(hits) / max(sum(bool(each.kinds) for each in cases), 1),
        right / len(graded) if graded else 1.0,
    )


def moved() -> Iterator[tuple[str, float, AssessmentSettings]]:
    """Yield every threshold moved either way, as far as it may go: name, factor, all settings."""
    for name in AssessmentSettings.model_fields:
        default = getattr(DEFAULTS, name)
        for factor in MOVED:
            value = default * factor
            value = max(round(value), 1) if isinstance(default, int) else value
            try:
                settings = AssessmentSettings.model_validate({name: value})
            except ValueError:
                settings = AssessmentSettings.model_validate({name: 1.0})  # a share
            if getattr(settings, name) != default:
                yield name, factor, settings


def by_kind(cases: Sequence[Case], found: Sequence[Finding | None]) -> None:
    print("| kind | slices | found | kind right | severity right |\n| --- | --- | --- | --- | --- |")
    groups: dict[str, list[tuple[Case, Finding | None]]] = defaultdict(list)
    for each, finding in zip(cases, found, strict=True):
        groups[each.kinds[0] if each.kinds else "healthy"].append((each, finding))
    for kind, pairs in sorted(groups.items()):
        hits = [(each, finding) for each, finding in pairs if finding]
        right = sum(finding.kind.value in each.kinds for each, finding in hits)
        graded = [(each, finding) for each, finding in hits if each.severity]
        grave = sum(finding.severity.value == each.severity for each, finding in graded)
        print(f"| {kind} | {len(pairs)} | {len(hits)} | {right} | {grave} of {len(graded)} |")


def left_out(cases: Sequence[Case], tried: Sequence[Sequence[bool]]) -> None:
    """Judge each shape with the thresholds that are best on all others; `tried[0]`: with the defaults."""
    right, worst = 0, {}
    for shape in dict.fromkeys(each.shape for each in cases):
        inside = [number for number, each in enumerate(cases) if each.shape == shape]
        scores = [sum(one) - sum(one[number] for number in inside) for one in tried]
        chosen = tried[max(range(len(tried)), key=lambda index: scores[index])]
        hits = sum(chosen[number] for number in inside)
        right += hits
        if hits < len(inside):
            worst[shape] = f"{shape}: {hits} of {len(inside)}"
    print(f"\nLeave one shape out: {right} of {len(cases)} slices are told right.", *worst.values())


def main(arguments: Sequence[str]) -> None:
    files = list(map(Path, arguments))
    cases = [each for pair in zip(files[::2], files[1::2], strict=True) for each in read(*pair)]
    cases = cases or list(generated())
    found = [each.judge(DEFAULTS) for each in cases]
    print(f"{len(cases)} slices of {len({each.shape for each in cases})} shapes\n")
    by_kind(cases, found)
    base = figures(cases, found)
    tried = [_right(cases, found)]
    print("\n| threshold | moved | precision | recall | severity |\n| --- | --- | --- | --- | --- |")
    print(f"| (defaults) | | {base} |")
    still = []
    for name, factor, settings in moved():
        again = [each.judge(settings) for each in cases]
        tried.append(_right(cases, again))
        if (told := figures(cases, again)) != base:
            print(f"| `{name}` | {factor - 1:+.0%} | {told} |", flush=True)
        else:
            still.append(f"`{name}` {factor - 1:+.0%}")
    print(f"\nWithout effect: {len(still)} of {len(tried) - 1} moves.")
    left_out(cases, tried)


def _right(cases: Sequence[Case], found: Sequence[Finding | None]) -> list[bool]:
    return [bool(each.kinds) == (finding is not None) for each, finding in zip(cases, found, strict=True)]


if __name__ == "__main__":
    main(sys.argv[1:])
