"""Gemini's own API. The model stands in the address; a thought's signature belongs to its part."""

from typing import Annotated, Any, Literal

from pydantic import StrictBool, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from hosting.gateway.requests.allowed import LEFT_OUT, Allowed, AllowedRequest, Json, Word, capped
from railmend.coding.metering import ModelEndpoint

_ATTACHED = frozenset({"inlineData", "fileData", "executableCode", "codeExecutionResult"})


class GeminiCall(Allowed):
    id: str | None = None
    name: str
    args: Json | None = None


class GeminiResult(Allowed):
    id: str | None = None
    name: str
    response: Json


class GeminiPart(Allowed):
    text: str | None = None
    thought: StrictBool | None = None
    thoughtSignature: str | None = None  # noqa: N815 - Gemini's name
    functionCall: GeminiCall | None = None  # noqa: N815
    functionResponse: GeminiResult | None = None  # noqa: N815


def _part_or_note(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    attached = isinstance(value, dict) and not _ATTACHED.isdisjoint(value)
    return read({"text": LEFT_OUT} if attached else value)


class GeminiContent(Allowed):
    role: Literal["user", "model"] | None = None
    parts: list[Annotated[GeminiPart, WrapValidator(_part_or_note)]]


class GeminiFunction(Allowed):
    name: str
    description: str | None = None
    parameters: Json | None = None
    parametersJsonSchema: Json | None = None  # noqa: N815


class GeminiTools(Allowed):
    functionDeclarations: list[GeminiFunction]  # noqa: N815


class GeminiCalling(Allowed):
    mode: Literal["AUTO", "ANY", "NONE", "VALIDATED"] | None = None
    allowedFunctionNames: list[str] | None = None  # noqa: N815


class GeminiToolConfig(Allowed):
    functionCallingConfig: GeminiCalling | None = None  # noqa: N815


class ThinkingConfig(Allowed):
    includeThoughts: StrictBool | None = None  # noqa: N815
    thinkingBudget: int | None = None  # noqa: N815
    thinkingLevel: Word | None = None  # noqa: N815


class GenerationConfig(Allowed):
    temperature: float | None = None
    topP: float | None = None  # noqa: N815
    topK: int | None = None  # noqa: N815
    stopSequences: list[str] | None = None  # noqa: N815
    thinkingConfig: ThinkingConfig | None = None  # noqa: N815
    maxOutputTokens: Any = None  # noqa: N815


class GeminiRequest(AllowedRequest):
    optional = (
        *("generationConfig.thinkingConfig.thinkingLevel", "generationConfig.thinkingConfig.thinkingBudget"),
        *("generationConfig.thinkingConfig", "generationConfig.topK", "generationConfig.topP"),
        *("generationConfig.temperature", "toolConfig"),
    )

    contents: list[GeminiContent]
    systemInstruction: GeminiContent | None = None  # noqa: N815
    tools: list[GeminiTools] | None = None
    toolConfig: GeminiToolConfig | None = None  # noqa: N815
    generationConfig: GenerationConfig = GenerationConfig()  # noqa: N815

    def body(self, model: ModelEndpoint) -> Json:
        body = self.written("stream")
        options = body.get("generationConfig") or {}
        cap = capped(model, self.generationConfig.maxOutputTokens)
        return body | {"generationConfig": {**options, "maxOutputTokens": cap, "candidateCount": 1}}
