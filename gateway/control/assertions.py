"""The control door: `/v1/assertion-keys`, by which upstreams check what the gateway tells them. Public: nobody is asked who he is."""

from __future__ import annotations

from litestar import Response, route
from litestar.di import NamedDependency

from gateway.control.deps import AnyRequest, call_of, unknown_parameter
from gateway.control.given import ControlDeps

KEY_SET = "application/jwk-set+json"  # RFC 7517 section 8.5.2


@route("/v1/assertion-keys", http_method=["GET", "HEAD"], name="assertion-keys")
async def assertion_keys(request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
    """Gives the key set."""
    call = call_of(request)
    if call.query:
        raise unknown_parameter(call.query[0][0])
    headers = {"gatehouse-request": call.id}
    return Response(deps.assertion_keys, headers=headers, media_type=KEY_SET)
