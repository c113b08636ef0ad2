"""`starter.py doctor`: is everything there that Railmend needs? No check hides another."""

from pathlib import Path

from rich.console import Console

from commands.doctor import github, machine, models, railway, temporal
from commands.doctor.check import Check, CheckResult, CheckStatus, conclude, line
from railmend.secrets import ENV_FILE
from railmend.settings import ConfigurationError, config_file
from railmend.settings_file import load_settings


async def doctor(console: Console | None, *, ask_model: bool) -> list[CheckResult]:
    """Runs every check, one after another; each result is printed as it comes where a console is given."""
    results: list[CheckResult] = []

    def tell(new: list[CheckResult]) -> None:
        results.extend(new)
        if console:
            for one in new:
                console.print(line(one), soft_wrap=True, highlight=False)

    try:
        settings = load_settings()
    except ConfigurationError as error:
        mend = "mend the settings first, the other checks need them; docs/settings.md"
        tell(
            [
                CheckResult(name="settings", status=CheckStatus.BAD, said=said, mend=mend)
                for said in str(error).splitlines()
            ]
        )
        return results
    files = [str(file) for file in (Path(ENV_FILE), config_file()) if file.is_file()]
    tell(
        [
            CheckResult(
                name="settings",
                status=CheckStatus.OK,
                said=f"read from {', '.join((*files, 'the environment'))}",
            )
        ]
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
