"""Models of a diagnosis in turns: what a model asks to see, and what it is given."""

from datetime import datetime

from pydantic import Field

from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.base import Contract, OpenEnum
from railmend.contracts.incident import Diagnosis, DiagnosisRequest, EvidencePacket, IncidentRequest


class Tool(OpenEnum):
    """What a model may look at; each only reads."""

    READ_CODE = "read_code"
    SEARCH_CODE = "search_code"
    COMMITS = "commits"
    SHOW_COMMIT = "show_commit"
    LOGS = "logs"
    HTTP = "http"
    METRICS = "metrics"
    DEPLOYMENTS = "deployments"
    CONFIGURATION_DRIFT = "configuration_drift"
    NEIGHBOUR = "neighbour"
    PROVIDER_STATUS = "provider_status"


class EvidenceCall(Contract):
    """One look. `id`: the model's own for it; `arguments`: checked, a time as ISO 8601 with its zone."""

    id: str
    tool: Tool
    arguments: dict[str, str | int] = Field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the call as people and packets name it, such as `read_code app.py 1 40`."""
        return " ".join((self.tool.value, *map(str, self.arguments.values())))


class ToolRequest(Contract):
    """`incident`: an artifact (`IncidentRequest`), so that many calls keep a history short."""

    incident: ArtifactReference
    call: EvidenceCall


class EvidenceResult(Contract):
    """What a call gave: `facts`, an artifact (`Facts`). None: it failed, and `unseen` says why."""

    call_id: str
    facts: ArtifactReference | None = None
    unseen: str = ""


class TurnRequest(Contract):
    """One answer of a model is asked for. The first names the question, later ones the conversation.

    `doubted`: a diagnosis that a second pass shall try to refute; it goes along with each.
    """

    project_id: str
    at: datetime
    question: DiagnosisRequest | None = None
    doubted: Diagnosis | None = None
    conversation: ArtifactReference | None = None
    results: tuple[EvidenceResult, ...] = ()


class Turn(Contract):
    """What one answer led to: `calls` to make, a `diagnosis`, or neither, then the model is asked again.

    `incident`: what the calls are about. `packet`: with the results of all calls, as a diagnosis cites them.
    """

    conversation: ArtifactReference | None = None
    incident: ArtifactReference | None = None
    calls: tuple[EvidenceCall, ...] = ()
    diagnosis: Diagnosis | None = None
    packet: ArtifactReference | None = None


class AskedCall(Contract):
    """A call as a model wrote it, not checked yet. `arguments`: JSON. `signature`: what its provider wants
    back with it, which vouches for the thoughts that led to it; only Gemini's models sign.
    """

    id: str
    name: str
    arguments: str
    signature: str = ""


class ConversationStep(Contract):
    """One part of a conversation after its first message.

    An answer has `text`, and `asked` where it calls tools; `thoughts`, JSON: which model gave it, and what
    that wants back of its thinking. What follows it has `call_id` where it answers a call, and the ids of
    `items` of the packet, or a `text`.
    """

    answer: bool = False
    text: str = ""
    asked: tuple[AskedCall, ...] = ()
    thoughts: str = ""
    call_id: str = ""
    items: tuple[str, ...] = ()


class Conversation(Contract):
    """A diagnosis, or the attempt to refute one, between two turns.

    `shown`: the items of the packet that the first message holds; the rest came from tools. `pending`: calls
    whose results are waited for. `turns`: answers so far; `refused`: conclusions that did not hold.
    `in_words`: the model takes no tools, so they are described to it. `doubled`: it needed twice the room.
    `started`: None: no tool is offered. `usd`: spent so far, by the first pass too.
    """

    incident: IncidentRequest | None
    packet: EvidencePacket
    shown: int
    doubted: Diagnosis | None = None
    steps: tuple[ConversationStep, ...] = ()
    pending: tuple[EvidenceCall, ...] = ()
    started: datetime | None = None
    turns: int = 0
    refused: int = 0
    calls: int = 0
    result_tokens: int = 0
    in_words: bool = False
    doubled: bool = False
    errors: str = ""
    model: str = ""
    tokens: int = 0
    usd: float = 0.0

    @property
    def with_tools(self) -> bool:
        return self.started is not None
