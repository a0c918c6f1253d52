"""Durable appends a second, in a process of its own: so many waiters, each of whom awaits its receipt and appends again.

    python -m bench.appends < '{"place": …, "waiters": 64, "events": 20000}'      place: a file, or postgresql://…

The event is what a read of one customer leaves: a principal, a decision, one record's part. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from time import perf_counter, process_time
from typing import Any

import orjson
import uvloop

import audit
from audit import AuditEvent, Kind, Log, RecordPart

FIELDS = {
    "clear": [
        "/address",
        "/created_at",
        "/email",
        "/id",
        "/level",
        "/name",
        "/phone",
        "/region",
        "/tags",
        "/unit",
        "/version",
    ],
    "masked": ["/bank_card", "/id_number"],
}


def event(number: int) -> AuditEvent:
    """Gives one: 1.3 KB with its part, none equal to another."""
    return AuditEvent(
        kind=Kind.SERVED,
        request=f"req_{number:026d}",
        principal={
            "application": "app:demo-supervisor",
            "person": None,
            "roles": ["role:clerk", "role:supervisor"],
            "proven": ["api-key:key_01k9w3v6g0e8t9n2m4q5r7s1ab"],
        },
        action="customer:read",
        purpose="service",
        resource={"upstream": "crm", "type": "customer"},
        records=(
            RecordPart(
                {
                    "reference": f"ref_{number:022d}",
                    "subject": f"psd_{number:022d}",
                    "fields": FIELDS,
                    "facts": {
                        "unit": "branch:shanghai",
                        "region": "cn-east",
                        "level": "standard",
                        "tags": ["bench"],
                    },
                }
            ),
        ),
        decision={
            "allowed": True,
            "reason": "rule-allowed",
            "by": "bundle",
            "rule": "policy.csv:7",
            "bundle": "sha256:" + "0" * 64,
            "facts": "1" * 64,
            "engine": "gatehouse-policy/1",
        },
    )


async def appends(place: str, waiters: int, events: int) -> dict[str, Any]:
    """Gives what it came to."""
    # On PostgreSQL each measurement has a log of its own, as each has a file of its own on SQLite.
    schema = "bench_" + secrets.token_hex(6)
    store = audit.postgres(place, schema) if place.startswith("postgresql:") else audit.sqlite(place)
    log = await Log.open(store, create=True)
    left = iter(range(events))
    taken: list[float] = []

    async def wait() -> None:
        for number in left:
            made = event(number)
            began = perf_counter()
            await log.append(made, fence=log.fence)
            taken.append(perf_counter() - began)

    cpu, began = process_time(), perf_counter()
    await asyncio.gather(*(wait() for _ in range(waiters)))
    seconds, used = perf_counter() - began, process_time() - cpu
    if (await log.head()).seq != events:
        raise SystemExit("the log does not hold what it acknowledged")
    await log.close()
    taken.sort()
    return {
        "per_second": events / seconds,
        "cpu_us": used / events * 1e6,
        "p50_ms": taken[len(taken) // 2] * 1000,
        "p99_ms": taken[len(taken) * 99 // 100] * 1000,
    }


if __name__ == "__main__":
    os.umask(0o077)
    print(orjson.dumps(uvloop.run(appends(**orjson.loads(sys.stdin.buffer.read())))).decode())
