"""One call of a tool through a gateway, as a coding agent makes it: whether a model can code at all."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from hosting.gateway.model_gateway import ModelGateway
from railmend.coding.metering.dialects import Dialect
from railmend.coding.metering.meter import ModelEndpoint, SessionLimits
from railmend.coding.sandbox.interface import GATEWAY_SOCKET, RepairPaths, short_path

Json = dict[str, Any]
TOOL, KEY = "report", "probe"
SAYS = "Call the tool report with the word yes. Do not answer in text."
_ABOUT = "Reports one word."
_SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
_FUNCTION = {"name": TOOL, "description": _ABOUT, "parameters": _SCHEMA}


class ProbeFailed(Exception):
    """The model, or its provider, refused; the message is its own."""


async def probe(model: ModelEndpoint, limits: SessionLimits) -> bool:
    """Return whether the model calls the tool that it is asked to. Raise `ProbeFailed`."""
    path, body, called = _PROBES[model.dialect]
    with tempfile.TemporaryDirectory() as folder:
        paths, gateway = RepairPaths(Path(folder) / "probe"), ModelGateway(model, limits)
        paths.create()
        await gateway.open(paths, KEY)
        try:
            with short_path(paths.sockets, GATEWAY_SOCKET) as socket:
                transport = httpx.AsyncHTTPTransport(uds=socket)
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://gateway/v1", timeout=limits.stall_seconds
                ) as client:
                    headers = {"Authorization": f"Bearer {KEY}"}
                    response = await client.post(path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise ProbeFailed(f"The gateway does not answer ({type(error).__name__}).") from error
        finally:
            await gateway.close()
    if response.status_code != httpx.codes.OK:
        raise ProbeFailed(f"{model.model_id} answered {response.status_code}: {_words(response)}")
    return TOOL in called(response.json())


def _words(response: httpx.Response) -> str:
    try:
        error = response.json()
        error = error[0] if isinstance(error, list) else error
        return str(error["error"]["message"])[:300]
    except (ValueError, LookupError, TypeError):
        return response.text[:300]


def _chat(answer: Json) -> list[str]:
    calls = answer["choices"][0]["message"].get("tool_calls") or []
    return [call["function"]["name"] for call in calls]


def _responses(answer: Json) -> list[str]:
    return [item["name"] for item in answer.get("output", []) if item.get("type") == "function_call"]


def _messages(answer: Json) -> list[str]:
    return [block["name"] for block in answer.get("content", []) if block.get("type") == "tool_use"]


def _gemini(answer: Json) -> list[str]:
    parts = answer["candidates"][0]["content"].get("parts") or []
    return [part["functionCall"]["name"] for part in parts if "functionCall" in part]


_SAID = [{"role": "user", "content": SAYS}]
_Probe = tuple[str, Json, Callable[[Json], list[str]]]
_BY_CHAT: _Probe = (
    "/chat/completions",
    {"messages": _SAID, "tools": [{"type": "function", "function": _FUNCTION}]},
    _chat,
)
_PROBES: dict[Dialect, _Probe] = {
    Dialect.CHAT: _BY_CHAT,
    Dialect.OPENROUTER: _BY_CHAT,
    Dialect.RESPONSES: (
        "/responses",
        {"input": _SAID, "tools": [{"type": "function", **_FUNCTION}]},
        _responses,
    ),
    Dialect.MESSAGES: (
        "/messages",
        {"messages": _SAID, "tools": [{"name": TOOL, "description": _ABOUT, "input_schema": _SCHEMA}]},
        _messages,
    ),
    Dialect.GEMINI: (
        "/models/any:generateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": SAYS}]}],
            "tools": [{"functionDeclarations": [_FUNCTION]}],
        },
        _gemini,
    ),
}
