"""The least that any gateway in Python does: aiohttp takes the request, aiohttp's client sends it on. No key, no decision, no entry.

python plain_proxy.py UPSTREAM_PORT
"""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web
from yarl import URL


async def main(upstream: int) -> None:
    """Serves until killed; prints its port."""
    connector = aiohttp.TCPConnector(limit=100)
    session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
    base = f"http://127.0.0.1:{upstream}"

    async def forward(request: web.Request) -> web.Response:
        target = URL(base + request.raw_path, encoded=True)
        async with session.get(target, allow_redirects=False) as answer:
            return web.Response(
                body=await answer.read(), status=answer.status, content_type=answer.content_type
            )

    app = web.Application()
    app.router.add_get("/{path:.*}", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
    await site.start()
    print(f"port {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
