"""One service: deploys each new commit of its branch, restarts what dies, measures what runs."""

import asyncio
import io
import shlex
import shutil
import subprocess
import tarfile
from collections import deque
from contextlib import suppress
from pathlib import Path

from railyard.platform.edge import Edge
from railyard.platform.model import LOG_ROWS, Deployment, LogRow, Sample, ServiceSpec, utc_now
from railyard.platform.process import Application
from railyard.platform.traffic import Traffic
from railyard.serving import Serving

MAX_RESTARTS = 10  # as on Railway
POLL_SECONDS = 1.0
START_SECONDS = 60.0
RESTART_SECONDS = 1.0


class ServiceRunner:
    """`deployments` is oldest first; `serving` is the one whose process gets the requests."""

    def __init__(self, spec: ServiceSpec, folder: Path) -> None:
        self.spec = spec
        self.deployments: list[Deployment] = []
        self.serving: Deployment | None = None
        self.samples: deque[Sample] = deque(maxlen=LOG_ROWS)
        self.edge = Edge(self._target)
        self.address = Serving(self.edge.app)
        self._folder = folder
        self._application: Application | None = None
        # All processes started and not yet stopped: during a deploy more than the live one.
        self._applications: set[Application] = set()
        self._commit: str | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._keeper: asyncio.Task[None] | None = None
        self._deploying = asyncio.Lock()

    def _target(self) -> tuple[str, int | None]:
        if self.serving is None or self._application is None:
            return "", None
        return self.serving.id, self._application.port if self._application.alive() else None

    async def start(self) -> None:
        """Start; return when the first deployment is live or has failed."""
        self.address.start()
        await self._follow_branch_once()
        self._tasks.append(asyncio.create_task(self._follow_branch()))
        if self.spec.traffic is not None:
            traffic = Traffic(self.spec.traffic, self.address.url, self.spec.name)
            self._tasks.append(asyncio.create_task(traffic.run()))

    async def stop(self) -> None:
        tasks = [*self._tasks, *([self._keeper] if self._keeper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(application.stop() for application in self._applications))
        await self.address.stop()
        await self.edge.aclose()

    def measure(self) -> None:
        """Take a sample; kill the process above its memory limit, as the platform's kernel would."""
        sample = self._application.sample() if self._application else None
        if sample is None or self._application is None:
            return
        self.samples.append(sample)
        if sample.memory > self.spec.memory_limit_gb and self.serving is not None:
            limit = self.spec.memory_limit_gb
            self.serving.say(f"Container killed: out of memory (limit {limit:.2f} GB)")
            self._application.kill()

    async def _follow_branch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self._follow_branch_once()

    async def _follow_branch_once(self) -> None:
        try:
            head = await asyncio.to_thread(self._head)
            if head == self._commit:
                return
            meta = await asyncio.to_thread(self._meta, head)
        except subprocess.CalledProcessError:  # no such branch yet, or a push in progress: try again
            return
        self._commit = head
        await self._carry_out(self._announce(meta))

    async def deploy_again(self, earlier: Deployment) -> Deployment:
        """Deploy an earlier deployment's commit as a new one, in the background; return at once."""
        deployment = self._announce(dict(earlier.meta))
        self._tasks.append(asyncio.create_task(self._carry_out(deployment)))
        return deployment

    async def restart(self) -> None:
        """Restart the live deployment's process: the keeper starts it again."""
        if self.serving is not None and self._application is not None:
            self.serving.say("Restarted on request")
            self.serving.become(self.serving.status, "RESTARTING")
            self._application.kill()

    def _announce(self, meta: dict[str, object]) -> Deployment:
        deployment = Deployment(self.spec.service_id, meta)
        self.deployments.append(deployment)
        deployment.become("BUILDING", "INITIALIZING")
        return deployment

    async def _carry_out(self, deployment: Deployment) -> None:
        async with self._deploying:
            await self._deploy(deployment)

    async def _deploy(self, deployment: Deployment) -> None:
        commit = str(deployment.meta["commitHash"])
        folder = self._folder / deployment.id
        try:
            await asyncio.to_thread(self._check_out, commit, folder)
        except (OSError, subprocess.CalledProcessError, tarfile.TarError) as error:
            deployment.build_logs.append(LogRow(utc_now(), "error", f"Build failed: {error}"))
            deployment.become("FAILED", "REMOVED")
            return
        deployment.build_logs.append(LogRow(utc_now(), "info", f"Built {commit}"))
        deployment.become("DEPLOYING", "CREATED")
        folder = folder / self.spec.root_directory.lstrip("/")
        application = Application(folder, self.spec.start_command, deployment)
        self._applications.add(application)
        outcome = await self._bring_up(application, deployment)
        if outcome == "SUCCESS":
            await self._switch(application, deployment)
        else:
            await self._retire(application)
            deployment.become(outcome, "CRASHED")

    async def _bring_up(self, application: Application, deployment: Deployment) -> str:
        """Return SUCCESS once it listens, FAILED if it does not, CRASHED if it keeps dying."""
        while True:
            try:
                await application.start()
            except OSError as error:
                deployment.say(f"Cannot start: {error.strerror}: {error.filename}", "error")
                return "FAILED"
            if await application.listens(START_SECONDS):
                return "SUCCESS"
            if application.alive():
                deployment.say(f"Not listening on PORT after {START_SECONDS:.0f} s")
                return "FAILED"
            code = await application.wait()
            if deployment.restarts == MAX_RESTARTS:
                deployment.say(f"Exited with code {code}; no restarts left")
                return "CRASHED"
            deployment.restarts += 1
            deployment.instance_status = "RESTARTING"
            deployment.say(f"Exited with code {code}; restart {deployment.restarts} of {MAX_RESTARTS}")
            await asyncio.sleep(RESTART_SECONDS / 4)

    async def _retire(self, application: Application) -> None:
        await application.stop()
        self._applications.discard(application)

    async def _switch(self, application: Application, deployment: Deployment) -> None:
        """Send requests to the new deployment, and stop the one before."""
        before, before_application, keeper = self.serving, self._application, self._keeper
        self.serving, self._application = deployment, application
        deployment.become("SUCCESS", "RUNNING")
        self._keeper = asyncio.create_task(self._keep_alive(application, deployment))
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        if before is not None and before_application is not None:
            await self._retire(before_application)
            before.become("REMOVED", "REMOVED")

    async def _keep_alive(self, application: Application, deployment: Deployment) -> None:
        while True:
            code = await application.wait()
            if deployment.restarts == MAX_RESTARTS:
                deployment.say(f"Exited with code {code}; no restarts left")
                deployment.become("CRASHED", "CRASHED")
                return
            deployment.restarts += 1
            deployment.instance_status = "RESTARTING"
            deployment.say(f"Exited with code {code}; restart {deployment.restarts} of {MAX_RESTARTS}")
            await asyncio.sleep(RESTART_SECONDS)
            try:
                await application.start()
            except OSError as error:  # it has deleted its own folder, for one
                deployment.say(f"Cannot start: {error.strerror}: {error.filename}", "error")
                deployment.become("CRASHED", "CRASHED")
                return
            if await application.listens(START_SECONDS):
                deployment.instance_status = "RUNNING"

    def _check_out(self, commit: str, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        archive = subprocess.run(
            ["git", f"--git-dir={self.spec.git_dir}", "archive", "--format=tar", commit],
            check=True,
            capture_output=True,
        )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(folder, filter="data")

    def _meta(self, commit: str) -> dict[str, object]:
        message, author = self._git("show", "-s", "--format=%B%x00%an", commit).split("\0")
        return {
            "reason": "deploy",
            "repo": self.spec.repo,
            "branch": self.spec.branch,
            "commitHash": commit,
            "commitMessage": message.strip(),
            "commitAuthor": author.strip(),
            "rootDirectory": self.spec.root_directory or None,
            "serviceManifest": {
                "build": {"builder": "RAILPACK"},
                "deploy": {"startCommand": shlex.join(self.spec.start_command), "numReplicas": 1},
            },
        }

    def _head(self) -> str:
        """Return the branch's commit; looked up each second, so without git where it is a file of its own."""
        ref = f"refs/heads/{self.spec.branch}"
        with suppress(OSError):
            return (self.spec.git_dir / ref).read_text().strip()
        return self._git("rev-parse", ref)

    def _git(self, *arguments: str) -> str:
        command = ["git", f"--git-dir={self.spec.git_dir}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
