"""With another key file than the one that stores were written with nothing starts, and nothing is written about what it cannot read."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from audit import StoredEntry, StoredPart
from gateway import demo, keyfit
from gateway.app import House, open_house
from gateway.doctor import examine
from gateway.fields.subjects import DataKeys, oldest_subjects
from gateway.keys import Keyring, create_key_file, from_file
from gateway.settings import Settings, read
from gateway.words.errors import Misconfigured

REFUSED = "is not the one that these stores were written with"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    chosen = read({"GATEHOUSE_HOME": str(tmp_path / "home")})
    demo.prepare(chosen)
    return chosen


def change_keys(settings: Settings) -> Path:
    """Puts a new key file in the place of the one that is there; gives where that one is now."""
    kept = settings.keys.with_name("kept.json")
    shutil.move(settings.keys, kept)
    create_key_file(settings.keys)
    return kept


@asynccontextmanager
async def begun_before_starts_named_their_root(settings: Settings, subjects: int) -> AsyncIterator[House]:
    """A house whose log does not say what it began with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyfit, "root_of", lambda _: None)
        async with open_house(settings) as house:
            keys = DataKeys(house.keyring)
            for _ in range(subjects):
                await house.stores.state.write(keys.create_subject)
            yield house


async def heard(settings: Settings) -> list[str]:
    async with open_house(settings) as house:
        return [entry.hash for entry in await house.log.entries(0, 100)]


async def test_every_start_names_its_root_and_a_log_goes_on_with_that_of_its_first(
    settings: Settings,
) -> None:
    before = await heard(settings)
    kept = change_keys(settings)
    known = keyfit.root_of(Keyring(from_file(kept)))
    with pytest.raises(Misconfigured, match=REFUSED) as refused:
        await heard(settings)
    assert known in refused.value.problems[0]
    assert str(settings.keys) in refused.value.problems[0]
    shutil.move(kept, settings.keys)
    after = await heard(settings)
    assert after[: len(before)] == before
    assert (
        len(after) == len(before) + 1
    )  # the refused start wrote no entry, and no bundle came in force again


async def test_a_log_from_before_is_judged_by_its_oldest_subjects(settings: Settings) -> None:
    async with begun_before_starts_named_their_root(settings, subjects=2):
        pass
    kept = change_keys(settings)
    with pytest.raises(Misconfigured, match=REFUSED):
        await heard(settings)
    assert [
        c.todo
        for c in examine({"GATEHOUSE_HOME": str(settings.home), "GATEHOUSE_PORT": "0"})
        if REFUSED in c.todo
    ]
    shutil.move(kept, settings.keys)
    await heard(settings)


async def test_one_row_that_holds_is_enough(settings: Settings) -> None:
    async with begun_before_starts_named_their_root(settings, subjects=3) as house:
        altered = text("UPDATE subject SET mac = zeroblob(32) WHERE id <> (SELECT max(id) FROM subject)")
        await house.stores.state.write(lambda connection: connection.execute(altered))
    await heard(settings)


async def test_what_another_key_file_wrote_meanwhile_locks_the_first_one_not_out(settings: Settings) -> None:
    async with begun_before_starts_named_their_root(settings, subjects=1):
        pass
    other = settings.home / "other.json"
    create_key_file(other)
    async with begun_before_starts_named_their_root(settings, subjects=0) as house:
        keys = DataKeys(Keyring(from_file(other)))
        for _ in range(9):
            await house.stores.state.write(keys.create_subject)
        rows = await house.stores.state.read(oldest_subjects)
        assert len(rows) == 8
        keyfit.judge(settings.keys, house.keyring, None, rows)


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b'{"action": "gateway:start"}', None),
        (b'{"action": "gateway:start"}', b'{"said": {"version": "0.1.0"}}'),
        (b'{"action": "gateway:start"}', b'{"said": {"root": 7}}'),
        (b'{"action": "gateway:start"}', b'{"said": []}'),
        (b'{"action": "gateway:start"}', b"no JSON"),
        (b'{"action": "bundle:activate"}', b'{"said": {"root": "0000000000000000"}}'),
        (b"[]", b'{"said": {"root": "0000000000000000"}}'),
        (b"no JSON", b'{"said": {"root": "0000000000000000"}}'),
    ],
)
def test_a_first_entry_that_says_nothing_of_it_refuses_nothing(
    settings: Settings, body: bytes, part: bytes | None
) -> None:
    parts = () if part is None else (StoredPart(bytes(32), part),)
    first = StoredEntry(1, body, "sha256:0", parts, None)
    keyfit.judge(settings.keys, Keyring(from_file(settings.keys)), first, None)
