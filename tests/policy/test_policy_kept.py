"""Bundles that were in force: kept once, found as they were on both engines, and never another in their place."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from gateway.policy.kept import packing
from gateway.policy.kept.packing import Unpackable, packed, unpacked
from gateway.policy.kept.store import KeptBundles
from gateway.store import Location, Store, Tree, migrate, open_store
from gateway.words.errors import GatehouseError

FILES = {
    "model.conf": b"[m]\n",
    "policy.csv": b"p, a\n",
    "cases/branch.yaml": b"\xff\x00\n",
    "catalogue/crm.yaml": b"",
}
GOLDEN = Path(__file__).parent / "golden" / "bundle-1.bin"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    at = (
        Location.parse(f"sqlite:///{tmp_path}/state.sqlite")
        if request.param == "sqlite"
        else Location.parse(request.getfixturevalue("postgres"), schema="state")
    )
    opened = await open_store(at)
    await migrate(opened, Tree.of("state"))
    yield opened
    await opened.close()


async def test_a_bundle_is_kept_once_and_found_as_it_was(store: Store) -> None:
    kept = KeptBundles(store)
    assert await kept.find("sha256:a") is None
    await asyncio.gather(*(kept.keep("sha256:a", FILES) for _ in range(4)))
    await kept.keep("sha256:a", {"model.conf": b"another"})
    await kept.keep("sha256:b", {})
    assert await kept.find("sha256:a") == FILES
    assert await kept.find("sha256:b") == {}
    # Digests are compared byte by byte.
    assert await kept.find("SHA256:A") is None


@pytest.mark.parametrize(
    "statement",
    ["UPDATE bundles SET files = :other", "UPDATE bundles SET digest = 'sha256:z'", "DELETE FROM bundles"],
)
async def test_what_was_kept_is_neither_changed_nor_taken_away(store: Store, statement: str) -> None:
    kept = KeptBundles(store)
    await kept.keep("sha256:a", FILES)
    given = {"other": packed({"model.conf": b"x"})} if ":other" in statement else {}
    with pytest.raises((GatehouseError, DBAPIError, IntegrityError)):
        await store.write(lambda c: c.execute(text(statement), given))
    assert await kept.find("sha256:a") == FILES


async def test_a_row_that_holds_something_else_is_no_bundle(store: Store) -> None:
    insert = text("INSERT INTO bundles (digest, files, kept) VALUES ('sha256:a', :files, 0)")
    await store.write(lambda c: c.execute(insert, {"files": b"no bundle"}))
    assert await KeptBundles(store).find("sha256:a") is None


def stream(document: object) -> bytes:
    return zlib.compress(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        packed(FILES)[:-1],
        packed(FILES) + b"\x00",
        stream([]),
        stream({"format": 1}),
        stream({"format": 2, "files": {}}),
        stream({"format": 1, "files": {}, "more": 1}),
        stream({"format": 1, "files": []}),
        stream({"format": 1, "files": {"model.conf": "***"}}),
        stream({"format": 1, "files": {"model.conf": 1}}),
        *(
            stream({"format": 1, "files": {name: ""}})
            for name in (
                "../model.conf",
                "/model.conf",
                "a/b/c",
                "a//b",
                "",
                ".",
                "..",
                "cases/../x",
                "a\\b",
                "a\n",
                "cases/",
            )
        ),
        zlib.compress(b"[" * 100_000),
    ],
    ids=range(23),
)
def test_nothing_else_is_unpacked(data: bytes) -> None:
    with pytest.raises(Unpackable):
        unpacked(data)


def test_a_few_bytes_that_stand_for_very_many_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed({"model.conf": bytes(100_000)})
    assert len(data) < 1_000
    monkeypatch.setattr(packing, "MOST_BYTES", 100_000)
    with pytest.raises(Unpackable):
        unpacked(data)


def test_what_format_1_was_once_is_read_today() -> None:
    assert unpacked(GOLDEN.read_bytes()) == FILES
    assert unpacked(packed(FILES)) == FILES
