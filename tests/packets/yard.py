"""One scenario on a railyard of its own: real processes, and an API that shows them as the scenario says."""

import asyncio
import dataclasses
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from railyard.api import build_api
from railyard.api.behaviour import Gatekeeper
from railyard.api.views import connection
from railyard.forge import Forge
from railyard.platform import Platform, ServiceSpec
from railyard.platform.model import utc_now
from railyard.platform.service import ServiceRunner
from tests.packets.scenarios import LINK, PROVIDER, SHARED, Part, Scenario
from tests.unit.test_workspace import run

OWNER = "acme"
PROJECT = "project-of-packets"
TOKEN = "token-of-packets"
STAMP = "2026-01-01T00:00:00Z"
INCIDENT_URL = "https://status.railway.com"


# What was under way when the traffic ended has written its last line by then.
QUIET_SECONDS = 1.0


class Shown(Gatekeeper):
    """The API as it is, altered where a part of the scenario is something the miniature does not run."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        self._scenario = scenario
        self.runners: dict[str, ServiceRunner] = {}

    def root(self, root: dict[str, Any]) -> dict[str, Any]:
        resolvers = super().root(root)
        environment = resolvers["environment"]

        def altered(info: Any, **arguments: Any) -> Any:
            answer = environment(info, **arguments)
            services = answer["serviceInstances"]
            return answer | {
                "serviceInstances": lambda info, **asked: self._services(services(info, **asked)),
                "variables": lambda info, **asked: connection(self._references()),
                "volumeInstances": lambda info, **asked: connection(self._volumes()),
            }

        return resolvers | {"environment": altered, "platformStatus": self._status}

    def _status(self, _: Any) -> Any:
        message = self._scenario.platform_incident
        incident = {"id": "incident-1", "message": message, "status": "IDENTIFIED", "url": INCIDENT_URL}
        return {
            "isStable": message is None,
            "incident": incident if message else None,
            "maintenance": None,
        }

    def _services(self, page: Any) -> Any:
        parts = {part.name: part for part in self._scenario.parts}
        for edge in page["edges"]:
            node = edge["node"]
            part = parts[node["serviceName"]]
            if part.image:
                node["source"] = {"repo": None, "image": part.image}
            if part.worker:
                node["domains"] = {"serviceDomains": [], "customDomains": []}
        return page

    def _references(self) -> list[dict[str, Any]]:
        return [
            {
                "id": f"variable-{part.name}",
                "serviceId": service_id(part),
                "name": f"{part.needs.upper()}_URL",
                "references": [f"{part.needs}.URL"],
                "createdAt": STAMP,
                "updatedAt": STAMP,
            }
            for part in self._scenario.parts
            if part.needs
        ]

    def _volumes(self) -> list[dict[str, Any]]:
        """Filled by what the service really wrote."""
        return [
            {
                "id": f"volume-{part.name}",
                "serviceId": service_id(part),
                "sizeMB": part.volume_mb,
                "currentSizeMB": _written(self.runners[service_id(part)]) / 1e6,
            }
            for part in self._scenario.parts
            if part.volume_mb
        ]


def _written(runner: ServiceRunner) -> int:
    application = runner._application
    return sum(file.stat().st_size for file in application._folder.glob("data/*")) if application else 0


def service_id(part: Part) -> str:
    return f"service-{part.name}"


class Yard:
    """`folder`: the scenario's own, for repositories' work trees and deployments."""

    def __init__(self, scenario: Scenario, folder: Path, forge: Forge, provider_url: str) -> None:
        self.scenario = scenario
        self.ended = utc_now()
        self._folder = folder
        self._forge = forge
        self._given = {SHARED: str(folder / "shared"), PROVIDER: provider_url}
        folder.mkdir(parents=True)
        self._bare = {part.name: forge.add_repo(f"{OWNER}/{part.name}") for part in scenario.parts}
        for part in scenario.parts:
            run(folder, "init", "-q", "-b", "main", part.name)
            self._push(part, "First version", part.files)
        self.platform = Platform(folder / "state", [self._spec(part) for part in scenario.parts])
        gate = Shown(scenario)
        gate.runners = self.platform.services
        api = build_api(
            self.platform,
            project_id=PROJECT,
            project_name=OWNER,
            environment_id=self.environment_id,
            token=TOKEN,
            gatekeeper=gate,
        )
        self.transport = httpx.ASGITransport(app=api)

    @property
    def environment_id(self) -> str:
        return f"environment-{self.scenario.name}"

    def files(self, part: Part) -> tuple[str, ...]:
        """Paths in the part's repository, as its branch is now."""
        return tuple(run(self._folder / part.name, "ls-files").split("\n"))

    async def run(self, seconds: float) -> None:
        """Starts everything, pushes and puts to sleep when it is time, ends the traffic after `seconds`."""
        began = time.monotonic()
        await self.platform.start()
        for after, step in self._steps():
            await asyncio.sleep(max(began + after - time.monotonic(), 0))
            await step()
        await asyncio.sleep(max(began + seconds - time.monotonic(), 0))
        self.ended = utc_now()
        for runner in self.platform.services.values():
            for task in runner._tasks:
                task.cancel()
        await asyncio.sleep(QUIET_SECONDS)
        self._as_in_a_container()

    async def stop(self) -> None:
        await self.platform.stop()

    def _steps(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        """What is done to the parts, and after how many seconds."""
        steps: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        for part in self.scenario.parts:
            for push in part.pushes:
                steps.append((push.after, partial(self._later, part, push.message, push.files)))
            if part.sleeps_after is not None:
                steps.append((part.sleeps_after, partial(self._put_to_sleep, part)))
        return sorted(steps, key=lambda step: step[0])

    async def _later(self, part: Part, message: str, files: Mapping[str, str]) -> None:
        await asyncio.to_thread(self._push, part, message, files)

    def _push(self, part: Part, message: str, files: Mapping[str, str]) -> None:
        work = self._folder / part.name
        for name, text in files.items():
            if text.startswith(LINK):
                (work / name).symlink_to(text.removeprefix(LINK))
            else:
                (work / name).write_text(text)
        run(work, "add", "-A")
        run(work, "commit", "-qm", message)
        run(work, "push", "-q", str(self._bare[part.name]), "main")

    async def _put_to_sleep(self, part: Part) -> None:
        """As Railway does with what nobody asks: the process is gone, the deployment is not."""
        runner = self.platform.services[service_id(part)]
        keeper, application = runner._keeper, runner._application
        if keeper is not None and application is not None and runner.serving is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await application.stop()
            runner.serving.become("SLEEPING", "STOPPED")

    def _spec(self, part: Part) -> ServiceSpec:
        return ServiceSpec(
            service_id=service_id(part),
            name=part.name,
            repo=f"{OWNER}/{part.name}",
            git_dir=self._bare[part.name],
            start_command=[
                "python3",
                "app.py",
                *(self._given.get(argument, argument) for argument in part.arguments),
            ],
            memory_limit_gb=part.limit_gb,
            cpu_limit=1.0,
            traffic=part.traffic,
        )

    def _as_in_a_container(self) -> None:
        """Paths of this machine in logs and commands become those that a container would show."""
        for runner in self.platform.services.values():
            for deployment in runner.deployments:
                home = str(self._folder / "state" / "deploys" / runner.spec.name / deployment.id)
                for rows in (deployment.logs, deployment.build_logs):
                    for number, row in enumerate(rows):
                        text = row.message.replace(home, "/app").replace(sys.base_prefix, "/usr/local")
                        rows[number] = dataclasses.replace(row, message=text)
                deploy = deployment.meta["serviceManifest"]["deploy"]
                deploy["startCommand"] = deploy["startCommand"].replace(str(self._folder), "/run")
