"""Every activity is served, by the worker that is meant for it and by no other."""

import importlib
import pkgutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import activities
from activities.checks import CheckActivities
from activities.coding import CodingActivities
from activities.coding_environment import CodingEnvironment
from activities.methods import MARK, Activity
from activities.planning import PlanningActivities
from activities.proof import ProofActivities
from hosting import worker_options, workers
from railmend import __version__
from railmend.coding.sandbox.quota import Quota
from railmend.current_settings import CurrentSettings
from railmend.settings import Settings

UNUSED = cast(Any, None)


def names(served: list[Activity]) -> set[str]:
    assert len({activity.__name__ for activity in served}) == len(served), "twice"
    return {activity.__name__ for activity in served}


def decorated(owner: type) -> set[str]:
    return {name for name, member in vars(owner).items() if hasattr(member, MARK)}


def activity_classes() -> set[type]:
    modules = [
        importlib.import_module(f"activities.{module.name}")
        for module in pkgutil.iter_modules(activities.__path__)
    ]
    members = [(module, member) for module in modules for member in vars(module).values()]
    return {
        member
        for module, member in members
        if isinstance(member, type) and member.__module__ == module.__name__ and decorated(member)
    }


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "github_token": "ghp_x",
            "railmend_state_dir": tmp_path,
            "model": "openai/x",
            "model_api_key": "sk-x",
            "railway_project_id": "p",
            "railway_environment_id": "e",
        }
    )


def test_every_activity_is_served_by_the_worker_that_is_meant_for_it(
    settings: Settings, tmp_path: Path
) -> None:
    environment = CodingEnvironment(github=UNUSED, state_dir=tmp_path, sandbox=UNUSED, quota=Quota())
    orchestration = workers.orchestration_activities(
        UNUSED, CurrentSettings(settings, lambda: settings), UNUSED, UNUSED, UNUSED, ()
    )
    anywhere, here = workers.coding_activities(settings, environment, "railmend-coding-x")
    planning = {PlanningActivities}
    coding = {CodingActivities, CheckActivities, ProofActivities}
    others = activity_classes() - planning - coding
    assert len(others) > 10
    assert names(orchestration) == set().union(*map(decorated, others))
    assert names(workers.planning_activities(settings)) == decorated(PlanningActivities)
    assert names(here) == set().union(*map(decorated, coding))
    # Only a workspace that does not exist yet may be made on any machine.
    assert names(anywhere) == {"prepare_workspace"}


@pytest.mark.parametrize(
    ("given", "build_id", "versioned"),
    [(None, __version__, False), ("b1", "b1", True)],
    ids=["default", "set"],
)
def test_the_build_id_is_the_version_unless_it_is_set(
    given: str | None, build_id: str, versioned: bool
) -> None:
    client = SimpleNamespace(service_client=SimpleNamespace(config=SimpleNamespace(runtime=None)))
    settings = Settings.model_validate({"railmend_build_id": given})
    config = worker_options.shared(settings, cast(Any, client))["deployment_config"]
    assert (config.version.deployment_name, config.version.build_id) == ("railmend", build_id)
    assert config.use_worker_versioning is versioned


def test_no_activity_has_two_owners() -> None:
    owned = [name for owner in activity_classes() for name in decorated(owner)]
    assert sorted(owned) == sorted(set(owned))


def test_temporal_decodes_every_request_and_result_as_what_the_activity_says() -> None:
    definitions = [
        getattr(vars(owner)[name], MARK) for owner in activity_classes() for name in decorated(owner)
    ]
    assert [one.name for one in definitions if len(one.arg_types or ()) != 1 or one.ret_type is None] == []
