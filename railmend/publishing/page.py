"""Incidents as one HTML page, from charts to pull request: self-contained, no script."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from html import escape

from railmend.contracts.incident import IncidentReport
from railmend.contracts.repair import RepairResult
from railmend.evidence.escaping import visible
from railmend.publishing.page_charts import charts
from railmend.publishing.page_style import STYLE
from railmend.railway.model import Slice

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Story:
    """One incident. `series`: around it; without them `unseen` says why. `repair`: None without one."""

    report: IncidentReport
    series: Slice | None = None
    unseen: str = ""
    repair: RepairResult | None = None
    repair_id: str = ""

    @property
    def onset(self) -> datetime:
        return min(finding.onset for finding in self.report.request.findings)


def page(stories: Iterable[Story], made: datetime) -> str:
    """Return a whole HTML document. Text from production is escaped, and odd characters made visible."""
    found = list(stories)
    body = "".join(map(_story, found)) if found else "<p>No incident is known.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # Nothing is fetched, whatever a log line may hold.
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>Railmend: {len(found)} incidents</title><style>{STYLE}</style></head><body><main>"
        f"<h1>Railmend <small>{made:%Y-%m-%d %H:%M} UTC</small></h1>{_contents(found)}{body}"
        "</main></body></html>\n"
    )


def _contents(stories: list[Story]) -> str:
    if len(stories) < 2:
        return ""
    rows = "".join(
        f'<li><a href="#{_anchor(one)}">{_text(one.report.request.service.name)}</a> '
        f"{_badge(one.report.diagnosis.verdict.value)} {_text(one.report.diagnosis.summary)}</li>"
        for one in stories
    )
    return f"<ul class=contents>{rows}</ul>"


def _story(one: Story) -> str:
    request, diagnosis = one.report.request, one.report.diagnosis
    parts = (
        f"<h2>{_text(request.service.name)} {_badge(diagnosis.verdict.value)}</h2>",
        f"<p class=lead>{_text(diagnosis.summary)}</p>",
        _outcome(one),
        _charts(one),
        _findings(one),
        _causes(one),
        _list("Plan", diagnosis.plan),
        _list("How to tell that it worked", filter(None, (diagnosis.verify,))),
        _list("Risk", filter(None, (diagnosis.risk,))),
        _evidence(one),
        _list("What could not be seen", one.report.packet.unseen),
        f"<p class=fine>{diagnosis.confidence:.0%} sure, by {_text(diagnosis.model or 'a rule')}; "
        f"{diagnosis.tokens} tokens, {diagnosis.cost_usd or 0:.2f} USD as far as the provider told.</p>",
    )
    return f'<article id="{_anchor(one)}">{"".join(parts)}</article>'


def _anchor(one: Story) -> str:
    request = one.report.request
    return escape(f"{request.environment_id}-{request.service.service_id}", quote=True)


def _outcome(one: Story) -> str:
    repair = one.repair
    if repair is None:
        where = f"<p>Repair under way: <code>{_text(one.repair_id)}</code></p>" if one.repair_id else ""
        return where or "<p>No change to the code was called for.</p>"
    pull = repair.pull_request
    if pull is None:
        return f"<p>{_badge(repair.outcome.value)} {_text(repair.reason)}</p>"
    draft = " (a draft)" if pull.draft else ""
    link = _text(pull.url)
    if pull.url.startswith(("https://", "http://")):
        link = f'<a href="{escape(pull.url, quote=True)}">{link}</a>'
    return f"<p class=pull>Pull request{draft}: {link}</p>"


def _charts(one: Story) -> str:
    if one.series is None:
        texts = [item.text for item in one.report.packet.items if item.kind == "chart"]
        said = f"<p class=fine>{_text(one.unseen)}</p>" if one.unseen else ""
        return said + "".join(f"<pre>{_text(text)}</pre>" for text in texts)
    drawn = charts(one.series, one.onset)
    return f"<div class=charts>{''.join(drawn)}</div>"


def _findings(one: Story) -> str:
    rows = "".join(
        f"<tr><td>{_badge(finding.severity.value)}</td><td>{_text(finding.kind.value)}</td>"
        f"<td>{_text(finding.sentence)}</td><td>{finding.onset:%Y-%m-%d %H:%M:%S}</td></tr>"
        for finding in one.report.request.findings
    )
    return (
        "<h3>What was wrong</h3><table><thead><tr><th></th><th>trouble</th><th>measured</th>"
        f"<th>onset (UTC)</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _causes(one: Story) -> str:
    causes = one.report.diagnosis.causes
    if not causes:
        return ""
    rows = []
    for cause in causes:
        cited = " ".join(
            f'<a class=cite href="#{_anchor(one)}-{escape(i)}">{_text(i)}</a>' for i in cause.evidence
        )
        against = f"<br><small>Against it: {_text(' '.join(cause.against))}</small>" if cause.against else ""
        rows.append(f"<li>{_text(cause.text)} {cited}{against}</li>")
    return f"<h3>Why</h3><ul>{''.join(rows)}</ul>"


def _evidence(one: Story) -> str:
    """Show one item; what a cause cites is open."""
    cited = {i for cause in one.report.diagnosis.causes for i in cause.evidence}
    rows = "".join(
        f'<details id="{_anchor(one)}-{escape(item.id)}"{" open" if item.id in cited else ""}>'
        f"<summary><b>{_text(item.id)}</b> {_text(item.source)}</summary>"
        f"<pre>{_text(item.text)}</pre></details>"
        for item in one.report.packet.items
    )
    return f"<h3>Evidence</h3>{rows}" if rows else ""


def _list(title: str, texts: Iterable[str]) -> str:
    rows = "".join(f"<li>{_text(text)}</li>" for text in texts)
    return f"<h3>{title}</h3><ol>{rows}</ol>" if rows else ""


def _badge(word: str) -> str:
    return f'<span class="badge {escape(word)}">{_text(word.replace("_", " "))}</span>'


def _text(text: str) -> str:
    return escape(visible(text))
