"""Host the workers. With `--dev` it also starts a Temporal server: one process is a complete installation."""

import argparse

import commands.ready  # before anything that may not be installed

# isort: split
from commands.web_server import page_beside
from hosting import (
    clients,
    connection,
    dev_server,
    logging,
    preflight,
    search_attributes,
    telemetry,
    workers,
)
from hosting.cli_runtime import leave, run_main
from railmend.settings_file import load_settings


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="worker.py", description=__doc__)
    parser.add_argument("--dev", action="store_true", help="start or adopt a Temporal server on this machine")
    parser.add_argument("--dev-port", type=int, help="the Temporal server's port with --dev (default: free)")
    parser.add_argument(
        "--unsafe-agent",
        action="store_true",
        help="let the coding agent run without a sandbox where none works (see docs/security.md)",
    )
    parser.add_argument(
        "--role",
        action="append",
        choices=[role.value for role in workers.Role],
        help="do only this (may be repeated; default: all that the settings carry)",
    )
    parser.add_argument(
        "--log-level", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="default: RAILMEND_LOG_LEVEL"
    )
    return parser.parse_args()


async def main(options: argparse.Namespace) -> None:
    commands.ready.imported()
    settings = load_settings()
    if options.log_level:
        settings = settings.model_copy(update={"railmend_log_level": options.log_level})
    start = preflight.start(settings, [workers.Role(name) for name in options.role or ()])
    logging.configure(settings.railmend_log_level)
    if options.unsafe_agent:
        settings = settings.model_copy(update={"railmend_unsafe_agent": True})
    preflight.keep_private(settings)
    if options.dev:
        server = await dev_server.start_or_adopt(settings.state_dir(), options.dev_port)
        settings = connection.local(settings, server.address, server.ui)
        dev_server.say_where(server)
    client = await clients.temporal(
        settings, runtime=telemetry.runtime(settings), interceptors=telemetry.tracing(settings)
    )
    await search_attributes.register(client)
    with page_beside(settings):
        await workers.run_until_stopped(client, settings, start.roles, report_only=start.report_only)
    if options.dev:
        dev_server.log_that_it_stays(server)
    leave()


if __name__ == "__main__":
    run_main("worker.py", main(arguments()))
