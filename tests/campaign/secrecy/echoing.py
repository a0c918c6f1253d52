"""An upstream that misbehaves by telling: its answers, errors, headers and status lines repeat people's values."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.campaign.secrecy.people import Person
from tests.campaign.secrecy.raw import say

# How it answers: by the id, `<fault>-<person's number>`; `w<fault>-…` reads well and fails when it is changed.
STATUSES = (
    301,
    400,
    401,
    403,
    404,
    409,
    410,
    412,
    413,
    415,
    418,
    422,
    428,
    429,
    431,
    500,
    501,
    502,
    503,
    504,
)
OTHERS = (
    "clear",
    "cut",
    "nothing",
    "html",
    "otherid",
    "phrase",
    "header",
    "latin",
    "doubled",
    "nan",
    "extra",
    "list",
)
FAULTS = (*(f"s{status}" for status in STATUSES), *OTHERS)


def handler(people: tuple[Person, ...]) -> Callable[[bytes, bytes], bytes | None]:
    """Gives what answers: in every way that an upstream may go wrong, with the values of the person that the id names."""

    def handle(head: bytes, body: bytes) -> bytes | None:
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split()
        name = target.partition("?")[0].rpartition("/")[2]
        if method == "POST":
            name = json.loads(body)["contacts"][0]["id"]
        fault, _, number = name.partition("-")
        if fault.startswith("w"):
            if method == "GET":
                return say(200, _plain(name), 'ETag: "1"')
            fault = fault[1:]
        return _answer(fault, people[int(number)], name)

    return handle


def _answer(fault: str, person: Person, name: str) -> bytes | None:
    told = {"id": name, "unit": "branch:shanghai", **person.values()}
    body = json.dumps(told, ensure_ascii=False).encode()
    if fault[1:].isdecimal():
        return _status(int(fault[1:]), person, body)
    match fault:
        case "clear":
            return say(200, body, 'ETag: "1"')
        case "cut":
            return (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n" + body
            )
        case "nothing":
            return None
        case "html":
            return say(200, b"<html>" + body + b"</html>", kind="text/html")
        case "otherid":
            return say(200, json.dumps({**told, "id": person.phone}).encode(), 'ETag: "1"')
        case "phrase":
            return say(500, body, phrase=person.email)
        case "header":
            return say(
                200,
                _plain(name),
                f'ETag: "{person.name}"',
                f"X-Customer: {person.phone}",
                f"Set-Cookie: a={person.phone}",
            )
        case "latin":
            return say(200, body.decode().encode("utf-16"), 'ETag: "1"')
        case "doubled":
            return say(200, b'{"id": "x", ' + body[1:], 'ETag: "1"')
        case "nan":
            return say(200, body[:-1] + b', "unit": NaN}', 'ETag: "1"')
        case "extra":
            return say(200, body[:-1] + f', "{person.phone}": "{person.name}"}}'.encode(), 'ETag: "1"')
        case "list":
            return say(200, b"[" + body + b"]", 'ETag: "1"')
        case _:
            raise AssertionError(f"no such fault: {fault}")


def _status(status: int, person: Person, body: bytes) -> bytes:
    return say(
        status,
        body,
        f"Location: /customers/{person.phone}",
        f"X-Reason: {person.email}",
        f'ETag: "{person.phone}"',
    )


def _plain(name: str) -> bytes:
    return json.dumps({"id": name, "unit": "branch:shanghai"}).encode()
