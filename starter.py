#!/usr/bin/env python3
"""Railmend on the command line: look, watch, decide.

New here? `starter.py demo` shows everything without an account; `starter.py doctor` says what is missing for
your own project; `starter.py scan --autonomy report` looks at it and changes nothing.

Exit codes: 0 done, 1 done and the answer is bad news (doctor, replay, demo), 2 the command or a setting is
wrong, 130 stopped with Ctrl-C.
"""

import typer

from commands.line import decide, offline, setup, watch

COMMANDS = (
    *(setup.demo, setup.doctor),
    *(watch.scan, watch.incidents, watch.show, watch.report),
    *(decide.approve, decide.reject, decide.cancel, decide.replay),
    *(offline.record, offline.backtest, offline.condense, offline.redact),
    *(offline.evidence, offline.diagnose),
)

# Without rich's help pages: importing them alone takes longer than all the rest.
app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_show_locals=False, help=__doc__
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(watch.schedule, name="schedule")

if __name__ == "__main__":
    app()
