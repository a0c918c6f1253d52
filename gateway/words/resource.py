"""What the catalogue says, as values: upstreams, their resources, routes and fields. Made by the catalogue room, read by all."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from gateway.words.decision import Unfit, as_fact
from gateway.words.json import Json, Pattern, Pointer


class FieldClass(StrEnum):
    """What a field's value is about; policies speak of classes or of single fields."""

    PUBLIC = "public"
    INTERNAL = "internal"
    IDENTITY = "identity"
    CONTACT = "contact"
    ID_DOCUMENT = "id_document"
    FINANCIAL = "financial"
    FREE_TEXT = "free_text"
    MESSAGE_BODY = "message_body"
    LINK = "link"


PERSONAL = frozenset(FieldClass) - {FieldClass.PUBLIC, FieldClass.INTERNAL, FieldClass.LINK}
"""Classes whose values are personal data: never facts, never in a log."""


class Mask(StrEnum):
    """How a masked value keeps its type's look: 张*, 138****1234 …; NONE shows nothing of it (`***`)."""

    NONE = "none"
    NAME = "name"
    PHONE = "phone"
    EMAIL = "email"
    RESIDENT_ID = "resident_id"
    BANK_CARD = "bank_card"
    ADDRESS = "address"
    DATE = "date"
    FREE_TEXT = "free_text"


class IdForm(StrEnum):
    """What a record's id looks like. An upstream that reads `01` or a login name as record 1 needs a narrow one."""

    ANY = "any"  # 1 to 200 characters without control characters, `/`, `\\`, `%`
    TOKEN = "token"  # noqa: S105 - no secret: ASCII letters, digits, `_`, `-`
    NUMBER = "number"  # ASCII digits without leading zero

    def fits(self, text: str) -> bool:
        """True for a (decoded) text that may name a record: one line, no slash, not dots alone."""
        return _ID_FORMS[self].fullmatch(text) is not None and text not in (".", "..")


_ID_FORMS = {
    # Line and paragraph separators count as control characters; '%' would be an escape to whoever decodes twice.
    IdForm.ANY: re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff/\\%]{1,200}"),
    IdForm.TOKEN: re.compile(r"[A-Za-z0-9_-]{1,200}"),
    # ASCII only: a digit of another script, or a leading zero, is a second spelling of one record.
    IdForm.NUMBER: re.compile(r"0|[1-9][0-9]{0,18}"),
}


class Holds(StrEnum):
    """What type of value a field holds; a value of another type is not set, and a rule that asks for it cannot be answered."""

    ANY = "any"
    TEXT = "text"
    TEXTS = "texts"

    def fits(self, value: object) -> bool:
        """True for a value of the type."""
        if self is Holds.ANY:
            return True
        if self is Holds.TEXT:
            return isinstance(value, str)
        return isinstance(value, list) and all(isinstance(one, str) for one in value)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a resource.

    pattern:     where it stands, relative to the record's root. Array elements: `/messages/*/body`.
    element_id:  for a pattern with `*` whose elements carry an id: that member's name. Without one the array is sealed whole.
    sealed:      stored upstream only as an envelope; `key_class` then says under which of the subject's keys.
    clear_until: a sealed field that comes back in clear is shown until that day (adoption), withheld after it.
    fact:        the name under which its value is a fact for decisions (never for a personal class).
    server_set:  the upstream sets it (id, timestamps, version); a write that names it is refused unless unchanged.
    values, form: what may be set: an upstream that takes `resolved`, ` 8` and `8` for one value gives a decision three names for it.
    holds:       the only type that may be set, and that a fact may have.
    required:    a create must bring a value.
    """

    pattern: Pattern
    cls: FieldClass
    sealed: bool = False
    key_class: str | None = None
    mask: Mask = Mask.NONE
    element_id: str | None = None
    clear_until: date | None = None
    fact: str | None = None
    server_set: bool = False
    values: tuple[str, ...] = ()  # empty: any
    form: IdForm | None = None
    holds: Holds = Holds.ANY
    required: bool = False

    def takes(self, value: Json) -> bool:
        """True for a value that may be set here; what is neither listed nor of the form is another spelling of something.

        A field that is a fact takes only what can be one: whoever may set it could else take it away from the rules.
        """
        if value is not None and not self.holds.fits(value):
            return False
        if self.fact is not None and not _may_decide(value):
            return False
        if value is None or not (self.values or self.form):
            return True
        if not isinstance(value, str) or (self.values and value not in self.values):
            return False
        return self.form is None or self.form.fits(value)


def _may_decide(value: Json) -> bool:
    try:
        as_fact(value)
    except Unfit:
        return False
    return True


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """Whose data a record is. `pointer` None: the record is the data subject itself; else the subject record's id stands there.

    resource: the resource whose records are subjects (`customer`). through: for a subject that only a parent names
    (a message that carries no customer): the resource whose record, found by `pointer`, names it.
    """

    resource: str
    pointer: Pointer | None = None
    through: str | None = None


class Versioning(StrEnum):
    """How an upstream makes a write conditional."""

    ETAG = "etag"  # ETag header and If-Match (RFC 9110 section 13.1.1)
    BODY = "body"  # a member of the answer, sent back in If-Match
    NONE = "none"  # serialised per record, compared again just before; the entry says `unconditional`


class Idempotency(StrEnum):
    """How a create is made once, and found again when no answer came."""

    HEADER = "header"  # Idempotency-Key, and `lookup` finds the record by that key
    SEARCH = "search"  # the upstream is searched for an envelope's exact text in `lookup_field`
    FIELD = "field"  # the gateway writes a key of its own into `lookup_field`, and the upstream is searched for it
    NONE = "none"  # it cannot be found again: such an intent needs a person


class Removal(StrEnum):
    """How a merge says that a member goes."""

    NULL = "by_null"  # RFC 7396
    EMPTY = "by_empty"  # an empty text: for an upstream that leaves a member alone where it reads null


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """One kind of record of one upstream.

    id_form:    what an id must look like, in a path, in a body and in the answer to a create; anything else is no record.
    id_public:  record ids of this resource are not values (may stand in entries as they are).
    read_route, version_at: how the gateway reads a record itself; where the version stands in the frame when BODY.
    present_target: target template with `{id}`, answered as a list that holds the record as long as it was not deleted: for an
                upstream that goes on answering with a deleted record at its own address. None: its own address tells.
    destroyed_by: actions of routes after which a record is not there any more.
    """

    upstream: str
    name: str
    fields: tuple[FieldSpec, ...]
    subject: SubjectRule | None
    id_public: bool
    versioning: Versioning
    version_at: Pointer | None
    idempotency: Idempotency
    lookup: str | None  # target template with `{key}`, relative to the upstream's base
    lookup_field: Pattern | None
    read_target: str  # target template with `{id}` (and `{parent}`), relative to the upstream's base
    parent: str | None = None  # the resource whose id stands earlier in the path
    id_form: IdForm = IdForm.ANY
    present_target: str | None = None
    removal: Removal = Removal.NULL
    destroyed_by: frozenset[str] = frozenset()

    def spec(self, pattern: Pattern) -> FieldSpec | None:
        """Gives the field of exactly that pattern."""
        return next((f for f in self.fields if f.pattern == pattern), None)

    @property
    def seals(self) -> bool:
        """True when any field is sealed."""
        return any(f.sealed for f in self.fields)


class Verb(StrEnum):
    """What a route does with the resource."""

    READ = "read"
    LIST = "list"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SEND = "send"
    DOWNLOAD = "download"  # the record's bytes, of whatever form


class UpdateMode(StrEnum):
    """PUT replaces the record, PATCH merges into it (RFC 7396)."""

    REPLACE = "replace"
    MERGE = "merge"


class ParamUse(StrEnum):
    """What a query parameter does. All but PASS refer to fields, or to the page that the gateway owns.

    None chooses which fields are shown: the policy does, and a caller gets what his role may see.
    """

    FILTER = "filter"  # value: compared with `field`
    SORT = "sort"  # value: a field's name, `-` before it for descending; names from `sort_fields`
    LIMIT = "limit"
    CURSOR = "cursor"
    COUNT = "count"
    PASS = "pass"  # noqa: S105 - a harmless flag: goes on as it is when its value is listed in `values`


class ParamType(StrEnum):
    """What a FILTER parameter's value is read as, so that it compares with the field's JSON type."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"  # RFC 3339 in UTC with microseconds, or a date; compared as text


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One query parameter that passes. `op` for FILTER: eq, in, lt, le, gt, ge, prefix, contains.

    narrows: the gateway may send it by itself, to leave out what the policy hides: the upstream answers with every record whose
             `field` equals a value of it.
    """

    name: str
    use: ParamUse
    field: Pattern | None = None
    op: str = "eq"
    values: tuple[str, ...] = ()
    names: Mapping[str, Pattern] = dataclasses.field(default_factory=dict)  # for SORT: name as sent → field
    type: ParamType = ParamType.TEXT
    narrows: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """Where things stand in an answer of a route, and in a body sent to it. Pointers are relative to the document.

    root:    the record's root in a single answer ("" when the document is the record).
    items:   where a list's items are; item_root: the record's root within an item; id: the id's place, relative to the item/document.
    next, total: where the upstream puts its own next position and total (removed or made anew by the gateway).
    frame:   pointers around the record that may pass, with their class (PUBLIC, INTERNAL pass; LINK is rewritten or withheld).
    body_root: the record's root in a request body.
    """

    root: Pointer = ""
    items: Pointer | None = None
    item_root: Pointer = ""
    id: Pointer = "/id"
    next: Pointer | None = None
    total: Pointer | None = None
    frame: Mapping[Pointer, FieldClass] = dataclasses.field(default_factory=dict)
    body_root: Pointer = ""


@dataclass(frozen=True, slots=True)
class PageRule:
    """How the gateway asks a foreign list for a page: parameter names, the first index, or a cursor that it answers."""

    limit: str
    position: str
    first: (
        int | None
    )  # None: the position is the cursor found at Shape.next; else a page number counting from here
    size: int = 100  # items asked for at once
    bound: int = 5_000  # items read at most for one answer


OCTETS = "application/octet-stream"
"""What bytes are said to be that nobody has listed (RFC 2046 section 4.5.1): a browser saves them and shows nothing."""
MAX_OPAQUE_BYTES = 8_388_608
"""How much a route of opaque bytes may let through, unless a setting says otherwise."""
ALIKE_SECONDS = 0.025
"""See UpstreamSpec; enough for an upstream that answers at once."""


@dataclass(frozen=True, slots=True)
class OpaqueRule:
    """What passes on a route whose body nobody here reads.

    media_types: what its bytes may be said to be; said to be anything else, they are OCTETS.
    max_bytes: of the whole body, which is held until its entry is durable.
    """

    media_types: tuple[str, ...]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One listed method and template of an upstream.

    template: segments after the mount; `{id}` is the record, `{parent}` its parent's record: ("threads", "{parent}", "messages").
    fixed:    query pairs that the gateway itself adds, upstream's spelling.
    request_headers, response_headers: lower-case names that pass; all others are dropped.
    opaque: for DOWNLOAD, and for nothing else.
    """

    name: str
    upstream: str
    method: str
    template: tuple[str, ...]
    resource: str
    verb: Verb
    action: str
    shape: Shape
    params: tuple[ParamSpec, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()
    page: PageRule | None = None
    mode: UpdateMode | None = None
    request_headers: frozenset[str] = frozenset()
    response_headers: frozenset[str] = frozenset()
    max_body_bytes: int = 1_048_576
    opaque: OpaqueRule | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """Where an upstream's credential is: `env:NAME` or `file:PATH`, and the header and scheme it goes into. Never a literal."""

    reference: str
    header: str = "authorization"
    scheme: str = "Bearer"  # Bearer, Basic (reference holds user:password) or "" for the bare value


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """Whom an `https` upstream must be certified by, and the certificate that we show it. Each `file:PATH`, never the thing itself.

    ca: the only authorities that count; None means the system's. certificate and key: both, or neither.
    The upstream's name is checked whatever stands here: nothing switches that off.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


class PersonSaid(StrEnum):
    """How a signed header names the person that an application acts for."""

    PSEUDONYM = (
        "pseudonym"  # a name that means nothing elsewhere, the same for the same person at this upstream
    )
    NAMED = "named"  # issuer and subject, as in the log


@dataclass(frozen=True, slots=True)
class UpstreamSpec:
    """One system behind the gateway.

    prefix: where it is mounted: `/crm`. base: `http://host:port/path`, or `embedded:` for the store in this process.
    headers: fixed request headers that this upstream demands. Deadlines in seconds. tls: None for what is usual.
    assertion: it gets a signed header that says who asks; None: it gets none.
    alike_seconds: what must not be told apart by its time leaves at multiples of this; more than a record usually takes there.
    """

    name: str
    prefix: str
    base: str
    credential: Credential | None
    headers: tuple[tuple[str, str], ...]
    connect_seconds: float
    answer_seconds: float
    max_answer_bytes: int
    routes: tuple[RouteSpec, ...]
    resources: Mapping[str, ResourceSpec]
    tls: UpstreamTls | None = None
    assertion: PersonSaid | None = None
    alike_seconds: float = ALIKE_SECONDS
