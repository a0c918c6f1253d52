"""A small house around the corridor: rooms written by hand, the real gate and a real log on SQLite.

Records are dictionaries in `Shelf`; a record with `secret: true` is not to be seen, one with `owner: other` not to be changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from audit import Log, sqlite
from audit.store.base import NotWritten, Reader, Writer
from gateway.corridor.lists import Lister
from gateway.corridor.walk import Ruled
from gateway.gate import Gate
from gateway.idempotency import IdempotencyKeys
from gateway.idempotency.tables import IDEMPOTENCY_KEY
from gateway.keys import Keyring, create_key_file, from_file
from gateway.rooms import Answer
from gateway.store import Location, Store, open_store
from gateway.words.access import Access, Call, ResourceRef
from gateway.words.binding import Pending
from gateway.words.budget import Budget
from gateway.words.decision import DecidedBy, Decision, Disclosure, Facts, FieldView, Reason
from gateway.words.draft import Draft
from gateway.words.errors import Code, GatehouseError, Refused, Unidentified
from gateway.words.filter import UNKNOWN, Within
from gateway.words.principal import Party, Principal
from gateway.words.record import Alarm, AlarmKind, ClosedPage, ClosedRecord, SealedChange, View
from gateway.words.resource import (
    FieldClass,
    FieldSpec,
    Idempotency,
    PageRule,
    ResourceSpec,
    RouteSpec,
    Shape,
    SubjectRule,
    UpdateMode,
    UpstreamSpec,
    Verb,
    Versioning,
)
from gateway.words.told import Cause, Told
from gateway.words.work import (
    NOT_NARROWED,
    Addressed,
    Create,
    Delete,
    Forward,
    List,
    Narrowing,
    Query,
    Read,
    Run,
    Update,
)

BORN = datetime.now(UTC)  # when pending seals were minted
BUNDLE = "sha256:" + "b" * 64
FIELDS = ("/name", "/owner", "/secret")
RESOURCE = ResourceSpec(
    upstream="shelf",
    name="thing",
    fields=tuple(FieldSpec(p, FieldClass.INTERNAL, fact=p[1:]) for p in FIELDS),
    subject=SubjectRule("thing"),
    id_public=True,
    versioning=Versioning.ETAG,
    version_at=None,
    idempotency=Idempotency.HEADER,
    lookup="/by-key/{key}",
    lookup_field=None,
    read_target="/{id}",
)


NOTE = replace(RESOURCE, name="note", parent="thing", subject=SubjectRule("thing", "/owner"))
"""A resource below things: a call with `below` is about the notes of that thing."""


def route(verb: Verb) -> RouteSpec:
    return RouteSpec(
        name=verb.value,
        upstream="shelf",
        method={
            "read": "GET",
            "list": "GET",
            "create": "POST",
            "update": "PATCH",
            "delete": "DELETE",
            "send": "POST",
            "download": "GET",
        }[verb.value],
        template=(),
        resource="thing",
        verb=verb,
        action=f"thing:{verb.value}",
        shape=Shape(),
        page=PageRule(limit="limit", position="cursor", first=None, size=3, bound=30),
    )


UPSTREAM = UpstreamSpec(
    "shelf", "/shelf", "embedded:", None, (), 1, 1, 1000, (), {"thing": RESOURCE, "note": NOTE}
)


def call(
    verb: Verb,
    record: str | None = None,
    *,
    key: str = "good",
    once: str | None = None,
    body: Any = None,
    **query: Any,
) -> Call:
    """A call as the edge hands it on; the hand-made addresser reads verb and record from the segments. once: its Idempotency-Key."""
    return Call(
        id="req_test",
        method="GET",
        path="/" + "/".join(filter(None, [verb.value, record])),
        segments=tuple(filter(None, [verb.value, record])),
        raw_query="",
        query=tuple((k, str(v)) for k, v in query.items()),
        headers=(("authorization", key), *((("idempotency-key", once),) if once is not None else ())),
        body=orjson.dumps(body) if body is not None else b"",
        peer="127.0.0.1",
        received=datetime(2026, 1, 1, tzinfo=UTC),
    )


@dataclass
class Keys:
    """Step 2 and the caches: a set of good keys, read at one fence."""

    log: Log
    good: set[str] = field(default_factory=lambda: {"good"})
    cached: set[str] = field(default_factory=lambda: {"good"})
    read_at: int = 0
    refreshed: int = 0
    rule: Callable[[int], Ruled] = field(init=False)

    @property
    def now(self) -> Ruled:
        return self.rule(self.read_at)

    async def refresh(self) -> None:
        fence = (await self.log.head()).fence
        self.cached, self.read_at = set(self.good), fence
        self.refreshed += 1

    async def identify(self, call: Call) -> Principal:
        key = call.header("authorization")
        if key not in self.cached:
            raise Unidentified
        return Principal(Party(f"app:{key}"), None, frozenset({"service"}), ("test",))


@dataclass(frozen=True)
class ByHand:
    """Step 3."""

    resource: ResourceSpec = RESOURCE

    def address(self, call: Call, principal: Principal) -> Addressed:
        if call.segments[0] not in [v.value for v in Verb]:
            raise Refused(Code.NOT_FOUND)
        verb = Verb(call.segments[0])
        spec = route(verb)
        to = Forward(call.path)
        query = dict(call.query)
        draft = Draft(orjson.loads(call.body) if call.body else {})
        asked = Query(
            limit=int(query.get("limit", 50)),
            cursor=query.get("cursor"),
            count="count" in query,
            uses=frozenset(f"/{name}" for name in query.get("sort", "").split(",") if name),
        )
        work = {
            Verb.READ: lambda: Read(to),
            Verb.LIST: lambda: List(to, asked),
            Verb.CREATE: lambda: Create(to, draft),
            Verb.UPDATE: lambda: Update(to, draft, UpdateMode.MERGE, query.get("condition")),
            Verb.DELETE: lambda: Delete(to, query.get("condition")),
        }[verb]()
        ref = ResourceRef("shelf", "thing", call.segments[1] if len(call.segments) > 1 else None)
        resource = self.resource
        if "below" in query:
            resource, ref = (
                NOTE,
                ResourceRef("shelf", "note", ref.record, replace(ref, record=query["below"])),
            )
        access = Access(call.id, principal, spec.action, "service", ref, call.received)
        return Addressed(access, work, UPSTREAM, spec, resource)


class FactsByHand:
    """Step 4."""

    floored = False

    async def floors(self, access: Access, subjects: Sequence[str | None]) -> Sequence[Facts]:
        return [Facts() for _ in subjects]

    def of_record(self, resource: ResourceSpec, record: ClosedRecord, known: Facts) -> Facts:
        return Facts({k: v for k, v in record.fields.items() if isinstance(v, str | bool)}, known.floors)

    def of_draft(self, resource: ResourceSpec, draft: Draft, known: Facts) -> Facts:
        inside = draft.inside()
        assert isinstance(inside, dict)
        return Facts({k: v for k, v in inside.items() if isinstance(v, str | bool)}, known.floors)


@dataclass
class Policy:
    """Step 5. `closed` denies an action whatever the record; `searchable` as the test wants it."""

    closed: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)  # denied, but only once a record's facts are there
    open_fields: frozenset[str] = frozenset(FIELDS)
    hides_none: bool = False
    explained: list[Access] = field(default_factory=list)
    budgets: tuple[Budget, ...] = ()

    def prepare(self, access: Access, resource: ResourceSpec, fence: int) -> PreparedByHand:
        return PreparedByHand(self, access, fence)

    def told(self, access: Access, resource: ResourceSpec) -> Told:
        self.explained.append(access)
        return Told(Reason.NO_RULE, Cause.ROLES, access.action, access.purpose)


@dataclass
class PreparedByHand:
    policy: Policy
    access: Access
    fence: int

    @property
    def budgets(self) -> tuple[Budget, ...]:
        return self.policy.budgets

    def early(self) -> Decision | None:
        return self._no(Facts()) if self.access.action in self.policy.closed else None

    def collection(self) -> Decision:
        return self._yes(Facts())

    def searchable(self) -> frozenset[str]:
        return self.policy.open_fields

    def sees_all(self) -> bool:
        return self.policy.hides_none

    def within(self, *, named: bool) -> Within:
        return UNKNOWN

    def decide(self, facts: Facts) -> Decision:
        if facts.values.get("secret") is True or self.access.action in self.policy.unseen:
            return self._no(facts)
        if facts.values.get("owner") == "other" and self.access.action not in ("thing:read", "thing:list"):
            return self._no(facts)
        return self._yes(facts)

    def _yes(self, facts: Facts) -> Decision:
        shown = FieldView(dict.fromkeys(self.policy.open_fields, Disclosure.CLEAR))
        return Decision(
            True,
            Reason.RULE_ALLOWED,
            DecidedBy.BUNDLE,
            None,
            shown,
            frozenset(FIELDS),
            facts,
            BUNDLE,
            "by-hand",
            self.fence,
        )

    def _no(self, facts: Facts) -> Decision:
        return Decision(
            False,
            Reason.NO_RULE,
            DecidedBy.BUNDLE,
            None,
            FieldView(),
            frozenset(),
            facts,
            BUNDLE,
            "by-hand",
            self.fence,
        )


@dataclass
class Shelf:
    """Step 7: an upstream that counts what reaches it. `fails` is raised instead of an answer, before or after the work."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    forwarded: list[str] = field(default_factory=list)
    reads: int = 0
    fails_before: GatehouseError | None = None
    fails_after: GatehouseError | None = None
    answers: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    alarms: tuple[Alarm, ...] = ()
    during: Callable[[], None] = lambda: None
    new_id: str | None = None

    def put(self, name: str, /, **fields: Any) -> None:
        self.things[name] = fields
        self.versions[name] = self.versions.get(name, 0) + 1

    def record(self, name: str) -> ClosedRecord | None:
        if name not in self.things:
            return None
        return ClosedRecord(
            ResourceRef("shelf", "thing", name), dict(self.things[name]), f'"{self.versions[name]}"'
        )

    def _one(self, what: Addressed) -> Answer:
        self.reads += 1
        assert what.ref.record is not None
        record = self.record(what.ref.record)
        return Answer(404) if record is None else Answer(200, record, alarms=self.alarms)

    async def fetch(self, what: Addressed) -> Answer:
        self.during()
        return self._one(what)

    async def before(self, what: Addressed) -> Answer:
        return self._one(what)

    def narrowing(self, what: Addressed, work: List, known: Callable[[bool], Within]) -> Narrowing:
        return NOT_NARROWED

    async def page(self, what: Addressed, work: List, run: Run) -> Answer:
        size = 3
        names = sorted(self.things)
        start = int(run.position or 0)
        items = tuple(r for r in map(self.record, names[start : start + size]) if r)
        following = str(start + size) if start + size < len(names) else None
        return Answer(200, page=ClosedPage(items, following), headers=self.headers, alarms=self.alarms)

    async def change(self, what: Addressed, sealed: SealedChange | None, condition: str | None) -> Answer:
        self.during()
        if self.fails_before is not None:
            raise self.fails_before
        if self.answers is not None:
            return Answer(self.answers)
        verb, name = what.route.verb, what.ref.record
        self.forwarded.append(verb.value)
        created = None
        if verb is Verb.CREATE:
            assert sealed is not None
            created = name = self.new_id or f"new{len(self.things)}"
            self.put(name, **sealed.document)
            self.by_key[sealed.marker or ""] = name
        elif verb is Verb.UPDATE:
            assert sealed is not None
            assert name is not None
            versioned = what.resource.versioning is not Versioning.NONE
            if versioned and condition != f'"{self.versions[name]}"':
                return Answer(412)
            self.put(name, **(self.things[name] | sealed.document))
        else:
            assert name is not None
            del self.things[name]
        if self.fails_after is not None:
            raise self.fails_after
        return Answer(
            201 if created else 200,
            self.record(name or ""),
            headers=self.headers,
            created=created,
            alarms=self.alarms,
        )

    async def find(self, ref: ResourceRef, resource: ResourceSpec, marker: str) -> ClosedRecord | None:
        return self.record(self.by_key.get(marker, ""))

    async def look(self, ref: ResourceRef, resource: ResourceSpec) -> ClosedRecord | None:
        return self.record(ref.record or "")

    def resource(self, upstream: str, name: str) -> ResourceSpec | None:
        return RESOURCE if (upstream, name) == ("shelf", "thing") else None

    def version_headers(self, what: Addressed, record: ClosedRecord) -> tuple[tuple[str, str], ...]:
        return (("etag", record.version or ""),)

    def location_headers(self, what: Addressed, ref: ResourceRef) -> tuple[tuple[str, str], ...]:
        return (("location", f"/shelf/{ref.record}"),)

    def compose(
        self,
        what: Addressed,
        views: Sequence[View],
        page: Answer,
        *,
        following: str | None,
        total: int | None,
    ) -> dict[str, Any]:
        if page.page is None:
            return views[0].document
        return {"items": [v.document for v in views], "next": following, "total": total}


@dataclass
class LensByHand:
    """Step 8: shows what is CLEAR; seals nothing, since nothing here is sealed."""

    bound: dict[str, str] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    whose: dict[str, str | None] = field(
        default_factory=dict
    )  # records of another data subject, or of nobody known

    async def views(
        self, resource: ResourceSpec, seen: Sequence[tuple[ClosedRecord, Decision]], principal: Principal
    ) -> Sequence[View]:
        return [
            View(
                ref=record.ref,
                decision=decision,
                document={
                    k: v for k, v in record.fields.items() if decision.read.of(f"/{k}") is Disclosure.CLEAR
                },
                shown={f"/{k}": decision.read.of(f"/{k}") for k in record.fields},
                subject=self.whose.get(record.ref.record or "", "pseudonym"),
                alarms=(),
            )
            for record, decision in seen
        ]

    async def subjects_of(
        self, resource: ResourceSpec, records: Sequence[ClosedRecord]
    ) -> Sequence[str | None]:
        return ["sub_test" for _ in records]

    async def pseudonym_of(
        self, what: Addressed, sealed: SealedChange | None, before: ClosedRecord | None
    ) -> str | None:
        return "pseudonym"

    async def seal_create(
        self, what: Addressed, draft: Draft, decision: Decision, principal: Principal
    ) -> SealedChange:
        seal = f"seal_{len(self.pending) + len(self.bound)}"
        self.pending.add(seal)
        document = draft.inside()
        assert isinstance(document, dict)
        pointers = tuple(f"/{k}" for k in document)
        return SealedChange(document, pointers, {}, False, None, marker=f"marker-{seal}", pending=seal)

    async def seal_update(
        self, what: Addressed, draft: Draft, before: ClosedRecord, decision: Decision, principal: Principal
    ) -> SealedChange:
        document = draft.inside()
        assert isinstance(document, dict)
        if document.get("name") == "*":
            raise Refused(Code.MASK_SUBMITTED, field="/name")
        changed = {k: v for k, v in document.items() if before.fields.get(k) != v}
        return SealedChange(changed, tuple(f"/{k}" for k in changed), {}, not changed, None)

    async def bind(self, sealed: SealedChange, ref: ResourceRef) -> Alarm | None:
        assert sealed.pending is not None
        return await self.bind_pending(sealed.pending, ref)

    async def bind_pending(self, seal: str, ref: ResourceRef) -> Alarm | None:
        assert ref.record is not None
        if self.bound.get(ref.record, seal) != seal:
            return Alarm(AlarmKind.ALREADY_BOUND, ref.upstream, ref.resource)
        self.bound[ref.record] = seal
        self.pending.discard(seal)
        return None

    def named(self, resource: ResourceSpec, draft: Draft) -> ResourceRef | None:
        rule, document = resource.subject, draft.inside()
        assert isinstance(document, dict)
        if rule is None or rule.pointer is None or "owner" not in document:
            return None
        return ResourceRef("shelf", "thing", document["owner"])

    async def kept(self, before: datetime, after: Pending | None) -> Sequence[Pending]:
        later = [seal for seal in sorted(self.pending) if after is None or seal > after.seal]
        return [
            Pending(seal, "shelf", "thing", "sub_test", False, f"marker-{seal}", None, BORN)
            for seal in later[:2]
            if before > BORN
        ]

    async def drop(self, sealed: SealedChange) -> None:
        self.pending.discard(sealed.pending or "")

    async def drop_pending(self, seal: str) -> bool:
        self.pending.discard(seal)
        return seal not in self.bound.values()

    async def located(self, upstream: str, resource: str, reference: str) -> ResourceRef | None:
        return ResourceRef(upstream, resource, reference) if reference in self.bound else None


class EvidenceByHand:
    def reference(self, ref: ResourceRef, public: bool) -> str:
        return ref.record or "-"

    def bytes_digest(self, label: str, data: bytes) -> str:
        return hashlib.sha256(label.encode() + b":" + data).hexdigest()


class SealsByHand:
    def seal(self, label: str, plain: bytes, bound: bytes) -> str:
        return (bound + plain).hex()

    def open(self, label: str, text: str, bound: bytes) -> bytes | None:
        data = bytes.fromhex(text)
        return data.removeprefix(bound) if data.startswith(bound) else None


@dataclass
class Bell:
    rung: list[Alarm] = field(default_factory=list)

    caught: list[str] = field(default_factory=list)  # who touched a decoy

    def raise_(self, alarms: Sequence[Alarm]) -> None:
        self.rung += alarms

    def sprung(self, principal: Principal, request: str, ref: ResourceRef) -> None:
        self.caught.append((principal.person or principal.application).id)


@dataclass
class Disk:
    """The log's store on a disk that can be full: `fails_from` commits on, each commit fails as a full disk makes it fail."""

    path: Path
    full: bool = False
    allowed: int | None = None  # commits that still succeed

    @property
    def place(self) -> str:
        return "a test's disk"

    def writer(self) -> Writer:
        return FullWriter(self, sqlite(self.path).writer())  # type: ignore[return-value]  # the rest goes through __getattr__

    def reader(self) -> Reader:
        return sqlite(self.path).reader()


class FullWriter:
    def __init__(self, disk: Disk, inner: Writer) -> None:
        self._disk = disk
        self._inner = inner

    def extend(self, link: Any, counting: Any = None) -> None:
        if self._disk.full or self._disk.allowed == 0:
            raise NotWritten("no space left")
        self._inner.extend(link, counting)
        if self._disk.allowed is not None:
            self._disk.allowed -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass
class House:
    gate: Gate
    log: Log
    disk: Disk
    keys: Keys
    policy: Policy
    shelf: Shelf
    lens: LensByHand
    bell: Bell
    state: Store
    repeats: IdempotencyKeys

    async def close(self) -> None:
        await self.log.close()
        await self.state.close()

    async def entries(self) -> list[dict[str, Any]]:
        """All entries, each with its parts opened."""
        found = await self.log.entries(0, 1000)
        return [orjson.loads(e.bytes) | {"parts": [orjson.loads(p.body) for p in e.parts]} for e in found]

    async def kinds(self) -> list[str]:
        """The kinds of all entries, in order."""
        return [orjson.loads(e.bytes)["kind"] for e in await self.log.entries(0, 1000)]

    async def last(self) -> dict[str, Any]:
        """The last entry."""
        parsed: dict[str, Any] = orjson.loads((await self.log.entries(0, 1000))[-1].bytes)
        return parsed


async def build(folder: Path) -> House:
    disk = Disk(folder / "log.sqlite")
    log = await Log.open(disk, create=True)
    keys, policy, shelf, lens, bell = Keys(log), Policy(), Shelf(), LensByHand(), Bell()
    facts = FactsByHand()
    state = await open_store(Location.parse(f"sqlite:///{folder}/state.sqlite"))
    await state.write(lambda connection: IDEMPOTENCY_KEY.create(connection))
    create_key_file(folder / "keys.json")
    repeats = IdempotencyKeys(state, Keyring(from_file(folder / "keys.json")))
    lister = Lister(shelf, facts, lens, SealsByHand())
    keys.rule = lambda fence: Ruled(fence, ByHand(), policy, shelf, lister)
    gate = Gate(
        identifier=keys,
        facts=facts,
        lens=lens,
        log=log,
        evidence=EvidenceByHand(),
        caches=keys,
        alarms=bell,
        repeats=repeats,
        traps=bell,
    )
    return House(gate, log, disk, keys, policy, shelf, lens, bell, state, repeats)
