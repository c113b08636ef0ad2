"""`starter.py web`: what `status` shows, as a live page, with what waits for you to decide on."""

from typing import Annotated

import typer

from commands.options import ProjectOption, run

MOST_PORT = 65_535


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
    from urllib.parse import urlsplit

    from commands.ledgers import projects_of
    from commands.page_content import PageReader
    from commands.runs import connected
    from commands.web_app import WebPage
    from hosting.http_server import serving, split
    from railmend.settings import ConfigurationError

    try:
        host, port = split(listen)
        if port > MOST_PORT:
            raise ValueError(port)
    except ValueError as error:
        raise ConfigurationError(f"--listen {listen}: give HOST:PORT, such as 127.0.0.1:8020.") from error
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/")):
        raise ConfigurationError(f"--url {url}: give an address without a path, such as https://ops.example.")
    if not url and host not in ("127.0.0.1", "localhost", "::1"):
        raise ConfigurationError(f"--listen {listen} is not this machine alone: give with --url its address.")
    settings, client = await connected()
    projects = projects_of(settings, project)
    reader = PageReader(settings, client)
    page = WebPage(client, lambda: reader.read(projects), name or getpass.getuser(), url)
    try:
        async with serving(page.app, listen, "--listen") as port:
            shown = url or f"http://{listen.rpartition(':')[0]}:{port}"
            typer.echo(f"Open {page.address(shown)}\nStop with Ctrl-C.")
            await asyncio.Event().wait()
    finally:
        await reader.aclose()
