"""What a schedule will do by itself, in sentences, and how to choose less."""

from railmend.contracts.autonomy import Autonomy
from railmend.contracts.ledger import Limit
from railmend.contracts.scan import ScanRequest
from railmend.scan_settings import project_of, scan_settings
from railmend.settings import Settings

BY_ITSELF = {
    Autonomy.REPORT: "only measure and report; no model is asked",
    Autonomy.PLAN: "diagnose what is in trouble; a repair waits for `starter.py approve`",
    Autonomy.DRAFT: "diagnose and repair what is in trouble, and open draft pull requests; it merges none",
    Autonomy.PULL_REQUEST: "diagnose and repair what is in trouble, and open pull requests; it merges none",
}


def what_it_means(settings: Settings, request: ScanRequest) -> list[str]:
    project, scanned = project_of(settings, request), scan_settings(settings, request)
    level, budget = scanned.autonomy, scanned.policy.budget
    place = "RAILMEND_AUTONOMY" if project.autonomy is None else f"autonomy of project {project.name}"
    others = ", ".join(f"{name}: {own.value}" for name, own in scanned.service_autonomy.items())
    lines = [
        f"By itself Railmend will {BY_ITSELF[level]} ({place} = {level.value}"
        f"{f'; {others}' if others else ''}).",
        f"Models may cost {_money(budget.day)} a day and {_money(budget.month)} a month in this project "
        "([budget.day] and [budget.month] in railmend.toml).",
    ]
    if level is not Autonomy.REPORT:
        lines.append(
            f"Less: set {place} to report, plan or draft, or lower the budget; each scan reads the settings "
            "when it begins."
        )
    return lines


def _money(limit: Limit) -> str:
    return f"at most {limit.usd:g} USD" if limit.usd is not None else "any sum"
