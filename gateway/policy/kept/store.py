"""Bundles that were in force, kept by their digest, so that a recorded decision can be made again."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from gateway.policy.kept.packing import Unpackable, packed, unpacked
from gateway.policy.kept.tables import BUNDLES
from gateway.store import Store, insert_unless_there


class KeptBundles:
    """The rows. Nothing in one is believed: whoever reads it holds what it makes of it against the digest."""

    def __init__(self, store: Store, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._clock = clock

    async def keep(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Keeps a bundle's files, once. Raises Unavailable."""
        if await self._store.read(
            lambda c: c.execute(select(BUNDLES.c.kept).where(BUNDLES.c.digest == digest)).first()
        ):
            return
        row = {"digest": digest, "files": await to_thread(packed, files), "kept": self._clock()}

        def work(connection: Connection) -> None:
            connection.execute(insert_unless_there(BUNDLES), row)

        await self._store.write(work)

    async def find(self, digest: str) -> Mapping[str, bytes] | None:
        """Gives a bundle's files; None where none were kept, or where the row holds something else. Raises Unavailable."""

        def work(connection: Connection) -> bytes | None:
            found: bytes | None = connection.execute(
                select(BUNDLES.c.files).where(BUNDLES.c.digest == digest)
            ).scalar_one_or_none()
            return found

        found = await self._store.read(work)
        try:
            return None if found is None else await to_thread(unpacked, found)
        except Unpackable:
            return None
