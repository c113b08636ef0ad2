"""All services of the miniature, started and stopped together, sampled at one interval."""

import asyncio
from pathlib import Path

from railyard.platform.model import Deployment, ServiceSpec
from railyard.platform.service import ServiceRunner


class Platform:
    """`sample_seconds`: interval of measurements. `staged_changes`: of people, not deployed yet."""

    def __init__(self, state_dir: Path, specs: list[ServiceSpec], sample_seconds: float = 1.0) -> None:
        self.services = {
            spec.service_id: ServiceRunner(spec, state_dir / "deploys" / spec.name) for spec in specs
        }
        self.sample_seconds = sample_seconds
        self.staged_changes = 0
        self._clock: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start all services; return when each is live or has failed."""
        starts = [asyncio.create_task(service.start()) for service in self.services.values()]
        try:
            await asyncio.gather(*starts)
        except BaseException:  # also when cancelled: started services must not be left running
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.stop()
            raise
        self._clock = asyncio.create_task(self._measure())

    async def stop(self) -> None:
        """Stop all services; no process is left running on return."""
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.gather(self._clock, return_exceptions=True)
        await asyncio.gather(*(service.stop() for service in self.services.values()))

    def find(self, deployment_id: str) -> tuple[ServiceRunner, Deployment] | None:
        """Return a deployment of any service, also a removed one."""
        for service in self.services.values():
            for deployment in service.deployments:
                if deployment.id == deployment_id:
                    return service, deployment
        return None

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(self.sample_seconds)
            for service in self.services.values():
                service.measure()
