"""Runs an entry point's coroutine; errors that the user can fix end it with a message."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
# The SDK's native threads may abort a process that ends right after its last call.
SHUTDOWN_GRACE_SECONDS = 0.05


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
