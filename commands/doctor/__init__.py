"""`starter.py doctor`: is everything there that Railmend needs? No check hides another."""

from rich.console import Console

from commands.doctor import github, machine, models, railway, temporal
from commands.doctor.check import Check, Result, Status, conclude, line
from railmend.settings import ConfigurationError
from railmend.settings_file import load_settings


async def doctor(console: Console | None, *, ask_model: bool) -> list[Result]:
    """Runs every check, one after another; each result is printed as it comes where a console is given."""
    results: list[Result] = []

    def tell(new: list[Result]) -> None:
        results.extend(new)
        if console:
            for one in new:
                console.print(line(one), soft_wrap=True, highlight=False)

    try:
        settings = load_settings()
    except ConfigurationError as error:
        tell([Result(name="settings", status=Status.BAD, said=said) for said in str(error).splitlines()])
        return results
    tell(
        [Result(name="settings", status=Status.OK, said="read from the environment, .env and railmend.toml")]
    )
    checks: tuple[Check, ...] = (
        *temporal.checks(settings),
        *railway.checks(settings),
        *github.checks(settings),
        *models.checks(settings, ask=ask_model),
        *machine.checks(settings),
    )
    for check in checks:
        tell(await conclude(check))
    return results
