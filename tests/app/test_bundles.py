"""A policy folder that changes under a running gateway, while the log can and cannot be written."""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from audit import LogUnavailable
from gateway import bundles, demo
from gateway.app import House, open_house
from gateway.loading import read as read_folder
from gateway.settings import read
from gateway.words.errors import Misconfigured, Unavailable

POLICIES = Path(__file__).resolve().parents[2] / "policies"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    shutil.copytree(POLICIES, tmp_path / "policies")
    chosen = read(
        {"GATEHOUSE_HOME": str(tmp_path / "home"), "GATEHOUSE_POLICIES": str(tmp_path / "policies")}
    )
    demo.prepare(chosen)
    async with open_house(chosen) as opened:
        yield opened


def change(house: House, text: str) -> None:
    """Writes the rules anew: the shipped ones and a remark, so that the digest is another one."""
    rules = house.settings.policies / "policy.csv"
    rules.write_text((POLICIES / "policy.csv").read_text() + text)
    os.utime(rules)


async def watch(house: House) -> None:
    await house.bundles.watch(house.held)


def in_force(house: House) -> str:
    return house.held.now.decider.bundle.digest  # type: ignore[attr-defined]  # the house's decider is the room's own


async def down(*_: object, **__: object) -> None:
    raise LogUnavailable("a test's disk is full")


async def test_a_bundle_whose_entry_could_not_be_written_is_entered_when_it_can(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = in_force(house)
    change(house, "# one\n")
    with monkeypatch.context() as full:
        full.setattr(type(house.log), "append", down)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await watch(house)
        assert in_force(house) == before
    await watch(house)
    assert in_force(house) == house.bundles.digest != before
    assert len(house.bundles._places) == 2


async def test_a_bundle_taken_back_before_its_entry_stood_does_not_come_in_force_behind_everybodys_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = in_force(house)
    change(house, "# one\n")
    with monkeypatch.context() as full:
        full.setattr(type(house.log), "append", down)
        with pytest.raises(Unavailable):
            await watch(house)
    change(house, "")
    await asyncio.gather(watch(house), house.held.refresh())
    assert in_force(house) == house.bundles.digest == before
    last = orjson.loads((await house.log.entries(0, 1000))[-1].bytes)
    assert (last["action"], last["decision"]["bundle"]) == ("bundle:activate", before)


async def test_files_that_say_the_same_as_before_take_no_connections(house: House) -> None:
    for number in range(6):
        os.utime(house.settings.policies / "policy.csv", ns=(number, number))
        await watch(house)
    assert len(house.bundles._places) == 1


async def test_a_refusal_that_could_not_be_recorded_is_recorded_when_it_can(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(house, "p, nonsense\n")
    with monkeypatch.context() as full:
        full.setattr(type(house.log), "append", down)
        with pytest.raises(LogUnavailable):
            await watch(house)
    await watch(house)
    await watch(house)
    actions = [orjson.loads(e.bytes)["action"] for e in await house.log.entries(0, 1000)]
    assert actions.count("bundle:refuse") == 1
    assert house.bundles.refused


async def test_a_refused_bundle_is_an_error_in_the_log_lines_with_every_problems_place(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    lines = len((POLICIES / "policy.csv").read_text().splitlines())
    change(house, "p, nobody\n")
    with caplog.at_level(logging.INFO, "gatehouse"):
        await watch(house)
    said = [(r.levelname, r.msg, r.gatehouse_fields) for r in caplog.records if r.name == "gatehouse"]  # type: ignore[attr-defined]  # our own lines have them
    assert said[0] == ("ERROR", "bundle-refused", {"count": 1, "next": "gatehouse policy check"})
    assert said[1:] == [
        ("ERROR", "bundle-problem", {"at": f"policy.csv:{lines + 1}", "kind": "column-count"}),
        ("WARNING", "bundle-kept", {"bundle": in_force(house)}),
    ]


async def test_of_many_mistakes_the_log_lines_say_how_many_have_none_of_their_own(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    change(house, "p, nobody\n" * 23)
    with caplog.at_level(logging.INFO, "gatehouse"):
        await watch(house)
    said = [(r.msg, r.gatehouse_fields) for r in caplog.records if r.name == "gatehouse"]  # type: ignore[attr-defined]  # our own lines have them
    assert said[0] == ("bundle-refused", {"count": 23, "left_out": 3, "next": "gatehouse policy check"})
    assert [name for name, _ in said[1:]] == ["bundle-problem"] * 20 + ["bundle-kept"]


async def test_a_place_that_has_several_problems_of_a_kind_is_one_line(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    error = Misconfigured(*["cases/a.yaml:3: a"] * 9, "cases/a.yaml:3: b", rules=("case-fails",) * 9 + ("x",))
    with caplog.at_level(logging.INFO, "gatehouse"):
        bundles._tell(error, "sha256:" + "0" * 64)
    said = [(r.msg, r.gatehouse_fields) for r in caplog.records if r.name == "gatehouse"]  # type: ignore[attr-defined]  # our own lines have them
    assert said[:-1] == [
        ("bundle-refused", {"count": 10, "next": "gatehouse policy check"}),
        ("bundle-problem", {"at": "cases/a.yaml:3", "kind": "case-fails"}),
        ("bundle-problem", {"at": "cases/a.yaml:3", "kind": "x"}),
    ]


async def test_a_catalogue_mistake_is_placed_as_policy_check_places_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    catalogue = house.settings.policies / "catalogue" / "crm.yaml"
    catalogue.write_text(catalogue.read_text() + "nonsense: 1\n")
    with caplog.at_level(logging.INFO, "gatehouse"):
        await watch(house)
    ((at, kind),) = [
        (r.gatehouse_fields["at"], r.gatehouse_fields["kind"])
        for r in caplog.records
        if r.msg == "bundle-problem"
    ]  # type: ignore[attr-defined]  # as above
    assert kind == "catalogue"
    assert at == f"catalogue/crm.yaml:{len(catalogue.read_text().splitlines())}"
    with pytest.raises(Misconfigured) as refused:
        read_folder(house.settings.policies, frozenset(), 0)
    assert refused.value.problems[0].startswith(f"{at}: ")


def test_a_folder_without_a_catalogue_is_placed_at_the_catalogue(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as refused:
        read_folder(tmp_path, frozenset(), 0)
    assert refused.value.problems[0].startswith("catalogue:1: ")
