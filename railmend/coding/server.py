"""One OpenCode server per repair: private state, its own password, an environment built from nothing."""

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr

from railmend.processes import started

VERSION = "1.18.33"
READY_SECONDS = 60
AGENT = "railmend"
PROVIDER = "railmend"
AGENT_PROMPT = (
    "You are a careful software engineer. Change as little as needed, and say honestly what you did."
)
# Nothing is left on "ask": nobody is there to answer. This guides the agent; it is no boundary.
PERMISSIONS: dict[str, Any] = {
    "*": "deny",
    "read": {"*": "allow", "*.env": "deny", "*.env.*": "deny", "*.env.example": "allow"},
    "edit": "allow",
    "glob": "allow",
    "grep": "allow",
    "list": "allow",
    "todowrite": "allow",
    "bash": {"*": "allow", "*git push*": "deny"},
    **dict.fromkeys(
        ("external_directory", "webfetch", "websearch", "question", "task", "skill", "doom_loop"), "deny"
    ),
}


class ServerError(Exception):
    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class ModelEndpoint(BaseModel):
    """An OpenAI-compatible address. Costs in USD per million tokens, limits in tokens."""

    model_config = ConfigDict(frozen=True)

    base_url: str
    model_id: str
    api_key: SecretStr
    input_cost: float = 0.0
    output_cost: float = 0.0
    context_limit: int = 128_000
    output_limit: int = 8192


class Record(BaseModel):
    """Written when the server is started, so that the next attempt finds it. `started`: clock ticks."""

    pid: int
    port: int
    password: str
    started: int


class CodingServer(Protocol):
    """What a session needs of a server, wherever it runs."""

    @property
    def base_url(self) -> str: ...

    @property
    def password(self) -> str: ...

    async def start_or_adopt(self) -> None: ...

    async def stop(self) -> None: ...


class RunningServer:
    """A server that somebody else runs, on the same files: OPENCODE_URL. It is never stopped from here."""

    def __init__(self, base_url: str, password: SecretStr | None) -> None:
        self.base_url = base_url.rstrip("/")
        self.password = password.get_secret_value() if password else ""

    async def start_or_adopt(self) -> None:
        if not await _healthy(self.base_url, self.password):
            raise ServerError(
                f"No OpenCode server answers at {self.base_url}: start it, or unset OPENCODE_URL."
            )

    async def stop(self) -> None:
        """Its owner's business."""


async def _healthy(base_url: str, password: str) -> bool:
    """A new connection each time: one made the moment the port opens is never answered."""
    try:
        async with httpx.AsyncClient(auth=("opencode", password), timeout=1.0) as client:
            response = await client.get(f"{base_url}/global/health")
    except httpx.HTTPError:
        return False
    return response.status_code == httpx.codes.OK


class Launcher(Protocol):
    """Decides how the server's command is run; a sandbox wraps it here."""

    def command(self, arguments: list[str]) -> list[str]: ...


class DirectLauncher:
    """No fence: the command as it is."""

    def command(self, arguments: list[str]) -> list[str]:
        return arguments


def _read(file: Path) -> Record | None:
    try:
        record = Record.model_validate_json(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return record if started(record.pid) == record.started else None


def _kill(record: Record) -> None:
    with suppress(ProcessLookupError):
        os.killpg(record.pid, signal.SIGKILL)


def stop_leftovers(state_root: Path) -> None:
    """Kill every server whose record remains under `state_root`."""
    for file in state_root.glob("*/opencode/server.json"):
        if record := _read(file):
            _kill(record)
        file.unlink(missing_ok=True)


class OpenCodeServer:
    def __init__(
        self,
        state_dir: Path,
        work_tree: Path,
        binary: Path,
        tools_path: str,
        model: ModelEndpoint,
        launcher: Launcher | None = None,
    ) -> None:
        self._state = state_dir
        self._tree = work_tree
        self._binary = binary
        self._tools_path = tools_path
        self._model = model
        self._launcher = launcher or DirectLauncher()
        self._record: Record | None = None
        self._file = state_dir / "server.json"

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._known().port}"

    @property
    def password(self) -> str:
        return self._known().password

    def _known(self) -> Record:
        if self._record is None:
            raise ServerError("The OpenCode server is not started.")
        return self._record

    async def start_or_adopt(self) -> None:
        """Adopt the server an earlier attempt left, if it answers; else start one on the same state."""
        if not self._tree.is_dir():
            raise ServerError(f"The work tree of {self._state.parent.name} is gone.", retryable=False)
        self._state.mkdir(parents=True, exist_ok=True)
        if record := _read(self._file):
            self._record = record
            if await _healthy(self.base_url, self.password):
                return
            _kill(record)
        self._record = await asyncio.to_thread(self._start)
        for _ in range(READY_SECONDS * 5):
            if await _healthy(self.base_url, self.password):
                return
            if started(self._record.pid) is None:
                raise ServerError(f"OpenCode ended at once: see {self._state.name}/server.log.")
            await asyncio.sleep(0.2)
        await self.stop()
        raise ServerError(f"OpenCode did not come up within {READY_SECONDS} s.")

    def _start(self) -> Record:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        password = secrets.token_urlsafe(24)
        self._provision()
        with (self._state / "server.log").open("ab") as log:
            process = subprocess.Popen(
                self._launcher.command(
                    [str(self._binary), "serve", "--port", str(port), "--hostname", "127.0.0.1"]
                ),
                cwd=self._tree,
                env=self._environment(password),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        record = Record(pid=process.pid, port=port, password=password, started=started(process.pid) or 0)
        partial = self._file.with_suffix(".tmp")
        partial.touch(mode=0o600)
        partial.write_text(record.model_dump_json())
        partial.replace(self._file)
        return record

    def _provision(self) -> None:
        """Without these OpenCode installs a plugin package over the network at first use."""
        folder = self._state / "config" / "opencode"
        (folder / "node_modules").mkdir(parents=True, exist_ok=True)
        needs = {"dependencies": {"@opencode-ai/plugin": VERSION}}
        (folder / "package.json").write_text(json.dumps(needs))
        lock = {"name": "x", "lockfileVersion": 3, "requires": True, "packages": {"": needs}}
        (folder / "package-lock.json").write_text(json.dumps(lock))

    def _environment(self, password: str) -> dict[str, str]:
        home = self._state
        flags = (
            *("MODELS_FETCH", "AUTOUPDATE", "LSP_DOWNLOAD", "SHARE", "PROJECT_CONFIG", "CLAUDE_CODE"),
            *("DEFAULT_PLUGINS", "EXTERNAL_SKILLS"),
        )
        return {
            "PATH": f"{self._tools_path}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            **{f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in ("config", "data", "state", "cache")},
            **{f"OPENCODE_DISABLE_{flag}": "1" for flag in flags},
            "OPENCODE_SERVER_PASSWORD": password,
            "OPENCODE_CONFIG_CONTENT": json.dumps(self._config()),
            "MODEL_KEY": self._model.api_key.get_secret_value(),
            "GIT_EDITOR": "true",
            "GIT_TERMINAL_PROMPT": "0",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",  # tests that the agent runs leave nothing behind
        }

    def _config(self) -> dict[str, Any]:
        model = self._model
        name = f"{PROVIDER}/{model.model_id}"
        return {
            "autoupdate": False,
            "share": "disabled",
            "snapshot": False,
            "model": name,
            "small_model": name,
            "enabled_providers": [PROVIDER],
            "default_agent": AGENT,
            "provider": {
                PROVIDER: {
                    "npm": "@ai-sdk/openai-compatible",
                    "name": "Railmend",
                    # No `timeout`: it would kill long good answers. These two end a hanging one.
                    "options": {
                        "baseURL": model.base_url,
                        "apiKey": "{env:MODEL_KEY}",
                        "headerTimeout": 120_000,
                        "chunkTimeout": 120_000,
                    },
                    "models": {
                        model.model_id: {
                            "name": model.model_id,
                            "tool_call": True,
                            "limit": {"context": model.context_limit, "output": model.output_limit},
                            "cost": {"input": model.input_cost, "output": model.output_cost},
                        }
                    },
                }
            },
            "agent": {AGENT: {"mode": "primary", "description": "mends code", "prompt": AGENT_PROMPT}},
            "permission": PERMISSIONS,
        }

    async def stop(self) -> None:
        """The whole process group; the state stays for the next attempt."""
        if self._record is not None:
            _kill(self._record)
            self._record = None
        self._file.unlink(missing_ok=True)
