"""The control door: `/v1/whoami` and `/v1/keys`. Each handler reads, asks one service function, and writes down what it gave."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from litestar import Controller, Response, delete, post, route
from litestar.di import NamedDependency

from audit import Receipt
from gateway.control.deps import AnyRequest, asker_of, body_of, call_of, param
from gateway.control.given import ControlDeps
from gateway.control.shapes import Caller, KeyIssued, KeyPage, KeyShown, KeyWanted, PartyShown, Role
from gateway.credentials import MAX_LISTED, Page, Wish, bound_to, whoami
from gateway.words.access import Call
from gateway.words.errors import Code, Refused
from gateway.words.principal import Party, RoleHeld

JSON = "application/json"


class CallerController(Controller):
    """Who a caller is."""

    path = "/v1/whoami"

    @route("/", http_method=["GET", "HEAD"], name="whoami")
    async def whoami(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
        """Gives the caller as identified."""
        call = call_of(request)
        who = await whoami(deps.keys.desk, asker_of(call, deps.identity))
        person = who.principal.person
        document = Caller(
            application=_party(who.principal.application),
            person=None if person is None else _party(person),
            purposes=sorted(who.principal.purposes),
            proven=list(who.principal.proven),
        )
        return answer(call, 200, document, who.receipt)


class KeyController(Controller):
    """API keys."""

    path = "/v1/keys"

    @route("/", http_method=["GET", "HEAD"], name="list-keys")
    async def list_keys(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
        """Gives a run of keys."""
        call = call_of(request)
        asker = asker_of(call, deps.identity, "after", "limit")
        listed = await deps.keys.list(asker, lambda: _page(call))
        items = [msgspec.convert(key, KeyShown) for key in listed.keys]
        return answer(call, 200, KeyPage(items, listed.next), listed.receipt)

    @post("/", name="issue-key")
    async def issue_key(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
        """Issues a key; its text is in this answer and nowhere else."""
        call = call_of(request)
        issued = await deps.keys.issue(
            asker_of(call, deps.identity), lambda: wish_of(body_of(call, KeyWanted))
        )
        members = {"id": issued.key.id, "key": issued.text, **bound_to(issued.key)}
        document = msgspec.convert(members, KeyIssued)
        return answer(call, 201, document, issued.receipt, location=f"/v1/keys/{issued.key.id}")

    @delete("/{key_id:str}", name="revoke-key", status_code=204)
    async def revoke_key(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[None]:
        """Revokes a key; repeating it does nothing more."""
        call = call_of(request)
        # The edge's segment, not Litestar's path parameter: decoded once, and the one that everything else looks at.
        receipt = await deps.keys.revoke(asker_of(call, deps.identity), call.segments[2])
        return Response(None, status_code=204, headers=headers_of(call, receipt))


def answer(
    call: Call,
    status: int,
    document: msgspec.Struct,
    receipt: Receipt | None,
    *,
    location: str | None = None,
) -> Response[bytes]:
    """Gives the response: the document, the request's id and where its entry stands."""
    headers = headers_of(call, receipt) | ({} if location is None else {"location": location})
    return Response(msgspec.json.encode(document), status_code=status, headers=headers, media_type=JSON)


def headers_of(call: Call, receipt: Receipt | None) -> dict[str, str]:
    """Gives what every answer of this door carries."""
    return {"gatehouse-request": call.id} | ({} if receipt is None else {"audit-ref": receipt.ref})


def _page(call: Call) -> Page:
    limit = param(call, "limit")
    if limit is not None and not (limit.isascii() and limit.isdigit() and len(limit) <= 3):
        raise Refused(Code.PARAMETER_MALFORMED, parameter="limit", expected=f"1 to {MAX_LISTED}")
    return Page(param(call, "after"), Page().limit if limit is None else int(limit))


def wish_of(wanted: KeyWanted) -> Wish:
    """Gives what a body asks for. Raises Refused(VALUE_REFUSED)."""
    roles = frozenset(RoleHeld(role.role, role.unit) for role in wanted.roles)
    try:
        ends = datetime.fromisoformat(wanted.expires).astimezone(UTC)
    except ValueError:
        raise Refused(Code.VALUE_REFUSED, field="/expires") from None
    return Wish(wanted.application, roles, frozenset(wanted.purposes), ends)


def moment(when: datetime) -> str:
    """Gives a moment as documents hold it."""
    return when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _party(party: Party) -> PartyShown:
    return PartyShown(party.id, [Role(held.role, held.unit) for held in sorted(party.roles)])
