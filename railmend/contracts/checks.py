"""Models of the repository's own checks: each run, and all of them without and with a change."""

from railmend.contracts.base import Contract

# Of a failing check's output the agent gets this much.
MAX_COMPLAINT = 1500


class CheckRun(Contract):
    """One of the repository's own checks. `passed` None: it could not be run. `output`: its redacted tail.

    `ran`, `failed`, `skipped`: tests, where the runner says so. `added`: a run apart, with the change's own.
    `not_run`: why it says nothing, as a sentence; that is neither the change's fault nor the repository's.
    """

    command: str
    directory: str
    passed: bool | None
    seconds: float
    output: str
    ran: int | None = None
    failed: int | None = None
    skipped: int | None = None
    added: bool = False
    not_run: str | None = None

    @property
    def name(self) -> str:
        return f"{self.command} (in {self.directory})" if self.directory else self.command

    @property
    def account(self) -> str:
        """What the agent is told of it, without a change."""
        went = "could not be run" if self.passed is None else "passes" if self.passed else "fails"
        return f"{self.name[:300]}: {went}"

    @property
    def doubt(self) -> str:
        """Why a person must look at it, where it passed without the change."""
        return f"`{self.name}` {'fails' if self.passed is False else 'runs fewer tests'} with it."

    @property
    def complaint(self) -> str:
        """What the agent is told of it, where it passed without its change: a sentence, and its output."""
        output = self.output[-MAX_COMPLAINT:]
        if self.not_run is not None:
            return f"`{self.name}` passed before and cannot be run now: {self.not_run}\n{output}"
        now = "fails now" if self.passed is False else f"runs fewer tests now ({self.ran})"
        return f"`{self.name}` passed before and {now}:\n{output}"

    def fewer_than(self, then: "CheckRun") -> bool:
        """Return whether it ran fewer tests than `then`, or does not say how many."""
        return then.ran is not None and (self.ran is None or self.ran < then.ran)


class CheckReport(Contract):
    """All checks, run once. `unverified`: why there is nothing to say."""

    runs: tuple[CheckRun, ...] = ()
    unverified: str | None = None


class Verification(Contract):
    """The checks without and with the change, run by Railmend: the agent's claims do not count.

    Fewer tests than before are no pass, whatever the exit code.
    """

    before: CheckReport
    after: CheckReport

    def pairs(self) -> list[tuple[CheckRun, CheckRun | None]]:
        """Return each check's run with the change, and its run without it, if any.

        The change's own tests have none.
        """
        earlier = {(run.command, run.directory): run for run in self.before.runs}
        return [
            (run, None if run.added else earlier.get((run.command, run.directory))) for run in self.after.runs
        ]

    @property
    def regressions(self) -> tuple[CheckRun, ...]:
        """The checks that passed without the change, and with it fail or run fewer tests."""
        return tuple(
            now
            for now, then in self.pairs()
            if then and then.passed and (now.passed is False or now.fewer_than(then))
        )

    @property
    def judged(self) -> list[tuple[CheckRun, CheckRun | None]]:
        """Return the pairs that say something: not those that could not be run without the change either."""
        return [
            (now, then) for now, then in self.pairs() if now.passed or not then or then.passed is not None
        ]

    @property
    def verified(self) -> bool:
        return bool(self.judged) and all(
            now.passed and not (then and now.fewer_than(then)) for now, then in self.judged
        )
