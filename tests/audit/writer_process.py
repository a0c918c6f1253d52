"""A process of its own that appends until it is killed or done: PLACE COUNT WAITERS. Prints each receipt once it is given."""

from __future__ import annotations

import asyncio
import os
import sys

import audit
from audit import Kind, Log
from tests.audit.builders import event, part


async def write(place: str, count: int, waiters: int) -> None:
    store = audit.postgres(place) if place.startswith("postgresql:") else audit.sqlite(place)
    log = await Log.open(store)
    os.write(1, b"ready\n")

    async def work(number: int) -> None:
        for turn in range(count):
            intent = await log.append(event(Kind.INTENT, request=f"req_{os.getpid()}_{number}_{turn}"))
            os.write(1, f"{intent.ref}\n".encode())
            outcome = await log.append(
                event(Kind.OUTCOME, of=intent.seq, records=(part("r"),), details=b"sealed")
            )
            os.write(1, f"{outcome.ref}\n".encode())

    await asyncio.gather(*(work(number) for number in range(waiters)))
    await log.close()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
