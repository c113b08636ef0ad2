"""What every command needs: settings, a Temporal client, a clear end for errors the user can mend."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
# The SDK's native threads may abort a process that ends right after its last call.
LAST_BREATH_SECONDS = 0.05


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; configuration errors end the process with code 2 and one sentence."""
    from pydantic import ValidationError

    from hosting.clients import ConfigurationError

    async def with_breath() -> T:
        try:
            return await work
        finally:
            await asyncio.sleep(LAST_BREATH_SECONDS)

    try:
        return asyncio.run(with_breath())
    except (ConfigurationError, ValidationError) as error:
        sys.stderr.write(f"starter.py: {error}\n")
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
