"""Step 7 of the request path: from work to closed records, over whatever transport an upstream has.

Everything that an upstream says is judged here once: its status, its media type, its JSON, its shape, its record's id and its
links. What does not fit the catalogue is BadAnswer; nothing of a body that is not a 2xx's is ever looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from gateway.upstream import runs
from gateway.upstream.content import content_of
from gateway.upstream.links import address_of
from gateway.upstream.narrowing import Known, by_parameters, whole
from gateway.upstream.place import Place
from gateway.upstream.places import Places
from gateway.upstream.reading import Reading
from gateway.upstream.shape import Cut, wrap
from gateway.upstream.target import body_type, fill, names_one, onward
from gateway.upstream.transport import RawAnswer, done
from gateway.upstream.watch import judged
from gateway.wire.headers import well_formed
from gateway.wire.json import dump
from gateway.words.access import Access, ResourceRef
from gateway.words.answer import Answer, Content
from gateway.words.errors import BadAnswer, NoAnswer, NotSent
from gateway.words.json import Json, JsonObject
from gateway.words.record import ClosedPage, ClosedRecord, SealedChange, View
from gateway.words.resource import (
    Idempotency,
    Removal,
    ResourceSpec,
    Shape,
    UpdateMode,
    Verb,
    Versioning,
)
from gateway.words.work import Addressed, Delete, List, Narrowing, Run, Update

_GONE = (404, 410)


class Adapter:
    """The corridor's upstreams (rooms.Upstream). Holds no request's state; alarms about unknown members are told once a process."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.metrics = places.metrics
        self._told: set[tuple[str, str]] = set()

    # ── the gateway's own reads and the caller's ─────────────────────────────────────────────────────────────────

    @judged
    async def fetch(self, what: Addressed) -> Answer:
        """Reads the one record that `what` names, exactly as addressed. HEAD asks as GET does: the record decides."""
        place = self._places.of(what.upstream.name)
        to, route = what.work.to, what.route
        method = "GET" if route.method == "HEAD" else route.method
        headers = self._onward(place, what)
        raw = await place.send(
            method, to.path, to.raw_query, by=what.access, added=route.fixed, headers=headers
        )
        if not done(raw):
            await self._as_long(place, what.resource, what.ref, raw)
            return Answer(raw.status)
        reading = Reading(place, what.resource, raw, self._told)
        record = reading.record(place.cut(route.shape, what.resource), reading.document(), what.ref)
        if not await self._present(place, what.resource, what.ref):
            return Answer(404)
        return Answer(
            raw.status, record, headers=reading.headers(route.response_headers), alarms=reading.alarms()
        )

    @judged
    async def before(self, what: Addressed) -> Answer:
        """Reads the record that a change is about, from the resource's own read target."""
        place = self._places.of(what.upstream.name)
        raw = await _ask(place, what.resource.read_target, what.ref, by=what.access)
        if not done(raw):
            await self._as_long(place, what.resource, what.ref, raw)
            return Answer(raw.status)
        reading = Reading(place, what.resource, raw, self._told)
        shape = place.shape_of(what.resource, Verb.READ) or what.route.shape
        record = reading.record(place.cut(shape, what.resource), reading.document(), what.ref)
        if not await self._present(place, what.resource, what.ref):
            return Answer(404)
        return Answer(raw.status, record, alarms=reading.alarms())

    @judged
    async def content(self, what: Addressed) -> Content:
        """Reads the bytes of the record that `what` names, whole, and says what they may be said to be."""
        place = self._places.of(what.upstream.name)
        return await content_of(place, what, self._onward(place, what))

    @judged
    async def look(self, ref: ResourceRef, resource: ResourceSpec) -> ClosedRecord | None:
        """Reads one record for the reconciler; None when it certainly is not there (404, 410). Any other refusal is BadAnswer."""
        place = self._places.of(ref.upstream)
        raw = await _ask(place, resource.read_target, ref)
        if raw.status in _GONE:
            await self._as_long(place, resource, ref, raw)
            return None
        if not done(raw):
            raise BadAnswer(raw.status)
        reading = Reading(place, resource, raw, self._told)
        shape = place.shape_of(resource, Verb.READ) or Shape()
        record = reading.record(place.cut(shape, resource), reading.document(), ref)
        return record if await self._present(place, resource, ref) else None

    async def _present(self, place: Place, resource: ResourceSpec, ref: ResourceRef) -> bool:
        """Tells whether a record that was answered is still there, where its own address goes on answering after a delete."""
        if resource.present_target is None:
            return True
        raw = await _ask(place, resource.present_target, ref)
        if not done(raw):
            raise BadAnswer(raw.status)
        return Reading(place, resource, raw, self._told).holds(ref)

    async def _as_long(self, place: Place, resource: ResourceSpec, ref: ResourceRef, raw: RawAnswer) -> None:
        """Asks for a record that is not there what is asked for one that is: how long an answer takes does not tell them apart.

        What the upstream says of it, or that it says nothing, changes nothing: its 404 stands.
        """
        if resource.present_target is not None and raw.status in _GONE:
            with suppress(BadAnswer, NoAnswer, NotSent):
                await self._present(place, resource, ref)

    def narrowing(self, what: Addressed, work: List, known: Known) -> Narrowing:
        """Gives what a list's upstream can be asked besides, so that it leaves out what nobody may see in it."""
        if self._places.of(what.upstream.name).embedded:
            return whole(what, work, known)
        return by_parameters(what, work, known)

    @judged
    async def page(self, what: Addressed, work: List, run: Run) -> Answer:
        """Reads one run of a list.

        Every run asks for the route's own size, so that a position means the same each time; for fewer only where a position is a
        place in the order.
        """
        place = self._places.of(what.upstream.name)
        route, rule = what.route, what.route.page
        added = [*work.query.passing, *route.fixed, *runs.paging(rule, run), *runs.besides(run)]
        headers = self._onward(place, what)
        raw = await place.send(route.method, work.to.path, by=what.access, added=added, headers=headers)
        if not done(raw):
            return Answer(raw.status)
        reading = Reading(place, what.resource, raw, self._told)
        document = reading.document()
        places = reading.places(document) if runs.placed(run) else None
        found = reading.run(place.cut(route.shape, what.resource), document)
        if rule is not None and len(found.pieces) > runs.size(rule, run):
            raise BadAnswer(raw.status)  # it did not hear how much was asked for, nor perhaps from where
        if places is not None and len(places) != len(found.pieces):
            raise BadAnswer(raw.status)
        items = tuple(reading.closed(piece, what.ref.record_of(piece.id or "")) for piece in found.pieces)
        following = runs.following(rule, run.position, len(items), found.next, found.total)
        if following is not None and following == run.position:
            raise BadAnswer(raw.status)  # it would go round for ever
        total = found.total if run.count and run.narrowing.keyed else None
        page = ClosedPage(items, following, found.outside, places, total)
        return Answer(
            raw.status, page=page, headers=reading.headers(route.response_headers), alarms=reading.alarms()
        )

    @judged
    async def find(self, ref: ResourceRef, resource: ResourceSpec, marker: str) -> ClosedRecord | None:
        """Looks for the record that a create with this marker made; None when it certainly is not there.

        Raises BadAnswer also where several are found or one whose id nobody could ask for, or where the search may have more pages or
        did not hear the marker; NoAnswer for a resource that cannot be searched (Idempotency.NONE): what became of the create cannot
        be told.
        """
        if resource.idempotency is Idempotency.NONE or resource.lookup is None:
            raise NoAnswer
        place = self._places.of(ref.upstream)
        raw = await _ask(place, resource.lookup, ref, marker)
        if raw.status in _GONE and resource.idempotency is Idempotency.HEADER:
            return None  # a search that is not there says nothing about what it would find
        if not done(raw):
            raise BadAnswer(raw.status)
        reading = Reading(place, resource, raw, self._told)
        found = reading.matches(ref, resource.lookup_field, marker)
        if len(found) > 1 or any(not names_one(resource.id_form, one.ref.record or "") for one in found):
            raise BadAnswer(raw.status)
        return found[0] if found else None

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────

    @judged
    async def change(self, what: Addressed, sealed: SealedChange | None, condition: str | None) -> Answer:
        """Carries out a create, send, update or delete.

        Raises NotSent for an update or delete without a condition where the upstream keeps versions, and for a create or
        update without a document: the guard is here as well, since nothing after it would notice.
        """
        place = self._places.of(what.upstream.name)
        work, route = what.work, what.route
        headers = [*self._onward(place, what), *_conditions(what, sealed, condition)]
        body = None
        if not isinstance(work, Delete):
            if sealed is None:
                raise NotSent
            document = sealed.document
            if route.mode is UpdateMode.MERGE and what.resource.removal is Removal.EMPTY:
                document = _emptied(document)
            body = dump(wrap(route.shape.body_root, document))
            headers.append(("content-type", body_type(work.to.headers, route.request_headers)))
        raw = await place.send(
            route.method,
            work.to.path,
            work.to.raw_query,
            by=what.access,
            added=route.fixed,
            headers=headers,
            body=body,
        )
        if not done(raw) or raw.status == 202:  # accepted, not done: its body and Location are about the task
            return Answer(raw.status)
        reading = Reading(place, what.resource, raw, self._told)
        record, created = None, None
        if not isinstance(work, Delete):
            cut = place.cut(route.shape, what.resource)
            answered = reading.document() if raw.body else None
            created = None if isinstance(work, Update) else reading.created(cut, answered, work.to.path)
            record = _changed(
                reading, cut, answered, what.ref if created is None else what.ref.record_of(created)
            )
        return Answer(
            raw.status,
            record,
            headers=reading.headers(route.response_headers),
            created=created,
            alarms=reading.alarms(),
        )

    # ── putting answers together ─────────────────────────────────────────────────────────────────────────────────

    def compose(
        self,
        what: Addressed,
        views: Sequence[View],
        page: Answer,
        *,
        following: str | None,
        total: int | None,
    ) -> JsonObject:
        """Gives the answer's document in the route's own shape; `views` are records of `page`, or of runs like it."""
        cut = self._places.of(what.upstream.name).cut(what.route.shape, what.resource)
        if page.page is not None:
            around = {record.ref: record.outside for record in page.page.items}
            items: list[Json] = [cut.item(around.get(view.ref, {}), view.document) for view in views]
            return cut.listing(page.page.outside, items, following, total)
        if not views:
            return {}
        return cut.document(page.record.outside if page.record else {}, views[0].document)

    def version_headers(self, what: Addressed, record: ClosedRecord) -> tuple[tuple[str, str], ...]:
        """Gives the ETag of a record, where the upstream would have sent one and the route lets it pass."""
        if what.resource.versioning is not Versioning.ETAG or record.version is None:
            return ()
        return (("etag", record.version),) if "etag" in what.route.response_headers else ()

    def location_headers(self, what: Addressed, ref: ResourceRef) -> tuple[tuple[str, str], ...]:
        """Gives where a record can be read, as callers address it, if the route passes Location and another one reads it."""
        address = address_of(what.upstream, ref) if "location" in what.route.response_headers else None
        return () if address is None else (("location", address),)

    def _onward(self, place: Place, what: Addressed) -> list[tuple[str, str]]:
        passing = onward(what.work.to.headers, what.route.request_headers)
        return [(name, value) for name, value in passing if not place.ours(name)]


async def _ask(
    place: Place, template: str, ref: ResourceRef, key: str | None = None, *, by: Access | None = None
) -> RawAnswer:
    """Asks for what the gateway itself needs to know; by: for whose request, None where it is for none."""
    path, query = fill(template, ref, key)
    return await place.send("GET", path, query, by=by or ref)


def _conditions(what: Addressed, sealed: SealedChange | None, condition: str | None) -> list[tuple[str, str]]:
    """Gives If-Match (RFC 9110 section 13.1.1) or Idempotency-Key. Raises NotSent where a condition is needed and absent."""
    if what.route.verb in (Verb.UPDATE, Verb.DELETE):
        if what.resource.versioning is Versioning.NONE:
            return []
        if condition is None or condition == "*" or not well_formed("if-match", condition):
            raise NotSent  # `*` is met by any version
        return [("if-match", condition)]
    if what.resource.idempotency is Idempotency.HEADER:
        if sealed is None or not sealed.marker or not well_formed("idempotency-key", sealed.marker):
            raise NotSent
        return [("idempotency-key", sealed.marker)]
    return []


def _emptied(document: JsonObject) -> JsonObject:
    """Gives a merge whose members go by an empty text: this upstream passes over null and says that all was done."""
    return {
        name: "" if value is None else _emptied(value) if isinstance(value, dict) else value
        for name, value in document.items()
    }


def _changed(reading: Reading, cut: Cut, document: Json, ref: ResourceRef) -> ClosedRecord | None:
    """Gives the record where the answer to a change holds it: an object at the root, and an id that says whose it is."""
    if document is None or not reading.same(cut, document, ref) or not cut.holds_one(document):
        return None
    return reading.record(cut, document, ref)
