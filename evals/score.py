"""Hold what came of cases against their labels, and sum it up as a row of a table."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from pydantic import BaseModel

from evals.case import Case
from evals.play import Played
from evals.session import Coded
from railmend.assessment.statistics import wilson
from railmend.contracts.incident import CODING_VERDICTS, Diagnosis

NOT_ASKED = "–"


class Score(BaseModel):
    """One case, once. None: the case does not ask it. `verdict`: right; `wrong_code`: a change that is none.

    `pull_request`: a change where one is right. `culprit`: its file is suspected. `named`: the causes say
    what they must, and nothing that they must not. `cited`: they cite what shows it. `hidden`: the hidden
    test passes after a session; `lines`: that its change has.
    """

    case: str
    ran: bool
    by_rule: bool = False
    verdict: bool = False
    wrong_code: bool | None = None
    pull_request: bool | None = None
    culprit: bool | None = None
    named: bool | None = None
    cited: bool | None = None
    hidden: bool | None = None
    lines: int | None = None
    usd: float = 0.0
    tokens: int = 0
    seconds: float = 0.0

    def coded(self, coded: Coded) -> "Score":
        """Return the score with what came of a session; its cost is the case's."""
        return self.model_copy(
            update={
                "hidden": coded.hidden,
                "lines": coded.lines if coded.hidden is not False or coded.lines else None,
                "usd": self.usd + coded.usd,
                "tokens": self.tokens + coded.tokens,
                "seconds": self.seconds + coded.seconds,
            }
        )


def score(case: Case, played: Played) -> Score:
    """Return the score; whatever did not run, or gave up, is right in nothing."""
    label, diagnosis = case.label, played.diagnosis
    if diagnosis is None:
        return Score(case=case.name, ran=False, **_nothing_right(case))
    asked = _nothing_right(case)
    if played.gave_up:
        return Score(case=case.name, ran=True, **asked, **_cost(played, diagnosis))
    changes = diagnosis.verdict in CODING_VERDICTS and diagnosis.verdict not in label.verdict
    told = {
        "wrong_code": changes,
        "pull_request": diagnosis.verdict in CODING_VERDICTS,
        "culprit": case.culprit in diagnosis.suspected_files,
        "named": _named(case, diagnosis),
        "cited": _cited(case, played, diagnosis),
    }
    return Score(
        case=case.name,
        ran=True,
        by_rule=played.by_rule,
        verdict=diagnosis.verdict in label.verdict,
        **{name: told[name] for name, value in asked.items() if value is not None},
        **_cost(played, diagnosis),
    )


def _nothing_right(case: Case) -> dict[str, bool | None]:
    """Return what the case asks, with nothing of it right."""
    label = case.label
    return {
        "wrong_code": None if label.pull_request else False,
        "pull_request": False if label.pull_request else None,
        "culprit": False if case.culprit else None,
        "named": False if label.must or label.must_not else None,
        "cited": False if label.shows else None,
    }


def _cost(played: Played, diagnosis: Diagnosis) -> dict[str, float]:
    return {"usd": diagnosis.cost_usd or 0.0, "tokens": diagnosis.tokens, "seconds": played.seconds}


def _named(case: Case, diagnosis: Diagnosis) -> bool:
    said = "\n".join([diagnosis.summary, *(cause.text for cause in diagnosis.causes)])
    return all(re.search(pattern, said) for pattern in case.label.must) and not any(
        re.search(pattern, said) for pattern in case.label.must_not
    )


def _cited(case: Case, played: Played, diagnosis: Diagnosis) -> bool:
    cited = {item for cause in diagnosis.causes for item in cause.evidence}
    items = played.packet.items if played.packet else ()
    shown = [f"{item.source}\n{item.text}" for item in items if item.id in cited]
    return all(any(re.search(pattern, text) for text in shown) for pattern in case.label.shows)


class Share(BaseModel):
    """How often something was so, with Wilson's interval of 95 %. `cases`: that ask it.

    The interval is of the cases, however often each was repeated: another try at one is no new case.
    """

    cases: int
    share: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        if self.share is None:
            return None
        return wilson(self.share * self.cases, self.cases)

    @property
    def text(self) -> str:
        if self.share is None or self.interval is None:
            return NOT_ASKED
        below, above = self.interval
        return f"{self.share:.0%} of {self.cases} ({below:.0%} to {above:.0%})"


class Summary(BaseModel):
    """All scores of one model. `failed`: tries in which no model answered; they count as wrong."""

    cases: int
    tries: int
    failed: int
    by_rule: int
    verdict: Share
    wrong_code: Share
    pull_request: Share
    culprit: Share
    named: Share
    cited: Share
    hidden: Share
    lines: float
    usd: float
    tokens: float
    seconds: float

    @property
    def ran(self) -> bool:
        return self.tries > self.failed


def summarised(scores: Sequence[Score]) -> Summary:
    """Return the sum. Cost, tokens and seconds are means of the tries that asked a model."""
    asked = [each for each in scores if each.ran and not each.by_rule]
    return Summary(
        cases=len({each.case for each in scores}),
        tries=len(scores),
        failed=sum(not each.ran for each in scores),
        by_rule=len({each.case for each in scores if each.by_rule}),
        verdict=_share(scores, lambda each: each.verdict),
        # A change that nobody was asked for proves no restraint.
        wrong_code=_share([each for each in scores if each.ran], lambda each: each.wrong_code),
        pull_request=_share(scores, lambda each: each.pull_request),
        culprit=_share(scores, lambda each: each.culprit),
        named=_share([each for each in scores if not each.by_rule], lambda each: each.named),
        cited=_share([each for each in scores if not each.by_rule], lambda each: each.cited),
        hidden=_share(scores, lambda each: each.hidden),
        lines=_mean(each.lines for each in scores if each.lines is not None),
        usd=_mean(each.usd for each in asked),
        tokens=_mean(each.tokens for each in asked),
        seconds=_mean(each.seconds for each in asked),
    )


def _share(scores: Sequence[Score], of: Callable[[Score], bool | None]) -> Share:
    """Return the mean over cases of the share of each one's tries."""
    tries: dict[str, list[bool]] = {}
    for each in scores:
        if (value := of(each)) is not None:
            tries.setdefault(each.case, []).append(value)
    means = [sum(values) / len(values) for values in tries.values()]
    return Share(cases=len(means), share=sum(means) / len(means) if means else None)


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0


HEADS: Mapping[str, str] = {
    "verdict": "verdict right",
    "wrong_code": "wrong code",
    "pull_request": "changed where right",
    "culprit": "culprit found",
    "named": "cause named",
    "cited": "cited truly",
    "hidden": "hidden test passes",
}


def table(summary: Summary, model: str, who: str, day: date) -> str:
    """Return the rows of docs/evaluation.md for one run."""
    shares = [getattr(summary, name).text for name in HEADS]
    heads = ["date", "model", "who answered", "cases, tries", *HEADS.values(), "lines of a change"]
    heads.append("USD, tokens, seconds a case")
    counts = f"{summary.cases}, {summary.tries} ({summary.by_rule} by rule, {summary.failed} failed)"
    costs = f"{summary.usd:.4f}, {summary.tokens:.0f}, {summary.seconds:.0f}"
    lines = f"{summary.lines:.0f}" if summary.lines else NOT_ASKED
    cells = [day.isoformat(), model, who or "not said", counts, *shares, lines, costs]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), cells))
