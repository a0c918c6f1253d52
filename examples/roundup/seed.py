"""Brings the invented people in through the gateway, as any application would: API calls with its own key, sealed from birth."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from examples.roundup.people import ISSUES, PEOPLE
from examples.roundup.upstream import Failed, Say

OPEN, ASSIGNEE = "2", "4"
"""The tracker's status `deferred`, and the first colleague that setup.py makes."""


def call(
    port: int, key: str, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Gives status, headers (lower case) and JSON of one request to the gateway."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        given = {"authorization": f"Bearer {key}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            given.setdefault("content-type", "application/json")
        connection.request(method, path, data, given)
        answer = connection.getresponse()
        raw = answer.read()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(raw) if raw else None
    finally:
        connection.close()


def create(port: int, key: str, path: str, body: dict[str, Any]) -> str:
    """Creates a record; gives its id. Raises Failed with the gateway's own words."""
    status, headers, said = call(port, key, "POST", path, body)
    if status != 201:
        raise Failed(f"POST {path} was answered {status}: {said}")
    return headers["location"].rpartition("/")[2]


class Seeder:
    """Creates what is not there yet; which id each got is noted in a file after each."""

    def __init__(self, port: int, key: str, note: Path) -> None:
        self._port, self._key, self._note = port, key, note
        self.ids: dict[str, str] = json.loads(note.read_text()) if note.exists() else {}

    def seed(self, say: Say) -> dict[str, str]:
        """Gives the records' ids by our names for them."""
        for person in PEOPLE:
            body = {
                "username": person.username,
                "realname": person.realname,
                "phone": person.phone,
                "email": person.email,
                "organisation": person.unit,
            }
            self._once(say, person.username, "/tracker/user", body, self._known(person.username))
        for number, issue in enumerate(ISSUES, start=1):
            unit = next(person.unit for person in PEOPLE if person.username == issue.customer)
            whose = {"customer": self.ids[issue.customer], "unit": unit}
            messages = [
                self._once(say, f"m-{number}-{place}", "/tracker/msg", {"content": text, **whose})
                for place, text in enumerate(issue.messages, start=1)
            ]
            about = {
                "title": issue.title,
                "status": OPEN,
                "assignedto": ASSIGNEE,
                "messages": messages,
                **whose,
            }
            self._once(say, f"i-{number}", "/tracker/issue", about)
        return self.ids

    def _known(self, username: str) -> str | None:
        """Gives the id of a customer whom an interrupted run created and could not note."""
        if username in self.ids:
            return self.ids[username]
        _, _, said = call(self._port, self._key, "GET", f"/tracker/user?username:={username}")
        return next((item["id"] for item in said["data"]["collection"]), None)

    def _once(self, say: Say, name: str, path: str, body: dict[str, Any], known: str | None = None) -> str:
        if name not in self.ids:
            self.ids[name] = known or create(self._port, self._key, path, body)
            beside = self._note.with_suffix(".new")
            beside.write_text(json.dumps(self.ids))
            beside.replace(self._note)
            say(f"  created {name}")
        return self.ids[name]
