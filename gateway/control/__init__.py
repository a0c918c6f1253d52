"""The control door: Litestar under /v1, /healthz, /readyz and /schema. Translates only; every operation is a service's function.

Litestar finds the handler and nothing else: it reads no body and no parameter (it would parse JSON whatever the content type,
turn "5" into 5 and drop unknown members), and it answers no error. Errors go up to the edge's door, which answers every error of
every plane by one function, counts it and knows the request's id and language.
"""

from __future__ import annotations

from typing import Any, NoReturn

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from gateway.control.deps import AnyRequest, ControlDeps, call_of
from gateway.control.health import Readiness, alive, ready
from gateway.control.keys import CallerController, KeyController
from gateway.control.openapi import openapi
from gateway.words.errors import Code, Refused

__all__ = ["ControlDeps", "create_control"]


def create_control(deps: ControlDeps) -> Litestar:
    """Gives the control plane's ASGI application, to be reached through the edge's door. Raises GatehouseError out of its call."""
    readiness = Readiness(deps)

    def given() -> ControlDeps:
        return deps

    def looked() -> Readiness:
        return readiness

    return Litestar(
        route_handlers=[CallerController, KeyController, alive, ready, openapi],
        dependencies={
            "deps": Provide(given, sync_to_thread=False),
            "readiness": Provide(looked, sync_to_thread=False),
        },
        before_request=_before,
        exception_handlers={Exception: _up, HTTPException: _translated},
        openapi_config=None,
        logging_config=None,
        debug=False,
    )


async def _before(request: AnyRequest) -> None:
    """Closes two doors that Litestar opens by itself: OPTIONS on every route, and a path with a slash at its end."""
    if request.method == "OPTIONS":
        raise Refused(Code.METHOD_NOT_LISTED)
    if call_of(request).path.endswith("/"):
        raise Refused(Code.NOT_FOUND)


def _up(_: AnyRequest, error: Exception) -> NoReturn:
    raise error


def _translated(_: AnyRequest, error: HTTPException) -> NoReturn:
    """Routing is all that Litestar can refuse here; anything else of its own is a defect of ours."""
    if isinstance(error, MethodNotAllowedException):
        allowed: dict[str, Any] = dict(error.headers or {})
        allow = allowed.get("Allow") or allowed.get("allow")
        methods = ", ".join(name for name in str(allow or "").split(", ") if name and name != "OPTIONS")
        raise Refused(Code.METHOD_NOT_LISTED, **({"allow": methods} if methods else {})) from None
    if isinstance(error, NotFoundException):
        raise Refused(Code.NOT_FOUND) from None
    raise error
