"""Deployments as evidence: their history, the suspected one, and how its settings differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from railmend.contracts.status import listed
from railmend.railway.context import ConfigurationChange, Deployed, State, Step, Variable

FAILED = frozenset({"FAILED", "CRASHED"})
SERVED = frozenset({"SUCCESS", "REMOVED", "REMOVING", "SLEEPING", "CRASHED"})
UNFINISHED = frozenset(
    {"BUILDING", "DEPLOYING", "INITIALIZING", "QUEUED", "WAITING", "NEEDS_APPROVAL", "SKIPPED"}
)
# A fault may be measured shortly before the deployment that caused it counts as finished.
SLACK = timedelta(minutes=2)
MAX_ROWS = 15
MAX_CHANGES = 12
MAX_NAMES = 30


@dataclass(frozen=True)
class SuspectedDeployments:
    """`bad`: the deployment at fault, if one was; `good`: the last earlier one that served.

    `failed`: `bad` itself never served; `mark`: what it is called in the history.
    """

    bad: Deployed
    good: Deployed | None
    failed: bool
    mark: str = "first bad"


def suspects(history: Sequence[Deployed], onset: datetime | None) -> SuspectedDeployments | None:
    """Return the suspects of a history, newest first; None if nothing was ever deployed.

    If the newest failed, the first of that run of failures is at fault; else the last one before the onset,
    or the oldest if all came after it.
    """
    finished = [deployed for deployed in history if deployed.record.status not in UNFINISHED]
    if not finished:
        return None
    failures = 0
    while failures < len(finished) and finished[failures].record.status in FAILED:
        failures += 1
    if failures and finished[0].record.status == "FAILED":
        return SuspectedDeployments(
            finished[failures - 1], next(iter(finished[failures:]), None), failed=True
        )
    served = [deployed for deployed in finished if deployed.record.status in SERVED] or finished
    latest = (onset or served[0].record.created_at) + SLACK
    index = next(
        (n for n, deployed in enumerate(served) if deployed.record.created_at <= latest), len(served)
    )
    mark = "served at the onset" if onset else "serves"
    if index == len(served):
        index, mark = index - 1, "first after the onset"
    earlier = served[index + 1 :]
    good = next((deployed for deployed in earlier if deployed.record.status != "CRASHED"), None)
    return SuspectedDeployments(served[index], good, failed=False, mark=mark)


def history_text(history: Sequence[Deployed], suspected: SuspectedDeployments | None) -> str:
    """Return a line for each deployment, newest first, the suspected and the last good one marked."""
    rows = [_row(deployed, suspected) for deployed in history[:MAX_ROWS]]
    more = [f"({len(history) - MAX_ROWS} older ones left out)"] if len(history) > MAX_ROWS else []
    return "\n".join([*rows, *more])


def _row(deployed: Deployed, suspected: SuspectedDeployments | None) -> str:
    record = deployed.record
    mark = ""
    if suspected and record.id == suspected.bad.record.id:
        mark = f"  <- {suspected.mark}"
    elif suspected and suspected.good and record.id == suspected.good.record.id:
        mark = "  <- last good"
    message = (record.commit_message or "").strip().split("\n")[0][:120]
    commit = (record.commit or "no commit")[:12]
    author = record.commit_author or "-"
    reason = f" ({record.reason})" if record.reason not in (None, "deploy") else ""
    return f"{_at(record.created_at)} {record.status}{reason} {commit} by {author}: {message}{mark}"


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def drift_text(
    suspected: SuspectedDeployments,
    variables: Sequence[Variable],
    changes: Sequence[ConfigurationChange],
    onset: datetime | None,
) -> str:
    """Return the settings that differ, variables set since the last good deployment, and activity."""
    lines = _settings(suspected)
    bad = suspected.bad.record.created_at
    since = suspected.good.record.created_at if suspected.good else bad - timedelta(days=1)
    added = sorted(variable.name for variable in variables if variable.created_at > since)
    altered = sorted(v.name for v in variables if v.updated_at > since >= v.created_at)
    lines += _names("Variables added since", added) + _names("Variables set anew since", altered)
    recent = [change for change in changes if change.at >= since][:MAX_CHANGES]
    if recent:
        lines.append("Activity since, newest first:")
        lines += [f"  {_at(c.at)} {c.object} {c.action} ({c.severity.lower()})" for c in recent]
    if onset is not None:
        lines.append(_gap(bad, onset))
    return "\n".join(lines)


def _settings(suspected: SuspectedDeployments) -> list[str]:
    if suspected.good is None:
        return ["No earlier deployment served, so there is nothing to compare its settings with."]
    good, bad = suspected.good.settings, suspected.bad.settings
    names = sorted({name for name in (*good, *bad) if good.get(name) != bad.get(name)})
    head = f"Settings of {_name(suspected.good)} (last good) against {_name(suspected.bad)}:"
    if not names:
        return [f"{head} the same."]
    return [head, *(f"  {name}: {good.get(name, 'not set')} -> {bad.get(name, 'not set')}" for name in names)]


def _name(deployed: Deployed) -> str:
    return (deployed.record.commit or deployed.record.id)[:12]


def _names(label: str, names: Sequence[str]) -> list[str]:
    return [f"{label}: {listed(names, MAX_NAMES)}"] if names else []


def _gap(deployed: datetime, onset: datetime) -> str:
    minutes = (onset - deployed).total_seconds() / 60
    if minutes < -SLACK / timedelta(minutes=1):
        return "It was deployed after the onset."
    if minutes < 0:
        return (
            f"It was deployed within the {SLACK / timedelta(minutes=1):.0f} min that an onset is uncertain."
        )
    span = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    return f"It was deployed {span} before the onset."


def state_text(state: State, steps: Sequence[Step]) -> str:
    """Return the deployment's status, the states of its replicas, and those of its steps that failed."""
    counts = {name: state.instances.count(name) for name in dict.fromkeys(state.instances)}
    replicas = ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
    changed = f", since {_at(state.changed_at)}" if state.changed_at else ""
    stopped = ", stopped" if state.stopped and state.status == "SUCCESS" else ""
    lines = [f"Status {state.status}{stopped}{changed}; replicas: {replicas}."]
    restarting = sum(counts.get(name, 0) for name in ("RESTARTING", "CRASHED"))
    if restarting:
        lines.append(f"{restarting} of {len(state.instances)} replicas restart or have crashed.")
    lines += [_step(step) for step in steps if step.error or step.reason or (step.attempt or 0) > 1]
    return "\n".join(lines)


def _step(step: Step) -> str:
    problem = "; ".join(part for part in (step.error, step.reason, step.detail) if part)
    attempt = f" (attempt {step.attempt} of {step.attempts})" if step.attempt and step.attempts else ""
    return f"Step {step.name} at {_at(step.started)}{attempt}: {problem or 'repeated'}"
