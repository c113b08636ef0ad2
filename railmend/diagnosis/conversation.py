"""A diagnosis, or the attempt to refute one, in turns: one answer of a model at a time, tools in between.

Nothing is asked of the outside here but the model. A turn takes a conversation and returns the next one;
whoever keeps it (a workflow, a command) makes the calls that are pending, and hands over what they gave.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from railmend.contracts.incident import Diagnosis, EvidencePacket, Facts, IncidentRequest
from railmend.contracts.investigation import AskedCall, Conversation, ConversationStep, EvidenceCall
from railmend.contracts.policy import Policy
from railmend.diagnosis.answer import read_document
from railmend.diagnosis.manner import THOUGHTS, Messages
from railmend.diagnosis.model import (
    ModelReply,
    ModelSettings,
    ModelUsage,
    Question,
    TooLong,
    ask,
    prompt_tokens,
    usd_of,
)
from railmend.diagnosis.tools import CONCLUDE, RESULT_TOKENS, Bounds, RefusedCall, checked, specifications
from railmend.evidence.packet import MIN_TOKENS, following, halved, render, render_item
from railmend.evidence.safe_text import PromptText
from railmend.evidence.tokens import estimate

# One conclusion, and two more with the errors of the one before; then a person must look.
MAX_CONCLUSIONS = 3
# How often a conversation that is too long for the model is halved.
HALVINGS = 3
MAX_ANSWER_CHARACTERS, MAX_CALLS_KEPT = 20_000, 12
# Of thoughts, encrypted ones too: more are left out.
MAX_THOUGHTS = 200_000
# Tokens that the answer of a turn with tools, and of one that concludes, must have room for. It gets more,
# as far as the money goes: see `_answer_tokens`.
TURN_TOKENS, CONCLUDING_TOKENS = 4_096, 8_192
SIGNATURE = re.compile(r"[A-Za-z0-9+/=_-]{1,65536}")
NOT_NAME = re.compile(r"[^A-Za-z0-9_-]")
NO_ROOM = "There is no room left for what it gave."
NO_MORE_TOOLS = "No more tools can be used: conclude from what you have seen."

# Returns those of the paths that the repository does not have.
FindMissing = Callable[[Sequence[str]], Awaitable[list[str]]]


@dataclass(frozen=True)
class ModelTask:
    """One kind of question: its first messages, the schema of its conclusion, and how far it may go.

    `conclude` turns the text of a conclusion into a diagnosis, or into a sentence for each error; `give_up`
    makes one when the last conclusion did not hold either.
    """

    schema: type[BaseModel]
    bounds: Bounds
    opening: Callable[[PromptText, Conversation], Messages]
    conclude: Callable[[str, Conversation, FindMissing], Awaitable[Diagnosis | list[str]]]
    give_up: Callable[[Conversation], Diagnosis]


def begin(
    incident: IncidentRequest | None,
    packet: EvidencePacket,
    now: datetime | None,
    doubted: Diagnosis | None = None,
) -> Conversation:
    """Return a conversation in which nothing was said yet. `now`: None: nobody makes calls of tools."""
    return Conversation(
        incident=incident,
        packet=packet,
        shown=len(packet.items),
        doubted=doubted,
        started=now,
        usd=_before(doubted),
        tokens=doubted.tokens if doubted else 0,
    )


def _before(doubted: Diagnosis | None) -> float:
    return (doubted.cost_usd or 0.0) if doubted else 0.0


def with_results(
    conversation: Conversation, task: ModelTask, results: Iterable[tuple[str, Facts | str]]
) -> Conversation:
    """Return the conversation with what its pending calls gave: facts, or why there are none."""
    given = dict(results)
    packet, steps, used = conversation.packet, list(conversation.steps), conversation.result_tokens
    for call in conversation.pending:
        result = given.get(call.id, "The result was lost.")
        if isinstance(result, str) or not result.items:
            why = result if isinstance(result, str) else " ".join(result.unseen)
            steps.append(ConversationStep(call_id=call.id, text=why or "Nothing was found."))
            continue
        room = min(RESULT_TOKENS, task.bounds.result_tokens - used)
        packet, added = following(packet, result, call.text, room)
        if not added:
            steps.append(ConversationStep(call_id=call.id, text=NO_ROOM))
            continue
        used += sum(estimate(item.text) for item in added)
        steps.append(ConversationStep(call_id=call.id, items=tuple(item.id for item in added)))
    return conversation.model_copy(
        update={"packet": packet, "steps": tuple(steps), "pending": (), "result_tokens": used}
    )


async def take_turn(
    conversation: Conversation,
    task: ModelTask,
    settings: ModelSettings,
    usage: ModelUsage,
    find_missing: FindMissing,
    now: datetime | None,
) -> tuple[Conversation, Diagnosis | None]:
    """Ask for one answer. Return the conversation with it, and the diagnosis if it concluded.

    No answer costs more than what is left of the money for one diagnosis, but the first that is paid: it has
    room for `CONCLUDING_TOKENS`, whatever they cost. `usage` counts on from what earlier attempts spent.
    Raise `ModelError` if no model can be asked, and what `find_missing` raises.
    """
    before = usage.usd
    messages = messages_of(conversation, task, conversation.packet)
    tools, money = _may_use_tools(conversation, task, now), _Money.of(conversation, task, messages, settings)
    tools = tools and money.turn + money.later <= money.left
    if not tools and money.paid and money.concluding > money.left:
        errors = conversation.errors or "the money for one diagnosis was used up before it concluded."
        conversation = conversation.model_copy(update={"errors": errors})
        return conversation, task.give_up(conversation)
    reply = await _ask(conversation, task, messages, settings, usage, money, tools=tools)
    conversation = conversation.model_copy(
        update={
            "turns": conversation.turns + 1,
            "model": reply.model,
            "tokens": conversation.tokens + reply.tokens,
            "usd": conversation.usd + usage.usd - before,
            "in_words": conversation.in_words or reply.in_words,
        }
    )
    if reply.finish == "length" and not conversation.doubled:
        return conversation.model_copy(update={"doubled": True}), None
    asked, conclusion = _parts(reply)
    if conclusion is None and tools and now is not None:
        return _with_calls(conversation, task, reply, asked, now), None
    return await _concluded(conversation, task, reply, conclusion, find_missing)


def _may_use_tools(conversation: Conversation, task: ModelTask, now: datetime | None) -> bool:
    """Whether turns, calls, tokens and time are left."""
    bounds = task.bounds
    return (
        conversation.started is not None
        and now is not None
        and conversation.turns < bounds.turns
        and conversation.calls < bounds.calls
        and conversation.result_tokens + MIN_TOKENS <= bounds.result_tokens
        and now - conversation.started < bounds.time
    )


@dataclass(frozen=True)
class _Money:
    """What is left for a diagnosis, and what answers need at least, with the question; in USD.

    `later`: one that concludes after a turn with tools, whose results it has to read. `paid`: this pass has
    cost something already.
    """

    paid: bool
    left: float
    turn: float
    concluding: float
    later: float

    @classmethod
    def of(
        cls, conversation: Conversation, task: ModelTask, messages: Messages, settings: ModelSettings
    ) -> "_Money":
        incident = conversation.incident
        policy = incident.policy if incident is not None else Policy()
        asked = prompt_tokens(messages) + estimate(json.dumps(specifications(task.schema, tools=True)))
        grown = asked + TURN_TOKENS + RESULT_TOKENS * task.bounds.calls_at_once
        return cls(
            paid=conversation.usd > _before(conversation.doubted),
            left=policy.diagnosis_usd - conversation.usd,
            turn=usd_of(settings, asked, TURN_TOKENS),
            concluding=usd_of(settings, asked, CONCLUDING_TOKENS),
            later=usd_of(settings, grown, CONCLUDING_TOKENS),
        )


async def _ask(
    conversation: Conversation,
    task: ModelTask,
    messages: Messages,
    settings: ModelSettings,
    usage: ModelUsage,
    money: _Money,
    *,
    tools: bool,
) -> ModelReply:
    """Ask with the whole packet, and with ever shorter items while it does not fit the model."""
    question = Question(
        messages=[],
        answer=task.schema,
        tools=specifications(task.schema, tools=tools) if conversation.with_tools else [],
        in_words=conversation.in_words,
        doubled=conversation.doubled,
        usd=money.left - money.later if tools else money.left,
        least=TURN_TOKENS if tools else CONCLUDING_TOKENS,
    )
    ended = conversation.with_tools and not tools and conversation.steps
    closing = [{"role": "user", "content": NO_MORE_TOOLS}] if ended else []
    packet = conversation.packet
    for _ in range(HALVINGS):
        try:
            return await ask(question.model_copy(update={"messages": [*messages, *closing]}), settings, usage)
        except TooLong:
            packet = halved(packet)
            messages = messages_of(conversation, task, packet)
    return await ask(question.model_copy(update={"messages": [*messages, *closing]}), settings, usage)


def messages_of(conversation: Conversation, task: ModelTask, packet: EvidencePacket) -> Messages:
    """Return all that was said so far, as it is sent; `packet`: the conversation's, or a shorter one."""
    first = packet.model_copy(update={"items": packet.items[: conversation.shown]})
    items = {item.id: item for item in packet.items}
    messages = task.opening(render(first), conversation)
    for step in conversation.steps:
        text = PromptText.joined([PromptText(step.text), *(render_item(items[each]) for each in step.items)])
        if step.answer:
            messages.append(_answer(step))
        elif step.call_id:
            messages.append({"role": "tool", "tool_call_id": step.call_id, "content": text})
        else:
            messages.append({"role": "user", "content": text})
    return messages


def _answer(step: ConversationStep) -> dict[str, Any]:
    """Return an answer as the model gave it."""
    message: dict[str, Any] = {"role": "assistant", "content": PromptText.quote(step.text)}
    if step.thoughts:
        message[THOUGHTS] = json.loads(step.thoughts)
    if not step.asked:
        return message | {"content": message["content"] or "(nothing)"}
    return message | {"tool_calls": [_call(call) for call in step.asked]}


def _call(call: AskedCall) -> dict[str, Any]:
    row = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    # A field that other providers refuse, so only where one is to come back.
    signed = {"provider_specific_fields": {"thought_signature": call.signature}} if call.signature else {}
    return row | signed


def _parts(reply: ModelReply) -> tuple[list[AskedCall], str | None]:
    """Return the calls of an answer, and the text of its conclusion; None where it only calls.

    A model that takes no tools writes its calls as JSON. A text that holds no calls is a conclusion.
    """
    concluding = [call.arguments for call in reply.calls if call.name == CONCLUDE]
    if reply.calls:
        return reply.calls, concluding[0] if concluding else None
    rows = (read_document(reply.text) or {}).get("calls")
    asked = [
        AskedCall(id="", name=str(row.get("name", "")), arguments=json.dumps(row.get("arguments") or {}))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
    ]
    return asked, None if asked else reply.text


def _with_calls(
    conversation: Conversation, task: ModelTask, reply: ModelReply, calls: Sequence[AskedCall], now: datetime
) -> Conversation:
    """Return the conversation with calls that are pending, and with an answer to each that is refused."""
    asked = _kept(calls, conversation.turns)
    room = min(task.bounds.calls_at_once, task.bounds.calls - conversation.calls)
    pending: list[EvidenceCall] = []
    refused: list[ConversationStep] = []
    for call in asked:
        try:
            if len(pending) >= room:
                raise RefusedCall(f"At most {room} calls at once: ask again if you still need it.")
            pending.append(checked(call.id, call.name, read_document(call.arguments), now))
        except RefusedCall as error:
            refused.append(ConversationStep(call_id=call.id, text=str(error)))
    return conversation.model_copy(
        update={
            "steps": (*conversation.steps, _said(reply, asked), *refused),
            "pending": tuple(pending),
            # Those that are refused count too: a model that asks for nothing else must come to an end.
            "calls": conversation.calls + len(asked),
        }
    )


def _said(reply: ModelReply, asked: tuple[AskedCall, ...]) -> ConversationStep:
    """Return an answer as it is kept: what providers sign or encrypt of it stays as it is."""
    thoughts = json.dumps(_walked(reply.thoughts))
    if len(thoughts) > MAX_THOUGHTS:
        thoughts = json.dumps({"model": reply.model})
    text = reply.text[:MAX_ANSWER_CHARACTERS]
    return ConversationStep(answer=True, text=text, asked=asked, thoughts=thoughts)


def _kept(calls: Sequence[AskedCall], turn: int) -> tuple[AskedCall, ...]:
    """Return calls as they are repeated to the model.

    Each has an id that no other has: some servers number the calls of each answer anew.
    """
    return tuple(
        AskedCall(
            id=f"call_{turn}_{place}",
            name=NOT_NAME.sub("_", call.name)[:60] or "unnamed",  # as providers take it
            arguments=_quoted(call.arguments),
            signature=call.signature if SIGNATURE.fullmatch(call.signature) else "",
        )
        for place, call in enumerate(calls[:MAX_CALLS_KEPT])
    )


def _quoted(arguments: str) -> str:
    """Return the arguments of a call as JSON that is safe to repeat; a provider reads it."""
    document = read_document(arguments[:MAX_ANSWER_CHARACTERS])
    return json.dumps(_walked(document) if document is not None else {})


def _walked(value: Any) -> Any:
    if isinstance(value, dict):
        return {PromptText.quote(str(key)): _walked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_walked(each) for each in value]
    return PromptText.quote(value) if isinstance(value, str) else value


async def _concluded(
    conversation: Conversation,
    task: ModelTask,
    reply: ModelReply,
    conclusion: str | None,
    find_missing: FindMissing,
) -> tuple[Conversation, Diagnosis | None]:
    """Return the diagnosis, or the conversation with what is wrong with it; give up after the third."""
    result: Diagnosis | list[str]
    if reply.finish in ("length", "content_filter"):
        result = [f"The answer was cut short ({reply.finish})."]
    elif conclusion is None:
        result = [NO_MORE_TOOLS]
    else:
        result = await task.conclude(conclusion, conversation, find_missing)
    if isinstance(result, Diagnosis):
        return conversation, result
    errors = " ".join(result)
    # Prose in place of a call, or of the schema: the provider did not hold the model to it.
    in_words = conversation.in_words or not (reply.calls or read_document(reply.text))
    conversation = conversation.model_copy(
        update={
            "refused": conversation.refused + 1,
            "errors": errors,
            "in_words": in_words,
            "steps": (*conversation.steps, *_refusal(conversation.turns, reply, errors)),
        }
    )
    return conversation, task.give_up(conversation) if conversation.refused >= MAX_CONCLUSIONS else None


def _refusal(turn: int, reply: ModelReply, errors: str) -> list[ConversationStep]:
    refusal = f"That answer is refused. {errors} Answer again."
    asked = _kept(reply.calls, turn)
    said = _said(reply, asked)
    if not asked:
        return [said, ConversationStep(text=refusal)]
    return [said, *(ConversationStep(call_id=call.id, text=refusal) for call in asked)]
