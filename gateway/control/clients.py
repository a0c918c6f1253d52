"""The control door: `/v1/clients`. What is a client is listed and revoked under `/v1/keys`."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from litestar import Controller, Response, post
from litestar.di import NamedDependency

from gateway.control.deps import AnyRequest, asker_of, body_of, call_of, token_door
from gateway.control.given import ControlDeps
from gateway.control.keys import answer, moment, wish_of
from gateway.control.shapes import ClientIssued, KeyWanted, SecretIssued, SecretWanted
from gateway.credentials import bound_to


class ClientController(Controller):
    """Clients of the token endpoint."""

    path = "/v1/clients"

    @post("/", name="issue-client")
    async def issue_client(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
        """Issues a client; its secret is in this answer and nowhere else."""
        call, door = call_of(request), token_door(deps)
        issued = await door.clients.issue(
            asker_of(call, deps.identity), lambda: wish_of(body_of(call, KeyWanted))
        )
        members = {"client_id": issued.key.id, "client_secret": issued.text, **bound_to(issued.key)}
        document = msgspec.convert(members, ClientIssued)
        return answer(call, 201, document, issued.receipt, location=f"/v1/keys/{issued.key.id}")

    @post("/{client_id:str}/secrets", name="renew-secret")
    async def renew_secret(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
        """Gives a client another secret; those before it go on for the overlap."""
        call, door = call_of(request), token_door(deps)
        # The edge's segment, not Litestar's path parameter: decoded once, and the one that everything else looks at.
        renewed = await door.clients.renew(
            asker_of(call, deps.identity),
            call.segments[2],
            lambda: timedelta(seconds=body_of(call, SecretWanted).overlap_seconds),
        )
        document = SecretIssued(renewed.key.id, renewed.text, moment(renewed.ends))
        return answer(call, 201, document, renewed.receipt)
