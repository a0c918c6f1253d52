"""Several workers behind one port: they share the load, the log, what is revoked and what is in force, and are seen as one."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import urllib.request
from pathlib import Path

import orjson
import pytest

import audit
from gateway.app import open_house
from gateway.doctor import examine
from gateway.identity.demo import DemoIssuer
from gateway.settings import read
from tests.campaign.counts import dice, in_proof_alone
from tests.campaign.faults import verdict
from tests.campaign.faults.caller import Connection, Load
from tests.campaign.faults.estate import Estate, issued, operator
from tests.certificates import Authority
from tests.conftest import PostgresServer
from tests.waiting import until
from tests.workers.several import Several, prepared, started

# Several whole starts each, and the gate's machine has other tests to run.
pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]
LIST = "/ledger/accounts?limit=1"


async def ask(connections: list[Connection], key: str) -> list[int]:
    """Asks on every connection at once; gives the statuses."""
    found = await asyncio.gather(*(connection.ask(key, "GET", LIST) for connection in connections))
    return [0 if one is None else one[0] for one in found]


async def answered(load: Load, more: int) -> None:
    """Returns when so many more answers came."""
    wanted = len(load.answers) + more
    await until(lambda: len(load.answers) >= wanted)


def read_all(url: str) -> bytes:
    """The body of what stands there."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def entries(estate: Estate) -> list[tuple[int, dict[str, object], list[dict[str, object]]]]:
    """Every entry: its number, itself, its record parts."""
    return [
        (one.seq, orjson.loads(one.bytes), [orjson.loads(part.body) for part in one.parts])
        for one in audit.tail(verdict.store(estate), 10_000_000)
    ]


async def spread(several: Several, key: str) -> tuple[list[Connection], int]:
    """Connections of which each of two workers has some, and how many requests were served on them."""
    connections: list[Connection] = []
    asked, served = 0, {"1": 0.0, "2": 0.0}
    # Of two that are idle one may take every connection; while it is busy with those, the next ones are the other's.
    while not all(served.values()) and asked < 2_000:
        connections += [Connection(several.gateway.base) for _ in range(24)]
        assert set(await ask(connections, key)) == {200}
        asked += len(connections)
        served = await several.by_worker("gatehouse_answers_total", outcome="served")
    assert served.keys() == {"1", "2"}
    assert all(served.values())
    return connections, asked


async def test_each_says_once_that_the_log_fails_and_that_it_is_written_again(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    async with prepared(fresh_dir, postgres_server) as (_, estate):
        several = await started(estate)
        clerk = estate.keys["clerk"]
        connections, _ = await spread(several, clerk)
        database = estate.dsn.partition("?")[0].rpartition("/")[2]

        async def both(event: str) -> list[int]:
            await until(lambda: len(several.said(event)) >= 2)
            return sorted(line["worker"] for line in several.said(event))

        postgres_server.sql("ALTER TABLE audit.parts RENAME TO away", database)
        for _ in range(3):
            assert set(await ask(connections, clerk)) == {503}
        assert await both("log-failing") == [1, 2]
        assert {line["error"] for line in several.said("log-failing")} == {"UndefinedTableError"}
        postgres_server.sql("ALTER TABLE audit.away RENAME TO parts", database)
        for _ in range(3):
            assert set(await ask(connections, clerk)) == {200}
        assert await both("log-recovered") == [1, 2]
        for connection in connections:
            connection.close()
        await asyncio.to_thread(several.gateway.stop)
        assert (len(several.said("log-failing")), len(several.said("log-recovered"))) == (2, 2)


async def test_both_serve_on_one_port_and_write_one_log_and_are_seen_as_one(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    async with prepared(fresh_dir, postgres_server) as (_, estate):
        several = await started(estate)
        connections, asked = await spread(several, estate.keys["clerk"])
        assert set(await ask(connections[:24], "nobody")) == {401}

        served = await several.by_worker("gatehouse_answers_total", outcome="served")
        assert served.keys() == {"1", "2"}
        assert all(served.values())
        assert sum(served.values()) == asked
        refused = await several.by_worker("gatehouse_refusals_total", code="unidentified")
        assert sum(refused.values()) == 24
        missing = await several.by_worker("gatehouse_workers_missing")
        assert missing == {"1": 0, "2": 0, "parent": 0}
        status, document = await several.standing()
        assert (status, document["ready"], document["checks"]["workers"]) == (200, True, "ok")
        assert set(document["checks"].values()) == {"ok"}
        assert document["workers"].keys() == {"1", "2"}
        assert document["bundle"].startswith("sha256:")
        assert (await several.look("/v1/keys"))[0] == 404
        # What each says of itself names the port that their parent took.
        discovered = f"{several.gateway.base}/.well-known/oauth-authorization-server"
        assert orjson.loads(await asyncio.to_thread(read_all, discovered))["issuer"] == several.gateway.base
        # Beside it the doctor finds nothing to do: the ports are taken by whom they belong to.
        ports = [base.rpartition(":")[2] for base in (several.gateway.base, several.admin)]
        given = {**estate.settings, "GATEHOUSE_HOME": str(estate.home), "GATEHOUSE_WORKERS": "2"}
        given |= {"GATEHOUSE_PORT": ports[0], "GATEHOUSE_ADMIN_PORT": ports[1]}
        assert [check for check in await asyncio.to_thread(examine, given) if not check.good] == []

        for connection in connections:
            connection.close()
        assert await asyncio.to_thread(several.gateway.stop) == 0
        found = await asyncio.to_thread(entries, estate)
        assert [seq for seq, _, _ in found] == list(range(1, len(found) + 1))
        assert (await asyncio.to_thread(verdict.verify, estate)).intact
        # Of strangers only summaries, one of each worker that met any; of each worker a start and a stop.
        actions = [entry["action"] for _, entry, _ in found]
        summaries = [parts[0]["said"] for _, entry, parts in found if entry["action"] == "strangers:refused"]
        assert 1 <= len(summaries) <= 2
        assert sum(sum(one.values()) for one in summaries) == 24  # type: ignore[attr-defined]  # counts
        assert actions.count("gateway:stop") == 2
        lines = [line for line in several.gateway.logs if '"listening"' in line]
        assert sum('"worker":' in line for line in lines) == 2


@in_proof_alone()
async def test_a_key_that_is_revoked_is_refused_by_every_worker_at_once(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    async with prepared(fresh_dir, postgres_server) as (_, estate):
        several = await started(estate, GATEHOUSE_WATCH_SECONDS="0.2")
        connections, _ = await spread(several, estate.keys["clerk"])
        async with open_house(read({**estate.settings, "GATEHOUSE_HOME": str(estate.home)})) as other:
            for _ in range(3):
                made = await issued(other, "late", "role:clerk")
                async with asyncio.timeout(60):
                    while set(await ask(connections, made.text)) != {200}:  # noqa: ASYNC110 - another process's work
                        await asyncio.sleep(0.05)
                await other.keys.revoke(operator(), made.key.id)
                assert set(await ask(connections, made.text)) == {401}
        for connection in connections:
            connection.close()
        assert await asyncio.to_thread(several.gateway.stop) == 0


@in_proof_alone()
async def test_one_worker_puts_an_edit_of_the_policy_in_force_and_none_decides_by_the_older_one_after_it(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    async with prepared(fresh_dir, postgres_server) as (_, estate):
        several = await started(estate, GATEHOUSE_WATCH_SECONDS="0.3")
        load = Load(estate.keys, dice("an edit"), several.gateway.base)
        calling = asyncio.ensure_future(load.until_ended(12))
        rules = fresh_dir / "policies" / "policy.csv"
        digests = [(await several.standing())[1]["bundle"]]
        await answered(load, 60)
        for number in range(2):
            rules.write_text(rules.read_text() + f"# edit {number}\n")
            async with asyncio.timeout(60):
                while (now := (await several.standing())[1]["bundle"]) in (None, *digests):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.05)
            digests.append(now)
            await answered(load, 60)
        load.ended = True
        await calling
        assert await asyncio.to_thread(several.gateway.stop) == 0
        found = await asyncio.to_thread(entries, estate)
        activated = [
            (seq, entry["decision"]["bundle"])  # type: ignore[index]  # an activation has one
            for seq, entry, _ in found
            if entry["action"] == "bundle:activate"
        ]
        assert [digest for _, digest in activated if digest in digests[1:]] == digests[1:]
        assert not [a for a in load.answers if a.status in (500, 503)]
        since = {digest: seq for seq, digest in activated}
        for older, newer in itertools.pairwise(digests):
            late = [
                seq
                for seq, entry, _ in found
                if entry["kind"] in ("served", "intent")
                and seq > since[newer]
                and (entry["decision"] or {}).get("bundle") == older  # type: ignore[attr-defined]  # a mapping
            ]
            assert late == []
        decided = [entry["decision"] for _, entry, _ in found if entry["kind"] in ("served", "intent")]
        by = {decision["bundle"] for decision in decided if decision}  # type: ignore[index]  # as above
        assert by >= set(digests)


@in_proof_alone()
async def test_every_worker_speaks_tls_and_takes_changed_files_by_itself(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    async with prepared(fresh_dir, postgres_server) as (_, estate):
        authority = Authority(fresh_dir)
        pair = authority.issue("gate.test")
        issuer = fresh_dir / "issuer"
        issuer.mkdir(mode=0o700)
        keys = DemoIssuer.open(issuer).terms().jwks
        assert isinstance(keys, Path)
        issuers = fresh_dir / "issuers.json"
        issuers.write_text(
            json.dumps([{"issuer": "https://id.example", "jwks": str(keys), "algorithms": ["EdDSA"]}])
        )
        several = await started(
            estate,
            GATEHOUSE_WATCH_SECONDS="0.2",
            GATEHOUSE_ISSUERS_FILE=str(issuers),
            GATEHOUSE_TLS_CERTIFICATE_FILE=str(pair.certificate),
            GATEHOUSE_TLS_KEY_FILE=str(pair.key),
        )
        host, port = several.gateway.base.removeprefix("http://").split(":")
        trusting = ssl.create_default_context(cafile=str(authority.file))

        async def shown() -> str:
            _, writer = await asyncio.open_connection(
                host, int(port), ssl=trusting, server_hostname="gate.test"
            )
            writer.close()
            return str(writer.get_extra_info("peercert")["serialNumber"])

        before = await shown()
        pair.put(authority.issue("gate.test", label="renewed"))
        keys.write_bytes(b"{")
        for event in ("certificate-taken", "issuer-keys-refused"):
            await until(lambda event=event: {line["worker"] for line in several.said(event)} == {1, 2})
        assert before not in {await shown() for _ in range(12)}
        assert await asyncio.to_thread(several.gateway.stop) == 0
