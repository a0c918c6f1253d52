"""The control door: `/v1/freezes`. Who is frozen because a decoy was touched, and giving somebody free again."""

from __future__ import annotations

import msgspec
from litestar import Controller, Response, post, route
from litestar.di import NamedDependency

from gateway.control.deps import AnyRequest, asker_of, body_of, call_of
from gateway.control.given import ControlDeps
from gateway.control.keys import answer, headers_of
from gateway.control.shapes import FreezeList, FreezeShown, LiftWanted


class FreezeController(Controller):
    """Freezes."""

    path = "/v1/freezes"

    @route("/", http_method=["GET", "HEAD"], name="list-freezes")
    async def list_freezes(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
        """Gives who is frozen."""
        call = call_of(request)
        found = await deps.freezes.list(asker_of(call, deps.identity))
        items = [msgspec.convert(one, FreezeShown) for one in found.items]
        return answer(call, 200, FreezeList(items), found.receipt)

    @post("/lift", name="lift-freeze", status_code=204)
    async def lift_freeze(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[None]:
        """Gives somebody free; who is named in the body, since a person's name is no part of an address."""
        call = call_of(request)
        receipt = await deps.freezes.lift(
            asker_of(call, deps.identity), lambda: body_of(call, LiftWanted).who
        )
        return Response(None, status_code=204, headers=headers_of(call, receipt))
