"""The control door: Litestar under /v1, /oauth, /.well-known, /healthz, /readyz, /schema. Every operation is a service's function.

Litestar finds the handler and nothing else: it reads no body and no parameter (it would parse JSON whatever the content type,
turn "5" into 5 and drop unknown members), and it answers no error. Errors go up to the edge's door, which answers every error of
every plane by one function, counts it and knows the request's id and language.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.control.given import ControlDeps, TokenDoor
from gateway.control.readiness import Readiness

if TYPE_CHECKING:
    from litestar import Litestar

__all__ = ["ControlDeps", "Readiness", "TokenDoor", "create_control"]


def create_control(deps: ControlDeps, readiness: Readiness | None = None) -> Litestar:
    """Gives the control plane's ASGI application, to be reached through the edge's door. Raises GatehouseError out of its call.

    Loads the framework, a tenth of a start that no record waits for: whoever serves does so while he serves (edge `Later`).
    """
    from gateway.control.application import application  # noqa: PLC0415 - loaded when it is called, as said

    return application(deps, readiness or Readiness(deps))
