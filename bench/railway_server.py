"""Serve a synthetic project: print its address, then run until killed."""

import asyncio
import sys

from railyard.api.behaviour import Behaviour, Gatekeeper
from railyard.api.synthetic import Synthetic, build_synthetic
from railyard.serving import Serving


async def main() -> None:
    services, web, troubled = (int(text) for text in sys.argv[1:4])
    behaviour = Behaviour(latency_seconds=float(sys.argv[4]), quota=1_000_000)
    project = Synthetic(services, web, min(troubled, web))
    serving = Serving(build_synthetic(project, Gatekeeper(behaviour)))
    serving.start()
    print(f"{serving.url}/graphql/v2", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
