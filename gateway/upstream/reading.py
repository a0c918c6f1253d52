"""Step 7: one 2xx answer, read against the catalogue. Raises BadAnswer with the answer's status, and nothing else."""

from __future__ import annotations

from gateway.upstream.place import Place
from gateway.upstream.shape import Cut, Finding, Misfit, Piece, Run, links_at
from gateway.upstream.target import back, is_json, names_one
from gateway.upstream.transport import RawAnswer
from gateway.wire.headers import well_formed
from gateway.wire.json import MAX_INT64, parse
from gateway.wire.target import canonical
from gateway.words.access import ResourceRef
from gateway.words.errors import BadAnswer, Refused
from gateway.words.json import Json, Pattern
from gateway.words.record import Alarm, AlarmKind, ClosedRecord
from gateway.words.resource import FieldClass, ResourceSpec, Shape, Verb, Versioning

_MAX_TOLD = 1_000  # patterns that alarms were raised about; a hostile upstream must not fill the memory


class Reading:
    """One answer being read. Collects what had to be withheld; `alarms` gives it at the end."""

    def __init__(
        self, place: Place, resource: ResourceSpec, raw: RawAnswer, told: set[tuple[str, str]]
    ) -> None:
        self._place = place
        self._resource = resource
        self._raw = raw
        self._told = told
        self._findings: list[Finding] = []
        self._headers_dropped = False

    @property
    def _bad(self) -> BadAnswer:
        return BadAnswer(self._raw.status)

    def document(self) -> Json:
        """Gives the body's one JSON value."""
        if not is_json(self._raw.header("content-type")):
            raise self._bad
        try:
            return parse(self._raw.body, max_integer=MAX_INT64)
        except Refused:
            raise self._bad from None

    def record(self, cut: Cut, document: Json, ref: ResourceRef) -> ClosedRecord:
        """Gives the record of a document that holds one. Another id than the addressed one is another record: refused."""
        try:
            piece = cut.single(document, self._place.mount.inward, self._findings)
        except Misfit:
            raise self._bad from None
        if piece.id is not None and ref.record is not None and piece.id != ref.record:
            raise self._bad
        record = piece.id or ref.record
        if record is None:
            raise self._bad
        return self.closed(piece, ref.record_of(record))

    def run(self, cut: Cut, document: Json) -> Run:
        """Gives a list's document, cut up. Two items of one id would be one record twice: refused."""
        try:
            run = cut.run(document, self._place.mount.inward, self._findings)
        except Misfit:
            raise self._bad from None
        if len({piece.id for piece in run.pieces}) != len(run.pieces):
            raise self._bad
        return run

    def places(self, document: Json) -> tuple[str, ...]:
        """Takes out of a list's document where it goes on after each item, as the embedded store says it when it is asked."""
        places = document.pop("places", None) if isinstance(document, dict) else None
        if not isinstance(places, list) or not all(isinstance(place, str) for place in places):
            raise self._bad
        return tuple(str(place) for place in places)

    def closed(self, piece: Piece, ref: ResourceRef) -> ClosedRecord:
        """Gives the closed record of a piece, its links as they came beside what may be shown of them."""
        links: dict[str, str] = {}
        for spec in self._resource.fields:
            if spec.cls is FieldClass.LINK:
                for value in links_at(piece.fields, spec.pattern):
                    link = self._place.mount.inward(value) if isinstance(value, str) else None
                    if isinstance(value, str) and link is not None:
                        links[value] = link
                    else:
                        self._findings.append((AlarmKind.LINK_FOREIGN, spec.pattern))
        return ClosedRecord(ref, piece.fields, self._version(piece), piece.outside, links)

    def _version(self, piece: Piece) -> str | None:
        if self._resource.versioning is Versioning.NONE:
            return None
        by_header = self._resource.versioning is Versioning.ETAG
        version = self._raw.header("etag") if by_header else piece.version
        if version is not None and not well_formed("if-match", version):
            raise self._bad  # it will be a header's value
        return version

    def same(self, cut: Cut, document: Json, ref: ResourceRef) -> bool:
        """Tells whether the answer to a change names the record that it is about; False where it names none."""
        try:
            found = cut.id_in(document)
        except Misfit:
            raise self._bad from None
        if found is not None and found != ref.record:
            raise self._bad
        return found is not None

    def created(self, cut: Cut, document: Json, path: str) -> str:
        """Gives the new record's id, from the body or Location (RFC 9110 section 10.2.2); they may not differ, nor both be absent.

        An id that nobody could ask for is none.
        """
        try:
            said = None if document is None else cut.id_in(document)
        except Misfit:
            raise self._bad from None
        located = self._located(path)
        if said is not None and located is not None and said != located:
            raise self._bad
        found = said or located
        if found is None or not names_one(self._resource.id_form, found):
            raise self._bad
        return found

    def _located(self, path: str) -> str | None:
        """Gives the id in Location where that is a place of this resource: below the collection, or as its read target says."""
        location = self._raw.header("location")
        below = None if location is None else self._place.mount.below(location)
        if below is None:
            return None
        segments = canonical(below.encode("ascii")).segments
        collections = [path.rstrip("/")]
        before, mark, after = self._resource.read_target.partition("?")[0].rpartition("/{id}")
        if mark == "" and after == "{id}":
            before = ""
        if "{" not in before:
            collections.append(before)
        if below.rpartition("/")[0] not in collections:
            return None
        return (
            segments[-1] or None if segments else None
        )  # the mount itself, with a slash behind it, names no record

    def matches(self, ref: ResourceRef, lookup_field: Pattern | None, marker: str) -> list[ClosedRecord]:
        """Gives the records in a lookup's answer: of a list those whose `lookup_field` is the marker, else the single one.

        A single record may stand in the document as the resource's read route shows it, or one member deeper, as an answer
        that also says of which kind it is. A list that goes on is refused: what is not on this page may be on the next. So is one
        without the marker's record that holds what no search for the marker finds: it may be a first page of everything. (A search
        by parts of a text finds texts that hold the marker; those are no answer, and no reason for doubt.)
        """
        document = self.document()
        listed = self._place.shape_of(self._resource, Verb.LIST)
        cut = None if listed is None else self._place.cut(listed, self._resource)
        if cut is not None and cut.holds_list(document):
            run = self.run(cut, document)
            if run.next is not None or (run.total is not None and run.total > len(run.pieces)):
                raise self._bad
            records = [self.closed(piece, ref.record_of(piece.id or "")) for piece in run.pieces]
            if lookup_field is None:
                return records
            texts = [_text(record, lookup_field) for record in records]
            found = [record for record, text in zip(records, texts, strict=True) if text == marker]
            if not found and not all(isinstance(text, str) and marker in text for text in texts):
                raise self._bad
            return found
        single = self._place.cut(self._place.shape_of(self._resource, Verb.READ) or Shape(), self._resource)
        deeper = list(document.values()) if isinstance(document, dict) else []
        for candidate in (document, *deeper):
            if (
                isinstance(candidate, dict)
                and single.holds_one(candidate)
                and self._has_id(single, candidate)
            ):
                return [self.record(single, candidate, ref)]
        raise self._bad

    def holds(self, ref: ResourceRef) -> bool:
        """Tells whether the answer's list is this one record, or empty. Any other list answers another question: refused."""
        listed = self._place.shape_of(self._resource, Verb.LIST)
        if listed is None:
            raise self._bad
        ids = [
            piece.id for piece in self.run(self._place.cut(listed, self._resource), self.document()).pieces
        ]
        if ids not in ([], [ref.record]):
            raise self._bad
        return bool(ids)

    def _has_id(self, cut: Cut, document: Json) -> bool:
        try:
            return cut.id_in(document) is not None
        except Misfit:
            raise self._bad from None

    def headers(self, listed: frozenset[str]) -> tuple[tuple[str, str], ...]:
        """Gives the response headers that pass; Location, Content-Location and Link rewritten or dropped."""
        passing: list[tuple[str, str]] = []
        for name, value in back(self._raw.headers, listed):
            kept: str | None = value
            if name in ("location", "content-location"):
                kept = self._place.mount.inward(value)
                self._headers_dropped |= kept is None
            elif name == "link":
                kept, dropped = self._place.mount.link_header(value)
                self._headers_dropped |= dropped
            if kept is not None:
                passing.append((name, kept))
        return tuple(passing)

    def alarms(self) -> tuple[Alarm, ...]:
        """Gives each thing that was withheld, once; an unknown member once a process and upstream."""
        upstream, resource = self._place.spec.name, self._resource.name
        made: list[Alarm] = []
        for kind, pattern in dict.fromkeys(self._findings):
            if kind is AlarmKind.FIELD_UNKNOWN:
                if (upstream, pattern) in self._told or len(self._told) >= _MAX_TOLD:
                    continue
                self._told.add((upstream, pattern))
            made.append(Alarm(kind, upstream, resource, pattern))
        if self._headers_dropped:
            made.append(Alarm(AlarmKind.LINK_FOREIGN, upstream, resource))
        return tuple(made)


def _text(record: ClosedRecord, pattern: Pattern) -> Json:
    here: Json = record.fields
    for part in pattern.split("/")[1:]:
        here = here.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(here, dict) else None
    return here
