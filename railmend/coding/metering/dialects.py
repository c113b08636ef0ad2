"""Which API a model is spoken to by, and how each kind of provider is reached."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit


class Dialect(StrEnum):
    """OpenAI's chat completions (which most copy) and responses, Anthropic's messages, Gemini's own API.

    OpenRouter's are chat completions with thoughts that have to come back.
    """

    CHAT = "chat"
    OPENROUTER = "openrouter"
    RESPONSES = "responses"
    MESSAGES = "messages"
    GEMINI = "gemini"


class ModelProvider(NamedTuple):
    """`base_url`: the coding agent's address; `version`: the path that one without any needs.

    `diagnosis_has_version`: whether litellm wants that path too, or adds its own; it wants it for responses.
    """

    base_url: str | None
    dialect: Dialect = Dialect.CHAT
    version: str = "/v1"
    diagnosis_has_version: bool = True


# By the prefix of MODEL, as litellm writes it; another one is a server that speaks as OpenAI does.
PROVIDERS: Mapping[str, ModelProvider] = {
    "openai": ModelProvider("https://api.openai.com/v1", Dialect.RESPONSES),
    "anthropic": ModelProvider("https://api.anthropic.com/v1", Dialect.MESSAGES, diagnosis_has_version=False),
    "gemini": ModelProvider("https://generativelanguage.googleapis.com/v1beta", Dialect.GEMINI, "/v1beta"),
    "azure": ModelProvider(None, Dialect.RESPONSES, "/openai/v1", diagnosis_has_version=False),
    "openrouter": ModelProvider("https://openrouter.ai/api/v1", Dialect.OPENROUTER, "/api/v1"),
    "groq": ModelProvider("https://api.groq.com/openai/v1"),
    "mistral": ModelProvider("https://api.mistral.ai/v1"),
    "deepseek": ModelProvider("https://api.deepseek.com/v1"),
    "xai": ModelProvider("https://api.x.ai/v1"),
    "ollama": ModelProvider("http://localhost:11434/v1", diagnosis_has_version=False),
    "ollama_chat": ModelProvider("http://localhost:11434/v1", diagnosis_has_version=False),
}
# Their keys are no bearer tokens, and the coding agent's gateway does not sign requests.
_BY_A_PROXY = (
    "run a LiteLLM proxy with those credentials, and set MODEL=openai/NAME with MODEL_BASE_URL to its address"
)
REFUSED: Mapping[str, str] = {
    "bedrock": f"Amazon Bedrock is not reached directly: {_BY_A_PROXY}.",
    "vertex_ai": "Vertex AI is not reached directly: set MODEL=gemini/NAME with a key of Google AI Studio, "
    f"or {_BY_A_PROXY}.",
    "sagemaker": f"Amazon SageMaker is not reached directly: {_BY_A_PROXY}.",
    "google": "litellm calls Google's models gemini/NAME: set MODEL so.",
}
_ALIASES = {"vertex_ai_beta": "vertex_ai", "vertex": "vertex_ai", "bedrock_converse": "bedrock"}
_OPENROUTER_HOST = "openrouter.ai"
# Where OpenAI's own API answers; a server that copies it knows chat completions alone.
_OPENAI_HOSTS = (
    "api.openai.com",
    ".openai.azure.com",
    ".services.ai.azure.com",
    ".cognitiveservices.azure.com",
)


class Reach(NamedTuple):
    """Where a model is: for the coding agent, and for diagnoses (None: litellm knows it)."""

    model_id: str
    dialect: Dialect
    coding_url: str
    diagnosis_url: str | None


def reach(model: str, base_url: str | None, dialect: Dialect | None = None) -> Reach:
    """Return how MODEL is reached, at MODEL_BASE_URL where one is set. Raise `ValueError` with what to do.

    One base URL serves both halves, whether or not it ends with the version that one of them adds itself.
    """
    refuse_unreachable(model)
    prefix, _, name = model.rpartition("/") if "/" not in model else model.partition("/")
    known = PROVIDERS.get(prefix, ModelProvider(None))
    if base_url is None:
        if known.base_url is None:
            raise ValueError(f"MODEL={model} needs an address: set MODEL_BASE_URL.")
        return Reach(name, dialect or known.dialect, known.base_url, None)
    chosen = dialect or _dialect_at(base_url, known.dialect)
    with_version = _with_version(base_url, known.version)
    bare = with_version.removesuffix(known.version)
    versioned = known.diagnosis_has_version or chosen is Dialect.RESPONSES
    return Reach(name, chosen, with_version, with_version if versioned else bare)


def own_dialect(model: str) -> Dialect:
    """Return how a provider is asked at its own address, where that is known."""
    known = PROVIDERS.get(model.partition("/")[0], ModelProvider(None))
    return known.dialect if known.base_url else Dialect.CHAT


def refuse_unreachable(model: str) -> None:
    """Raise `ValueError` with what to do, where a provider cannot be reached by an address and a key."""
    prefix = model.partition("/")[0]
    refused = REFUSED.get(_ALIASES.get(prefix, prefix)) if "/" in model else None
    if refused:
        raise ValueError(f"MODEL={model}: {refused}")


def _dialect_at(base_url: str, dialect: Dialect) -> Dialect:
    host = urlsplit(base_url).hostname or ""
    if host == _OPENROUTER_HOST:
        return Dialect.OPENROUTER
    theirs = any(host == each or (each[0] == "." and host.endswith(each)) for each in _OPENAI_HOSTS)
    return Dialect.CHAT if dialect is Dialect.RESPONSES and not theirs else dialect


def _with_version(base_url: str, version: str) -> str:
    """Return the address with a path: the given one where it has none."""
    trimmed = base_url.rstrip("/")
    return trimmed if urlsplit(trimmed).path else f"{trimmed}{version}"
