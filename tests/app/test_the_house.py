"""A start: what it refuses, what it puts in force, what it settles."""

import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from audit.verify import verify_sqlite
from gateway import demo
from gateway.app import House, open_house, serve, sum_up, utc_now
from gateway.corridor.desk import Asker
from gateway.doctor import examine
from gateway.edge import probe
from gateway.identity import ApiKey, insert_key, read_key
from gateway.keys import create_key_file
from gateway.records import sample
from gateway.serving import serve_demo, serve_forever
from gateway.settings import Settings, read
from gateway.stores import BEGINNING
from gateway.words.errors import GatehouseError, Misconfigured
from tests.app.asking import ask
from tests.app.spoiled import a_free_port


def settings(home: Path, **more: str) -> Settings:
    return read({"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0"} | more)


async def kinds(house: House) -> list[str]:
    return [orjson.loads(e.bytes)["action"] for e in await house.log.entries(0, 1000)]


async def test_a_start_records_itself_and_the_bundle_that_it_puts_in_force(tmp_path: Path) -> None:
    chosen = settings(tmp_path / "home")
    demo.prepare(chosen)
    async with open_house(chosen) as house:
        assert await kinds(house) == ["gateway:start", "bundle:activate"]
        assert house.bundles.digest.startswith("sha256:")
        assert house.held.now.fence == 1
    assert verify_sqlite(chosen.home / "audit.sqlite").intact


async def test_a_store_that_is_missing_beside_the_others_is_a_loss_and_not_a_beginning(
    tmp_path: Path,
) -> None:
    chosen = settings(tmp_path)
    demo.prepare(chosen)
    async with open_house(chosen):
        pass
    for name in ("audit.sqlite", "state.sqlite", "records.sqlite"):
        moved = (tmp_path / name).rename(tmp_path / "elsewhere")
        with pytest.raises(Misconfigured, match=f"{name} is missing beside"):
            async with open_house(chosen):
                pass
        assert [check.what for check in examine(environment(tmp_path)) if not check.good] == ["stores"]
        moved.rename(tmp_path / name)
    async with open_house(chosen) as house:
        assert await kinds(house) == ["gateway:start", "bundle:activate", "gateway:start"]


async def test_a_second_process_does_not_get_the_stores_of_a_first(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    demo.prepare(chosen)
    async with open_house(chosen):
        with pytest.raises(Misconfigured, match="running process"):
            async with open_house(chosen):
                pass


async def test_run_makes_no_key_file_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="gatehouse keys create"):
        await serve_forever(settings(tmp_path))
    assert not (tmp_path / "keys.json").exists()


async def test_the_demo_stays_on_this_machine(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="for this machine only"):
        await serve_demo(settings(tmp_path, GATEHOUSE_HOST="0.0.0.0"), lambda *_, **__: None)


async def test_the_sample_passes_the_corridor_and_is_loaded_once(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    demo.prepare(chosen)
    few = sample(customers=3, threads=3, messages=6)
    async with open_house(chosen) as house:
        assert await demo.load_sample(house, lambda done, total: None, few)
        assert not await demo.load_sample(house, lambda done, total: None, few)
        actions = await kinds(house)
        assert actions.count("customer:create") == 6
        assert actions.count("message:send") == 12
        assert await house.log.open_intents() == []
    raw = (
        (tmp_path / "records.sqlite").read_bytes() + (tmp_path / "records.sqlite-wal").read_bytes()
        if (tmp_path / "records.sqlite-wal").exists()
        else (tmp_path / "records.sqlite").read_bytes()
    )
    for person in few.customers:
        for name in ("name", "phone", "id_number", "bank_card", "address"):
            assert str(person[name]).encode() not in raw


async def test_a_sample_whose_loading_was_cut_off_is_loaded_once(tmp_path: Path) -> None:
    """Cut off as a kill would: what was made of a batch is there, and no note says so."""
    chosen = settings(tmp_path)
    demo.prepare(chosen)
    few = sample(customers=3, threads=3, messages=6)
    note = tmp_path / "demo" / "sample.json"
    async with open_house(chosen) as house:
        await demo.load_sample(house, lambda done, total: None, few)
        noted = orjson.loads(note.read_bytes())
        for forgotten in (few.messages[2:], (*few.threads[1:], *few.messages), few.customers):
            gone = {str(record["id"]) for record in forgotten}
            ids = {name: made for name, made in noted["ids"].items() if name not in gone}
            note.write_bytes(orjson.dumps({**noted, "ids": ids, "finished": False}))
            assert await demo.load_sample(house, lambda done, total: None, few)
            assert orjson.loads(note.read_bytes()) == noted
        entries = [orjson.loads(e.bytes) for e in await house.log.entries(0, 1000)]
        made = [entry["action"] for entry in entries if entry["kind"] == "intent"]
        assert [made.count(a) for a in ("customer:create", "thread:create", "message:send")] == [3, 3, 6]


async def test_a_demo_key_that_no_longer_holds_is_issued_anew(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    demo.prepare(chosen)
    async with open_house(chosen) as house:
        first = await demo.credentials(house)
        assert await demo.credentials(house) == first
        revoked = f"key_{first['agent'].split('_')[1]}"
        await house.keys.revoke(
            Asker("req_revoked", demo.AsSystem("operator", {demo.PURPOSE}).give, demo.PURPOSE), revoked
        )
        again = await demo.credentials(house)
        assert again["agent"] != first["agent"]
        assert {**again, "agent": ""} == {**first, "agent": ""}


async def test_three_roles_see_one_customer_differently(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    demo.prepare(chosen)
    people = sample(customers=9, threads=9, messages=9)
    async with open_house(chosen) as house:
        keys = await demo.credentials(house)
        await demo.load_sample(house, lambda done, total: None, people)
        ids = orjson.loads((tmp_path / "demo" / "sample.json").read_bytes())["ids"]
        customer = next(
            c for c in people.customers if c["unit"] == "branch:shanghai" and c["level"] == "standard"
        )
        path = f"/crm/customers/{ids[customer['id']]}"
        agent, supervisor, auditor = [
            orjson.loads((await ask(house, "GET", path, keys[n])).body)
            for n in ("agent", "supervisor", "auditor")
        ]
        assert agent["name"] == supervisor["name"] == customer["name"]
        assert auditor["name"] == str(customer["name"])[0] + "*"
        assert supervisor["phone"] == customer["phone"]
        assert agent["phone"] != customer["phone"]
        assert "id_number" not in agent
        assert auditor["id_number"].startswith("tok_")
        with pytest.raises(GatehouseError):
            await ask(house, "DELETE", path, keys["agent"])


async def test_refusals_of_strangers_are_one_entry_a_minute(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    demo.prepare(chosen)
    async with open_house(chosen) as house:
        for _ in range(20):
            with pytest.raises(GatehouseError):
                await ask(house, "GET", "/crm/customers", "gh_nobody")
        await sum_up(house)
        await sum_up(house)
        entry = (await house.log.entries(0, 1000))[-1]
        assert orjson.loads(entry.bytes)["action"] == "strangers:refused"
        assert sum(orjson.loads(entry.parts[0].body)["said"].values()) == 20
        assert (await kinds(house)).count("strangers:refused") == 1


def environment(home: Path, **more: str) -> Mapping[str, str]:
    return {"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0"} | more


def test_the_doctor_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    missing = {check.what: check.todo for check in examine(environment(tmp_path)) if not check.good}
    assert list(missing) == ["key file"]
    assert "gatehouse keys create" in missing["key file"]
    demo.prepare(settings(tmp_path))
    assert all(check.good for check in examine(environment(tmp_path)))
    (tmp_path / "keys.json").chmod(0o644)
    assert [check.what for check in examine(environment(tmp_path)) if not check.good] == ["key file"]


async def test_the_port_of_the_gateway_that_runs_on_this_home_is_no_finding(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        name, given = f"port {port}", environment(tmp_path, GATEHOUSE_PORT=str(port))
        demo.prepare(settings(tmp_path))
        async with open_house(settings(tmp_path)):
            assert {check.what: check.good for check in examine(given)}[name]
        wanting = {check.what: check.todo for check in examine(given) if not check.good}
    assert list(wanting) == [name]
    assert "stop what uses it" in wanting[name]


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
async def test_a_home_that_others_may_write_into_is_refused_and_the_doctor_names_it(
    tmp_path: Path, mode: int
) -> None:
    home = tmp_path / "home"
    chosen = settings(home)
    demo.prepare(chosen)
    home.chmod(mode)
    with pytest.raises(Misconfigured, match=f"home folder {home}: `chmod go-w {home}`"):
        await serve_forever(chosen)
    wanting = {check.what: check.todo for check in examine(environment(home)) if not check.good}
    assert f"`chmod go-w {home}`" in wanting["home folder is written by this user alone"]
    home.chmod(0o755)
    assert all(check.good for check in examine(environment(home)))


def test_the_demonstration_takes_the_right_to_write_from_others(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o775)
    demo.prepare(settings(home))
    assert home.stat().st_mode & 0o777 == 0o755


def test_the_doctor_reads_a_policy_as_a_start_would(tmp_path: Path) -> None:
    broken = tmp_path / "policies"
    broken.mkdir()
    missing = [c for c in examine(environment(tmp_path, GATEHOUSE_POLICIES=str(broken))) if not c.good]
    assert "policy folder" in [check.what for check in missing]


async def test_a_first_start_that_was_killed_half_way_goes_on(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    demo.prepare(chosen)
    async with open_house(chosen):
        pass
    assert not (tmp_path / BEGINNING).exists()
    for name in ("audit.sqlite", "records.sqlite"):
        (tmp_path / name).unlink()
    (tmp_path / BEGINNING).touch()  # as it lies there from the first moment until all are there
    async with open_house(chosen) as house:
        assert await kinds(house) == ["gateway:start", "bundle:activate"]
    assert not (tmp_path / BEGINNING).exists()


async def test_the_demo_makes_no_new_keys_over_stores_that_are_there(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    demo.prepare(chosen)
    async with open_house(chosen):
        pass
    (tmp_path / "keys.json").rename(tmp_path / "lost.json")
    with pytest.raises(Misconfigured) as of_run:
        await serve_forever(chosen)
    with pytest.raises(Misconfigured) as of_demo:
        await serve_demo(chosen, lambda *_, **__: None)
    assert of_demo.value.problems == of_run.value.problems
    assert not (tmp_path / "keys.json").exists()


@pytest.mark.parametrize("start", [serve_forever, lambda chosen: serve_demo(chosen, lambda *_, **__: None)])
async def test_a_busy_port_is_noticed_before_anything_is_made(
    tmp_path: Path, start: Callable[[Settings], Awaitable[None]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        chosen = settings(tmp_path, GATEHOUSE_PORT=str(port))
        create_key_file(chosen.keys)
        with pytest.raises(Misconfigured, match=f"port {port}, or set GATEHOUSE_PORT"):
            await start(chosen)
    assert os.listdir(tmp_path) == ["keys.json"]


async def test_a_start_that_is_refused_at_its_last_step_holds_no_port(tmp_path: Path) -> None:
    chosen = settings(
        tmp_path / ("long" * 30), GATEHOUSE_PORT=a_free_port()
    )  # too long a path for a socket of commands
    demo.prepare(chosen)
    async with open_house(chosen) as house:
        with pytest.raises(Misconfigured) as refused:  # it holds what the refused start held
            await serve(house, started=lambda _: pytest.fail("it serves"))
        probe(chosen.host, chosen.port)
    assert "gatehouse.sock in the home folder (AF_UNIX path too long)" in refused.value.problems[0]


async def test_a_key_that_a_killed_process_left_unconfirmed_is_ended_at_the_next_start(
    tmp_path: Path,
) -> None:
    chosen = settings(tmp_path)
    demo.prepare(chosen)
    left = ApiKey(
        "key_" + "1" * 26,
        b"d" * 32,
        "app:desk",
        frozenset(),
        frozenset({"service"}),
        created=utc_now() - timedelta(seconds=1),
        not_after=utc_now() + timedelta(days=1),
        intent=1,
    )
    async with open_house(chosen) as house:
        await house.stores.state.write(lambda c: insert_key(c, left))
    async with open_house(chosen) as house:
        assert (await kinds(house))[-3:] == ["key:revoke", "key:create", "key:revoke"]
        key = await house.stores.state.read(lambda c: read_key(c, left.id))
        assert key is not None
        assert key.revoked_at is not None
