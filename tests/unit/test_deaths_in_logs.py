"""Processes whose logs say that they died, where memory alone does not show it."""

from datetime import datetime, timedelta

import pytest

from railmend.assessment.deaths import FILTER, deaths
from railmend.contracts.scan import FindingKind, Severity
from railmend.railway.model import LogLine
from railyard.api.behaviour import Behaviour, FieldFault
from railyard.api.logs import compile_filter
from railyard.platform.model import LogRow
from tests.unit.railway_yard import END, Yard

NAME = "service-0000"
# As runtimes and process managers write it; most are found in public reports.
DYING = [
    "FATAL ERROR: CALL_AND_RETRY_LAST Allocation failed - JavaScript heap out of memory",
    "FATAL ERROR: Ineffective mark-compacts near heap limit - JavaScript heap out of memory",
    "java.lang.OutOfMemoryError: Java heap space",
    'Exception in thread "main" java.lang.OutOfMemoryError: GC overhead limit exceeded',
    "Terminating due to java.lang.OutOfMemoryError: Java heap space",
    "fatal error: runtime: out of memory",
    "Unhandled exception. System.OutOfMemoryException: Array dimensions exceeded supported range.",
    "app.rb:12:in `read': failed to allocate memory (NoMemoryError)",
    "memory allocation of 1073741824 bytes failed",
    "[ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?",
    "LOG:  server process (PID 1234) was terminated by signal 9: Killed",
    "billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 12.",
    "npm error signal SIGKILL",
    "error Command failed with signal SIGKILL",
    "Container exited with exit code 137",
    "process exited, code=137",
    "Last State: Terminated, Reason: OOMKilled",
]
LIVING = [
    "sending SIGTERM to worker 9",
    "retried job 137 after signal from queue",
    "GET /orders/137 200",
    "caught java.lang.OutOfMemoryError in plugin, going on",
    "checked for SIGKILL handlers",
    "exit code 0 after 137 s",
    "docs: what to do when the heap is out of memory",
]


def _lines(*messages: str, every: float = 60) -> list[LogLine]:
    return [
        LogLine(timestamp=END - timedelta(seconds=every * n), severity="error", message=message)
        for n, message in enumerate(messages)
    ]


@pytest.mark.parametrize("message", DYING)
def test_a_death_is_read_and_railway_is_asked_for_its_line(message: str) -> None:
    assert len(deaths(_lines(message))) == 1
    assert compile_filter(FILTER)({"": message})


@pytest.mark.parametrize("message", LIVING)
def test_what_only_sounds_like_a_death_is_none(message: str) -> None:
    assert deaths(_lines(message)) == []


def test_the_lines_of_one_death_count_once() -> None:
    assert len(deaths(_lines(DYING[0], DYING[12], DYING[14], every=2))) == 1


async def _scan(services: int, *ago: float, newest: str = DYING[0]) -> Yard:
    """A service of four replicas; every nine minutes one dies, which frees a little of their memory."""

    def memory(ts: float) -> float:
        return 1.2 + 0.2 * ((END.timestamp() - ts) // 60 % 9) / -9 + 0.2

    rows = [LogRow(_before(minutes), "error", newest) for minutes in ago]
    return await Yard(services, services // 2, curves={(NAME, "memory"): memory}, logs=rows).connected()


def _before(minutes: float) -> datetime:
    return END - timedelta(minutes=minutes)


async def test_replicas_that_die_by_turns_are_a_crash_loop() -> None:
    yard = await _scan(4, 59, 50, 41, 32, 23, 14, 5)
    told = await yard.scan()
    assert told.kinds(NAME) == {FindingKind.CRASH_LOOP}
    (finding,) = told.findings
    assert "died 7 times since" in finding.sentence
    assert "every 9 min" in finding.sentence
    assert finding.onset == _before(59)


@pytest.mark.parametrize(("severity", "told"), [("info", None), ("error", Severity.WARNING)])
async def test_lines_without_a_trace_in_memory_are_a_warning_at_most(
    severity: str, told: Severity | None
) -> None:
    """What a user sends is logged: memory fell once, long before, as of a job that ended."""
    lines = [LogRow(_before(minutes), severity, f"search for: {DYING[15]}") for minutes in (40, 30, 20, 10)]

    def memory(ts: float) -> float:
        return 0.5 if ts < _before(100).timestamp() else 0.4

    yard = await Yard(4, 2, curves={(NAME, "memory"): memory}, logs=lines).connected()
    assert [finding.severity for finding in (await yard.scan()).findings] == ([told] if told else [])


async def test_one_death_or_deaths_of_hours_ago_are_no_loop() -> None:
    for ago in ((5.0,), (150.0, 145.0, 140.0)):
        assert (await (await _scan(4, *ago)).scan()).findings == ()
    assert (await (await _scan(4, 40, 30, 20, 10, newest=LIVING[4])).scan()).findings == ()


async def test_logs_are_not_searched_where_nothing_fell_and_their_loss_is_said() -> None:
    steady = await Yard(4, 2, logs=[LogRow(_before(n), "error", DYING[0]) for n in (5, 15)]).connected()
    assert (await steady.scan()).findings == ()
    lost = await _scan(4, 23, 14, 5)
    lost.gatekeeper.behaviour = Behaviour(fields=[FieldFault(field="environmentLogs", message="no")])
    told = await lost.scan()
    assert any("could not be searched for crashes" in sentence for sentence in told.screening.unseen)
