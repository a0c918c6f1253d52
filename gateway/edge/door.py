"""Step 1 → the corridor → step 10: a request becomes a `Call`, and what the corridor says becomes an answer.

Everything that can go wrong is answered here, by one function, as problem+json; a defect of ours too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from time import perf_counter
from typing import Final, Protocol

from audit import AuditError
from gateway.edge.answer import Answer, Answered, answered
from gateway.edge.asgi import App, Gone, Message, Receive, Scope, Send, body_of, send_answer
from gateway.edge.lane import CERTIFICATE, Asked
from gateway.edge.ticks import ALIKE, until_tick
from gateway.jobs import cut_short
from gateway.observe import Count, Metrics, Outcome, Tracer, event, here, place_of
from gateway.rooms import Reply
from gateway.text import Language, pick_language
from gateway.text.problems import SAFE_HEADERS, problem
from gateway.wire import headers
from gateway.words.access import Call
from gateway.words.errors import Code, GatehouseError, NoAnswer, Refused
from gateway.words.ids import new_id
from gateway.words.resource import ALIKE_SECONDS

_JSON_TYPES: Final = frozenset({"application/json", "application/merge-patch+json"})


class Corridor(Protocol):
    """Steps 2 to 9."""

    async def answer(self, call: Call, /) -> Reply:
        """Gives the reply. Raises GatehouseError; its `entry` is set when the refusal has an entry of its own."""
        ...


class _Nobodys:
    """In the place of a corridor, where an address leads nowhere."""

    async def answer(self, _: Call, /) -> Reply:
        raise Refused(Code.NOT_FOUND)


class Way:
    """A lane that leads through the door: one task a request, held until it ends whatever becomes of its caller's side.

    Only the end of the process, `RECORD_SECONDS` after a stop's patience, cuts it short.
    """

    def __init__(self, door: Door, corridor: Corridor) -> None:
        self._door = door
        self._corridor = corridor

    def begin(self, asked: Asked, body: bytes, answered: Callable[[Answered], None]) -> None:
        """Sets to work on a whole request; a change that was begun gets its outcome recorded, even if nobody listens any more.

        One that the end of the process cuts short leaves its intent open, for the next start to settle.
        """
        self._door.go_on(self._serve(asked, body, answered))

    async def _serve(self, asked: Asked, body: bytes, answered: Callable[[Answered], None]) -> None:
        made = await self._door.answer(asked, body, self._corridor.answer)
        if made is not None:
            answered(made)

    def sorry(self, asked: Asked) -> Answered:
        """Gives what is said to a caller for whom a stop no longer waits, in our words and not in the server's."""
        return self._door.sorry(asked)


class Door:
    """Takes requests for the corridor, and for the control plane's application. Used from one event loop.

    corridor, absent: the lanes of the data plane, and of addresses that are nobody's (404, before anybody is asked who he is).
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
        self.corridor = Way(self, corridor)
        self.absent = Way(self, _Nobodys())
        self._metrics = metrics
        self._stranger = stranger
        self._tracer = tracer or Tracer()
        self._now = now
        self._under_way: set[asyncio.Task[None]] = set()

    async def pass_on(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands a request to the control plane's application: the same checks, the same safe headers, and the body in the call alone.

        The application's framework is handed none: it reads JSON leniently, and nobody is known yet for whom it would be read.
        """
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": _safe(message.get("headers", ()))}
            await send(message)

        async def work(call: Call) -> None:
            _check_control_key(call)
            _check_control_media(call)
            scope["gatehouse.call"] = call
            await app(scope, _without_body(receive), guarded)

        client = scope.get("client")
        asked = Asked(
            scope["method"],
            scope["gatehouse.target"],
            scope["headers"],
            client[0] if client else "unix",
            scope.get(CERTIFICATE, ()),
        )
        made = await self.answer(asked, receive, work)
        if made is None:
            return
        if started:
            raise GatehouseError  # half an answer is out already: the server cuts the connection
        await send_answer(send, made)

    def unrecorded(self, code: Code) -> None:
        """Counts a refusal that no entry records; the protocol's too, made before there was a request to answer."""
        self._metrics.count(Count.REFUSALS, code=code)
        self._stranger(code)

    def go_on(self, work: Coroutine[None, None, None]) -> None:
        """Begins a task that a stop waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    async def settled(self, seconds: float) -> int:
        """Returns when the corridor has finished everything that it began, or after so many seconds; a stop waits for it.

        Gives how many had not ended. They are cancelled and go no further: like a kill, whose open intents the next start settles.
        """
        clock = asyncio.get_running_loop().time
        over = clock() + seconds
        while self._under_way and (left := over - clock()) > 0:
            await asyncio.wait(self._under_way, timeout=left)
        return len(await cut_short(self._under_way))

    def sorry(self, asked: Asked) -> Answered:
        """Gives what is said to a caller whom nobody can tell now what becomes of his request."""
        request_id = new_id("req")
        return answered(problem(NoAnswer(), _language(asked), request_id), request_id)

    async def answer(
        self,
        asked: Asked,
        body: bytes | Receive,
        work: Callable[[Call], Awaitable[Answer | None]],
    ) -> Answered | None:
        """Reads, works, answers. None where `work` has answered by itself, or where there is nobody left to answer."""
        request_id, start = new_id("req"), perf_counter()
        begun_at = asyncio.get_running_loop().time()
        traced, token = self._tracer.begin(request_id, asked.method, asked.peer, asked.headers)
        made: Answered | None = None
        try:
            made = await self._answered(asked, body, work, request_id, begun_at)
        finally:
            self._tracer.leave(traced, token, None if made is None else made.status)
        if made is not None:
            outcome = Outcome.of(made.status)
            self._metrics.count(Count.ANSWERS, outcome=outcome)
            self._metrics.took(perf_counter() - start, outcome)
        return made

    async def _answered(
        self,
        asked: Asked,
        body: bytes | Receive,
        work: Callable[[Call], Awaitable[Answer | None]],
        request_id: str,
        begun_at: float,
    ) -> Answered | None:
        """Gives the answer, also where it is a refusal or a defect."""
        try:
            answer = await work(await self._read(asked, body, request_id))
            if isinstance(answer, Reply) and answer.tick_seconds:
                await until_tick(begun_at, answer.tick_seconds)
            return None if answer is None else answered(answer, request_id)
        except Gone:
            return None
        except GatehouseError as error:
            answer = self._refuse(error, _language(asked), request_id)
            if error.code in ALIKE and error.entry is not None:
                with suppress(asyncio.CancelledError):  # a stop out of patience: it is answered at once
                    await until_tick(begun_at, error.tick_seconds or ALIKE_SECONDS)
        except asyncio.CancelledError:
            # Nothing else cancels: a stop out of patience (a request of the control plane's), or the process's end (any).
            answer = problem(NoAnswer(), _language(asked), request_id)
        except Exception as error:  # noqa: BLE001 - the outermost door: a defect is answered 500 and logged, and nothing goes on
            answer = self._defect(error, _language(asked), request_id)
        return answered(answer, request_id)

    async def _read(self, asked: Asked, body: bytes | Receive, request_id: str) -> Call:
        target, method = asked.target, asked.method
        fields = headers.read(asked.headers)
        if not headers.is_method(method):
            raise Refused(Code.METHOD_NOT_LISTED)
        if any(name == "content-encoding" for name, _ in fields):
            raise Refused(Code.MEDIA_TYPE)
        whole = body if isinstance(body, bytes) else await body_of(body)
        traced = here.get()
        return Call(
            id=request_id,
            method=method,
            path=target.path,
            segments=target.segments,
            raw_query=target.raw_query,
            query=target.query,
            headers=fields,
            body=whole,
            peer=asked.peer,
            received=self._now(),
            trace=None if traced is None else traced.id,
            certificate=tuple(asked.certificate),
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._metrics.count(Count.DEFECTS)
            _log_defect(error, None)

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


def _log_defect(error: BaseException, request_id: str | None) -> None:
    name, at = place_of(error)
    event("defect", logging.ERROR, request=request_id, error=name, at=at)


def _check_control_media(call: Call) -> None:
    """Raises Refused(MEDIA_TYPE) for a body of a type that nothing there reads. Forms are for the token endpoint only (RFC 6749
    section 3.2). What is in it is looked at once its sender is known: reading a megabyte takes a thousand times a refusal's time."""
    if not call.body:
        return
    media_type = (call.header("content-type") or "").partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded" and call.segments[0] == "oauth":
        return
    if media_type not in _JSON_TYPES:
        raise Refused(Code.MEDIA_TYPE)


def _check_control_key(call: Call) -> None:
    """Raises Refused(HEADER_MALFORMED) for an idempotency key on a change of our own: passed over unseen, the guard that its
    caller believes in would not be there. Only records' changes have it."""
    name = "idempotency-key"
    if call.segments[0] == "v1" and call.method not in ("GET", "HEAD") and call.header(name) is not None:
        raise Refused(Code.HEADER_MALFORMED, header=name)


def _language(asked: Asked) -> Language:
    given = next((value for name, value in asked.headers if name == b"accept-language"), b"")
    return pick_language(given.decode("latin-1"))


def _safe(lines: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    safe = [(name.encode("ascii"), value.encode("ascii")) for name, value in SAFE_HEADERS]
    names = {name for name, _ in safe}
    return [*(line for line in lines if line[0].lower() not in names), *safe]


def _without_body(receive: Receive) -> Receive:
    """Gives a `receive` that says that there is no body, and then whatever the server has to say (that the client left)."""
    said = False

    async def emptied() -> Message:
        nonlocal said
        if said:
            return await receive()
        said = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return emptied
