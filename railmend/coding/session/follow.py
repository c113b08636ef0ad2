"""Drives one coding session: find or create, prompt once, follow to an end, with limits of our own."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict

from railmend.coding.metering.meter import SessionLimits, Usage
from railmend.coding.sandbox.bounded_http import load_json
from railmend.coding.session.opencode import AGENT, PROVIDER
from railmend.contracts.repair import CodingResult, CodingState
from railmend.evidence.redact import redact

MAX_TEXT = 4000
MAX_TODO = 200
MAX_RESUMES = 3
# Accepted, never busy and without an answer for this long: the server dropped the prompt.
NEVER_STARTED_SECONDS = 20.0
REFUSAL = "Nobody is there to answer: not allowed. Go on without it."


class SessionLost(Exception):
    """The server does not answer; a new attempt starts it again on the same state."""

    retryable = True


class SessionRefused(Exception):
    """The server cannot run the session, and trying again cannot help."""

    retryable = False


@dataclass(frozen=True)
class Task:
    """What is asked. `key` names the session; each `turn` is one message of it.

    `opening`: sent first where the session of this turn was lost with its machine.
    """

    work_tree: str
    key: str
    title: str
    prompt: str
    turn: int = 0
    opening: str = ""


class SessionProgress(BaseModel):
    session_id: str
    model_calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    tool: str = ""
    todo: str = ""  # how far the agent's own list is, and what it is at


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Time(_Lenient):
    completed: float | None = None


class _Tokens(_Lenient):
    input: float = 0
    output: float = 0


class _Error(_Lenient):
    name: str = ""
    data: dict[str, Any] = {}


class _Info(_Lenient):
    id: str
    time: _Time = _Time()
    parentID: str | None = None  # noqa: N815 - the server's name
    finish: str | None = None
    error: _Error | None = None
    cost: float = 0
    tokens: _Tokens = _Tokens()


class _Message(_Lenient):
    info: _Info
    parts: list[dict[str, Any]] = []


class _Todo(_Lenient):
    content: str = ""
    status: str = ""


def ids(key: str, turn: int = 0) -> tuple[str, str]:
    """Return message and part id of the prompt: sent again, they continue the run instead of repeating it."""
    digest = hashlib.sha256((f"{key}/{turn}" if turn else key).encode()).hexdigest()[:26]
    return f"msg_{digest}", f"prt_{digest}"


def todo(tools: list[dict[str, Any]]) -> str:
    """Return the newest list that the agent wrote, as "2 of 5 done: what it is at"; empty without one."""
    lists = [(part.get("state") or {}).get("input") for part in tools if part.get("tool") == "todowrite"]
    try:
        items = [_Todo.model_validate(item) for item in lists[-1]["todos"]]  # type: ignore[index]
    except (LookupError, TypeError, ValueError):
        return ""  # none yet, or a model's nonsense
    done = sum(item.status == "completed" for item in items)
    at = [item.content for state in ("in_progress", "pending") for item in items if item.status == state]
    now = f": {at[0][: 2 * MAX_TODO]}" if at else ""
    return redact(f"{done} of {len(items)} done{now}")[:MAX_TODO]


class _Session:
    """One session on one server; every call may raise `httpx.HTTPError`."""

    def __init__(self, client: httpx.AsyncClient, task: Task) -> None:
        self._client = client
        self._query = {"directory": task.work_tree}
        self._task = task
        self.id = ""
        self.message_id, self._part_id = ids(task.key, task.turn)

    async def _get(self, path: str, **query: str) -> Any:
        response = await self._client.get(path, params={**self._query, **query})
        return await self._value(response)

    async def _value(self, response: httpx.Response) -> Any:
        """Raise `SessionLost` for what is no JSON that can be held in memory."""
        raw = response.raise_for_status().content
        try:
            return await asyncio.to_thread(load_json, raw)
        except ValueError as error:
            raise SessionLost(f"OpenCode's answer is not understood: {error}") from error

    async def find_or_create(self) -> None:
        for session in await self._get("/session", roots="true", limit="1000"):
            if (session.get("metadata") or {}).get("key") == self._task.key:
                self.id = session["id"]
                return
        body = {"title": self._task.title, "metadata": {"key": self._task.key}}
        response = await self._client.post("/session", params=self._query, json=body)
        self.id = (await self._value(response))["id"]

    async def model_id(self) -> str:
        """Asked first: a prompt for an unknown model is accepted and then never answered."""
        providers = (await self._get("/config/providers"))["providers"]
        models = [model for p in providers if p["id"] == PROVIDER for model in p["models"]]
        agents = [agent["name"] for agent in await self._get("/agent")]
        if not models or AGENT not in agents:
            raise SessionRefused(f"The OpenCode server has no provider and agent named `{PROVIDER}`.")
        return str(models[0])

    async def prompt(self, model_id: str) -> None:
        task = self._task
        lost = task.opening and not await self._get(f"/session/{self.id}/message")
        text = f"{task.opening}\n\n{task.prompt}" if lost else task.prompt
        body = {
            "messageID": self.message_id,
            "agent": AGENT,
            "model": {"providerID": PROVIDER, "modelID": model_id},
            "parts": [{"id": self._part_id, "type": "text", "text": text}],
        }
        path = f"/session/{self.id}/prompt_async"
        (await self._client.post(path, params=self._query, json=body)).raise_for_status()

    async def answers(self) -> list[_Message]:
        rows = await self._get(f"/session/{self.id}/message")
        messages = [_Message.model_validate(row) for row in rows]
        return [message for message in messages if message.info.parentID == self.message_id]

    async def busy(self) -> bool:
        return self.id in await self._get("/session/status")

    async def refuse_questions(self) -> None:
        for kind, suffix in (("permission", "reply"), ("question", "reject")):
            for asked in await self._get(f"/{kind}"):
                if asked["sessionID"] == self.id:
                    body = {"reply": "reject", "message": REFUSAL} if kind == "permission" else None
                    path = f"/{kind}/{asked['id']}/{suffix}"
                    (await self._client.post(path, params=self._query, json=body)).raise_for_status()

    async def abort(self) -> None:
        await self._client.post(f"/session/{self.id}/abort", params=self._query)


async def follow(
    client: httpx.AsyncClient,
    task: Task,
    limits: SessionLimits,
    on_progress: Callable[[SessionProgress], None],
    usage: Callable[[], Usage | None] = lambda: None,
    poll_seconds: float = 0.5,
) -> CodingResult:
    """Run the prompt to its end. Called again with the same key and turn it finds the session and goes on.

    `usage`: what the gateway counted; without it OpenCode's own figures are taken. Raises `SessionLost`
    when the server stops answering. Cancelling aborts the session.
    """
    session = _Session(client, task)
    follower = _Follower(session, limits, on_progress, usage, poll_seconds)
    try:
        await session.find_or_create()
        return await follower.run()
    except asyncio.CancelledError:
        if session.id:
            await asyncio.shield(session.abort())
        raise
    except httpx.HTTPStatusError as error:
        raise SessionLost(
            f"OpenCode answered {error.response.status_code}: {error.response.text[:300]}"
        ) from error
    except httpx.TransportError as error:
        raise SessionLost(f"OpenCode stopped answering ({type(error).__name__}: {error}).") from error


@dataclass
class _Follower:
    session: _Session
    limits: SessionLimits
    on_progress: Callable[[SessionProgress], None]
    usage: Callable[[], Usage | None]
    poll_seconds: float

    def __post_init__(self) -> None:
        self._began = self._changed = time.monotonic()
        self._signature: tuple[Any, ...] = ()
        self._posts = 0
        self._posted_at = 0.0

    async def run(self) -> CodingResult:
        model_id = await self.session.model_id()
        while True:
            answers = await self.session.answers()
            busy = await self.session.busy()
            progress = self._note(answers)
            ended = None if busy else self._ended(answers, progress)
            if ended is not None:
                return ended
            if (reason := self._exceeded(progress)) is not None:
                await self.session.abort()
                return self._result(CodingState.ABORTED, progress, answers, reason)
            if busy:
                await self.session.refuse_questions()
            elif self._may_post(answers):
                await self.session.prompt(model_id)
                self._posts += 1
                self._posted_at = time.monotonic()
            await asyncio.sleep(self.poll_seconds)

    def _may_post(self, answers: list[_Message]) -> bool:
        """Return whether to send the prompt: at first and after an interruption, not while one starts."""
        if self._posts == 0:
            return True
        return self._posts <= MAX_RESUMES and time.monotonic() - self._posted_at > NEVER_STARTED_SECONDS

    def _note(self, answers: list[_Message]) -> SessionProgress:
        infos = [message.info for message in answers]
        tools = [p for message in answers for p in message.parts if p.get("type") == "tool"]
        counted = self.usage()
        if counted is None:
            tokens = int(sum(info.tokens.input + info.tokens.output for info in infos))
            cost = sum(info.cost for info in infos)
            counted = Usage(model_calls=len(infos), input_tokens=tokens, cost_usd=cost)
        progress = SessionProgress(
            session_id=self.session.id,
            model_calls=counted.model_calls,
            tokens=counted.tokens,
            cost_usd=counted.cost_usd,
            tool=str(tools[-1].get("tool", "")) if tools else "",
            todo=todo(tools),
        )
        size = sum(len(str(part)) for message in answers for part in message.parts)
        signature = (len(infos), len(tools), size)
        if signature != self._signature:
            self._signature, self._changed = signature, time.monotonic()
        self.on_progress(progress)
        return progress

    def _ended(self, answers: list[_Message], progress: SessionProgress) -> CodingResult | None:
        """Return the result if the messages show one; the status is empty before and after a run."""
        last = answers[-1].info if answers else None
        if last is None or last.time.completed is None:
            if self._posts > MAX_RESUMES:
                reason = "The session was interrupted too often."
                return self._result(CodingState.FAILED, progress, answers, reason)
            return None
        if last.error is None and last.finish == "stop":
            return self._result(CodingState.DONE, progress, answers, None)
        if (refused := self._refused()) is not None:
            return self._result(CodingState.ABORTED, progress, answers, refused)
        if self._posts == 0:
            return None  # an earlier attempt's failure: the prompt is sent once more, and continues
        if last.error is not None:
            reason = f"{last.error.name}: {last.error.data.get('message', '')}"
        else:
            reason = f"The model ended with finish={last.finish}."
        return self._result(CodingState.FAILED, progress, answers, reason[:500])

    def _refused(self) -> str | None:
        counted = self.usage()
        return counted.refused if counted else None

    def _exceeded(self, progress: SessionProgress) -> str | None:
        if (refused := self._refused()) is not None:
            return refused
        now, limits = time.monotonic(), self.limits
        if now - self._began > limits.seconds:
            return f"time: longer than {limits.seconds:.0f} s"
        if progress.model_calls > limits.model_calls:
            return f"calls: more than {limits.model_calls} model calls"
        if progress.tokens > limits.tokens:
            return f"tokens: more than {limits.tokens} tokens"
        if progress.cost_usd > limits.cost_usd:
            return f"cost: more than {limits.cost_usd} USD"
        if now - self._changed > limits.stall_seconds:
            return f"stall: no progress for {limits.stall_seconds:.0f} s"
        return None

    def _result(
        self, state: CodingState, progress: SessionProgress, answers: list[_Message], reason: str | None
    ) -> CodingResult:
        texts = [p.get("text", "") for p in answers[-1].parts if p.get("type") == "text"] if answers else []
        return CodingResult(
            state=state,
            session_id=progress.session_id,
            text=redact("".join(texts).strip())[:MAX_TEXT],
            reason=reason,
            model_calls=progress.model_calls,
            tokens=progress.tokens,
            cost_usd=progress.cost_usd,
        )
