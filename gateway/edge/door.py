"""Step 1 → the corridor → step 10: an ASGI request becomes a `Call`, and what the corridor says becomes an answer.

Everything that can go wrong is answered here, by one function, as problem+json; a defect of ours too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from time import perf_counter
from typing import Final, Protocol

from audit import AuditError
from gateway.edge.asgi import Answer, App, Gone, Message, Receive, Scope, Send, body_of, send_answer
from gateway.edge.ticks import ALIKE, until_tick
from gateway.observe import Count, Metrics, Outcome, Tracer, event, here, place_of
from gateway.rooms import Reply
from gateway.text import Language, pick_language
from gateway.text.problems import SAFE_HEADERS, problem
from gateway.wire import headers
from gateway.wire.json import parse
from gateway.wire.target import Target
from gateway.words.access import Call
from gateway.words.errors import Code, GatehouseError, NoAnswer, Refused
from gateway.words.ids import new_id

CERTIFICATE: Final = "gatehouse.certificate"
"""Where the names of a caller's certificate stand in a scope: put there by the protocol that saw the handshake."""
_JSON_TYPES: Final = frozenset({"application/json", "application/merge-patch+json"})


class Corridor(Protocol):
    """Steps 2 to 9."""

    async def answer(self, call: Call) -> Reply:
        """Gives the reply. Raises GatehouseError; its `entry` is set when the refusal has an entry of its own."""
        ...


class Door:
    """Takes requests for the corridor, and for the control plane's application. Used from one event loop.

    stranger: hears the code of every refusal that no entry records, so that they can be counted into a summary entry.
    tracer:   begins the trace of each request; without one a trace has its ids and is never kept.
    """

    def __init__(
        self,
        corridor: Corridor,
        metrics: Metrics,
        *,
        stranger: Callable[[Code], None] = lambda _: None,
        tracer: Tracer | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._corridor = corridor
        self._metrics = metrics
        self._stranger = stranger
        self._tracer = tracer or Tracer()
        self._now = now
        self._under_way: set[asyncio.Task[Reply]] = set()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request through the corridor."""

        async def work(call: Call) -> Answer:
            return await self._undisturbed(call)

        await self._answer(scope, receive, send, work)

    async def absent(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request for an address that is nobody's: 404, before anybody is asked who he is."""

        async def work(_: Call) -> Answer:
            raise Refused(Code.NOT_FOUND)

        await self._answer(scope, receive, send, work)

    async def pass_on(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request to the control plane's application: the same checks, the body already whole, the same safe headers."""
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": _safe(message.get("headers", ()))}
            await send(message)

        async def work(call: Call) -> None:
            _check_control_key(call)
            _check_control_body(call)
            scope["gatehouse.call"] = call
            await app(scope, _replay(call.body, receive), guarded)

        await self._answer(scope, receive, send, work, begun=lambda: started)

    def unrecorded(self, code: Code) -> None:
        """Counts a refusal that no entry records; the protocol's too, made before there was a request to answer."""
        self._metrics.count(Count.REFUSALS, code=code)
        self._stranger(code)

    async def settled(self) -> None:
        """Returns when the corridor has finished everything that it began; a stop waits for it."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        work: Callable[[Call], Awaitable[Answer | None]],
        *,
        begun: Callable[[], bool] = lambda: False,
    ) -> None:
        """Reads, works, answers. `work` gives None when it has answered by itself; `begun` says that it had begun to."""
        request_id, start = new_id("req"), perf_counter()
        client = scope.get("client")
        peer = client[0] if client else "unix"
        begun_at = asyncio.get_running_loop().time()
        traced, token = self._tracer.begin(request_id, scope["method"], peer, scope["headers"])
        answer: Answer | None = None
        try:
            answer = await self._answered(scope, receive, work, request_id, peer, begun_at)
        finally:
            self._tracer.leave(traced, token, None if answer is None else answer.status)
        if answer is not None and begun():
            raise GatehouseError  # half an answer is out already: the server cuts the connection
        if answer is None:
            return
        outcome = Outcome.of(answer.status)
        self._metrics.count(Count.ANSWERS, outcome=outcome)
        self._metrics.took(perf_counter() - start, outcome)
        await send_answer(send, answer, request_id)

    async def _answered(
        self,
        scope: Scope,
        receive: Receive,
        work: Callable[[Call], Awaitable[Answer | None]],
        request_id: str,
        peer: str,
        begun_at: float,
    ) -> Answer | None:
        """Gives the answer, also where it is a refusal or a defect; None where there is nobody, or nothing left, to answer."""
        try:
            answer = await work(await self._read(scope, receive, request_id, peer))
            if answer is not None:
                _check(answer)
        except Gone:
            return None
        except GatehouseError as error:
            answer = self._refuse(error, _language(scope), request_id)
            if error.code in ALIKE and error.entry is not None:
                with suppress(asyncio.CancelledError):  # a stop out of patience: it is answered at once
                    await until_tick(begun_at)
        except asyncio.CancelledError:
            # Only a stop that has run out of patience cancels a request. The corridor goes on and records what becomes of it;
            # its caller is told that nobody can tell him now, in our words and not in the server's.
            answer = problem(NoAnswer(), _language(scope), request_id)
        except Exception as error:  # noqa: BLE001 - the outermost door: a defect is answered 500 and logged, and nothing goes on
            answer = self._defect(error, _language(scope), request_id)
        return answer

    async def _read(self, scope: Scope, receive: Receive, request_id: str, peer: str) -> Call:
        target: Target = scope["gatehouse.target"]
        fields = headers.read(scope["headers"])
        if not headers.is_method(scope["method"]):
            raise Refused(Code.METHOD_NOT_LISTED)
        if any(name == "content-encoding" for name, _ in fields):
            raise Refused(Code.MEDIA_TYPE)
        body = await body_of(receive)
        traced = here.get()
        return Call(
            id=request_id,
            method=scope["method"],
            path=target.path,
            segments=target.segments,
            raw_query=target.raw_query,
            query=target.query,
            headers=fields,
            body=body,
            peer=peer,
            received=self._now(),
            trace=None if traced is None else traced.id,
            certificate=scope.get(CERTIFICATE, ()),
        )

    async def _undisturbed(self, call: Call) -> Reply:
        """Lets the corridor finish whatever becomes of the caller's side: a change that was begun gets its outcome recorded."""
        task = asyncio.ensure_future(self._corridor.answer(call))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Reply]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # taken note of: nobody may be waiting any more, and asyncio would print it

    def _refuse(self, error: GatehouseError, language: Language, request_id: str) -> Answer:
        if error.entry is None:
            self.unrecorded(error.code)
        else:
            self._metrics.count(Count.REFUSALS, code=error.code)
        if (defect := _defect_of(error)) is not None:
            self._metrics.count(Count.DEFECTS)
            _log_defect(defect, request_id)
        if (traced := here.get()) is not None:
            traced.refused(error.code)
        return problem(error, language, request_id)

    def _defect(self, error: Exception, language: Language, request_id: str) -> Answer:
        self._metrics.count(Count.DEFECTS)
        _log_defect(error, request_id)
        return problem(GatehouseError(Code.INTERNAL), language, request_id)


def _defect_of(error: GatehouseError) -> BaseException | None:
    """Gives the defect of ours behind an answer; one that broke a change after its intent is told as an outcome that nobody recorded."""
    cause = error.__cause__
    if error.code is Code.INTERNAL:
        return cause or error
    broken = error.code is Code.OUTCOME_UNRECORDED and not isinstance(cause, GatehouseError | AuditError)
    return cause if broken else None


def _log_defect(error: BaseException, request_id: str) -> None:
    name, at = place_of(error)
    event("defect", logging.ERROR, request=request_id, error=name, at=at)


def _check(answer: Answer) -> None:
    """Raises GatehouseError(INTERNAL) for header lines that could not be sent as they are."""
    if not all(headers.well_formed(name, value) for name, value in answer.headers):
        raise GatehouseError(Code.INTERNAL)


def _check_control_body(call: Call) -> None:
    """Raises Refused(MEDIA_TYPE, BODY_MALFORMED) for a body that Litestar would read leniently.

    It parses JSON under any media type, takes the last of two equal names, and answers 500 to deep nesting. Forms are for the
    token exchange only (RFC 6749 section 3.2).
    """
    if not call.body:
        return
    media_type = (call.header("content-type") or "").partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded" and call.segments[0] == "oauth":
        return
    if media_type not in _JSON_TYPES:
        raise Refused(Code.MEDIA_TYPE)
    parse(call.body)


def _check_control_key(call: Call) -> None:
    """Raises Refused(HEADER_MALFORMED) for an idempotency key on a change of our own: passed over unseen, the guard that its
    caller believes in would not be there. Only records' changes have it."""
    name = "idempotency-key"
    if call.segments[0] == "v1" and call.method not in ("GET", "HEAD") and call.header(name) is not None:
        raise Refused(Code.HEADER_MALFORMED, header=name)


def _language(scope: Scope) -> Language:
    given = next((value for name, value in scope["headers"] if name == b"accept-language"), b"")
    return pick_language(given.decode("latin-1"))


def _safe(lines: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    safe = [(name.encode("ascii"), value.encode("ascii")) for name, value in SAFE_HEADERS]
    names = {name for name, _ in safe}
    return [*(line for line in lines if line[0].lower() not in names), *safe]


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives a `receive` that says the whole body once and then whatever the server has to say (that the client left)."""
    said = False

    async def replayed() -> Message:
        nonlocal said
        if said:
            return await receive()
        said = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
