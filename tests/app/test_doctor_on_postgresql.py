"""What a start on PostgreSQL can refuse, `gatehouse doctor` says before."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from gateway import demo
from gateway.app import open_house
from gateway.keys import create_key_file
from gateway.serving import _seen
from gateway.settings import read
from tests.app.spoiled import Environment, missing, started
from tests.conftest import PostgresServer


@pytest.fixture
async def database(postgres: str, fresh_dir: Path) -> Environment:
    """A good home whose stores are in a fresh database."""
    home = fresh_dir / "home"
    environment = {"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0", "GATEHOUSE_DATABASE_URL": postgres}
    demo.prepare(read(environment))
    async with open_house(read(environment)):
        pass
    return environment


ON_POSTGRES = {
    "a state store of a newer program": "UPDATE state.state_version SET version_num = '9999'",
    "a log of a newer program": "UPDATE audit.schema_version SET version = 99",
    "a log whose guard is gone": "DROP TRIGGER entries_change ON audit.entries",
    "a log whose role may change entries": "GRANT UPDATE ON audit.entries TO audit_writer",
}


@pytest.mark.postgres
@pytest.mark.parametrize("name", ON_POSTGRES)
async def test_what_a_start_on_postgresql_refuses_the_doctor_says_before(
    database: Environment, postgres_server: PostgresServer, name: str
) -> None:
    assert await asyncio.to_thread(missing, database) == {}
    where = database["GATEHOUSE_DATABASE_URL"].partition("?")[0].rpartition("/")[2]
    postgres_server.sql(ON_POSTGRES[name], where)
    assert list(await asyncio.to_thread(missing, database)) == ["stores"]
    assert await asyncio.to_thread(started, database)


@pytest.mark.postgres
async def test_another_houses_key_file_beside_stores_on_postgresql_is_named(database: Environment) -> None:
    path = Path(database["GATEHOUSE_HOME"]) / "keys.json"
    path.unlink()
    create_key_file(path)
    found = await asyncio.to_thread(missing, database)
    assert list(found) == ["key file is the one that the stores were written with"]
    assert await asyncio.to_thread(started, database) == tuple(found.values())


@pytest.mark.postgres
async def test_a_login_that_may_too_little_is_named(
    database: Environment, postgres_server: PostgresServer
) -> None:
    where = database["GATEHOUSE_DATABASE_URL"].partition("?")[0].rpartition("/")[2]
    name = f"small_{where}"
    postgres_server.sql(
        f"CREATE ROLE {name} LOGIN; GRANT audit_writer TO {name}; GRANT USAGE ON SCHEMA state, records, audit TO {name};"
        f" GRANT SELECT ON ALL TABLES IN SCHEMA state, records, audit TO {name}",
        where,
    )
    url = database["GATEHOUSE_DATABASE_URL"].replace("://postgres:", f"://{name}:")
    assert name in url
    found = await asyncio.to_thread(missing, database | {"GATEHOUSE_DATABASE_URL": url})
    assert "may not read and write" in found["stores"]
    postgres_server.sql(
        f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA state, records TO {name}; UPDATE state.state_version SET"
        " version_num = '0001'",
        where,
    )
    found = await asyncio.to_thread(missing, database | {"GATEHOUSE_DATABASE_URL": url})
    assert "this login may not migrate it" in found["stores"]
    postgres_server.sql(f"DROP OWNED BY {name}; DROP ROLE {name}", where)


@pytest.mark.postgres
def test_a_server_that_does_not_answer_is_named(fresh_dir: Path) -> None:
    environment = {
        "GATEHOUSE_HOME": str(fresh_dir / "home"),
        "GATEHOUSE_PORT": "0",
        "GATEHOUSE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
    }
    demo.prepare(read(environment))
    assert list(missing(environment)) == ["stores"]
    assert started(environment) == ("not-ready",)


@pytest.mark.postgres
async def test_beside_a_gateway_on_postgresql_its_port_is_no_stranger_and_anothers_is(
    database: Environment,
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        settled = database | {"GATEHOUSE_PORT": str(bound.getsockname()[1])}
        with _seen(read(settled)):
            assert await asyncio.to_thread(missing, settled) == {}
        assert [name.partition(" ")[0] for name in await asyncio.to_thread(missing, settled)] == ["port"]
