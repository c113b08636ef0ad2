"""Deployments as evidence: the history, which one is suspected, and what its settings changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from railmend.railway.context import ConfigurationChange, Deployed, State, Step, Variable

FAILED = frozenset({"FAILED", "CRASHED"})
SERVED = frozenset({"SUCCESS", "REMOVED", "REMOVING", "SLEEPING", "CRASHED"})
UNFINISHED = frozenset(
    {"BUILDING", "DEPLOYING", "INITIALIZING", "QUEUED", "WAITING", "NEEDS_APPROVAL", "SKIPPED"}
)
# A fault may be measured a moment before the deployment that caused it is called finished.
SLACK = timedelta(minutes=2)
MAX_ROWS = 15
MAX_CHANGES = 12
MAX_NAMES = 30


@dataclass(frozen=True)
class SuspectedDeployments:
    """`bad`: the deployment at fault, if it was one; `good`: the last one before it that served."""

    bad: Deployed
    good: Deployed | None
    failed: bool  # it never served


def suspects(history: Sequence[Deployed], onset: datetime | None) -> SuspectedDeployments | None:
    """Of a history, newest first. None: nothing was ever deployed.

    While the newest failed, it is the first of that run of failures; else the one that was deployed last
    before the onset.
    """
    done = [one for one in history if one.record.status not in UNFINISHED]
    if not done:
        return None
    run = 0
    while run < len(done) and done[run].record.status in FAILED:
        run += 1
    if run and done[0].record.status == "FAILED":
        return SuspectedDeployments(done[run - 1], next(iter(done[run:]), None), failed=True)
    served = [one for one in done if one.record.status in SERVED] or done
    late = (onset or served[0].record.created_at) + SLACK
    at = next((n for n, one in enumerate(served) if one.record.created_at <= late), 0)
    good = next((one for one in served[at + 1 :] if one.record.status != "CRASHED"), None)
    return SuspectedDeployments(served[at], good, failed=False)


def history_text(history: Sequence[Deployed], found: SuspectedDeployments | None) -> str:
    """Newest first, one line each, the suspected and the last good one marked."""
    rows = [_row(one, found) for one in history[:MAX_ROWS]]
    more = [f"({len(history) - MAX_ROWS} older ones left out)"] if len(history) > MAX_ROWS else []
    return "\n".join([*rows, *more])


def _row(one: Deployed, found: SuspectedDeployments | None) -> str:
    record = one.record
    mark = ""
    if found and one.record.id == found.bad.record.id:
        mark = "  <- first bad" if found.failed else "  <- served at the onset"
    elif found and found.good and one.record.id == found.good.record.id:
        mark = "  <- last good"
    message = (record.commit_message or "").strip().split("\n")[0][:120]
    commit = (record.commit or "no commit")[:12]
    author = record.commit_author or "-"
    reason = f" ({record.reason})" if record.reason not in (None, "deploy") else ""
    return f"{_at(record.created_at)} {record.status}{reason} {commit} by {author}: {message}{mark}"


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def drift_text(
    found: SuspectedDeployments,
    variables: Sequence[Variable],
    changes: Sequence[ConfigurationChange],
    onset: datetime | None,
) -> str:
    """Settings that differ, variable names set since the last good deployment, and the activity feed."""
    lines = _settings(found)
    since = found.good.record.created_at if found.good else found.bad.record.created_at - timedelta(days=1)
    added = sorted(v.name for v in variables if v.created_at > since)
    altered = sorted(v.name for v in variables if v.updated_at > since >= v.created_at)
    lines += _names("Variables added since", added) + _names("Variables set anew since", altered)
    recent = [change for change in changes if change.at >= since][:MAX_CHANGES]
    if recent:
        lines.append("Activity since, newest first:")
        lines += [f"  {_at(c.at)} {c.object} {c.action} ({c.severity.lower()})" for c in recent]
    if onset is not None:
        lines.append(_gap(found.bad.record.created_at, onset))
    return "\n".join(lines)


def _settings(found: SuspectedDeployments) -> list[str]:
    if found.good is None:
        return ["No earlier deployment served, so there is nothing to compare its settings with."]
    good, bad = found.good.settings, found.bad.settings
    names = sorted({name for name in (*good, *bad) if good.get(name) != bad.get(name)})
    head = f"Settings of {_name(found.good)} (last good) against {_name(found.bad)}:"
    if not names:
        return [f"{head} the same."]
    return [head, *(f"  {name}: {good.get(name, 'not set')} -> {bad.get(name, 'not set')}" for name in names)]


def _name(one: Deployed) -> str:
    return (one.record.commit or one.record.id)[:12]


def _names(what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return [f"{what}: {', '.join(names[:MAX_NAMES])}{more}"]


def _gap(deployed: datetime, onset: datetime) -> str:
    minutes = (onset - deployed).total_seconds() / 60
    if minutes < 0:
        return "It was deployed after the onset."
    span = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    return f"It was deployed {span} before the onset."


def state_text(state: State, steps: Sequence[Step]) -> str:
    """How the deployment stands, which states its replicas have, and which of its steps failed."""
    counts = {name: state.instances.count(name) for name in dict.fromkeys(state.instances)}
    replicas = ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"
    changed = f", since {_at(state.changed_at)}" if state.changed_at else ""
    stopped = ", stopped" if state.stopped and state.status == "SUCCESS" else ""
    lines = [f"Status {state.status}{stopped}{changed}; replicas: {replicas}."]
    restarting = sum(counts.get(name, 0) for name in ("RESTARTING", "CRASHED"))
    if restarting:
        lines.append(f"{restarting} of {len(state.instances)} replicas restart or have crashed.")
    lines += [_step(step) for step in steps if step.error or step.reason or _repeated(step)]
    return "\n".join(lines)


def _repeated(step: Step) -> bool:
    return step.attempt is not None and step.attempt > 1


def _step(step: Step) -> str:
    said = "; ".join(part for part in (step.error, step.reason, step.detail) if part)
    attempt = f" (attempt {step.attempt} of {step.attempts})" if step.attempt and step.attempts else ""
    return f"Step {step.name} at {_at(step.started)}{attempt}: {said or 'repeated'}"
