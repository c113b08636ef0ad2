"""Runs an entry point's coroutine; errors that the user can fix end it with a message."""

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
# The SDK's native threads may abort a process that ends right after its last call.
SHUTDOWN_GRACE_SECONDS = 0.05


def leave() -> NoReturn:
    """End the process at once, with code 0, and wait for no thread.

    A thread that still waits for git or GitHub, whose activity was handed back, would hold a worker up for
    longer than its supervisor waits before it kills.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def run_main(program: str, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` and return its result; a configuration error ends the process with code 2, Ctrl-C with 130.

    Imports are late, so that --help is quick.
    """
    from pydantic import ValidationError

    from railmend.settings import ConfigurationError

    async def run_with_grace() -> T:
        try:
            return await work
        finally:
            await asyncio.sleep(SHUTDOWN_GRACE_SECONDS)

    try:
        return asyncio.run(run_with_grace())
    except (ConfigurationError, ValidationError) as error:
        text = str(error)
        # Several lines are a list, one below the other.
        sys.stderr.write(f"{program}:\n{text}\n" if "\n" in text else f"{program}: {text}\n")
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
