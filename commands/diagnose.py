"""`starter.py diagnose`: ask the model again about an exported evidence packet."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options import run, using


def diagnose(file: Annotated[Path, typer.Argument(help="An exported evidence packet.")]) -> None:
    """Diagnose exported evidence again, and doubt it; prints JSON."""
    typer.echo(run(_diagnose(file)))


async def _diagnose(file: Path) -> str:
    """Return the model's diagnosis as JSON; rules that need the incident itself are not asked."""
    from datetime import UTC, datetime

    from hosting import models
    from railmend.diagnosis.diagnose import again
    from railmend.diagnosis.model import ModelError
    from railmend.evidence.packet import PacketError, load
    from railmend.settings import ConfigurationError
    from railmend.settings_file import load_settings

    try:
        with using(file):
            packet = load(file.read_text(encoding="utf-8"))
    except PacketError as error:
        raise ConfigurationError(f"{file}: {error}") from error
    settings = load_settings()
    model = models.model(settings)
    sceptic = models.sceptic(settings) if settings.sceptic else None
    typer.echo(f"Asking {model.model}; this may take a minute.", err=True)
    try:
        return (await again(packet, model, sceptic, datetime.now(UTC))).model_dump_json(indent=2)
    except ModelError as error:
        raise ConfigurationError(f"{error} `starter.py doctor` checks the model.") from error
