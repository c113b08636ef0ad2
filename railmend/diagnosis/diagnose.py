"""Turn a packet into a checked diagnosis, and try to refute it in a second pass."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from railmend.contracts.incident import (
    CODING_VERDICTS,
    Diagnosis,
    EvidencePacket,
    Fact,
    Facts,
    RuledOut,
    Verdict,
)
from railmend.contracts.investigation import Conversation, EvidenceCall
from railmend.diagnosis.answer import DiagnosisAnswer, Refutation, check, check_refutation, parse, partly
from railmend.diagnosis.conversation import FindMissing, ModelTask, begin, take_turn, with_results
from railmend.diagnosis.model import ModelSettings, ModelUsage
from railmend.diagnosis.prompt import challenge_messages, messages
from railmend.diagnosis.tools import DIAGNOSIS_BOUNDS, SCEPTIC_BOUNDS
from railmend.evidence.escaping import inline

# A diagnosis travels through every step of its repair.
MOST_BYTES, MOST_CITED = 7000, 10
MOST_OF = {"causes": 5, "ruled_out": 5, "plan": 12, "criteria": 5}
# When lost evidence is collected again.
READ_AGAIN_SECONDS = 1800
# How long after its last item a recorded diagnosis may have asked.
REPLAY_SLACK = timedelta(hours=1)

# Makes one call of a tool.
UseTool = Callable[[EvidenceCall], Awaitable[Facts | str]]


async def _none_missing(_: Sequence[str]) -> list[str]:
    return []


async def diagnose(
    packet: EvidencePacket,
    settings: ModelSettings,
    find_missing: FindMissing = _none_missing,
    usage: ModelUsage | None = None,
    use_tool: UseTool | None = None,
    now: datetime | None = None,
) -> Diagnosis:
    """Return a checked diagnosis: `unclear`, never a guess, if the third conclusion is not valid either.

    `usage` counts on from what earlier attempts spent; the diagnosis's cost is its sum. Tools are offered
    where there are `use_tool` and `now`.

    Raise `ModelError` if no model can be asked, and what `find_missing` raises.
    """
    conversation = begin(None, packet, now if use_tool else None)
    return (await to_the_end(conversation, settings, find_missing, usage, use_tool, now))[1]


async def challenge(
    packet: EvidencePacket, diagnosis: Diagnosis, settings: ModelSettings, usage: ModelUsage | None = None
) -> Diagnosis:
    """Return the diagnosis with the sceptic's reason: without what was refuted, or as `unclear`.

    Three invalid answers count as a refutation: no code is changed on a verdict that was not checked.
    """
    if diagnosis.verdict not in CODING_VERDICTS:
        return diagnosis
    return (await to_the_end(begin(None, packet, None, diagnosis), settings, usage=usage))[1]


async def to_the_end(
    conversation: Conversation,
    settings: ModelSettings,
    find_missing: FindMissing = _none_missing,
    usage: ModelUsage | None = None,
    use_tool: UseTool | None = None,
    now: datetime | None = None,
) -> tuple[Conversation, Diagnosis]:
    """Take turns until there is a diagnosis; return the conversation, whose packet it cites, and it.

    Raise as `diagnose` does.
    """
    task, usage = task_of(conversation), usage or ModelUsage()
    conversation = conversation.model_copy(update={"usd": conversation.usd + usage.usd})
    while True:
        conversation, diagnosis = await take_turn(conversation, task, settings, usage, find_missing, now)
        if diagnosis is not None:
            return conversation, diagnosis
        if use_tool is not None:
            results = [(call.id, await use_tool(call)) for call in conversation.pending]
            conversation = with_results(conversation, task, results)


async def again(
    packet: EvidencePacket, model: ModelSettings, sceptic: ModelSettings | None, now: datetime
) -> Diagnosis:
    """Diagnose a packet once more, sceptic included, with what tools gave then. Raise as `diagnose` does.

    `now`: the time, where the packet has none of its own.
    """
    first, use_tool = recorded(packet)
    # Tools take times of the month before: it is the packet's.
    now = max((item.end for item in packet.items if item.end), default=now) + REPLAY_SLACK
    conversation, diagnosis = await to_the_end(begin(None, first, now), model, use_tool=use_tool, now=now)
    if sceptic is None or diagnosis.verdict not in CODING_VERDICTS:
        return diagnosis
    doubting = begin(None, conversation.packet, now, diagnosis)
    return (await to_the_end(doubting, sceptic, use_tool=use_tool, now=now))[1]


def recorded(packet: EvidencePacket) -> tuple[EvidencePacket, UseTool]:
    """Return a packet as its diagnosis began, and tools that give again what they gave then, and no more."""
    given: dict[str, list[Fact]] = {}
    for item in packet.items:
        if item.call:
            fact = Fact(kind=item.kind, source=item.source, text=item.text, start=item.start, end=item.end)
            given.setdefault(item.call, []).append(fact)

    async def use_tool(call: EvidenceCall) -> Facts | str:
        facts = given.get(inline(call.text))
        return Facts(items=tuple(facts)) if facts else "This was not looked at when the packet was made."

    first = tuple(item for item in packet.items if not item.call)
    return packet.model_copy(update={"items": first}), use_tool


def unconfirmed(diagnosis: Diagnosis, reason: str) -> Diagnosis:
    """Return the diagnosis as `unclear`, with why a second look did not confirm it: nothing is changed."""
    update = {
        "sceptic": reason,
        "verdict": Verdict.UNCLEAR,
        "summary": f"{diagnosis.summary} Not acted on: a second look did not confirm it.",
        "plan": (),
    }
    return diagnosis.model_copy(update=update)


def without_evidence(reason: Exception, spent_usd: float = 0.0) -> Diagnosis:
    """Return `unclear`: what a verdict would rest on is lost, so nobody is asked; it is collected again.

    `spent_usd`: by earlier attempts.
    """
    return Diagnosis(
        summary=f"The evidence was collected and is lost. {reason}",
        verdict=Verdict.UNCLEAR,
        confidence=0.0,
        cost_usd=spent_usd,
        again_seconds=READ_AGAIN_SECONDS,
    )


def bounded_diagnosis(answer: DiagnosisAnswer, result: Conversation) -> Diagnosis:
    """Return the answer as a diagnosis of at most `MOST_BYTES`."""
    fields = answer.model_dump()
    for each in (*fields["causes"], *fields["ruled_out"]):
        each.update({name: ids[:MOST_CITED] for name, ids in each.items() if name != "text"})
    fields |= {name: fields[name][:most] for name, most in MOST_OF.items()}
    fields["suspected_files"] = [path[:200] for path in answer.suspected_files[:10]]
    fields["suspected_commits"] = [commit[:40] for commit in answer.suspected_commits[:5]]
    fields["dependency"] = answer.dependency.strip()[:100]
    paid = {"model": result.model, "tokens": result.tokens, "cost_usd": result.usd}
    return Diagnosis.model_validate(fields | paid).within(MOST_BYTES)


def task_of(conversation: Conversation) -> ModelTask:
    """Return what a stored conversation is about."""
    return DIAGNOSIS if conversation.doubted is None else SCEPTIC


async def _conclude_diagnosis(
    text: str, conversation: Conversation, find_missing: FindMissing
) -> Diagnosis | list[str]:
    answer, errors = parse(text, DiagnosisAnswer)
    # All errors are told at once.
    if (readable := answer or partly(text, DiagnosisAnswer)) is not None:
        paths = await find_missing(readable.suspected_files) if readable.suspected_files else []
        errors += check(readable, conversation.packet, paths)
    return bounded_diagnosis(answer, conversation) if answer and not errors else errors


def _give_up_diagnosis(conversation: Conversation) -> Diagnosis:
    return Diagnosis(
        summary=f"The model's answers did not hold: {conversation.errors[:600]}",
        verdict=Verdict.UNCLEAR,
        confidence=0.0,
        model=conversation.model,
        tokens=conversation.tokens,
        cost_usd=conversation.usd,
    )


async def _conclude_refutation(
    text: str, conversation: Conversation, _: FindMissing
) -> Diagnosis | list[str]:
    answer, errors = parse(text, Refutation)
    diagnosis = _doubted(conversation)
    if (readable := answer or partly(text, Refutation)) is not None:
        errors += check_refutation(readable, conversation.packet, len(diagnosis.causes))
    if answer is None or errors:
        return errors
    looked_at = _looked_at(conversation, answer.reason)
    refuted = {judged.cause - 1: judged for judged in answer.causes if not judged.survives}
    causes = tuple(cause for place, cause in enumerate(diagnosis.causes) if place not in refuted)
    if not answer.survives or not causes:
        return unconfirmed(looked_at, answer.reason)
    dropped = tuple(
        RuledOut(
            text=f"{diagnosis.causes[place].text} {judged.reason}",
            against=tuple(judged.evidence[:MOST_CITED]),
        )
        for place, judged in refuted.items()
    )
    fields = {"causes": causes, "ruled_out": (*looked_at.ruled_out, *dropped)}
    return looked_at.model_copy(update=fields).within(MOST_BYTES)


def _give_up_refutation(conversation: Conversation) -> Diagnosis:
    reason = f"Its answers did not hold: {conversation.errors[:300]}"
    return unconfirmed(_looked_at(conversation, reason), reason)


def _looked_at(conversation: Conversation, reason: str) -> Diagnosis:
    return _doubted(conversation).model_copy(
        update={"sceptic": reason[:1000], "tokens": conversation.tokens, "cost_usd": conversation.usd}
    )


def _doubted(conversation: Conversation) -> Diagnosis:
    if conversation.doubted is None:
        raise ValueError("There is no diagnosis to refute.")
    return conversation.doubted


DIAGNOSIS = ModelTask(
    DiagnosisAnswer,
    DIAGNOSIS_BOUNDS,
    lambda text, talk: messages(text, tools=talk.with_tools),
    _conclude_diagnosis,
    _give_up_diagnosis,
)
SCEPTIC = ModelTask(
    Refutation,
    SCEPTIC_BOUNDS,
    lambda text, talk: challenge_messages(text, _doubted(talk), tools=talk.with_tools),
    _conclude_refutation,
    _give_up_refutation,
)
