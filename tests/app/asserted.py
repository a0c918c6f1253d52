"""A real upstream over HTTP that lets in only what the shipped verifier accepts, and a gateway in front of it."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from examples.verify_assertion import Guard, keys_of
from gateway import demo
from gateway.app import House, open_house, utc_now
from gateway.keys import AssertionKey, Keyring, from_file
from gateway.records import create_records
from gateway.settings import Settings, read
from gateway.store import Store
from tests.app.asking import ask
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
PERSON = "person:https://id.demo.example#li.wei"


@dataclass
class Request:
    """One request as it arrived at the upstream's port."""

    method: str
    target: bytes
    body: bytes
    headers: list[tuple[bytes, bytes]]

    @property
    def assertion(self) -> str:
        (found,) = [value for name, value in self.headers if name == b"gatehouse-assertion"]
        return found.decode()

    @property
    def claims(self) -> dict[str, Any]:
        payload = self.assertion.split(".")[1]
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
        return found


@dataclass
class System:
    """The embedded store's application, served over HTTP behind the verifier. It opens once the house has its records."""

    port: int
    seen: list[Request] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    moved: float = 0.0

    def behind(self, application: Any, keys: str) -> Any:
        guard = Guard(
            application,
            keys=keys_of(keys),
            issuer="gatehouse",
            audience="crm",
            refused=self.refused.append,
            now=lambda: time.time() + self.moved,
        )

        async def recording(scope: Any, receive: Any, send: Any) -> None:
            body, messages = b"", []
            while True:
                message = await receive()
                messages.append(message)
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            query = scope["query_string"]
            target = scope["raw_path"] + (b"?" + query if query else b"")
            self.seen.append(Request(scope["method"], target, body, scope["headers"]))

            async def again() -> Any:
                return messages.pop(0) if messages else await receive()

            await guard(scope, again, send)

        return recording

    async def straight(self, method: str, target: bytes, body: bytes = b"", *headers: tuple[str, str]) -> int:
        """Comes round the gateway: asks the system itself, and gives the status."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {target.decode()} HTTP/1.1", "Host: crm", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        status = int((await reader.readline()).split()[1])
        writer.close()
        return status

    async def again(self, request: Request, **changed: Any) -> int:
        """Sends a request once more, as it was but for what is changed."""
        given = {"method": request.method, "target": request.target, "body": request.body} | changed
        header = ("Gatehouse-Assertion", given.pop("assertion", request.assertion))
        return await self.straight(given["method"], given["target"], given["body"], header)


def settings(home: Path, port: int, *terms: str) -> Settings:
    """Gives settings whose catalogue has the embedded store's description at an address, on these terms."""
    policies = home / "policies"
    shutil.copytree(ROOT / "policies", policies)
    file = policies / "catalogue" / "crm.yaml"
    lines = [
        line if not line.startswith("base:") else "\n".join([f"base: http://127.0.0.1:{port}", *terms])
        for line in file.read_text().splitlines()
    ]
    file.write_text("\n".join(lines) + "\n")
    return read(
        {
            "GATEHOUSE_HOME": str(home),
            "GATEHOUSE_PORT": "0",
            "GATEHOUSE_POLICIES": str(policies),
            "GATEHOUSE_UPSTREAM_HOSTS": f"127.0.0.1:{port}",
        }
    )


@dataclass
class World:
    """A gateway, its keys, and the system behind it."""

    house: House
    system: System
    keys: dict[str, str]
    token: str

    async def made(self) -> str:
        """Creates a customer through the gateway and gives his path."""
        body = {"name": "彭梓涵", "phone": "15427815000", "unit": "branch:shanghai", "level": "standard"}
        reply = await ask(
            self.house,
            "POST",
            "/crm/customers",
            self.keys["supervisor"],
            json.dumps(body).encode(),
            content_type="application/json",
        )
        return dict(reply.headers)["location"]

    async def read(self) -> Request:
        """Reads a new customer through the gateway and gives the upstream's side of it."""
        path = await self.made()
        await ask(self.house, "GET", path, self.keys["agent"])
        return next(request for request in reversed(self.system.seen) if request.method == "GET")


@asynccontextmanager
async def opened(home: Path, *terms: str) -> AsyncIterator[World]:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        system = System(bound.getsockname()[1])
        chosen = settings(home, system.port, *terms)
        issuer = demo.prepare(chosen)
        async with open_house(chosen, issuers=(issuer.terms(),)) as house:
            keys = json.dumps(AssertionKey(Keyring(from_file(chosen.keys))).jwks())
            records: Store = house.stores.records
            application = system.behind(create_records(records), keys)
            config = uvicorn.Config(application, log_config=None, lifespan="off", ws="none")
            server = uvicorn.Server(config)
            serving = asyncio.ensure_future(server._serve([bound]))
            # One that is stopped before it has started closes nothing.
            await until(lambda: server.started or serving.done())
            token = issuer.mint("li.wei", "app:demo-desk", 15, now=utc_now())
            try:
                yield World(house, system, dict(await demo.credentials(house)), token)
            finally:
                server.should_exit = True
                await serving
