"""Break-outs, tried through the agent's own shell tool.

Under `bwrap` and `remote`: one OpenCode session whose scripted model runs every attempt; commands come
encoded, so that OpenCode's own permissions, which are no boundary, let them pass. Under `user` a shell runs
them; what it shares with the worker (network, list of processes) is in docs/security.md.
"""

import asyncio
import base64
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from pydantic import SecretStr

from hosting.gateway.model_gateway import ModelGateway
from railmend.coding.metering.meter import ModelEndpoint, SessionLimits
from railmend.coding.sandbox.interface import RepairPaths, Sandbox
from railmend.coding.session.follow import Task, follow
from railmend.coding.session.server import OpenCodeServer
from railmend.contracts.action import ActionState
from railmend.contracts.repair import Approval, CodingState
from tests.integration.breakout_cases import PLUGIN, ROOT, Outside, attempts, outside, server_attempts
from tests.integration.sandboxes import KINDS, a_place, a_sandbox, open_folder, running, shell_in
from tests.integration.scripted_model import ScriptedModel
from workflows.actions.approved_action import ApprovedAction

pytestmark = pytest.mark.integration

SECRETS = {
    "GITHUB_TOKEN": "ghp_secretofgithub",
    "RAILWAY_TOKEN": "secret-of-railway",
    "MODEL_API_KEY": "sk-secretofthemodel",
}
ON_DISK = ("secret-on-disk", "secret-of-another-repair")


@dataclass
class Said:
    """What the agent's shell printed, by attempt; and what the host saw."""

    kind: str
    paths: RepairPaths
    other: RepairPaths
    outside: Outside
    outputs: dict[str, str] = field(default_factory=dict)
    usage_calls: int = 0
    orphans: list[int] = field(default_factory=list)

    @property
    def private(self) -> bool:
        """Its network and its processes are its own."""
        return self.kind != "user"

    @property
    def served(self) -> bool:
        return bool(self.usage_calls)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def there() -> AsyncIterator[Outside]:
    before = {name: os.environ.get(name) for name in SECRETS}
    os.environ.update(SECRETS)
    try:
        with open_folder() as folder:
            async with outside(folder) as made:
                yield made
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=KINDS)
async def said(there: Outside, request: pytest.FixtureRequest) -> AsyncIterator[Said]:
    """All attempts, in one session; then the server is started once more."""
    with a_sandbox(request.param) as (sandbox, folder):
        paths, other = a_place(folder, sandbox), a_place(folder, sandbox, "fedcba987654")
        for owned in (other.tree, other.home):
            (owned / "secret").write_text("secret-of-another-repair")
        sandbox.hand_over(other)
        result = Said(request.param, paths, other, there)
        await there.offer(request.param)
        tried = attempts(there, paths, other, request.param)
        if result.private:
            await through_the_server(result, sandbox, tried | server_attempts())
        else:
            for name, command in tried.items():
                result.outputs[name] = (await shell_in(paths, sandbox, f"exec 2>&1; {command}")).output
            result.orphans = running("sleep 86399")
        yield result


async def through_the_server(result: Said, sandbox: Sandbox, tried: dict[str, str]) -> None:
    paths = result.paths
    plugin = paths.tree / ".opencode" / "plugin"
    plugin.mkdir(parents=True)
    (plugin / "repo.js").write_text(PLUGIN)
    steps = []
    for command in tried.values():
        encoded = base64.b64encode(command.encode()).decode()
        arguments = {"command": f"echo {encoded} | base64 -d | bash 2>&1", "description": "try"}
        steps.append({"tool": "bash", "args": arguments})
    with ScriptedModel([*steps, {"text": "Tried."}]).serve() as model:
        endpoint = ModelEndpoint(
            base_url=model.url, model_id="scripted", api_key=SecretStr(SECRETS["MODEL_API_KEY"])
        )
        server = OpenCodeServer(paths, sandbox, ModelGateway(endpoint, SessionLimits()), endpoint)
        await server.start_or_adopt()
        try:
            async with server.connect() as client:
                task = Task(str(paths.tree), "key", "Repair", "Try.")
                done = await follow(
                    client, task, SessionLimits(seconds=120), lambda _: None, server.usage, 0.2
                )
                assert done.state is CodingState.DONE, done.reason
                rows = (await client.get(f"/session/{done.session_id}/message")).json()
            parts = [part for row in rows for part in row["parts"] if part["type"] == "tool"]
            result.outputs = {
                name: str(part["state"].get("output") or part["state"].get("error"))
                for name, part in zip(tried, parts, strict=True)
            }
            result.usage_calls = done.model_calls
            alive = running("sleep 86399")
        finally:
            await server.stop()
        result.orphans = [pid for pid in alive if psutil.pid_exists(pid)]
        again = OpenCodeServer(paths, sandbox, ModelGateway(endpoint, SessionLimits()), endpoint)
        await again.start_or_adopt()
        async with again.connect() as client:
            (await client.get("/session", params={"directory": str(paths.tree)})).raise_for_status()
            (await client.get("/agent", params={"directory": str(paths.tree)})).raise_for_status()
        await again.stop()


async def unsandboxed(command: str, folder: Path) -> str:
    """The same command where no sandbox is: what shows that the try was one. Workers of this loop go on."""
    return await asyncio.to_thread(_without_sandbox, command, folder)


def _without_sandbox(command: str, folder: Path) -> str:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
    (folder / "file").write_text("x")
    done = subprocess.run(
        ["bash"], input=command, cwd=folder, env=environment, text=True, capture_output=True, check=False
    )
    return done.stdout + done.stderr


def test_no_secret_is_in_any_environment_file_or_answer(said: Said) -> None:
    everything = "\n".join(said.outputs.values())
    for secret in (*SECRETS.values(), *ON_DISK):
        assert secret not in everything
    if said.served:
        assert "OPENCODE_SERVER_PASSWORD" in said.outputs["environment"], "it does see its own"


def test_it_sees_none_of_the_workers_processes(said: Said) -> None:
    if said.private:
        assert "pytest" not in said.outputs["processes"]
        assert "opencode serve" in said.outputs["processes"]
    refusal = "No such file" if said.private else "Permission denied"
    assert refusal in said.outputs["worker's memory"]


def test_it_sees_no_file_of_the_worker(said: Said) -> None:
    refusal = "No such file" if said.private else "Permission denied"
    assert refusal in said.outputs["files"]
    if said.private:
        assert "railmend" not in said.outputs["checkout"].replace(str(ROOT), "")
    assert "gateway_key" not in said.outputs["worker's records"]
    assert "trusted.git" not in said.outputs["worker's records"]


def test_another_repair_is_out_of_reach(said: Said) -> None:
    refusal = "No such file" if said.kind == "bwrap" else "Permission denied"
    assert said.outputs["another repair"].count(refusal) >= 3
    assert (said.other.tree / "secret").read_text() == "secret-of-another-repair"


def test_it_writes_nowhere_but_to_its_own_folders(said: Said) -> None:
    assert "WROTE" not in said.outputs["write outside"]
    assert "secret.txt" in [each.name for each in said.outside.folder.iterdir()]
    assert not (said.outside.folder / "x").exists()
    if said.served:
        assert (said.paths.sockets / "server.sock").exists(), "it could not be removed"


def test_it_reaches_neither_this_machine_nor_the_network(said: Said) -> None:
    if not said.private:
        assert "REACHED" in said.outputs["this machine"], "docs/security.md says so: it shares the network"
        return
    assert "REACHED" not in said.outputs["this machine"] + said.outputs["internet"]
    assert said.outputs["this machine"].count("refused ") == len(said.outside.addresses())


async def test_it_cannot_approve_its_own_plans(said: Said, tmp_path: Path) -> None:
    """On a real Temporal server, which has no password."""
    action = said.outside.client.get_workflow_handle_for(ApprovedAction.run, f"action-{said.kind}")
    if not said.private:
        assert "APPROVED" in said.outputs["approve itself"], "docs/security.md says so: it shares the network"
        return
    assert "APPROVED" not in said.outputs["approve itself"]
    await action.execute_update(ApprovedAction.reject, Approval(by="ada"))  # refused had anyone decided
    assert (await action.result()).state is ActionState.REJECTED
    await said.outside.offer(f"{said.kind}-outside")
    assert "APPROVED" in await unsandboxed(said.outside.approve(f"{said.kind}-outside"), tmp_path)


async def test_it_cannot_push(said: Said, tmp_path: Path) -> None:
    """To a real forge, even if it knew a token."""
    if not said.private:
        assert "PUSHED" in said.outputs["push"], "docs/security.md says so: it shares the network"
        return
    assert "PUSHED" not in said.outputs["push"]
    assert said.kind not in said.outside.branches()
    assert "PUSHED" in await unsandboxed(said.outside.push(f"{said.kind}-outside"), tmp_path)
    assert f"{said.kind}-outside" in said.outside.branches()


def test_it_cannot_end_the_worker_or_become_somebody_else(said: Said) -> None:
    assert "KILLED" not in said.outputs["kill the worker"]
    tried = said.outputs["become root"]
    assert "uid=0" not in tried
    assert "NEWNET" not in tried
    assert "CapEff:\t0000000000000000" in tried
    assert "NoNewPrivs:\t1" in tried
    assert "Seccomp:\t2" in tried
    assert "MOUNTED" not in said.outputs["mount"]


def test_it_neither_reaches_the_daemon_nor_ends_it(said: Said) -> None:
    assert "ASKED" not in said.outputs["the daemon"]
    assert "KILLED" not in said.outputs["the daemon"]
    if said.kind == "remote":
        assert "Permission denied" in said.outputs["the daemon"], "it is there"


def test_the_gateway_answers_with_the_model_and_nothing_else(said: Said) -> None:
    assert said.served is said.private
    if not said.served:
        return
    tried = said.outputs["model key"]
    assert '/models b\'{"object":"list","data":[{"id":"scripted"' in tried
    assert "/files 404" in tried
    assert "/chat/completions 405" in tried
    assert "401" in said.outputs["another's key"]
    assert said.usage_calls == len(said.outputs) + 1


def test_a_plugin_of_the_repository_or_of_the_agent_does_not_run(said: Said) -> None:
    if not said.served:
        return
    assert "evil.js" in said.outputs["plugin"], "it was written"
    assert "repo.js" not in said.outputs["plugin"], "the repository's was hidden"
    assert not (said.paths.tree / "SPRUNG").exists()
    assert not (said.paths.tree / ".opencode").exists()


def test_nothing_survives_the_server(said: Said) -> None:
    assert "ALIVE" in said.outputs["orphan"]
    assert said.orphans == []
