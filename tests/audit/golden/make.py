"""Makes the golden files of entry format 1: `python -m tests.audit.golden.make`. They never change; a new format adds new ones."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import audit
from audit import AuditEvent, Kind, Log, RecordPart

FOLDER = Path(__file__).parent
ENTRIES = FOLDER / "format_1.json"
STORE = FOLDER / "format_1.sqlite"
START = 1_790_000_000_000_000


def dice() -> Callable[[int], bytes]:
    """Dice that always fall alike."""
    count = itertools.count()
    return lambda size: hashlib.sha256(b"golden %d" % next(count)).digest()[:size]


def events() -> list[tuple[AuditEvent, bool]]:
    """One event of every kind, with every field used and every field empty; and whether it raises the fence."""
    person = {
        "application": "app:desk",
        "person": "person:https://id.example#7",
        "roles": ["agent@east"],
        "proven": ["api-key"],
    }
    system = {"application": "system:gateway", "person": None, "roles": [], "proven": ["start"]}
    allowed = {
        "allowed": True, "reason": "allowed", "by": "bundle", "rule": "policy.csv:12", "bundle": "0b" * 32,
        "facts": "0f" * 32, "engine": "pycasbin 2.8.0",
    }  # fmt: skip
    shown = RecordPart(
        {
            "reference": "cus_1",
            "subject": "sub_8c1",
            "fields": {"/name": "masked", "/电话": "clear", "/\U0001f600": "withheld"},
        }
    )
    sealed = RecordPart({"reference": "cus_2", "subject": None, "sealed": {"/phone": "0c" * 32}})
    crm = {"purpose": "support", "resource": {"upstream": "crm", "type": "customer"}}
    update: dict[str, Any] = {**crm, "records": (sealed,), "decision": allowed, "grant": "grant_1"}
    refused = {"allowed": False, "reason": 'no rule "x"\n\u0001\u007f\u2028'}
    return [
        (AuditEvent(Kind.NOTE, "req_start", system, "log:start"), False),
        (
            AuditEvent(
                Kind.CHANGE, "req_key", system, "key:revoke", upstream={"key": "key_1"}, details=b"sealed"
            ),
            True,
        ),
        (
            AuditEvent(Kind.INTENT, "req_2", person, "customer:update", trace="4bf92f3577b34da6", **update),
            False,
        ),
        (
            AuditEvent(
                Kind.OUTCOME, "req_2", person, "customer:update", upstream={"status": 200}, of=3, **update
            ),
            False,
        ),
        (
            AuditEvent(
                Kind.SERVED,
                "req_3",
                person,
                "customer:list",
                records=(shown, sealed),
                decision=allowed,
                **crm,
            ),
            False,
        ),
        (AuditEvent(Kind.DENIED, "req_4", person, "customer:delete", decision=refused, **crm), False),
    ]


async def write(store: audit.Store) -> list[dict[str, Any]]:
    """Writes the golden events and gives what is pinned of each entry."""
    ticks = itertools.count(START, 1_500_000)
    log = await Log.open(store, create=True, clock=lambda: next(ticks), dice=dice())
    for event, raises in events():
        await log.append(event, raises_fence=raises)
    entries = await log.entries(0, 100)
    await log.close()
    return [
        {
            "bytes": entry.bytes.decode(),
            "hash": entry.hash,
            "parts": [{"salt": part.salt.hex(), "body": part.body.decode()} for part in entry.parts],
            "details": None if entry.details is None else entry.details.hex(),
        }
        for entry in entries
    ]


if __name__ == "__main__":
    made = asyncio.run(write(audit.sqlite(STORE)))
    ENTRIES.write_text(json.dumps(made, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    STORE.with_name(STORE.name + ".lock").unlink()
