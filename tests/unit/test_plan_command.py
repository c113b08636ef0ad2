"""A comment is a command as a whole or not at all, and a plan's hash names exactly that plan."""

import re
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from railmend.contracts.repair import RepairRequest
from railmend.publishing.github.decision import PlanCommand, parse_command
from tests import samples
from tests.unit.published_texts import HOSTILE

PLAN = "0123456789abcdef"
APPROVE = f"/railmend approve {PLAN}"


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (APPROVE, PlanCommand(True, PLAN)),
        (f"\r\n{APPROVE} \r\n", PlanCommand(True, PLAN)),
        (f"/railmend reject {PLAN}", PlanCommand(False, PLAN)),
        (
            f"/railmend reject {PLAN} Not today,\r\nwe migrate.",
            PlanCommand(False, PLAN, "Not today, we migrate."),
        ),
    ],
)
def test_what_a_person_types_is_understood(comment: str, expected: PlanCommand) -> None:
    assert parse_command(comment) == expected


# Around a command, from reports on other bots that act on comments: quotations, code, HTML that is not shown,
# signatures of mail, text that looks the same, and text that is shown elsewhere than it stands.
DISGUISES = (
    *("> {}", ">{}", "> > {}", "On Monday eve wrote:\n> {}", "```\n{}\n```", "~~~\n{}\n~~~", "`{}`"),
    *("    {}", "\t{}", "<!-- {} -->", "<!--\n{}\n-->", "<details>\n{}\n</details>", "<pre>{}</pre>"),
    *("[{}](https://x)", "- {}", "1. {}", "LGTM\n{}", "{}\nno, wait", "{}\n\n-- \nEve", "{} please", "{}!"),
    *("\u200b{}", "{}\u200b", "\u202e{}", "\ufeff{}", "{}\u2028", "\u00a0{}", "Do not write {}"),
    *("{0}\n{0}", "/railmend help\n{}", "\\{}", "**{}**", "{}\x00"),
)
LOOKALIKES = (
    *(f"/railmend\u00a0approve {PLAN}", f"/railmend approve\u3000{PLAN}", f"/railmend  approve {PLAN}"),
    *(f"/Railmend approve {PLAN}", f"/railmend APPROVE {PLAN}", f"/railmend approve {PLAN.upper()}"),
    *(f"/r\u0430ilmend approve {PLAN}", f"/railmend \u0430pprove {PLAN}", f"\u2215railmend approve {PLAN}"),
    *(APPROVE[:-1], f"{APPROVE}0", f"{APPROVE},{PLAN}", "/railmend approve \uff10123456789abcdef"),
    *(f"@railmend approve {PLAN}", f"/approve {PLAN}", f"/railmend approve -- {PLAN}"),
    *("/railmend approve", "/railmend approve latest", "/railmend approve *"),
)


@pytest.mark.parametrize("text", [each.format(APPROVE) for each in DISGUISES] + [*LOOKALIKES])
def test_nothing_that_only_shows_an_approval_is_one(text: str) -> None:
    command = parse_command(text)
    assert command is None or not command.approved


# What GitHub shows of a comment that approves is that line and nothing more.
SHOWN = re.compile(r"\n*/railmend approve [0-9a-f]{16}[ \t\n]*", re.A)
pieces = st.sampled_from(
    [*HOSTILE, APPROVE, "/railmend", " approve ", " reject ", PLAN, "> ", "\n", "\r\n", " ", "```"]
)


@given(text=st.lists(pieces, max_size=6).map("".join))
@example(text=APPROVE)
def test_only_a_comment_that_reads_as_one_line_approves(text: str) -> None:
    command = parse_command(text)
    if command is not None and command.approved:
        assert SHOWN.fullmatch(text.replace("\r\n", "\n"))
    assert command is None or command.plan in text


def changed() -> dict[str, RepairRequest]:
    """The same repair with one thing changed that a person would approve differently."""
    repair = samples.repair()
    report = repair.incidents[0]

    def diagnosed(**update: object) -> RepairRequest:
        diagnosis = report.diagnosis.model_copy(update=update)
        return repair.model_copy(update={"incidents": (report.model_copy(update={"diagnosis": diagnosis}),)})

    other_cause = report.diagnosis.causes[0].model_copy(update={"text": "another"})
    return {
        "summary": diagnosed(summary="another"),
        "plan": diagnosed(plan=("another",)),
        "causes": diagnosed(causes=(other_cause,)),
        "files": diagnosed(suspected_files=("another.py",)),
        "verify": diagnosed(verify="another"),
        "a step moved to the files": diagnosed(
            plan=(), suspected_files=(*report.diagnosis.plan, *report.diagnosis.suspected_files)
        ),
        "repository": repair.model_copy(update={"repository": "acme/other"}),
        "base": repair.model_copy(update={"base_branch": "release"}),
        "commit": repair.model_copy(update={"commit": "d" * 40}),
        "directories": repair.model_copy(update={"root_directories": ("elsewhere",)}),
        "asked again": repair.model_copy(update={"requested_at": repair.requested_at + timedelta(seconds=1)}),
        "one service more": repair.model_copy(update={"incidents": (report, report)}),
    }


def test_another_plan_has_another_hash() -> None:
    hashes = {name: repair.plan_hash for name, repair in changed().items()}
    assert len({samples.repair().plan_hash, *hashes.values()}) == len(hashes) + 1
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in hashes.values())


def test_the_hash_of_a_plan_stays_what_it_was() -> None:
    """A person approves after an upgrade what was shown before: what is not the plan changes no hash."""
    repair = samples.repair()
    policy = repair.policy.model_copy(update={"approval_days": 30})
    again = repair.model_copy(update={"policy": policy, "bounded_by": "draft, because of that"})
    assert RepairRequest.model_validate_json(again.model_dump_json()).plan_hash == repair.plan_hash
