"""One call of a tool through a gateway, as a coding agent makes it: whether a model can code at all."""

import tempfile
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
    path, body = _PROBES[model.dialect]
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
    return _calls(response.json())


def _calls(answer: Any) -> bool:
    """Whether an answer of any dialect names the tool: nothing else in it has that name."""
    if isinstance(answer, dict):
        return answer.get("name") == TOOL or any(map(_calls, answer.values()))
    return isinstance(answer, list) and any(map(_calls, answer))


def _words(response: httpx.Response) -> str:
    try:
        error = response.json()
        error = error[0] if isinstance(error, list) else error
        return str(error["error"]["message"])[:300]
    except (ValueError, LookupError, TypeError):
        return response.text[:300]


_SAID = [{"role": "user", "content": SAYS}]
_CHAT = "/chat/completions", {"messages": _SAID, "tools": [{"type": "function", "function": _FUNCTION}]}
_PROBES: dict[Dialect, tuple[str, Json]] = {
    Dialect.CHAT: _CHAT,
    Dialect.OPENROUTER: _CHAT,
    Dialect.RESPONSES: (
        "/responses",
        {
            "input": _SAID,
            "tools": [{"type": "function", **_FUNCTION}],
            "include": ["reasoning.encrypted_content"],  # as OpenCode asks, since nothing is stored
        },
    ),
    Dialect.MESSAGES: (
        "/messages",
        {"messages": _SAID, "tools": [{"name": TOOL, "description": _ABOUT, "input_schema": _SCHEMA}]},
    ),
    Dialect.GEMINI: (
        "/models/any:generateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": SAYS}]}],
            "tools": [{"functionDeclarations": [_FUNCTION]}],
        },
    ),
}
