"""Embedded upstream: many records at once, past HTTP. For the sample data, and for an import that has been sealed already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from gateway.records import document, work
from gateway.records.kinds import KINDS, Kind
from gateway.records.problem import Problem
from gateway.store import Store
from gateway.words.json import Json

BATCH = 500


async def seed(
    store: Store, kind: str, records: Iterable[Mapping[str, Json]], *, now: datetime | None = None
) -> int:
    """Inserts whole records of a kind (customer, thread, message) with the ids that they bring; gives how many were new.

    A record brings `id`, its fields (a message its `thread_id` and `customer_id` too), and may bring `created_at`.
    Raises Problem as a create over HTTP would, Unavailable, IntegrityError where it refers to what is not there.
    Promises: repeatable, a record whose id is there stays as it is; each 500 are one transaction.
    """
    shape = KINDS[kind]
    moment = now or datetime.now(UTC)
    given = iter(records)
    added = 0
    while batch := [_whole(shape, record, moment) for record in islice(given, BATCH)]:
        added += await store.write(partial(work.insert_all, kind=shape, records=batch))
    return added


def _whole(shape: Kind, record: Mapping[str, Json], moment: datetime) -> work.Record:
    given = {name: value for name, value in record.items() if name not in ("id", "created_at")}
    born = record.get("created_at", document.instant(moment))
    if not isinstance(record.get("id"), str) or not str(record["id"]).startswith(f"{shape.prefix}_"):
        raise Problem("field-required", field="id")
    fields = document.created(shape, given, {}, moment)
    own: dict[str, Json] = {"id": record["id"], "version": 1, "created_at": born, "updated_at": born}
    return {name: own[name] if name in own else fields[name] for name in shape.fields}
