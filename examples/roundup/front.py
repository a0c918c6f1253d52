"""The gateway in front of the tracker: the product as it is, with the example's policy folder and keys.

`python -m examples.roundup.front` serves with what the environment says (GATEHOUSE_*, ROUNDUP_LOGIN); start.py sets all of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway import demo
from gateway.app import open_house, serve
from gateway.edge import Server
from gateway.observe import configure
from gateway.settings import Settings, read

POLICIES = Path(__file__).resolve().parent / "policies"
KEYS = (
    demo.DemoKey("agent", "app:agent", frozenset({"service"})),
    demo.DemoKey("agent-beijing", "app:agent-beijing", frozenset({"service"})),
    demo.DemoKey("supervisor", "app:supervisor", frozenset({"service"})),
    demo.DemoKey("auditor", "app:auditor", frozenset({"audit"})),
    demo.DemoKey("importer", "app:importer", frozenset({"maintenance"})),
)

Serving = Callable[[int, Mapping[str, str]], None]
"""Told once it serves: the port, and the keys by name. Runs in a thread; what it raises stops the gateway."""


async def serve_front(settings: Settings, environment: Mapping[str, str], then: Serving) -> None:
    """Serves until a signal. Keys are issued on the first start and kept in demo/credentials.json (0600)."""
    demo.prepare(settings)
    async with open_house(settings, environment=environment) as house:
        keys = await demo.credentials(house, keys=KEYS)
        told: list[asyncio.Task[None]] = []

        async def tell(server: Server) -> None:
            try:
                await asyncio.to_thread(then, server.addresses[0][1], keys)
            except BaseException:
                server.stop()
                raise

        await serve(house, started=lambda server: told.append(asyncio.ensure_future(tell(server))))
        await asyncio.gather(*told)


def main() -> None:
    """Serves with what the environment says."""
    configure()
    asyncio.run(serve_front(read(os.environ), os.environ, lambda _port, _keys: None))


if __name__ == "__main__":
    main()
