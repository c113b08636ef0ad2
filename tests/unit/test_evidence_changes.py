"""What the evidence tells of deployments, drift, manifests and changed code."""

import re
from datetime import timedelta
from typing import Any

import pytest

from railmend.evidence.change import CommitComparison, ComparedCommit, ComparedFile, describe
from railmend.evidence.deployments import SuspectedDeployments, drift_text, history_text, state_text, suspects
from railmend.evidence.tokens import estimate
from railmend.railway.context import ConfigurationChange, Deployed, State, Step, Variable, deployed
from railmend.railway.model import DeploymentRecord
from railmend.railway.parse import iso
from tests import samples

NOW = samples.NOW


def deployment(name: str, status: str, hours: float, **settings: str) -> Deployed:
    """A deployment made so many hours before `NOW`."""
    record = DeploymentRecord(
        id=name,
        status=status,
        created_at=NOW - timedelta(hours=hours),
        commit=name * 8,
        commit_message=f"Change {name}\n\nand more",
        commit_author="eve",
    )
    return Deployed(record=record, settings=settings)


@pytest.mark.parametrize(
    ("history", "onset_hours", "bad", "good"),
    [
        # The one that was deployed last before the onset, not the newest.
        (
            [deployment("d", "SUCCESS", 0.1), deployment("c", "REMOVED", 2), deployment("b", "REMOVED", 9)],
            1,
            "c",
            "b",
        ),
        # A fault measured a moment before its deployment is called finished.
        ([deployment("c", "SUCCESS", 0.99), deployment("b", "REMOVED", 9)], 1, "c", "b"),
        # The first of a run of failures; those before it that failed are not good.
        (
            [deployment("d", "FAILED", 1), deployment("c", "FAILED", 2), deployment("b", "SUCCESS", 3)],
            1,
            "c",
            "b",
        ),
        (
            [deployment("d", "SUCCESS", 1), deployment("c", "FAILED", 2), deployment("b", "REMOVED", 3)],
            0.5,
            "d",
            "b",
        ),
        # What is still being built is no suspect.
        (
            [deployment("d", "BUILDING", 0.1), deployment("c", "SUCCESS", 2), deployment("b", "REMOVED", 3)],
            1,
            "c",
            "b",
        ),
        # A trouble older than all of the history.
        ([deployment("c", "SUCCESS", 2)], 50, "c", None),
        ([deployment("c", "SUCCESS", 2), deployment("b", "REMOVED", 9)], 50, "b", None),
        ([deployment("c", "CRASHED", 2), deployment("b", "REMOVED", 3)], 1, "c", "b"),
    ],
)
def test_the_suspected_and_the_last_good_deployment(
    history: list[Deployed], onset_hours: float, bad: str, good: str | None
) -> None:
    suspected = suspects(history, NOW - timedelta(hours=onset_hours))
    assert suspected is not None
    assert suspected.bad.record.id == bad
    assert (suspected.good.record.id if suspected.good else None) == good


def test_nothing_deployed_suspects_nothing() -> None:
    assert suspects([], NOW) is None
    assert suspects([deployment("a", "BUILDING", 1)], NOW) is None


def test_the_history_marks_both() -> None:
    history = [deployment("c", "SUCCESS", 2), deployment("b", "REMOVED", 9)]
    text = history_text(history, suspects(history, NOW))
    assert text.split("\n") == [
        "2026-11-24 07:00:00 SUCCESS cccccccc by eve: Change c  <- served at the onset",
        "2026-11-24 00:00:00 REMOVED bbbbbbbb by eve: Change b  <- last good",
    ]


def test_drift_tells_settings_names_and_feed_but_no_value() -> None:
    good = deployment("b", "REMOVED", 9, **{"deploy.startCommand": "serve", "region": "us"})
    bad = deployment(
        "c", "SUCCESS", 2, **{"deploy.startCommand": "serve --fast", "region": "us", "builder": "X"}
    )
    suspected = suspects([bad, good], NOW)
    assert suspected is not None
    old, recent = NOW - timedelta(days=9), NOW - timedelta(hours=1)
    variables = [
        Variable(name="NEW_KEY", created_at=recent, updated_at=recent),
        Variable(name="CHANGED_KEY", created_at=old, updated_at=recent),
        Variable(name="OLD_KEY", created_at=old, updated_at=old),
    ]
    changes = [ConfigurationChange(at=recent, action="updated", object="Variable", severity="INFO")]
    text = drift_text(suspected, variables, changes, NOW)
    assert "deploy.startCommand: serve -> serve --fast" in text
    assert "builder: not set -> X" in text
    assert "region" not in text
    assert "Variables added since: NEW_KEY" in text
    assert "Variables set anew since: CHANGED_KEY" in text
    assert "OLD_KEY" not in text
    assert "Variable updated (info)" in text
    assert "It was deployed 2.0 h before the onset." in text


def test_the_state_tells_of_restarts_and_failed_steps() -> None:
    state = State(
        status="SUCCESS",
        created_at=NOW,
        changed_at=NOW,
        stopped=False,
        instances=("RUNNING", "RESTARTING", "CRASHED"),
    )
    steps = [
        Step(name="BUILD_IMAGE", started=NOW),
        Step(name="HEALTHCHECK", started=NOW, error="503", reason="timeout", attempt=3, attempts=5),
    ]
    text = state_text(state, steps)
    assert "2 of 3 replicas restart or have crashed." in text
    assert "Step HEALTHCHECK at 2026-11-24 09:00:00 (attempt 3 of 5): 503; timeout" in text
    assert "BUILD_IMAGE" not in text


def test_a_manifest_is_flat_and_without_what_is_empty() -> None:
    node: dict[str, Any] = {
        "id": "d",
        "status": "SUCCESS",
        "createdAt": iso(NOW),
        "meta": {
            "rootDirectory": "/web",
            "serviceManifest": {
                "build": {"builder": "RAILPACK", "buildCommand": None, "watchPatterns": ["x"]},
                "deploy": {"multiRegionConfig": {"us": {"numReplicas": 2}}, "startCommand": "serve"},
            },
        },
    }
    assert deployed(node).settings == {
        "rootDirectory": "/web",
        "build.builder": "RAILPACK",
        "deploy.multiRegionConfig.us.numReplicas": "2",
        "deploy.startCommand": "serve",
    }


def changed(path: str, patch: str | None = "@@ -1 +1 @@\n-a\n+b", size: int = 1) -> ComparedFile:
    return ComparedFile(path=path, status="modified", additions=size, deletions=size, patch=patch)


def compared(*files: ComparedFile, total: int = 1) -> CommitComparison:
    commit = ComparedCommit(sha="f" * 40, author="eve", at=NOW, message="Show discounts\n\nbody")
    return CommitComparison(
        base="a" * 40, head="b" * 40, status="ahead", total=total, commits=(commit,), files=files
    )


def test_a_change_shows_the_services_own_code_first_and_no_lock_file() -> None:
    text = describe(
        compared(
            changed("package-lock.json"), changed("api/app.py"), changed("web/test_a.py"), changed("web/a.py")
        ),
        "web",
    )
    assert "ffffffffffff 2026-11-24 09:00 eve: Show discounts" in text
    shown = [line[4:] for line in text.split("\n") if line.startswith("--- ")]
    assert shown == ["web/a.py", "web/test_a.py", "api/app.py"]
    assert "modified package-lock.json +1 -1" in text


def test_a_huge_change_stays_within_its_budget_and_says_what_is_missing() -> None:
    patch = "@@ -1 +1 @@\n" + "\n".join(f"+line {n}" for n in range(2000))
    text = describe(compared(*(changed(f"src/f{n}.py", patch, 9) for n in range(80)), total=90), "")
    assert estimate(text) <= 2300
    assert "(hunks cut)" in text
    assert "(89 commits left out)" in text
    assert "(55 files left out)" in text
    assert re.search(r"hunks of \d+ more files left out", text)


def test_hunks_of_a_named_file_come_first_and_around_the_named_line() -> None:
    long = "@@ -0,0 +1,3000 @@\n" + "\n".join(f"+value_{n} = compute({n})" for n in range(1, 3001))
    small = [changed(f"src/f{n}.py", "@@ -1 +1 @@\n-a\n+" + "word " * 300, 1) for n in range(9)]
    change = compared(changed("src/big.py", long, 3000), *small)
    assert "value_2500" not in describe(change, "")
    text = describe(change, "", named={"src/big.py": [2500]})
    assert text.index("--- src/big.py") < text.index("hunks cut; line 2") < text.index("+value_2500 = ")
    assert estimate(text) <= 2300


def test_a_renamed_file_is_named_by_its_old_path_and_removed_rows_count_no_line() -> None:
    rows = [f"-old_{n}" for n in range(400)] + [f"+new_{n} = 1" for n in range(1, 901)]
    patch = "@@ -1,400 +1,900 @@\n" + "\n".join(rows)
    renamed = changed("src/b.py", patch, 900).model_copy(update={"previous": "src/a.py"})
    text = describe(compared(changed("src/0.py"), renamed), "", named={"src/a.py": [850]}, budget=900)
    listed = [line for line in text.split("\n") if line.startswith("  modified")]
    assert listed[0].startswith("  modified src/a.py -> src/b.py")
    assert "+new_850 = 1" in text
    assert "-old_399" not in text


def test_what_the_budget_leaves_goes_to_what_was_cut() -> None:
    patch = "@@ -1 +1 @@\n" + "\n".join(f"+line_{n} = {n}" for n in range(150))
    text = describe(compared(changed("src/a.py", patch, 150)), "")
    assert "hunks cut" not in text
    assert "+line_149 = 149" in text


@pytest.mark.parametrize(
    "path",
    [
        *("bun.lock", "mix.lock", "Pipfile.lock", "deno.lock", "web/yarn.lock", "Package.resolved.lock"),
        *("api/shop.pb.go", "api/shop_pb2.py", "src/schema.generated.ts", "locale/de/django.po", "a/b.snap"),
        *("public/build/app.4f3a9b1c.js", "dist/index.js", "static/js/main.min.js", "data/cities.csv"),
    ],
)
def test_what_programs_wrote_is_listed_and_not_shown(path: str) -> None:
    text = describe(compared(changed(path), changed("src/clock.py")), "")
    assert f"modified {path} +1 -1" in text
    assert f"--- {path}" not in text
    assert "--- src/clock.py" in text


def test_a_dockerfile_is_listed_however_many_files_changed_and_wherever_it_is() -> None:
    many = [changed(f"web/f{n}.py") for n in range(60)]
    change = compared(*many, changed("deploy/api.Dockerfile", size=400))
    for named in ({}, {file.path: [1] for file in many}):
        assert "modified deploy/api.Dockerfile +400 -400" in describe(change, "web", named=named)
    text = describe(compared(changed("web/a.py"), changed("deploy/api.Dockerfile", size=9)), "web")
    assert text.index("--- deploy/api.Dockerfile") < text.index("--- web/a.py")


def test_a_merge_has_its_title_and_a_renamed_file_its_old_name() -> None:
    merge = ComparedCommit(
        sha="e" * 40,
        author="eve",
        at=NOW,
        message="Merge pull request #12 from eve/x\n\nDouble the pool",
    )
    moved = changed("src/pool.py").model_copy(update={"previous": "src/db.py", "status": "renamed"})
    change = compared(moved).model_copy(update={"commits": (merge,)})
    text = describe(change, "")
    assert "eve: Merge #12: Double the pool" in text
    assert "renamed src/db.py -> src/pool.py +1 -1" in text


def test_what_is_shown_as_code_is_not_shown_twice() -> None:
    first = compared(changed("src/a.py", "@@ -0,0 +1 @@\n+first = 1")).model_copy(update={"base": ""})
    assert "+first = 1" in describe(first, "")
    text = describe(first, "", whole=False)
    assert "+first = 1" not in text
    assert "modified src/a.py" in text


def test_a_deployment_that_served_at_the_onset_is_not_said_to_be_deployed_after_it() -> None:
    history = [deployment("c", "SUCCESS", -1 / 60), deployment("b", "REMOVED", 9)]
    suspected = suspects(history, NOW)
    assert suspected is not None
    assert "served at the onset" in history_text(history, suspected)
    assert "after the onset" not in drift_text(suspected, [], [], NOW)
    older = suspects(history, NOW - timedelta(hours=50))
    assert older is not None
    assert "served at the onset" not in history_text(history, older)
    assert "last good" not in history_text(history, older)
    assert "It was deployed after the onset." in drift_text(older, [], [], NOW - timedelta(hours=50))
    later = SuspectedDeployments(deployment("c", "FAILED", -9 / 60), history[1], failed=True)
    assert "It was deployed after the onset." in drift_text(later, [], [], NOW)
