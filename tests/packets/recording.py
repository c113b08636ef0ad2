"""One recorded scenario as a file, and how the tests read them."""

import json
import re
from pathlib import Path

from pydantic import BaseModel

from railmend.contracts.incident import EvidencePacket, IncidentRequest, Verdict
from railmend.contracts.scan import DownstreamEffect, FindingKind
from railmend.railway.model import Slice

RECORDED = Path(__file__).parent / "recorded"
MAX_BYTES = 40 * 1024
# A list of numbers, to be written on one line.
SERIES = re.compile(r"\[(?:\s*(?:-?[\d.]+(?:e[+-]?\d+)?|null),?)+\s*\]")


class Recording(BaseModel):
    """`measured`: the kinds that the screening found; where none, the request holds an `artificial` finding,
    as a false alarm would. `explained`: the service only suffers from a neighbour, and no incident is opened.
    `files`: the paths of its repository. `slice` and `history`: what the kinds were measured from."""

    scenario: str
    trouble: str
    verdict: Verdict
    by_rule: bool
    artificial: bool
    measured: tuple[FindingKind, ...]
    explained: DownstreamEffect | None
    files: tuple[str, ...]
    request: IncidentRequest
    packet: EvidencePacket
    slice: Slice
    history: Slice | None = None


def write(recording: Recording) -> Path:
    RECORDED.mkdir(exist_ok=True)
    file = RECORDED / f"{recording.scenario}.json"
    text = json.dumps(_rounded(recording.model_dump(mode="json")), ensure_ascii=False, indent=1)
    file.write_text(SERIES.sub(lambda match: "".join(match[0].split()), text) + "\n")
    return file


def _rounded(tree: object) -> object:
    """Five digits of a measurement are enough."""
    if isinstance(tree, float):
        return float(f"{tree:.5g}")
    if isinstance(tree, dict):
        return {key: _rounded(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_rounded(value) for value in tree]
    return tree


def read_all() -> list[Recording]:
    return [Recording.model_validate_json(file.read_text()) for file in sorted(RECORDED.glob("*.json"))]
