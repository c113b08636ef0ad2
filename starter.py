#!/usr/bin/env python3
"""Railmend on the command line: look, watch, decide.

New here? `starter.py demo` shows everything without an account; `starter.py init` asks for what your own
project needs; `starter.py doctor` says what is missing; `starter.py scan --autonomy report` looks at it and
changes nothing.

Exit codes: 0 done, 1 done and the answer is bad news (doctor, replay, demo), 2 the command or a setting is
wrong, 130 stopped with Ctrl-C.
"""

import atexit
import errno
import gc
import io
import os
import sys
from typing import Annotated

import commands.ready  # noqa: F401 - before anything that may not be installed

# isort: split
import typer

from commands.accept import accept
from commands.approve import approve, reject
from commands.backtest import backtest
from commands.cancel import cancel
from commands.condense import condense
from commands.cost import cost
from commands.demo import demo
from commands.diagnose import diagnose
from commands.doctor import doctor
from commands.eval import eval
from commands.evidence import evidence
from commands.incidents import incidents
from commands.init import init
from commands.ledger import ledger
from commands.pause import pause, resume
from commands.record import record
from commands.redact import redact
from commands.replay import replay
from commands.report import report
from commands.rerun import rerun
from commands.scan import scan
from commands.schedule import schedule
from commands.show import show
from commands.status import status
from commands.web import web
from railmend import __version__

# The interpreter would search what was imported once more when the command has ended, a quarter of its time.
atexit.register(gc.freeze)

COMMANDS = (
    *(demo, init, doctor),
    *(status, web, scan, incidents, show, report),
    *(approve, reject, cancel, accept, rerun, replay),
    *(pause, resume, cost),
    *(record, backtest, condense, redact),
    *(evidence, diagnose, eval),
)

# Without rich's help pages: importing them alone takes longer than all the rest.
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_show_locals=False)
for command in COMMANDS:
    app.command()(command)
app.add_typer(schedule, name="schedule")
app.add_typer(ledger, name="ledger")


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"railmend {__version__}")
        raise typer.Exit


@app.callback(help=__doc__)
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Take the options that belong to no command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a locale may lack a character of a name or a chart


if __name__ == "__main__":
    try:
        app()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        typer.echo(f"starter.py: the output could not be written: {error.strerror}.", err=True)
        os._exit(2)  # the interpreter would try to write it again
