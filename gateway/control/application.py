"""The control door: the framework's application. Finds the handler and nothing else (see the package)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from gateway.control.approvals import ApprovalController
from gateway.control.assertions import assertion_keys
from gateway.control.clients import ClientController
from gateway.control.deps import AnyRequest, call_of, unknown_parameter
from gateway.control.explaining import explain
from gateway.control.freezes import FreezeController
from gateway.control.given import ControlDeps
from gateway.control.health import alive, ready
from gateway.control.keys import CallerController, KeyController
from gateway.control.openapi import openapi
from gateway.control.readiness import Readiness
from gateway.control.tokens import discovery, token, token_keys
from gateway.words.errors import Code, Refused


def application(deps: ControlDeps, readiness: Readiness) -> Litestar:
    """Gives the control plane's ASGI application, to be reached through the edge's door. Raises GatehouseError out of its call."""

    def given() -> ControlDeps:
        return deps

    def looked() -> Readiness:
        return readiness

    return Litestar(
        route_handlers=[
            CallerController,
            KeyController,
            ClientController,
            ApprovalController,
            FreezeController,
            explain,
            token,
            token_keys,
            discovery,
            assertion_keys,
            alive,
            ready,
            openapi,
        ],
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
    call = call_of(request)
    if call.path.endswith("/"):
        raise Refused(Code.NOT_FOUND)
    if request.method == "OPTIONS":
        raise _not_offered(sorted(_beside(request)))
    if call.query and call.segments[0] != "v1":  # /v1 says which it takes, once it knows who asks
        raise unknown_parameter(call.query[0][0])


def _beside(request: AnyRequest) -> set[str]:
    """Gives every method of the routes at the request's place."""
    here = request.scope["path_template"]
    return {
        method
        for route in request.app.routes
        if route.path_format == here
        for method in getattr(route, "methods", ())
    }


def _not_offered(methods: Iterable[str]) -> Refused:
    offered = ", ".join(name for name in methods if name and name != "OPTIONS")
    return Refused(Code.METHOD_NOT_LISTED, **({"allow": offered} if offered else {}))


def _up(_: AnyRequest, error: Exception) -> NoReturn:
    raise error


def _translated(request: AnyRequest, error: HTTPException) -> NoReturn:
    """Routing is all that Litestar can refuse here; anything else of its own is a defect of ours."""
    if isinstance(error, NotFoundException) or call_of(request).path.endswith("/"):
        raise Refused(Code.NOT_FOUND) from None
    if isinstance(error, MethodNotAllowedException):
        allowed: dict[str, Any] = dict(error.headers or {})
        allow = allowed.get("Allow") or allowed.get("allow")
        raise _not_offered(str(allow or "").split(", ")) from None
    raise error
