"""A log of many entries in PostgreSQL is verified within the deadlines of its connection, however little memory the server sorts in."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from audit.verify_postgres import _CHUNK, _fetcher, _strays

MANY = 30 * _CHUNK + 1


@pytest.mark.postgres
def test_rows_of_no_entry_are_looked_for_page_by_page(postgres: str) -> None:
    """One question about all of them compared every row with every entry where the entries did not fit into the server's memory."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(postgres, command_timeout=20))
        ask = _fetcher(runner, connection)

        def looked() -> list[tuple[str, int]]:
            return list(_strays(ask))

        try:
            for statement in (
                "SET work_mem = '64kB'",
                "CREATE TABLE entries (seq bigint PRIMARY KEY)",
                "CREATE TABLE parts (seq bigint, n int, PRIMARY KEY (seq, n))",
                "CREATE TABLE details (seq bigint PRIMARY KEY)",
                f"INSERT INTO entries SELECT generate_series(1, {MANY})",
                f"INSERT INTO parts SELECT seq, n FROM generate_series(1, {MANY}) seq, generate_series(0, 1) n",
                "ANALYZE",
            ):
                runner.run(connection.execute(statement))
            assert looked() == []
            last, beyond, first = 2**63 - 1, MANY + 7, -(2**63)
            runner.run(connection.execute("INSERT INTO parts VALUES ($1, 0), ($1, 1)", last))
            assert looked() == [("parts", last)]
            runner.run(connection.execute("INSERT INTO details VALUES ($1)", beyond))
            assert looked() == [("details", beyond), ("parts", last)]
            runner.run(connection.execute("INSERT INTO parts VALUES ($1, 0)", first))
            assert looked()[0] == ("parts", first)
        finally:
            runner.run(connection.close())
