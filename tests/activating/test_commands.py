"""`gatehouse policy activate`, `rollback`, `history` and `gatehouse approve`, over the owner's socket: the same service as over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from gateway import asking, cli, local
from tests.activating.world import HE, LU, TOOL, WIDER, World, chosen, world


@dataclass
class Desk:
    """A world whose socket is open, and files of what its people come with."""

    it: World
    folder: Path

    async def __call__(self, *words: str, who: str | None = None) -> tuple[int, str]:
        shown: list[str] = []
        if who is not None:
            key, person = self.folder / "key", self.folder / who
            key.write_text(self.it.keys[TOOL] + "\n")
            person.write_text(self.it.token(who) + "\n")
            shown = ["--key-file", str(key), "--person-file", str(person)]
        return await asyncio.to_thread(_ran, self.it.settings.home, *words, *shown)


def _ran(home: Path, *words: str) -> tuple[int, str]:
    """Runs a command in a thread of its own, beside the gateway; tests/app/shell.py sets signals, which only the first thread may."""
    printed = io.StringIO()
    with (
        patch.dict(os.environ, {"GATEHOUSE_HOME": str(home)}),
        patch.object(sys, "argv", ["gatehouse", *words]),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        return cli._done(), printed.getvalue()


@pytest.fixture
async def desk(fresh_dir: Path) -> AsyncIterator[Desk]:
    async with world(chosen(fresh_dir)) as it:
        house = it.house
        known = local.activations(house.activating, house.history, house.identity)
        async with local.listening(it.settings.home, known):
            yield Desk(it, fresh_dir)


async def test_two_people_and_the_commands_put_a_wider_policy_in_force_and_back(desk: Desk) -> None:
    it = desk.it
    before, waits = it.in_force, await it.offered(WIDER)
    code, told = await desk("policy", "history")
    assert code == 0
    assert told.splitlines()[:2] == [
        f"in force: {before}",
        f"the policy folder offers {waits}, which a person has to look at: gatehouse policy activate",
    ]
    code, said = await desk("policy", "activate", "--json", who=HE)
    filed = json.loads(said)
    assert (code, filed["state"], filed["after"]) == (1, "waits", waits)
    name = filed["approval"]["id"]
    code, said = await desk("approve", name, who=HE)
    assert (code, said.splitlines()[0]) == (2, "gatehouse: You filed this yourself")
    code, said = await desk("approve", name, who=LU)
    assert (code, said.startswith(f"In force: {waits} (entry ")) == (0, True)
    assert it.in_force == waits
    code, said = await desk("policy", "rollback", before, who=HE)
    assert (code, said.startswith(f"In force: {before}"), it.in_force) == (0, True, before)
    code, told = await desk("policy", "history", "--json")
    items = json.loads(told)["items"]
    assert [(one["what"], one["how"], one["bundle"]) for one in items] == [
        ("activate", "narrow", before),
        ("activate", "approved", waits),
        ("wait", "waits", waits),
        ("activate", "first", before),
    ]
    assert (items[1]["filed_by"], items[1]["confirmed_by"]) == (
        f"person:https://id.demo.example#{HE}",
        f"person:https://id.demo.example#{LU}",
    )
    printed = (await desk("policy", "history", "--limit", "2"))[1].splitlines()
    assert len(printed) == 3
    assert f"by person:https://id.demo.example#{HE}, person:https://id.demo.example#{LU}" in printed[2]


async def test_who_owns_the_socket_is_no_person(desk: Desk) -> None:
    await desk.it.offered(WIDER)
    key = desk.folder / "key"
    key.write_text(desk.it.keys[TOOL])
    code, said = await desk("policy", "activate", "--key-file", str(key))
    assert (code, said.splitlines()[0]) == (2, "gatehouse: Only a person can do this")
    key.write_text("gh_wrong")
    assert (await desk("policy", "activate", "--key-file", str(key)))[0] == 2


@pytest.mark.parametrize("held", [b"", b"two words", b"\xff", b"x" * 20_000])
async def test_a_file_that_holds_no_word_is_refused_by_its_name(desk: Desk, held: bytes) -> None:
    (desk.folder / "key").write_bytes(held)
    code, said = await desk("policy", "activate", "--key-file", str(desk.folder / "key"))
    assert (code, said) == (2, f"gatehouse: {desk.folder / 'key'} does not hold a key or a token\n")


@pytest.mark.parametrize(
    "given", [{"bundle": 1}, {"key": 1}, {"person": []}, {"purpose": {}}, {"key": "x"}], ids=str
)
async def test_what_the_socket_is_sent_is_checked(desk: Desk, given: dict[str, object]) -> None:
    for what in (asking.ACTIVATE, asking.APPROVE):
        with pytest.raises(Exception, match=r"value-refused|unidentified"):
            await asking.ask(desk.it.settings.home, what, **given)
    with pytest.raises(Exception, match="parameter-malformed"):
        await asking.ask(desk.it.settings.home, asking.HISTORY, limit=0)
