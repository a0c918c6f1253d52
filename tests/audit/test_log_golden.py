"""Entry format 1 in bytes, pinned for good, and a store of that format that later programs must open."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import audit
from audit import Kind, Log
from audit.verify import verify_sqlite
from tests.audit.builders import Place, event
from tests.audit.golden.make import ENTRIES, STORE, write


async def test_entries_of_every_kind_have_the_golden_bytes_and_hashes(place: Place) -> None:
    golden = json.loads(ENTRIES.read_text(encoding="utf-8"))
    assert await write(place.store()) == golden
    assert {json.loads(entry["bytes"])["kind"] for entry in golden} == {
        "intent", "outcome", "served", "denied", "change", "note",
    }  # fmt: skip


def test_the_golden_hashes_follow_from_the_golden_bytes_by_the_documented_rule() -> None:
    prev = "0" * 64
    for entry in json.loads(ENTRIES.read_text(encoding="utf-8")):
        fields = json.loads(entry["bytes"])
        assert fields["prev"] == prev
        prev = hashlib.sha256(b"\x00" + entry["bytes"].encode()).hexdigest()
        assert entry["hash"] == prev
        assert fields["records"] == [
            hashlib.sha256(b"\x02" + bytes.fromhex(part["salt"]) + part["body"].encode()).hexdigest()
            for part in entry["parts"]
        ]
        if entry["details"] is not None:
            assert fields["details"] == hashlib.sha256(bytes.fromhex(entry["details"])).hexdigest()


async def test_a_store_of_format_1_opens_verifies_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    shutil.copy(STORE, path)
    golden = json.loads(ENTRIES.read_text(encoding="utf-8"))
    receipts = [f"{place}:{entry['hash']}" for place, entry in enumerate(golden, 1)]
    assert verify_sqlite(path, receipts).intact
    log = await Log.open(audit.sqlite(path))
    assert [intent.seq for intent in await log.open_intents()] == []
    receipt = await log.append(event(Kind.NOTE), fence=1)
    await log.close()
    assert receipt.seq == len(golden) + 1
    assert verify_sqlite(path, [*receipts, receipt.ref]).intact
