"""A tracker, the gateway in front of it as a process of its own, and callers in three roles. Everything planted is remembered."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.roundup.front import POLICIES
from examples.roundup.start import PORT
from examples.roundup.upstream import Tracker
from tests.campaign.counts import dice
from tests.campaign.serving import Gateway, Launcher
from tests.roundup.wire import Wire

SHANGHAI, BEIJING = "branch:shanghai", "branch:beijing"
SEALED = ("realname", "phone", "email")
DICE = dice("roundup")


@dataclass(frozen=True)
class Said:
    """One answer, whole."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def fields(self) -> dict[str, Any]:
        """The record's members."""
        found: dict[str, Any] = self.json["data"]["attributes"]
        return found

    @property
    def items(self) -> list[dict[str, Any]]:
        """A list's items."""
        found: list[dict[str, Any]] = self.json["data"]["collection"]
        return found

    @property
    def code(self) -> str:
        """The problem's code."""
        return str(self.json["type"]).removeprefix("urn:gatehouse:problem:")


@dataclass(frozen=True)
class Customer:
    """An invented customer in the tracker, and what was sent of him."""

    id: str
    sent: dict[str, str]

    @property
    def path(self) -> str:
        return f"/tracker/user/{self.id}"


@dataclass
class World:
    """All of it, running."""

    tracker: Tracker
    wire: Wire
    launcher: Launcher
    gateway: Gateway
    planted: list[str] = field(default_factory=list)

    @property
    def keys(self) -> dict[str, str]:
        kept = json.loads((self.launcher.home / "demo" / "credentials.json").read_text())
        return {name: entry["key"] for name, entry in kept.items()}

    def restart(self) -> None:
        """Kills the gateway with SIGKILL and starts it on what it left."""
        self.gateway.kill()
        self.gateway = self.launcher.start()

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, role: str, method: str, path: str, body: object = None, **headers: str) -> Said:
        """Asks the gateway as one role. Header names with `_` for `-`."""
        given = {"authorization": f"Bearer {self.keys[role]}"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        host, _, port = self.gateway.base.removeprefix("http://").partition(":")
        return _ask(host, int(port), method, path, body, given)

    def directly(self, method: str, path: str, body: object = None, **headers: str) -> Said:
        """Asks Roundup itself, as its administrator, past the gateway."""
        port = self.tracker.port
        origin = f"http://127.0.0.1:{self.wire.port}"  # where it believes to be
        given = {
            "authorization": "Basic " + base64.b64encode(self.tracker.admin.encode()).decode(),
            "host": f"127.0.0.1:{self.wire.port}",
            "x-requested-with": "rest",
            "origin": origin,
            "referer": origin + "/",
        } | {k.replace("_", "-"): v for k, v in headers.items()}
        return _ask("127.0.0.1", port, method, path, body, given)

    def stored(self, kind: str, record: str) -> dict[str, Any]:
        """What the tracker holds of a record."""
        return self.directly("GET", f"/rest/data/{kind}/{record}?@verbose=3").fields

    def overwrite(self, kind: str, record: str, **members: str) -> None:
        """Changes a record in the tracker, behind the gateway's back."""
        path = f"/rest/data/{kind}/{record}"
        etag = self.directly("GET", path).headers["etag"]
        done = self.directly("PATCH", path, members, if_match=etag)
        assert done.status == 200, done

    # ── making ───────────────────────────────────────────────────────────────────────────────────────────────────

    def plant(self, text: str) -> str:
        """Gives the text with a token in it that stands nowhere else, and remembers it as a secret."""
        planted = f"{text} q{DICE.getrandbits(40):010x}z"
        self.planted.append(planted)
        return planted

    def person(self, unit: str = SHANGHAI) -> dict[str, str]:
        """Gives a customer to be: his login name is no secret, the rest is."""
        mark = f"{DICE.getrandbits(40):010x}"
        phone = f"138{DICE.randrange(10**8):08d}"
        self.planted += [phone, f"u{mark}@post.example"]
        return {
            "username": f"c-{mark}",
            "realname": self.plant("王秀英 Quillfeather"),
            "phone": phone,
            "email": f"u{mark}@post.example",
            "organisation": unit,
        }

    def create(self, role: str, path: str, body: dict[str, Any]) -> str:
        """Creates a record through the gateway; gives its id."""
        said = self.ask(role, "POST", path, body)
        assert said.status == 201, said
        assert said.headers["location"].startswith(path + "/"), said
        return said.headers["location"].rpartition("/")[2]

    def customer(self, unit: str = SHANGHAI) -> Customer:
        """A new customer, brought in by the importer."""
        sent = self.person(unit)
        return Customer(self.create("importer", "/tracker/user", sent), sent)

    def message(self, of: Customer, text: str | None = None) -> str:
        """A new message of a customer; gives its id."""
        about = {"customer": of.id, "unit": of.sent["organisation"]}
        content = text if text is not None else self.plant("我的卡被机器吞了, please call")
        return self.create("importer", "/tracker/msg", {"content": content, **about})

    def issue(self, of: Customer, **members: Any) -> str:
        """A new issue of a customer; gives its id."""
        about = {"customer": of.id, "unit": of.sent["organisation"], "status": "2"}
        return self.create(
            "importer", "/tracker/issue", {"title": self.plant("投诉 complaint"), **about, **members}
        )

    # ── evidence ─────────────────────────────────────────────────────────────────────────────────────────────────

    def entries(self) -> list[dict[str, Any]]:
        """The log's entries."""
        log = self.launcher.home / "audit.sqlite"
        with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as connection:
            return [
                json.loads(body) for (body,) in connection.execute("SELECT body FROM entries ORDER BY seq")
            ]

    def alarms(self) -> list[tuple[str, str | None]]:
        """Kind and place of every alarm of the running gateway."""
        lines = [json.loads(line) for line in self.gateway.logs if '"event":"alarm"' in line]
        return [(line["kind"], line.get("pattern")) for line in lines]


def policies(folder: Path, port: int) -> Path:
    """Gives a copy of the example's policies for a tracker on another port."""
    shutil.copytree(POLICIES, folder)
    catalogue = folder / "catalogue" / "roundup.yaml"
    text = catalogue.read_text(encoding="utf-8")
    assert text.count(f"127.0.0.1:{PORT}") == 3
    catalogue.write_text(text.replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{port}"), encoding="utf-8")
    return folder


def _ask(host: str, port: int, method: str, path: str, body: object, headers: dict[str, str]) -> Said:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            headers.setdefault("content-type", "application/json")
        connection.putrequest(method, path, skip_host="host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if data is not None or method in ("POST", "PATCH", "PUT"):
            connection.putheader("content-length", str(len(data or b"")))
        connection.endheaders(data)
        answer = connection.getresponse()
        text = answer.read().decode()
        return Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)
    finally:
        connection.close()
