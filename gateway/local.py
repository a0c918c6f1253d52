"""A door for commands on the gateway's own machine: a unix socket (0600), one JSON line in, one JSON line out.

Who may open the socket is the service's own user; he acts as `system:operator`, is decided on and leaves entries like anyone.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from gateway.activating import Activating, History, Wanted
from gateway.activating import shown as shown_done
from gateway.asking import (
    ACTIVATE,
    APPROVE,
    EXPLAIN,
    FREEZES,
    HISTORY,
    LIFT,
    PORTS,
    REPLAY,
    SOCKET,
    TAIL,
    WHAT_CAN,
    WHO_CAN,
)
from gateway.corridor.desk import Asker
from gateway.credentials import Freezes
from gateway.explaining import Explaining, People, asked_of
from gateway.identity import PERSON_HEADER
from gateway.observe import event, place_of
from gateway.rooms import Identifier
from gateway.text import Language
from gateway.text.problems import problem
from gateway.trail import Reading
from gateway.words.access import Call
from gateway.words.errors import Code, GatehouseError, Misconfigured, Refused
from gateway.words.ids import new_id
from gateway.words.principal import Party, Principal
from gateway.words.replay import Told

MAX_LINE_BYTES = 64 * 1024
ANYBODY, WHATEVER = "person:?", "*"
"""Stand for what such a question does not name."""
PURPOSE = "maintenance"
OPERATOR = Principal(Party("system:operator"), None, frozenset({PURPOSE, "audit"}), ("unix-socket",))

Operation = Callable[[Mapping[str, Any]], Awaitable[Any]]


async def _operator() -> Principal:
    return OPERATOR


def operator(purpose: str = PURPOSE) -> Asker:
    """Gives the asker behind the socket, for one request."""
    return Asker(new_id("req"), _operator, purpose)


def operations(
    reading: Reading,
    addresses: Callable[[], Sequence[tuple[str, int]]],
    replayed: Callable[[Mapping[str, Any]], Awaitable[Told]],
) -> dict[str, Operation]:
    """Gives what may be asked for, by name. addresses: where this process listens, which is nobody's secret and no entry.

    replayed: makes the decisions of an entry again; looking at the entry is recorded like any other look at the log.
    """

    async def tail(given: Mapping[str, Any]) -> Any:
        after, limit = given.get("after"), given.get("limit", 20)
        if not isinstance(limit, int) or not (after is None or isinstance(after, int)):
            raise Refused(Code.PARAMETER_MALFORMED, parameter="limit")
        callers_id = given.get("callers_id")
        if not (callers_id is None or isinstance(callers_id, str)):
            raise Refused(Code.PARAMETER_MALFORMED, parameter="callers_id")
        seen = await reading.entries(operator("audit"), after=after, limit=limit, callers_id=callers_id)
        return {"entries": [shown(e.seq, e.hash, e.bytes, [p.body for p in e.parts]) for e in seen.entries]}

    async def replay(given: Mapping[str, Any]) -> Any:
        seq = given.get("seq")
        if not isinstance(seq, int) or seq < 1:
            raise Refused(Code.PARAMETER_MALFORMED, parameter="seq")
        seen = await reading.entries(operator("audit"), after=seq - 1, limit=1)
        found = [
            shown(e.seq, e.hash, e.bytes, [p.body for p in e.parts]) for e in seen.entries if e.seq == seq
        ]
        told = await replayed(found[0]) if found else Told(seq, None, ())
        same = None if told.outcomes is None else sum(outcome is None for outcome in told.outcomes)
        count = None if told.outcomes is None else len(told.outcomes)
        return {"seq": seq, "there": bool(found), "bundle": told.bundle, "decisions": count, "same": same}

    async def listens(_given: Mapping[str, Any]) -> Any:
        return [port for _, port in addresses()]

    return {TAIL: tail, REPLAY: replay, PORTS: listens}


def explanations(explaining: Explaining) -> dict[str, Operation]:
    """Gives what may be asked of the policy in force, by name."""

    async def explain(given: Mapping[str, Any]) -> Any:
        asked = {name: value for name, value in given.items() if name != "language"}
        said = await explaining.explain(operator(), lambda: asked_of(asked), _language(given))
        return said.document

    async def who_can(given: Mapping[str, Any]) -> Any:
        asked = {name: value for name, value in given.items() if name != "field"} | {"who": ANYBODY}
        field = given.get("field")
        if not (field is None or isinstance(field, str)):
            raise Refused(Code.VALUE_REFUSED, field="/field")
        return (await People(explaining).who_can(operator(), lambda: asked_of(asked), field)).document

    async def what_can(given: Mapping[str, Any]) -> Any:
        asked = {**given, "action": WHATEVER}
        return (await People(explaining).what_can(operator(), lambda: asked_of(asked))).document

    return {EXPLAIN: explain, WHO_CAN: who_can, WHAT_CAN: what_can}


def activations(activating: Activating[Any], history: History, identity: Identifier) -> dict[str, Operation]:
    """Gives what may be asked for about bundles that come in force. Who opens the socket is nobody's proof of a person: whoever files or
    confirms shows what an application would send, a key and a person's token."""

    def asker(given: Mapping[str, Any]) -> Asker:
        call = _shown(given)
        return Asker(call.id, lambda: identity.identify(call), _text(given, "purpose"))

    async def file(given: Mapping[str, Any]) -> Any:
        return shown_done(await activating.file(asker(given), lambda: Wanted(_text(given, "bundle"))))

    async def confirm(given: Mapping[str, Any]) -> Any:
        return shown_done(await activating.confirm(asker(given), _text(given, "approval") or ""))

    async def told(given: Mapping[str, Any]) -> Any:
        limit = given.get("limit", 20)
        if type(limit) is not int:
            raise Refused(Code.PARAMETER_MALFORMED, parameter="limit")
        return (await history.told(operator(), lambda: limit)).document

    return {ACTIVATE: file, APPROVE: confirm, HISTORY: told}


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if not (value is None or isinstance(value, str)):
        raise Refused(Code.VALUE_REFUSED, field=f"/{name}")
    return value


def _shown(given: Mapping[str, Any]) -> Call:
    """Gives a call that shows what is proven by, and asks for nothing."""
    key, person = _text(given, "key"), _text(given, "person")
    shown = (("authorization", None if key is None else f"Bearer {key}"), (PERSON_HEADER, person))
    return Call(
        id=new_id("req"),
        method="POST",
        path="/v1/approvals",
        segments=("v1", "approvals"),
        raw_query="",
        query=(),
        headers=tuple((name, value) for name, value in shown if value is not None),
        body=b"",
        peer="unix-socket",
        received=datetime.now(UTC),
    )


def freezes_of(freezes: Freezes) -> dict[str, Operation]:
    """Gives what may be asked for about freezes, by name."""

    async def listed(_given: Mapping[str, Any]) -> Any:
        return list((await freezes.list(operator())).items)

    async def lift(given: Mapping[str, Any]) -> Any:
        who = given.get("who")
        if not isinstance(who, str):
            raise Refused(Code.VALUE_REFUSED, field="/who")
        return (await freezes.lift(operator(), lambda: who)).ref

    return {FREEZES: listed, LIFT: lift}


def _language(given: Mapping[str, Any]) -> Language:
    language = given.get("language", Language.ENGLISH.value)
    if language not in {one.value for one in Language}:
        raise Refused(Code.VALUE_REFUSED, field="/language")
    return Language(language)


def shown(seq: int, digest: str, body: bytes, parts: list[bytes]) -> dict[str, Any]:
    """Gives one entry for people and scripts: its parsed form with the opened parts beside it."""
    return {
        "seq": seq,
        "hash": digest,
        "entry": orjson.loads(body),
        "parts": [orjson.loads(p) for p in parts],
    }


@asynccontextmanager
async def listening(home: Path, known: Mapping[str, Operation]) -> AsyncIterator[None]:
    """Listens while inside. The socket is made private before anybody can connect to it."""
    path = home / SOCKET
    with suppress(FileNotFoundError):
        path.unlink()  # a killed process leaves one; the owner lock says that nobody listens on it
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(
            lambda r, w: _serve(r, w, known), path=path, limit=MAX_LINE_BYTES
        )
    except OSError as error:
        raise Misconfigured(
            f"cannot listen on {SOCKET} in the home folder ({error.strerror or error}): a shorter path may help"
        ) from error
    finally:
        os.umask(before)
    try:
        async with server:
            yield
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, known: Mapping[str, Operation]
) -> None:
    try:
        answer = await _answer(await reader.readline(), known)
        writer.write(orjson.dumps(answer) + b"\n")
        await writer.drain()
    except (ConnectionError, ValueError):  # gone, or a line above the limit
        pass
    finally:
        writer.close()


async def _answer(line: bytes, known: Mapping[str, Operation]) -> dict[str, Any]:
    try:
        given = orjson.loads(line)
        operation = known.get(given.pop("do", "")) if isinstance(given, dict) else None
        if operation is None:
            raise Refused(Code.NOT_FOUND)
        return {"done": await operation(given)}
    except orjson.JSONDecodeError:
        return {"refused": Code.BODY_MALFORMED.value}
    except GatehouseError as error:
        told = problem(error, Language.ENGLISH, "")
        return {"refused": error.code.value, "status": told.status, "entry": error.entry}
    except Exception as error:  # noqa: BLE001 - the outermost door: a defect is answered and logged, and nothing goes on
        kind, at = place_of(error)
        event("defect", logging.ERROR, component="socket", error=kind, at=at)
        return {"refused": Code.INTERNAL.value}
