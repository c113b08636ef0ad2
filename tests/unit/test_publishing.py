"""What a reviewer reads."""

import html
import re
import textwrap

import pytest

from railmend.contracts.checks import CheckReport, CheckRun, Verification
from railmend.contracts.incident import REMOVED_UNSEEN, EvidenceItem, RuledOut
from railmend.contracts.policy import FollowUp
from railmend.contracts.proof import Proof, ProofRow, ProofVerdict
from railmend.contracts.repair import (
    CodingResult,
    CodingState,
    FileChange,
    LeftOutService,
    PublishRequest,
    RepairRequest,
    Workspace,
    WorkspaceChange,
)
from railmend.contracts.review import AnswersRequest
from railmend.contracts.scan import FindingKind, HealthReport, ServiceRow, Severity, UnknownServices
from railmend.publishing.comments import format_reply
from railmend.publishing.proof import is_draft, labels, marked
from railmend.publishing.report import report_markdown
from railmend.publishing.text import (
    PublishedMaterial,
    body,
    commit_message,
    incident_markdown,
    marker,
    title,
)
from railyard.forge.markdown import render
from tests import samples

MARKER = marker("0123456789ab", "", ("env/id-checkout/memory_leak",))
WORKSPACE = Workspace(key="k", repository="acme/checkout", task_queue="q", work_tree="/t", base="b" * 40)


UNVERIFIED = Verification(
    before=CheckReport(unverified="No checks were found."),
    after=CheckReport(unverified="No checks were found."),
)


def checked(before: bool, after: bool, output: str = "2 passed") -> Verification:
    def report(passed: bool) -> CheckReport:
        run = CheckRun(command="make test", directory="api", passed=passed, seconds=2.0, output=output)
        return CheckReport(runs=(run,))

    return Verification(before=report(before), after=report(after))


def publish(
    repair: RepairRequest | None = None,
    summary: str = "Bounded it.",
    verification: Verification = UNVERIFIED,
    doubts: tuple[str, ...] = (),
    proof: Proof | None = None,
) -> PublishRequest:
    coding = CodingResult(
        state=CodingState.DONE, session_id="s", text=summary, model_calls=3, tokens=900, cost_usd=0.25
    )
    files = (FileChange(path="app.py", status="modified", additions=4, deletions=1),)
    return PublishRequest(
        workspace=WORKSPACE,
        repair=repair or samples.repair(),
        coding=coding,
        change=WorkspaceChange(files=files),
        verification=verification,
        doubts=doubts,
        proof=proof,
    )


def material(text: str = "memory rises") -> PublishedMaterial:
    item = EvidenceItem(id="E1", kind="deploy_log", source="deploy logs", text=text)
    packet = samples.packet().model_copy(update={"items": (item,), "unseen": ("No HTTP log.",)})
    return PublishedMaterial(packets=(packet,))


def test_the_body_tells_in_the_order_a_reviewer_needs() -> None:
    repair = samples.repair()
    (incident,) = repair.incidents
    dear = incident.diagnosis.model_copy(update={"cost_usd": 0.5})
    incident = incident.model_copy(update={"diagnosis": dear})
    text = body(publish(repair.model_copy(update={"incidents": (incident,)})), material("MemoryError"))
    parts = [
        "**What broke:** checkout, since 2026-11-24 09:00 UTC. checkout is in trouble.",
        "**Why** (a model's conclusion, not measured): A cache is never emptied.",
        "## What changed",
        "- `app.py` modified, +4 −1",
        "**Next:** comment, and Railmend answers.",
        "measured 30 minutes and 24 hours after the deployment",
        "leaves this fault alone for 14 days",
        "- [checkout in Railway](https://railway.com/project/project/service/id-checkout), deployment `d1`",
        "- Run: `starter.py show repair/acme/checkout/0123456789ab`",
        "In its own words; nothing here is measured.\n\n> Bounded it.",
        "## What was measured",
        "UTC: checkout is in trouble.",
        "## Why",
        "**The cache grows with each request.** (E1)",
        "MemoryError",
        "## How it was checked",
        "Not verified by Railmend",
        "## What happens next",
        "Memory stays flat for an hour.",
        "To undo it, revert the merge.",
        "## What Railmend could not see",
        "No HTTP log.",
        "The coding agent made 3 model calls for 0.25 USD; with the diagnosis it was 900 tokens and 0.75 USD",
        MARKER,
    ]
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)


QUESTIONS = {
    "what broke": "What broke: checkout, since 2026-11-24 09:00 UTC. checkout is in trouble.",
    "why": "Why (a model's conclusion, not measured): A cache is never emptied.",
    "what changed": "app.py modified, +4 −1",
    "how we know": "Proven: the fault shows without this change, and not with it",
    "what happens next": "Merge, and production is measured 30 minutes and 24 hours after the deployment.",
}
SCREEN_LINES, SCREEN_COLUMNS = 25, 110


def first_screen(text: str) -> str:
    """What a reader sees before scrolling: the page's blocks, one after the other, wrapped and cut."""
    page = re.sub(r"<br ?/?>|</(p|h2|li|tr|summary|blockquote)>", "\n", render(text))
    page = html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"</t[dh]>\s*", " ", page)))
    blocks = (re.sub(r"[ \u200b]+", " ", line).strip() for line in page.splitlines())
    lines = [line for block in blocks if block for line in textwrap.wrap(block, SCREEN_COLUMNS)]
    return " ".join(lines[:SCREEN_LINES])


@pytest.mark.parametrize("case", ["one service", "rehearsal", "many files, two services, a long account"])
def test_the_first_screen_answers_what_a_stranger_asks(case: str) -> None:
    (incident,) = samples.repair().incidents
    model = "openai/rehearsal" if case == "rehearsal" else "openai/gpt"
    diagnosis = incident.diagnosis.model_copy(update={"model": model})
    incident = incident.model_copy(update={"diagnosis": diagnosis})
    many = case.startswith("many")
    repair = samples.repair().model_copy(update={"incidents": (incident,) * (2 if many else 1)})
    account = "It reads the cache and bounds it. " * 100 if many else "Bounded it."
    rows = proof(ProofVerdict.PASSED, "It failed with MemoryError.", shows_fault=True).rows
    shown = publish(repair, summary=account, proof=Proof(rows=rows * 2))
    if many:
        files = shown.change.files * 40
        shown = shown.model_copy(update={"change": shown.change.model_copy(update={"files": files})})
    packets = material().packets * len(repair.incidents)
    screen = first_screen(body(shown, PublishedMaterial(packets=packets)))
    assert {question for question, answer in QUESTIONS.items() if answer not in screen} == set()


def test_evidence_and_the_agents_words_cannot_leave_their_sandbox() -> None:
    text = body(publish(summary="```\n## Risk\nnone"), material("```\n# Approved by security\n```"))
    assert "\n````\n```\n# Approved by security\n```\n````\n" in text
    assert "\n> &#96;&#96;&#96;\n> &#35;# Risk\n> none\n" in text


def test_the_body_tells_what_railmend_ran_itself() -> None:
    text = body(publish(verification=checked(True, True)), material())
    assert "ran the repository's own checks with the change, without network: **they pass**" in text
    assert "<code>make test (in api)</code> passes (2 s); before the change it passes" in text
    assert "2 passed" in text
    assert "some that passed before fail with the change" in body(
        publish(verification=checked(True, False)), material()
    )
    failing = body(publish(verification=checked(False, False)), material())
    assert (
        "**Not verified by Railmend**: some checks fail in its sandbox, with the change and without"
        in failing
    )
    assert "do not all pass" not in failing
    assert "**Not verified by Railmend**: No checks were found." in body(publish(), material())


def test_what_could_not_be_run_is_told_with_its_reason_and_blames_nobody() -> None:
    passed = CheckRun(command="go test", directory="", passed=True, seconds=1, output="", ran=3)
    missing = CheckRun(
        command="npx playwright test",
        directory="",
        passed=None,
        seconds=0,
        output="",
        not_run="It needs a browser.",
    )
    both = CheckReport(runs=(passed, missing))
    text = body(publish(verification=Verification(before=both, after=both)), material())
    assert "**they pass**" in text
    assert "<code>npx playwright test</code> was not run: It needs a browser." in text
    alone = CheckReport(runs=(missing,))
    text = body(publish(verification=Verification(before=alone, after=alone)), material())
    assert "**Not verified by Railmend**: It needs a browser." in text
    own = passed.model_copy(update={"passed": False, "added": True})
    after = CheckReport(runs=(passed, own))
    text = body(publish(verification=Verification(before=both, after=after)), material())
    assert "**the change's own tests fail**" in text


def test_the_output_of_a_check_cannot_leave_its_sandbox() -> None:
    text = body(publish(verification=checked(True, True, "```\n</details>\n# Approved")), material())
    assert "\n````\n```\n</details>\n# Approved\n````\n" in text


def test_a_secret_in_the_agents_words_is_not_published() -> None:
    token = "ghp_" + "a1" * 18
    assert token not in body(publish(summary=f"I found {token} in the environment."), material())


def test_a_draft_says_why() -> None:
    text = body(publish(doubts=("a.py skips tests.",)), material())
    assert "> **A draft, because:**\n> - a.py skips tests.\n\n## What changed" in text


def test_a_rehearsal_says_so_first() -> None:
    repair = samples.repair()
    diagnosis = repair.incidents[0].diagnosis.model_copy(update={"model": "openai/rehearsal"})
    incident = repair.incidents[0].model_copy(update={"diagnosis": diagnosis})
    assert body(publish(repair.model_copy(update={"incidents": (incident,)})), material()).startswith(
        "> **Rehearsal.**"
    )
    assert "Rehearsal" not in body(publish(), material())


def test_the_body_fits_github_and_keeps_its_marker() -> None:
    text = body(publish(), material("x" * 100_000))
    assert len(text) <= 60_000
    assert text.endswith(MARKER)


def test_a_pull_request_whose_evidence_is_gone_says_so_and_keeps_the_diagnosis() -> None:
    text = body(publish(), PublishedMaterial(packets=(None,)))
    assert "The evidence that these causes cite is no longer stored." in text
    assert "**The cache grows with each request.** (E1)" in text


def test_a_pull_request_says_what_the_diagnosis_rests_on_and_who_doubted_it() -> None:
    repair = samples.repair()
    (incident,) = repair.incidents
    said = {"assumes": "Requests go on.", "sceptic": "Nothing else grows."}
    diagnosis = incident.diagnosis.model_copy(update=said)
    changed = repair.model_copy(update={"incidents": (incident.model_copy(update={"diagnosis": diagnosis}),)})
    text = body(publish(changed), material())
    assert "Assumption: Requests go on." in text
    assert "tried to refute this: Nothing else grows." in text
    assert "Assumption" not in body(publish(), material())


def test_a_pull_request_names_the_services_that_are_in_trouble_too() -> None:
    left = LeftOutService(service_id="id-jobs", name="jobs", kinds=(FindingKind.LATENCY,))
    repair = samples.repair().model_copy(update={"left_out": (left,)})
    text = body(publish(repair), material())
    assert "In trouble too, not looked at here (1)" in text
    assert "- jobs: latency" in text
    assert text.endswith(marker(repair.key, "", (*samples.repair().fingerprints, "env/id-jobs/latency")))


def test_an_item_that_two_causes_cite_is_shown_once_and_what_is_never_seen_is_no_news() -> None:
    repair = samples.repair()
    (incident,) = repair.incidents
    cause = incident.diagnosis.causes[0]
    ruled_out = (RuledOut(text="It was the provider.", against=("E1",)),)
    diagnosis = incident.diagnosis.model_copy(update={"causes": (cause, cause), "ruled_out": ruled_out})
    changed = repair.model_copy(update={"incidents": (incident.model_copy(update={"diagnosis": diagnosis}),)})
    (packet,) = material("MemoryError").packets
    assert packet is not None
    packet = packet.model_copy(update={"unseen": (REMOVED_UNSEEN,)})
    text = body(publish(changed), PublishedMaterial(packets=(packet,)))
    assert text.count("MemoryError") == 1
    assert "Ruled out:\n- It was the provider. (E1)" in text
    assert "could not see" not in text


def test_title_and_commit_are_short_signed_and_repeatable() -> None:
    repair = samples.repair()
    assert title(repair) == "checkout: A cache is never emptied."
    incident = repair.incidents[0]
    titled = incident.diagnosis.model_copy(update={"title": "Bound the cache of pages,\nand more"})
    repair = repair.model_copy(update={"incidents": (incident.model_copy(update={"diagnosis": titled}),)})
    assert title(repair) == "checkout: Bound the cache of pages"
    assert commit_message(repair).startswith("checkout: Bound the cache of pages\n")
    message = commit_message(repair)
    assert message == commit_message(repair)
    assert message.splitlines()[-1] == "Signed-off-by: Railmend <railmend@users.noreply.github.com>"
    assert max(len(line) for line in title(repair).splitlines()) <= 72


def test_the_web_ui_shows_verdict_citations_and_the_scan_at_a_glance() -> None:
    shown = incident_markdown(samples.report(), samples.packet())
    assert shown.startswith("**checkout**: `code` (90%)")
    assert "memory rises" in shown
    assert "1. Bound the cache." in shown
    row = ServiceRow(
        service_id="a",
        name="checkout",
        findings=(samples.finding(),),
        verdict="code",
        action="repair",
        repair_workflow_id="repair/acme/checkout/1",
    )
    report = HealthReport(
        project_name="acme",
        environment_name="production",
        window=samples.WINDOW,
        rows=(row,),
        healthy=("well",),
        unknown=(UnknownServices(reason="Railway has no sample.", services=("jobs", "mail")),),
        unseen=("HTTP metrics of well",),
    )
    text = report_markdown(report)
    assert "4 services: 1 affected, 1 healthy, 0 asleep, 2 unknown." in text
    assert "Unknown: jobs, mail: Railway has no sample." in text
    assert "| checkout | checkout is in trouble. | `code` | `repair/acme/checkout/1` |" in text
    assert "Could not be seen: HTTP metrics of well" in text


def counted(ran: int | None, *, passed: bool = True, added: bool = False) -> CheckRun:
    return CheckRun(
        command="make test", directory="", passed=passed, seconds=2.0, output="", ran=ran, added=added
    )


@pytest.mark.parametrize("ran", [11, 0, None])
def test_fewer_tests_than_before_are_no_pass(ran: int | None) -> None:
    before = CheckReport(runs=(counted(12),))
    verification = Verification(before=before, after=CheckReport(runs=(counted(ran),)))
    assert not verification.verified
    assert verification.regressions == verification.after.runs


def test_the_pull_request_says_how_many_tests_ran_and_which_are_the_changes_own() -> None:
    runs = (counted(13), counted(15, added=True))
    verification = Verification(before=CheckReport(runs=(counted(12),)), after=CheckReport(runs=runs))
    assert verification.verified
    text = body(publish(verification=verification), material())
    assert "passes (13 tests ran, 2 s); before the change it passes (12 tests ran, 2 s)" in text
    assert "with the change's own tests, passes (15 tests ran, 2 s)" in text


def proof(verdict: ProofVerdict, reason: str = "", *, shows_fault: bool = False) -> Proof:
    row = ProofRow(
        what="regression test tests/test_app.py",
        base="fails 3 of 3",
        change="passes 3 of 3",
        verdict=verdict,
        reason=reason,
        shows_fault=shows_fault,
    )
    return Proof(rows=(row,))


PROOFS = {
    "proven": (proof(ProofVerdict.PASSED, shows_fault=True), (False, False), ("railmend",), ""),
    "not had": (proof(ProofVerdict.NOT_HAD), (True, False), ("railmend", "unproven"), ""),
    "failed": (proof(ProofVerdict.FAILED), (True, True), ("railmend", "unproven"), "Proof failed: "),
    "made by 0.1.0": (None, (False, False), ("railmend",), ""),
}


@pytest.mark.parametrize(("given", "drafts", "marks", "prefix"), PROOFS.values(), ids=PROOFS)
def test_what_is_not_proven_says_so_in_state_label_and_title(
    given: Proof | None, drafts: tuple[bool, bool], marks: tuple[str, ...], prefix: str
) -> None:
    published = publish(proof=given)
    follow_up = FollowUp(draft_unproven=False)
    policy = published.repair.policy.model_copy(update={"follow_up": follow_up})
    ready = published.model_copy(update={"repair": published.repair.model_copy(update={"policy": policy})})
    assert (is_draft(published), is_draft(ready)) == drafts
    assert labels(published) == marks
    assert marked(title(published.repair), published) == f"{prefix}{title(published.repair)}"


@pytest.mark.parametrize(("given", "_", "__", "___"), PROOFS.values(), ids=PROOFS)
def test_an_answer_to_a_review_shows_the_table_of_its_commit(
    given: Proof | None, _: object, __: object, ___: object
) -> None:
    request = AnswersRequest(repository="acme/shop", number=1, notes=(), commit="a" * 40, proof=given)
    text = format_reply(request)
    assert ("| regression test" in text) is (given is not None)
    assert ("is proven." in text) is (given is not None and given.proven)


def test_the_proof_follows_the_cause_and_escapes_what_failed() -> None:
    evil = "Without the change: ValueError: | x |<!-- -->\n@everyone [click](http://evil)"
    text = body(publish(proof=proof(ProofVerdict.PASSED, evil, shows_fault=True)), material())
    lines = text.splitlines()
    assert lines[0].startswith("**What broke:** checkout")
    assert lines[4].startswith("## Proven")
    (row,) = [line for line in lines if line.startswith("| regression test")]
    assert row.count("|") == 5
    assert "<!--" not in row
    assert "](" not in row
    assert "@everyone" not in row
    assert "\n## Not proven" in body(publish(proof=proof(ProofVerdict.NOT_HAD, "no test")), material())


def test_what_broke_is_all_that_is_critical_and_not_what_came_first() -> None:
    (incident,) = samples.repair().incidents
    (first,) = incident.request.findings
    severities = {
        "Memory rises.": Severity.WARNING,
        "It is slow.": Severity.CRITICAL,
        "It fails.": Severity.CRITICAL,
    }
    findings = tuple(first.model_copy(update={"sentence": s, "severity": v}) for s, v in severities.items())
    request = incident.request.model_copy(update={"findings": findings})
    changed = samples.repair().model_copy(
        update={"incidents": (incident.model_copy(update={"request": request}),)}
    )
    assert "UTC. It is slow. It fails.\n" in body(publish(changed), material())
