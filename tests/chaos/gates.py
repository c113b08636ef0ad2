"""Gates: a repair is held at a point, seen from outside, until the gate is opened.

What passes through a gate is a request to the forge or to the model, or a program in the agent's sandbox.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Event, Thread
from typing import Protocol

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from activities.coding_environment import CHECKOUT

# Method, path with its query, body.
Matches = Callable[[str, str, bytes], bool]


class Gate(Protocol):
    def reached(self) -> bool: ...

    def open(self) -> None: ...


@dataclass(frozen=True)
class StateGate:
    """For a state in which a repair lies still by itself."""

    reached: Callable[[], bool]

    def open(self) -> None: ...


class RequestGate:
    """Holds every request that matches, the repeated ones too, before it is served."""

    def __init__(self, matches: Matches) -> None:
        self.matches = matches
        self._waiting = 0
        self._open = Event()

    def reached(self) -> bool:
        return self._waiting > 0

    def open(self) -> None:
        self._open.set()

    async def passes(self, request: Request) -> bool:
        """Wait until it is open. False: whoever asked has gone meanwhile."""
        self._waiting += 1
        try:
            while not self._open.is_set():
                if await request.is_disconnected():
                    return False
                await asyncio.sleep(0.02)
            return not await request.is_disconnected()
        finally:
            self._waiting -= 1


class Gated:
    """Middleware of a server that others talk to: `gates` may change while it serves."""

    def __init__(self, app: ASGIApp, gates: list[RequestGate]) -> None:
        self._app = app
        self._gates = gates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        target = f"{request.url.path}?{request.url.query}"
        for gate in tuple(self._gates):
            if gate.matches(request.method, target, body) and not await gate.passes(request):
                await send({"type": "http.response.start", "status": 499, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return

        pending = [body]

        async def again() -> Message:
            if pending:
                return {"type": "http.request", "body": pending.pop(), "more_body": False}
            return await receive()

        await self._app(scope, again, send)


class SandboxGate:
    """For a program in the sandbox that leaves `held-<name>` in its home and waits there for `go-<name>`.

    Each run of a check has a home of its own, and the session's is emptied before each start: so the gate
    looks for it in all of the repair's folders, and once open it stays so for every later one. It is not
    reached by what was held when the gate was made, and died.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = name
        self._folders = (root, root.with_name(root.name + CHECKOUT))
        self._before = self._held()

    def _held(self) -> dict[Path, int]:
        """Return the homes, and when it was left there."""
        held = {}
        for folder, _, files in chain.from_iterable(map(os.walk, self._folders)):
            if f"held-{self._name}" in files:
                with suppress(OSError):
                    held[Path(folder)] = Path(folder, f"held-{self._name}").stat().st_mtime_ns
        return held

    def reached(self) -> bool:
        return bool(self._held().items() - self._before.items())

    def open(self) -> None:
        Thread(target=self._stay_open, daemon=True).start()

    def _stay_open(self) -> None:
        while self._root.exists():
            for home in self._held():
                with suppress(OSError):
                    (home / f"go-{self._name}").touch()
            time.sleep(0.2)


def waits(name: str) -> str:
    """Return what such a program runs; a shell with the agent's home."""
    return f'touch "$HOME/held-{name}"; until [ -e "$HOME/go-{name}" ]; do sleep 0.1; done'
