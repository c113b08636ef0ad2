"""What Railmend measured of a change before its merge: the same on the base and on the change."""

from railmend.contracts.base import Contract, OpenEnum

# From here on a status is the server's fault.
SERVER_ERROR = 500


class ProofVerdict(OpenEnum):
    """`not_had`: nothing was shown either way, for a reason that is no fault of the change."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_HAD = "not_had"


class ProofOutcome(OpenEnum):
    """What all proofs of a change come to. `unproven`: none failed, none showed the fault gone."""

    PROVEN = "proven"
    FAILED = "failed"
    UNPROVEN = "unproven"


class ProofRow(Contract):
    """One proof. `base`, `change`: what was seen there. `shows_fault`: on the base it was the fault."""

    what: str
    base: str
    change: str
    verdict: ProofVerdict
    reason: str = ""
    shows_fault: bool = False


class Proof(Contract):
    """All proofs of one change. Proven: one showed the fault on the base alone, and none failed."""

    rows: tuple[ProofRow, ...] = ()

    @property
    def failed(self) -> tuple[ProofRow, ...]:
        return tuple(row for row in self.rows if row.verdict is ProofVerdict.FAILED)

    @property
    def proven(self) -> bool:
        shown = any(row.verdict is ProofVerdict.PASSED and row.shows_fault for row in self.rows)
        return shown and not self.failed

    @property
    def outcome(self) -> ProofOutcome:
        if self.failed:
            return ProofOutcome.FAILED
        return ProofOutcome.PROVEN if self.proven else ProofOutcome.UNPROVEN


class ProofRun(Contract):
    """One run of one test file. `passed` None: it says nothing, and `why` tells the reason."""

    passed: bool | None
    why: str = ""
    ran: int = 0


class TestFileRuns(Contract):
    """A regression test's runs on one side. `doubt`: why it could show nothing there."""

    __test__ = False  # pytest would take it for a class of tests

    path: str
    runs: tuple[ProofRun, ...] = ()
    doubt: str = ""


class StartRun(Contract):
    """Whether the service answered. `started` None: it could not be tried, and `why` tells the reason."""

    started: bool | None
    why: str = ""


class SampledRequest(Contract):
    """A request that production answered, without headers and body; ids in its path are of the same shape."""

    method: str
    path: str
    route: str
    status: int
    duration_ms: float
    slow: bool = False

    @property
    def failed(self) -> bool:
        return self.status >= SERVER_ERROR


class RequestSample(Contract):
    """Requests of production. `unseen`: why there are none."""

    requests: tuple[SampledRequest, ...] = ()
    unseen: str = ""


class Answers(Contract):
    """What a side answered to one request, each time that it was asked. `bodies`: their hashes.

    `nothing`: whether it was well, and held no text and no number but 0.
    Empty: it was not asked, for want of time. A status of 0: there was no answer.
    """

    request: SampledRequest
    statuses: tuple[int, ...] = ()
    durations_ms: tuple[float, ...] = ()
    bodies: tuple[str, ...] = ()
    nothing: tuple[bool, ...] = ()


class Estimate(Contract):
    """A measured figure, and the interval that holds it in 95 of 100 such measurements."""

    value: float
    low: float
    high: float


class RequestCost(Contract):
    """What one of `asked` requests cost: share failed, milliseconds, KiB of memory that stayed, CPU time.

    None: it was measured too seldom.
    """

    asked: int
    failed: Estimate
    p50_ms: Estimate
    p95_ms: Estimate
    memory_kib: Estimate | None = None
    cpu_ms: Estimate | None = None


class SideReport(Contract):
    """What one side did. `unavailable`: why no test could be run there at all.

    `answers`: to production's requests. `unasked`: why there are none. `cost`: of many of them.
    """

    tests: tuple[TestFileRuns, ...] = ()
    unavailable: str = ""
    start: StartRun | None = None
    answers: tuple[Answers, ...] = ()
    unasked: str = ""
    cost: RequestCost | None = None
