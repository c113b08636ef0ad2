"""What stand-ins for providers of models share."""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Json = dict[str, Any]
Step = Json  # {"tool": name, "args": {...}}, {"calls": [{"tool": ...}, ...]} or {"text": ...}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
SIGNATURE = "c2lnbmVk"


class Refused(Exception):
    def __init__(self, status: int, body: Json | list[Json]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


class Vendor:
    """What the dialects share. `asked`: every request that came, refused or not; `refusals`: why.

    `thinks`: seconds until anything of an answer is sent.
    """

    route = ""
    fields: frozenset[str] = frozenset()

    def __init__(self, steps: Sequence[Step], key: str) -> None:
        self.steps = steps
        self.key = key
        self.asked: list[Json] = []
        self.refusals: list[str] = []
        self.thinks = 0.0

    def app(self) -> Starlette:
        return Starlette(routes=[Route(self.route, self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        try:
            if not self.authorized(request):
                raise Refused(401, {"error": {"message": "Incorrect API key provided."}})
            self.refuse(body)
        except Refused as refused:
            self.refusals.append(str(refused))
            return JSONResponse(refused.body, refused.status)
        turn = self.turn(body)
        step = self.steps[turn] if turn < len(self.steps) else {"text": "script over"}
        await asyncio.sleep(self.thinks)
        if not self.streamed(request, body):
            return JSONResponse(self.whole(step, turn))
        return StreamingResponse(self._events(step, turn), media_type="text/event-stream")

    def _events(self, step: Step, turn: int) -> Iterator[bytes]:
        for event in self.events(step, turn):
            yield b"data: " + json.dumps(event).encode() + b"\n\n"

    def unknown(self, body: Json) -> list[str]:
        return sorted(set(body) - self.fields)

    def authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.key}"

    def streamed(self, request: Request, body: Json) -> bool:
        return bool(body.get("stream"))

    def refuse(self, body: Json) -> None: ...

    def turn(self, body: Json) -> int:
        raise NotImplementedError

    def whole(self, step: Step, turn: int) -> Json:
        """Return the answer in one piece."""
        raise NotImplementedError

    def events(self, step: Step, turn: int) -> Iterator[Json]:
        raise NotImplementedError


def calls_of(step: Step) -> list[Json]:
    return step.get("calls") or ([step] if "tool" in step else [])
