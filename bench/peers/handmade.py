"""What a good developer writes in an afternoon: FastAPI, httpx, pycasbin, Fernet for each field, one SQLite commit an event.

Written as fairly as we can: uvloop and httptools, one shared httpx client, an enforcer that is loaded once, one decision for
the whole record (ours decides on each field), orjson for the answer, WAL, and the commit off the event loop in one writer
thread. The commit is as durable as ours (synchronous=FULL).

    python handmade.py UPSTREAM_PORT KEY POLICY_FILE LOG_FILE FERNET_KEY

POLICY_FILE: Casbin RBAC rules, as many as Gatehouse's own policy has in the same run.
"""

import asyncio
import hashlib
import hmac
import socket
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import casbin
import httpx
import orjson
import uvicorn
import uvloop
from cryptography.fernet import Fernet
from fastapi import FastAPI, HTTPException, Request, Response

SEALED = ("name", "phone", "email", "address", "id_number", "bank_card")
MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act
"""


class Log:
    """One row and one commit for each event, in one thread."""

    def __init__(self, path: str) -> None:
        self.thread = ThreadPoolExecutor(1)
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, at REAL, who TEXT, what TEXT, said BLOB)"
        )

    async def append(self, who: str, what: str, said: bytes) -> None:
        """Returns when the row is durable."""
        row = (time.time(), who, what, said)
        await asyncio.get_running_loop().run_in_executor(
            self.thread, self.db.execute, "INSERT INTO log (at, who, what, said) VALUES (?, ?, ?, ?)", row
        )


def create(upstream: int, key: str, policy: str, log_file: str, fernet_key: str) -> FastAPI:
    """Gives the application."""
    model = casbin.Enforcer.new_model(text=MODEL)
    enforcer = casbin.Enforcer(model, casbin.FileAdapter(policy))
    fernet = Fernet(fernet_key)
    keys = {hashlib.sha256(key.encode()).hexdigest(): "app:demo-supervisor"}
    client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{upstream}",
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
    )
    log = Log(log_file)
    app = FastAPI()

    def who(request: Request) -> str:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        digest = hashlib.sha256(given.encode()).hexdigest()
        for known, name in keys.items():
            if hmac.compare_digest(known, digest):
                return name
        raise HTTPException(401)

    @app.get("/crm/customers/{record}")
    async def read(record: str, request: Request) -> Response:
        name = who(request)
        if not enforcer.enforce(name, f"/crm/customers/{record}", "read"):
            await log.append(name, record, b"denied")
            raise HTTPException(403)
        answer = await client.get(f"/fernet/customers/{record}")
        document = orjson.loads(answer.content)
        for field in SEALED:
            document[field] = fernet.decrypt(document[field].encode()).decode()
        await log.append(name, record, orjson.dumps({"allowed": True, "fields": SEALED}))
        return Response(orjson.dumps(document), media_type="application/json")

    return app


def main() -> None:
    """Serves until killed; prints its port."""
    upstream, key, policy, log_file, fernet_key = sys.argv[1:]
    app = create(int(upstream), key, policy, log_file, fernet_key)
    config = uvicorn.Config(app, http="httptools", log_level="warning", access_log=False)
    server = uvicorn.Server(config)

    async def serve() -> None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        print(f"port {listening.getsockname()[1]}", flush=True)
        await server.serve(sockets=[listening])

    uvloop.run(serve())


if __name__ == "__main__":
    main()
