"""The control door: `/v1/approvals`. A bundle is filed to be put in force, another person confirms it; and what was in force when."""

from __future__ import annotations

import msgspec
from litestar import Controller, Response, post, route
from litestar.di import NamedDependency

from gateway.activating import MAX_LISTED, Done, Wanted, shown
from gateway.control.deps import AnyRequest, asker_of, body_of, call_of, param
from gateway.control.given import ControlDeps
from gateway.control.keys import answer
from gateway.control.shapes import ActivationDone, ActivationWanted, BundleHistory
from gateway.words.access import Call
from gateway.words.errors import Code, Refused

SHOWN = 50
"""Entries of a history that does not say how many."""


class ApprovalController(Controller):
    """What one files and another confirms."""

    path = "/v1/approvals"

    @route("/", http_method=["GET", "HEAD"], name="policy-history")
    async def history(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
        """Gives which bundles were in force, latest first, and what waits."""
        call = call_of(request)
        told = await deps.history.told(asker_of(call, deps.identity, "limit"), lambda: _limit(call))
        return answer(call, 200, msgspec.convert(told.document, BundleHistory), told.receipt)

    @post("/", name="file-approval")
    async def file(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
        """Puts a bundle in force, or files it where it could widen somebody's access."""
        call = call_of(request)
        done = await deps.activating.file(asker_of(call, deps.identity), lambda: _wanted(call))
        return answer(call, 201, document(done), done.receipt)

    @post("/{approval_id:str}/confirm", name="confirm-approval", status_code=200)
    async def confirm(self, request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
        """Confirms what another filed, and does it."""
        call = call_of(request)
        # The edge's segment, decoded once, as with keys.
        asker = asker_of(call, deps.identity, bodiless=True)
        done = await deps.activating.confirm(asker, call.segments[2])
        return answer(call, 200, document(done), done.receipt)


def document(done: Done) -> ActivationDone:
    """Gives what became of it as a document."""
    return msgspec.convert(shown(done), ActivationDone)


def _wanted(call: Call) -> Wanted:
    wanted = body_of(call, ActivationWanted)
    return Wanted(wanted.bundle)


def _limit(call: Call) -> int:
    limit = param(call, "limit")
    if limit is not None and not (limit.isascii() and limit.isdigit() and len(limit) <= 3):
        raise Refused(Code.PARAMETER_MALFORMED, parameter="limit", expected=f"1 to {MAX_LISTED}")
    return SHOWN if limit is None else int(limit)
