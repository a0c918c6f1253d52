"""The control door: `/healthz` (the process answers) and `/readyz` (what serving needs is there). No credential, no entry."""

from __future__ import annotations

from litestar import Response, route
from litestar.di import NamedDependency

from gateway.control.deps import AnyRequest, call_of
from gateway.control.keys import answer
from gateway.control.readiness import Readiness
from gateway.control.shapes import Alive, Ready
from gateway.words.errors import Code, Unavailable


@route("/healthz", http_method=["GET", "HEAD"], name="alive")
async def alive(request: AnyRequest) -> Response[bytes]:
    """Answers while the process lives, whatever it lacks."""
    return answer(call_of(request), 200, Alive(), None)


@route("/readyz", http_method=["GET", "HEAD"], name="ready")
async def ready(request: AnyRequest, readiness: NamedDependency[Readiness]) -> Response[bytes]:
    """Answers 200 when all is there, else 503 naming what is not."""
    down = await readiness.down()
    if down:
        raise Unavailable(Code.NOT_READY, down=" ".join(down))
    return answer(call_of(request), 200, Ready(True, dict.fromkeys(readiness.names, "ok")), None)
