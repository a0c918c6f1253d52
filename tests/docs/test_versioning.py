"""What others may build on is what the code gives: numbers of formats, exit codes, members of every `--json`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from audit.event import FORMAT_VERSION
from audit.store.base import SCHEMA_VERSION
from audit.verify import Break, Report
from gateway import cli, local, pipes, settings, settings_page
from gateway.commands.explaining import WHAT, WHO
from gateway.doctor import Check
from gateway.fields.envelope import PREFIX
from gateway.keys.keyring import KekStatus, KeyringStatus
from gateway.loading import Mistake
from gateway.policy import Finding
from gateway.store import Tree

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "versioning.md").read_text()


def row(first: str) -> str:
    """The rest of the table's row that begins with these words."""
    found = re.search(rf"^\| {re.escape(first)}[^|]*\|(.*)\|$", PAGE, re.M)
    assert found is not None, first
    return found[1]


def members(first: str) -> list[str]:
    return re.findall(r"`(\w+)`", row(first))


def fields(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def test_the_numbers_of_the_formats() -> None:
    assert f'`"v": {FORMAT_VERSION}`' in row("an entry")
    assert f"schema {SCHEMA_VERSION}," in row("a log in SQLite")
    assert f"schema {SCHEMA_VERSION}," in row("a log in PostgreSQL")
    assert f"`{PREFIX}`" in row("an envelope")
    assert f"revision {Tree.of('state').revisions()[-1]} " in row("the state store")
    assert f"revision {Tree.of('records').revisions()[-1]} " in row("the embedded store")


def test_the_members_of_every_json() -> None:
    assert members("`gatehouse audit verify`") == ["intact", *fields(Report)]
    assert members("its `found`") == fields(Break)
    assert members("`gatehouse audit tail`") == [*local.shown(1, "", b"{}", [])]
    port = next(found for found in settings.given({}) if found.row.name == "port")
    assert members("`gatehouse settings`") == [*settings_page.shown(port, 8080)]
    assert members("`gatehouse settings --explain`") == [*settings_page.described(port.row)]
    assert members("`gatehouse doctor`") == fields(Check)
    assert members("`gatehouse keys status`") == fields(KeyringStatus)
    assert members("each of its `keks`") == fields(KekStatus)
    assert members("`gatehouse policy check`") == fields(Finding)
    assert members("each of its `rows`") == [*WHO]
    assert members("each of these `rows`") == [*WHAT]
    assert members("`gatehouse catalogue check`") == fields(Mistake)


def test_the_exit_codes() -> None:
    assert (cli.FOUND_WANTING, cli.NOT_DONE) == (1, 2)
    assert "0 done or intact, 1 checked and found wanting, 2 could not be done" in PAGE
    assert f"{pipes.READER_GONE} where whoever read the output went away" in PAGE
