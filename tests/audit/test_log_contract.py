"""What every log promises, on both stores."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785

import audit
from audit import EventRefused, Kind, Limits, Log, LogBusy, LogRefused, LogUnavailable, Stale
from audit.store.base import migrations
from tests.audit.builders import START, Place, PostgresPlace, event, part


def fields(entry: audit.StoredEntry) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(entry.bytes)
    return loaded


async def test_an_entry_is_stored_in_canonical_bytes_under_the_hash_of_its_receipt(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    first = await log.append(event())
    second = await log.append(event(trace="4bf92f", details=b"sealed"))
    stored = await log.entry(2)
    await log.close()
    assert stored is not None
    assert stored.bytes == rfc8785.dumps(fields(stored))
    assert second.hash == stored.hash == hashlib.sha256(b"\x00" + stored.bytes).hexdigest()
    assert fields(stored)["prev"] == first.hash
    assert fields(stored)["details"] == hashlib.sha256(b"sealed").hexdigest()
    assert stored.details == b"sealed"
    assert second.ref == f"2:{stored.hash}"
    keys = "action decision details fence grant kind log of prev principal purpose records request resource seq time trace"
    assert " ".join(fields(stored)) == f"{keys} upstream v"


async def test_a_records_part_lies_beside_the_entry_which_holds_only_its_salted_commitment(
    place: Place,
) -> None:
    log = await Log.open(place.store(), create=True)
    await log.append(event(records=(part("r1"), part("r1"))))
    stored = await log.entry(1)
    await log.close()
    assert stored is not None
    one, two = stored.parts
    assert json.loads(one.body)["reference"] == "r1"
    assert one.body == two.body
    assert one.salt != two.salt
    assert fields(stored)["records"] == [
        hashlib.sha256(b"\x02" + p.salt + p.body).hexdigest() for p in (one, two)
    ]
    assert b"r1" not in stored.bytes


async def test_the_head_comes_from_the_store_and_a_new_process_goes_on_from_it(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    empty = await log.head()
    receipt = await log.append(event())
    await log.close()
    again = await Log.open(place.store())
    head = await again.head()
    following = await again.append(event())
    await again.close()
    assert (empty.seq, empty.hash, empty.fence) == (0, "0" * 64, 0)
    assert (head.seq, head.hash, head.time, head.log) == (1, receipt.hash, receipt.time, empty.log)
    assert following.seq == 2
    assert place.verify(receipt.ref, following.ref).intact


async def test_a_decision_older_than_the_fence_is_stale_and_writes_nothing(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    raised = await log.append(event(Kind.CHANGE), fence=0, raises_fence=True)
    with pytest.raises(Stale) as stale:
        await log.append(event(), fence=0)
    head = await log.head()
    current = await log.append(event(), fence=1)
    await log.close()
    assert (raised.fence, stale.value.fence, log.fence) == (1, 1, 1)
    assert head.seq == 1
    assert (current.seq, current.fence) == (2, 1)


async def test_in_one_batch_what_comes_after_a_raised_fence_is_stale_and_fails_alone(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    results = await asyncio.gather(
        log.append(event(), fence=0),
        log.append(event(Kind.CHANGE), fence=0, raises_fence=True),
        log.append(event(), fence=0),
        log.append(event(Kind.CHANGE), fence=0, raises_fence=True),
        log.append(event()),
        return_exceptions=True,
    )
    head = await log.head()
    await log.close()
    assert [getattr(r, "seq", type(r)) for r in results] == [1, 2, Stale, Stale, 3]
    assert (head.seq, head.fence) == (3, 1)


async def test_an_event_without_a_valid_entry_fails_alone(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    results = await asyncio.gather(
        log.append(event()),
        log.append(event(upstream={"took": 0.5})),
        log.append(event(Kind.OUTCOME, of=9)),
        log.append(event()),
        return_exceptions=True,
    )
    await log.close()
    assert [getattr(r, "seq", type(r)) for r in results] == [1, EventRefused, EventRefused, 2]
    assert place.verify().intact


async def test_time_never_goes_back_when_the_clock_does(place: Place) -> None:
    ticks = iter([START, START - 3_600_000_000, START + 1])
    log = await Log.open(place.store(), create=True, clock=lambda: next(ticks))
    times = [(await log.append(event())).time for _ in range(3)]
    await log.close()
    assert times == [
        "2026-09-21T14:13:20.000000Z",
        "2026-09-21T14:13:20.000000Z",
        "2026-09-21T14:13:20.000001Z",
    ]


async def test_entries_are_read_in_order_from_any_place(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    for number in range(5):
        await log.append(event(request=f"req_{number}", records=(part(f"r{number}"),) * (number % 3)))
    read = await log.entries(1, 3)
    assert await log.entry(6) is None
    assert await log.entries(5, 10) == []
    await log.close()
    assert [entry.seq for entry in read] == [2, 3, 4]
    assert [len(entry.parts) for entry in read] == [1, 2, 0]
    assert [fields(entry)["request"] for entry in read] == ["req_1", "req_2", "req_3"]


async def test_the_tail_is_read_beside_the_process_that_owns_the_log(place: Place, tmp_path: Path) -> None:
    log = await Log.open(place.store(), create=True)
    assert await asyncio.to_thread(audit.tail, place.store(), 2) == []
    receipts = [await log.append(event()) for _ in range(3)]
    last = await asyncio.to_thread(audit.tail, place.store(), 2)
    everything = await asyncio.to_thread(audit.tail, place.store(), 9)
    await log.close()
    assert [f"{entry.seq}:{entry.hash}" for entry in last] == [receipt.ref for receipt in receipts[1:]]
    assert len(everything) == 3
    with pytest.raises(LogUnavailable):
        await asyncio.to_thread(audit.tail, audit.sqlite(tmp_path / "none.db"), 2)


async def test_an_intent_is_open_until_an_entry_names_it_also_over_a_restart(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    for _ in range(3):
        await log.append(event(Kind.INTENT))
    await log.append(event(Kind.OUTCOME, of=2))
    await log.append(event(Kind.NOTE, of=3))
    assert [intent.seq for intent in await log.open_intents()] == [1, 3]
    await log.append(event(Kind.DENIED, of=3))
    await log.append(event(Kind.INTENT, request="req_late"))
    assert [intent.seq for intent in await log.open_intents()] == [1, 7]
    await log.close()
    assert [row[0] for row in place.ask("SELECT seq FROM cursors")] == [7]
    again = await Log.open(place.store())
    await again.append(event(Kind.OUTCOME, of=1))
    found = await again.open_intents()
    await again.close()
    assert [(intent.seq, intent.fields["request"]) for intent in found] == [(7, "req_late")]


async def test_an_intent_is_settled_by_the_first_entry_that_names_it_and_may(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    for _ in range(2):
        await log.append(event(Kind.INTENT))
    await log.append(event(Kind.NOTE, of=1))
    assert [await log.settling(seq) for seq in (1, 2, 3, 99)] == [None] * 4
    # Far behind it, and beside a number that begins alike: 1 is not 10.
    await asyncio.gather(*(log.append(event(Kind.INTENT)) for _ in range(400)))
    await log.append(event(Kind.OUTCOME, of=10))
    outcome = await log.append(event(Kind.OUTCOME, of=1))
    await log.append(event(Kind.SERVED, of=1))
    for _ in range(2):
        found = await log.settling(1)
        assert found is not None
        assert f"{found.seq}:{found.hash}" == outcome.ref
    assert await log.settling(2) is None
    await log.close()
    again = await Log.open(place.store())
    found = await again.settling(1)
    await again.close()
    assert found is not None
    assert found.hash == outcome.hash


async def test_a_cancelled_caller_harms_no_other_and_its_entry_may_stand(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    tasks = [asyncio.create_task(log.append(event(request=f"req_{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    after = await log.append(event())
    head = await log.head()
    await log.close()
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert all(isinstance(result, audit.Receipt) for result in results[1::2])
    assert head.seq == after.seq
    assert place.verify(*[result.ref for result in results[1::2]]).intact  # type: ignore[union-attr]  # receipts


async def test_a_full_queue_refuses_and_drops_nothing(place: Place) -> None:
    log = await Log.open(place.store(), create=True, max_waiting=10)
    results = await asyncio.gather(*(log.append(event()) for _ in range(25)), return_exceptions=True)
    later = await log.append(event())
    await log.close()
    refused = [result for result in results if isinstance(result, LogBusy)]
    assert len(refused) == 15
    assert refused[0].retry_after_seconds == 1
    assert later.seq == 11


async def test_closing_writes_what_waits_and_then_nothing_more(place: Place) -> None:
    log = await Log.open(place.store(), create=True, limits=Limits(max_batch=3))
    tasks = [asyncio.create_task(log.append(event())) for _ in range(10)]
    await asyncio.sleep(0)
    await log.close()
    receipts = await asyncio.gather(*tasks)
    with pytest.raises(LogUnavailable):
        await log.append(event())
    with pytest.raises(LogUnavailable):
        await log.head()
    await log.close()
    assert [receipt.seq for receipt in receipts] == list(range(1, 11))
    assert place.verify().entries == 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_bug_in_the_writer_stops_the_log_and_leaves_nobody_waiting(place: Place) -> None:
    ticks = iter([START])  # and then StopIteration, in the writer's thread
    log = await Log.open(place.store(), create=True, clock=lambda: next(ticks), limits=Limits(max_batch=2))
    await log.append(event())
    results = await asyncio.gather(*(log.append(event()) for _ in range(5)), return_exceptions=True)
    with pytest.raises(LogUnavailable):
        await log.append(event())
    await log.close()
    assert [type(result) for result in results] == [LogUnavailable] * 5
    assert place.verify().entries == 1


async def test_a_missing_log_is_refused_and_made_only_on_purpose(place: Place) -> None:
    with pytest.raises(LogRefused, match="on purpose"):
        await Log.open(place.store())
    await (await Log.open(place.store(), create=True)).close()
    first = place.ask("SELECT log FROM head")
    await (await Log.open(place.store(), create=True)).close()
    assert place.ask("SELECT log FROM head") == first


async def test_a_log_whose_end_disagrees_with_its_head_is_not_extended(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    await log.append(event())
    await log.append(event())
    await log.close()
    saved = place.ask("SELECT hash FROM entries WHERE seq = 2")[0][0]
    body = place.ask("SELECT body FROM entries WHERE seq = 2")[0][0]
    place.tamper(("UPDATE entries SET body = $1 WHERE seq = 2", bytes(body).replace(b"req_1", b"req_2")))
    restore_guards(place)
    with pytest.raises(LogRefused, match="disagree"):
        await Log.open(place.store())
    place.tamper(("DELETE FROM entries WHERE seq = 2",))
    restore_guards(place)
    with pytest.raises(LogRefused, match="disagree"):
        await Log.open(place.store())
    place.tamper(("INSERT INTO entries VALUES (2, $1, $2)", body, saved))
    restore_guards(place)
    await (await Log.open(place.store())).close()


async def test_a_head_that_goes_back_while_the_log_runs_stops_it(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    await log.append(event())
    old = place.ask("SELECT hash, time FROM head")[0]
    await log.append(event())
    place.tamper(
        ("DELETE FROM parts WHERE seq = 2",),
        ("DELETE FROM entries WHERE seq = 2",),
        ("UPDATE head SET seq = 1, hash = $1, time = $2", *old),
    )
    with pytest.raises(LogUnavailable, match="went back"):
        await log.append(event())
    with pytest.raises(LogUnavailable, match="went back"):
        await log.append(event())
    await log.close()
    assert place.ask("SELECT count(*) FROM entries") == [(1,)]


@pytest.mark.parametrize("table", ["entries", "parts", "details", "head"])
async def test_a_log_whose_guard_is_gone_does_not_start(place: Place, table: str) -> None:
    await (await Log.open(place.store(), create=True)).close()
    name = f"{table}_delete" if hasattr(place, "path") else f"{table}_change ON {table}"
    place.ask(f"DROP TRIGGER {name}")
    with pytest.raises(LogRefused, match="guard"):
        await Log.open(place.store())


@pytest.mark.parametrize("table", ["entries", "parts", "details", "head"])
async def test_a_log_whose_guard_does_something_else_under_its_name_does_not_start(
    place: Place, table: str
) -> None:
    await (await Log.open(place.store(), create=True)).close()
    if hasattr(place, "path"):
        name = f"{table}_update"
        place.ask(f"DROP TRIGGER {name}")
        place.ask(f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} BEGIN SELECT 1; END")
    else:
        place.ask(
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
        )
    with pytest.raises(LogRefused, match=r"guard \w+ is another"):
        await Log.open(place.store())


async def test_a_guard_that_fires_at_nothing_is_another(postgres: str) -> None:
    place = PostgresPlace(postgres)
    await (await Log.open(place.store(), create=True)).close()
    place.ask("DROP TRIGGER entries_change ON entries")
    place.ask(
        "CREATE TRIGGER entries_change BEFORE TRUNCATE ON entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    place.ask("ALTER TABLE entries ENABLE ALWAYS TRIGGER entries_change")
    with pytest.raises(LogRefused, match="guard entries_change is another"):
        await Log.open(place.store())


def restore_guards(place: Place) -> None:
    """Puts the triggers back, as an attacker who wants to stay unseen would."""
    if hasattr(place, "path"):
        script = "".join(text for _, text in migrations("sqlite", 0))
        for statement in script.split("CREATE TRIGGER ")[1:]:
            place.ask("CREATE TRIGGER " + statement[: statement.index("END;") + 4])
        return
    for table, name in [(t, f"{t}_change") for t in ("entries", "parts", "details", "head")] + [
        ("head", "head_forward")
    ]:
        place.ask(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
