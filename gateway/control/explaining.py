"""The control door: `/v1/explain`. Reads what is to be explained, asks the service, writes down what it gave."""

from __future__ import annotations

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency

from gateway.control.deps import AnyRequest, asker_of, body_of, call_of
from gateway.control.given import ControlDeps
from gateway.control.keys import answer
from gateway.control.shapes import ExplanationGiven, ExplanationWanted
from gateway.explaining import Asked, asked_of
from gateway.text import pick_language
from gateway.words.access import Call


@post("/v1/explain", name="explain", status_code=200)
async def explain(request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
    """Gives why somebody may do something, or may not."""
    call = call_of(request)
    language = pick_language(call.header("accept-language"))
    given = await deps.explaining.explain(asker_of(call, deps.identity), lambda: _asked(call), language)
    return answer(call, 200, msgspec.convert(given.document, ExplanationGiven), given.receipt)


def _asked(call: Call) -> Asked:
    return asked_of(msgspec.structs.asdict(body_of(call, ExplanationWanted)))
