"""One call makes one event; and the two places in which a log can lie, with what an attacker needs at each."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg

import audit
from audit import AuditEvent, Kind, RecordPart
from audit.verify import Report, verify_sqlite
from audit.verify_postgres import verify_postgres

START = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z in microseconds


def event(kind: Kind = Kind.SERVED, **changes: Any) -> AuditEvent:
    """An event as the corridor would make it; `changes` show the one difference."""
    fields: dict[str, Any] = {
        "kind": kind,
        "request": "req_1",
        "principal": {
            "application": "app:desk",
            "person": "person:https://id.example#7",
            "roles": ["agent@east"],
            "proven": ["api-key"],
        },
        "action": "customer:read",
        "purpose": "support",
        "resource": {"upstream": "crm", "type": "customer"},
        "records": (part("r1"),),
        "decision": {
            "allowed": True,
            "reason": "allowed",
            "by": "bundle",
            "rule": "policy.csv:3",
            "bundle": "ab" * 32,
        },
    }
    if kind is Kind.OUTCOME:
        fields["of"] = 1
    return AuditEvent(**{**fields, **changes})


def part(reference: str) -> RecordPart:
    return RecordPart(
        {"reference": reference, "subject": "sub_1", "fields": {"/name": "masked", "/phone": "withheld"}}
    )


class Place(Protocol):
    """A log's place: `store()` for the log, the rest for an attacker with the database's own rights."""

    def store(self) -> audit.Store: ...
    def verify(self, *receipts: str) -> Report: ...
    def ask(self, sql: str, *values: Any) -> list[Any]: ...
    def tamper(self, *statements: tuple[Any, ...]) -> None: ...
    def attempt(self, sql: str) -> str | None: ...


@dataclass
class SqlitePlace:
    path: Path

    def store(self) -> audit.Store:
        return audit.sqlite(self.path)

    def verify(self, *receipts: str) -> Report:
        return verify_sqlite(self.path, receipts)

    def ask(self, sql: str, *values: Any) -> list[Any]:
        with sqlite3.connect(self.path) as connection:
            rows = connection.execute(re.sub(r"\$\d+", "?", sql), values).fetchall()
        connection.close()
        return rows

    def tamper(self, *statements: tuple[Any, ...]) -> None:
        """Runs statements with the guards out of the way, as somebody with the file would."""
        connection = sqlite3.connect(self.path)
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            connection.execute(f"DROP TRIGGER {name}")
        for sql, *values in statements:
            connection.execute(re.sub(r"\$\d+", "?", sql), values)
        connection.commit()
        connection.close()

    def attempt(self, sql: str) -> str | None:
        """Runs one statement with the guards in place; what refused it, or None where it went through."""
        connection = sqlite3.connect(self.path)
        try:
            connection.execute(sql)
            connection.commit()
        except sqlite3.Error as error:
            return str(error)
        finally:
            connection.close()
        return None


@dataclass
class PostgresPlace:
    dsn: str

    def store(self) -> audit.Store:
        return audit.postgres(self.dsn)

    def verify(self, *receipts: str) -> Report:
        return verify_postgres(self.dsn, receipts=receipts)

    def ask(self, sql: str, *values: Any) -> list[Any]:
        rows: list[Any] = self._run(lambda connection: connection.fetch(sql, *values))
        return [tuple(row) for row in rows]

    def tamper(self, *statements: tuple[Any, ...]) -> None:
        async def run(connection: Any) -> None:
            async with connection.transaction():
                for table in ("entries", "parts", "details", "head"):
                    await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
                for sql, *values in statements:
                    await connection.execute(sql, *values)

        self._run(run)

    def attempt(self, sql: str, role: str | None = None) -> str | None:
        async def run(connection: Any) -> str | None:
            try:
                if role is not None:
                    await connection.execute(f"SET ROLE {role}")
                await connection.execute(sql)
            except asyncpg.PostgresError as error:
                return str(error)
            return None

        refused: str | None = self._run(run)
        return refused

    def _run(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def session() -> Any:
            connection = await asyncpg.connect(self.dsn, server_settings={"search_path": "audit"})
            try:
                return await work(connection)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:  # its own event loop: tests run in one already
            return thread.submit(lambda: asyncio.run(session())).result()
