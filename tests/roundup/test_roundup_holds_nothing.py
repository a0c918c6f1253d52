"""Whatever Roundup writes (database, journal, files, index, mail, log) and whatever the gateway writes is searched for what was planted."""

from __future__ import annotations

import base64
import quopri
import re
import urllib.parse
from pathlib import Path

import pytest

from tests.roundup.world import World

TOKEN = re.compile(r"q[0-9a-f]{10}z")


def forms(text: str) -> set[bytes]:
    """Gives how a text may lie in a file, in capitals where the form has letters."""
    raw = text.encode()
    made = {
        raw,
        text.encode("utf-16-le"),
        text.encode("utf-16-be"),
        text.encode("unicode_escape"),
        urllib.parse.quote(text).encode(),
        urllib.parse.quote_plus(text).encode(),
        quopri.encodestring(raw).strip(),
        raw.hex().encode(),
    }
    # Base64 within a longer text: three ways to lie on its grid; the characters at both ends hold neighbours' bits.
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw)
        inner = coded[4 if offset else 0 : -4]
        made |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    # An index keeps words, not texts.
    made |= {word.group().encode() for word in TOKEN.finditer(text)}
    return {form.upper() for form in made if len(form) >= 8}


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes().upper() for path in folder.rglob("*") if path.is_file()}


def found(planted: list[str], there: dict[Path, bytes]) -> list[tuple[str, str]]:
    whole = b"\0\0".join(
        there.values()
    )  # one search each; which file it was is asked only where something was found
    return [
        (path.name, text)
        for text in planted
        for form in forms(text)
        if form in whole
        for path, data in there.items()
        if form in data
    ]


@pytest.fixture(scope="module")
def busy(world: World) -> World:
    """Every kind of work was done, refused and undone at least once, whichever tests ran before."""
    customer = world.customer()
    message = world.message(customer)
    issue = world.issue(customer, messages=[message], assignedto="4")
    assert (
        world.ask("supervisor", "PATCH", customer.path, {"phone": world.plant("13900139001")}).status == 204
    )
    assert (
        world.ask("agent", "PATCH", f"/tracker/issue/{issue}", {"title": world.plant("新标题")}).status == 204
    )
    assert (
        world.ask("supervisor", "POST", "/tracker/user", {**world.person(), "username": "no blanks"}).status
        == 409
    )
    assert world.ask("agent", "PATCH", customer.path, {"phone": world.plant("1")}).status == 403
    assert world.ask("agent", "GET", f"/tracker/user/{world.planted[-1].replace(' ', '%20')}").status == 404
    assert world.ask("supervisor", "DELETE", f"/tracker/msg/{message}").status == 204
    return world


def test_roundup_holds_no_sealed_value_in_clear(busy: World) -> None:
    there = files(busy.tracker.home)
    names = {path.name for path in there}
    assert {"db", "mail.txt", "roundup.log"} <= names
    assert any(path.name.startswith("msg") for path in there)
    assert found(busy.planted, there) == []


def test_neither_does_the_gateway(busy: World) -> None:
    there = files(busy.launcher.home)
    assert {"audit.sqlite", "state.sqlite"} <= {path.name for path in there}
    there[Path("stderr")] = "\n".join([*busy.gateway.logs, *busy.gateway.lines]).encode().upper()
    assert found(busy.planted, there) == []


def test_a_value_in_clear_would_have_been_found(busy: World) -> None:
    """The search finds what a colleague writes past the gateway: in the database, its journal, a message's file, the index and the mail."""
    customer = busy.customer()
    name, title, text = (
        f"planted {word} q{busy.planted[-1].encode().hex()[:10]}z" for word in ("name", "title", "text")
    )
    busy.overwrite("user", customer.id, realname=name)
    sender = {"author": "5", "customer": customer.id, "unit": "branch:shanghai"}
    message = busy.directly("POST", "/rest/data/msg", {"content": text, **sender}).json["data"]["id"]
    body = {
        "title": title,
        "messages": [message],
        "assignedto": "4",
        "customer": customer.id,
        "unit": "branch:shanghai",
    }
    assert busy.directly("POST", "/rest/data/issue", body).status == 201
    there = files(busy.tracker.home)
    places = {(file, planted) for file, planted in found([name, title, text], there)}
    assert ("db", name) in places or ("db-wal", name) in places
    assert {("mail.txt", title), ("mail.txt", text), (f"msg{message}", text)} <= places
