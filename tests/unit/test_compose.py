"""The compose file, read by Docker Compose itself, and the images' recipes, read by hadolint."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hosting.preflight import check
from hosting.sandbox.choice import SHARED
from hosting.sandbox.remote_daemon import CAPABILITIES
from hosting.workers import Role
from railmend.settings import ConfigurationError, Settings, secret_variables

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
FILE = ROOT / "docker-compose.yml"
DOCKERFILES = (ROOT / "deploy/Dockerfile", ROOT / "deploy/temporal/Dockerfile")
JOBS = {"temporal-schema", "temporal-namespace"}
WORKERS = {"orchestration", "planning", "coding"}
SECRET = re.compile(r"(TOKEN|KEYS?|PASSWORD|PWD|SECRET)$")


@cache
def compose() -> Any:
    """The file as Docker Compose understands it: schema, interpolation, references. Needs no engine."""
    done = subprocess.run(
        [BIN / "docker-compose", "--profile", "*", "--file", FILE, "config", "--format", "json"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def services() -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"]
    return found


def environment(name: str) -> dict[str, str]:
    return services()[name].get("environment") or {}


def test_nothing_is_started_unbounded_and_everything_that_stays_is_watched() -> None:
    for name, service in services().items():
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory"} <= set(limits), name
        assert service["restart"], name
        assert name in JOBS or name == "temporal-ui" or "healthcheck" in service, name


def test_images_are_pinned() -> None:
    images = {name: service["image"] for name, service in services().items() if "build" not in service}
    assert all(re.search(r":\d+\.\d+", image) for image in images.values()), images


def test_secrets_are_files_never_variables() -> None:
    given = {(name, key): value for name in services() for key, value in environment(name).items()}
    assert [place for place in given if SECRET.search(place[1])] == []
    files = {str(value) for (_, key), value in given.items() if key.endswith("_FILE")}
    mounted = {f"/run/secrets/{one['source']}" for s in services().values() for one in s.get("secrets", ())}
    assert {file for file in files if file.startswith("/run/secrets/")} == mounted


def test_each_container_has_the_secrets_of_its_role_alone() -> None:
    given = {
        name: {one["source"] for one in service.get("secrets", ())} for name, service in services().items()
    }
    assert {name: secrets for name, secrets in given.items() if secrets} == {
        "postgres": {"postgres_password"},
        "temporal-schema": {"postgres_password"},
        "temporal": {"postgres_password"},
        "orchestration": {"railway_token", "github_token", "encryption_keys"},
        "planning": {"model_api_key", "github_token", "encryption_keys"},
        "coding": {"model_api_key", "github_token", "encryption_keys"},
        "codec": {"encryption_keys"},
    }
    with_settings = {
        name for name, text in blocks().items() if "env_file" not in text and "*worker\n" in text
    }
    assert with_settings == WORKERS


@pytest.mark.parametrize("role", sorted(WORKERS))
def test_a_worker_has_no_secret_that_its_role_can_start_without(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in secret_variables():
        monkeypatch.delenv(variable, raising=False)
    given = {"railway_token": "r", "github_token": "ghp_g", "model_api_key": "m"}
    others = {"railway_project_id": "p", "railway_environment_id": "e", "model": "openai/gpt-5"}
    needed: set[str | None] = set()
    for name in (*given, None):
        for variable, value in given.items():
            monkeypatch.setenv(variable.upper(), "" if variable == name else value)
        try:
            check(Settings.model_validate(others), [Role(role)])
        except ConfigurationError:
            needed.add(name)
    mounted = {one["source"] for one in services()[role]["secrets"]}
    named = {Path(value).name for key, value in environment(role).items() if key.endswith("_FILE") and value}
    assert mounted - {"encryption_keys"} == named == needed


def blocks() -> dict[str, str]:
    """The text of each service: Docker Compose shows of `.env` only what it finds there."""
    text = FILE.read_text().split("\nservices:\n")[1].split("\nnetworks:\n")[0]
    parts = re.split(r"^  ([a-z-]+):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_only_this_machine_reaches_a_port() -> None:
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert ports
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_the_coding_worker_shares_its_network_with_temporal_alone() -> None:
    inside = {name for name, service in services().items() if "coding" in service.get("networks", ())}
    assert set(services()["coding"]["networks"]) == {"coding"}
    assert inside == {"coding", "temporal"}


def test_the_agents_have_no_network_no_secret_and_one_volume_with_their_worker() -> None:
    agent = services()["agent"]
    assert agent["network_mode"] == "none"
    assert {"secrets", "environment", "ports", "networks"} & set(agent) == set()
    assert [(each["type"], each["source"], each["target"]) for each in agent["volumes"]] == [
        ("volume", "agents", str(SHARED))
    ]
    sharing = {
        name
        for name, service in services().items()
        if "agents" in {volume["source"] for volume in service.get("volumes", ())}
    }
    assert sharing == {"agent", "coding"}
    assert environment("coding")["RAILMEND_SANDBOX"] == "remote"


def test_all_workers_and_no_agent_share_the_artifacts() -> None:
    mounted = {
        name: {each["source"]: each["target"] for each in service.get("volumes", ())}
        for name, service in services().items()
    }
    sharing = {name for name, volumes in mounted.items() if volumes.get("artifacts") == "/artifacts"}
    assert sharing == WORKERS
    assert {environment(name)["RAILMEND_ARTIFACTS"] for name in WORKERS} == {"/artifacts"}


def test_the_daemon_has_the_rights_it_needs_and_no_more() -> None:
    agent = services()["agent"]
    assert agent["read_only"]
    assert agent["cap_drop"] == ["ALL"]
    assert set(agent["cap_add"]) == set(CAPABILITIES)
    assert agent["security_opt"] == ["no-new-privileges:true"]


def test_the_database_is_cut_off_from_the_outside() -> None:
    assert compose()["networks"]["storage"]["internal"] is True
    assert set(services()["postgres"]["networks"]) == {"storage"}


def test_workers_hold_no_rights_and_write_only_where_they_must() -> None:
    for name in WORKERS:
        service = services()[name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert "RAILWAY_TOKEN_FILE" not in environment("coding")


def test_workers_have_time_to_end_by_themselves() -> None:
    for name in WORKERS:
        grace = int(environment(name)["RAILMEND_GRACE_SECONDS"])
        assert grace < int(services()[name]["stop_grace_period"].rstrip("s"))


def test_every_variable_of_a_worker_is_a_setting() -> None:
    known = {field.upper() for field in Settings.model_fields}
    for name in (*WORKERS, "codec"):
        unknown = {key for key in environment(name) if key.removesuffix("_FILE") not in known}
        assert unknown == set(), name


def test_every_variable_is_documented() -> None:
    docs = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    used = {key for name in services() for key in environment(name)}
    used |= set(re.findall(r"\$\{([A-Z_]+)", FILE.read_text()))
    undocumented = sorted(
        key for key in used if f"`{key}`" not in docs and f"`{key.removesuffix('_FILE')}`" not in docs
    )
    assert undocumented == []


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_dockerfiles_are_clean(file: Path) -> None:
    done = subprocess.run([BIN / "hadolint", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_image_holds_every_package_and_runs_as_nobody() -> None:
    text = DOCKERFILES[0].read_text()
    imported = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {
        "tests",
        "railyard",
        "bench",
        "tools",
    }
    assert {name for name in imported if f"COPY {name} {name}" in text} == imported
    assert text.rindex("USER 10001:10001") > text.rindex("RUN ")


def test_every_step_of_the_image_is_tried_without_docker() -> None:
    steps = set(re.findall(r"^RUN \S*?(\w+\.sh)", DOCKERFILES[0].read_text(), re.MULTILINE))
    assert steps
    tried = (ROOT / "deploy/steps/check.sh").read_text()
    assert {step for step in steps if f"/{step}" in tried} == steps


def test_the_lock_of_the_image_agrees_with_the_one_that_is_tested() -> None:
    def pins(file: Path) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==(\S+)", file.read_text(), re.MULTILINE))

    tested = pins(ROOT / "requirements.lock")
    other = {
        name: (version, tested[name])
        for name, version in pins(ROOT / "deploy/requirements.lock").items()
        if name in tested and tested[name] != version
    }
    assert other == {}
