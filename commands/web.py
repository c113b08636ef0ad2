"""`starter.py web`: what `status` shows, as a live page, with what waits for you to decide on."""

from typing import Annotated

import typer

from commands.options import ProjectOption, run


def web(
    project: ProjectOption = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0: any free one.")
    ] = "127.0.0.1:8020",
    url: Annotated[
        str, typer.Option(metavar="URL", help="Where browsers reach it, if that is another address.")
    ] = "",
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Whose decisions are sent; default: your user name.")
    ] = "",
) -> None:
    """Serve what `status` shows as a live page, and decide there.

    The address that it prints holds a token of this start: whoever has it can approve and reject. Over a
    network, put it behind TLS and name that address with --url.
    """
    run(_serve(project, listen, url, name))


async def _serve(project: str | None, listen: str, url: str, name: str) -> None:
    """Serve until the process is stopped. Raises `ConfigurationError` where it cannot be."""
    import asyncio
    import getpass

    from commands.runs import connected
    from commands.web_server import check_addresses, page_of

    check_addresses(listen, url, "--listen", "--url")
    settings, client = await connected()
    async with page_of(settings, client, project, (listen, url), name or getpass.getuser()) as address:
        typer.echo(f"Open {address}\nStop with Ctrl-C.")
        await asyncio.Event().wait()
