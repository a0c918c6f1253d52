"""A small world with a real store: customers, their threads with messages inside, and one lens on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from gateway.fields import FieldLens
from gateway.keys import Keyring
from gateway.keys.material import Kek, Material
from gateway.store import Location, Store, Tree, migrate, open_store
from gateway.words.access import Access, ResourceRef
from gateway.words.decision import DecidedBy, Decision, Disclosure, Facts, FieldView, Reason
from gateway.words.draft import Draft
from gateway.words.json import JsonObject, Pattern
from gateway.words.principal import Party, Principal
from gateway.words.record import ClosedRecord, SealedChange, View
from gateway.words.resource import (
    FieldClass,
    FieldSpec,
    Idempotency,
    Mask,
    ResourceSpec,
    RouteSpec,
    Shape,
    SubjectRule,
    UpdateMode,
    UpstreamSpec,
    Verb,
    Versioning,
)
from gateway.words.work import Addressed, Create, Forward, Update

CLEAR, MASKED, TOKEN, WITHHELD = Disclosure
LINKS = {"http://crm/c/1": "/crm/c/1", "http://crm/papers/2": "/crm/papers/2"}
"""What the adapter would find in the records of these tests: every other link leads past the gateway."""
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MATERIAL = Material(bytes(range(32)), (Kek(1, "", b"\x01" * 32), Kek(2, "", b"\x02" * 32)), "test")


def sealed(pattern: Pattern, cls: FieldClass, mask: Mask, key: str = "profile", **more: object) -> FieldSpec:
    return replace(FieldSpec(pattern, cls, True, key, mask), **more)  # type: ignore[arg-type]  # of the names above


def plain(pattern: Pattern, cls: FieldClass = FieldClass.INTERNAL, **more: object) -> FieldSpec:
    return replace(FieldSpec(pattern, cls), **more)  # type: ignore[arg-type]  # of the names above


def resource(
    name: str, fields: Iterable[FieldSpec], subject: SubjectRule | None, **more: object
) -> ResourceSpec:
    spec = ResourceSpec(
        "crm",
        name,
        tuple(fields),
        subject,
        id_public=False,
        versioning=Versioning.ETAG,
        version_at=None,
        idempotency=Idempotency.HEADER,
        lookup=None,
        lookup_field=None,
        read_target=f"/{name}s/{{id}}",
    )
    return replace(spec, **more)  # type: ignore[arg-type]  # of the names above


CUSTOMER = resource(
    "customer",
    [
        plain("/id", FieldClass.PUBLIC, server_set=True),
        sealed("/name", FieldClass.IDENTITY, Mask.NAME),
        sealed("/phone", FieldClass.CONTACT, Mask.PHONE),
        sealed("/email", FieldClass.CONTACT, Mask.EMAIL),
        sealed("/home/address", FieldClass.CONTACT, Mask.ADDRESS),
        sealed("/vip", FieldClass.INTERNAL, Mask.NONE),
        sealed("/income", FieldClass.FINANCIAL, Mask.NONE, "finance"),
        sealed("/phones/*", FieldClass.CONTACT, Mask.PHONE),
        sealed("/note", FieldClass.FREE_TEXT, Mask.FREE_TEXT, clear_until=date(2026, 11, 21)),
        plain("/unit"),
        plain("/tags"),
        plain("/home/country"),
        plain("/self", FieldClass.LINK),
        plain("/website", FieldClass.LINK),
        plain("/home/map", FieldClass.LINK),
        plain("/papers/*", FieldClass.LINK),
    ],
    SubjectRule("customer"),
)
THREAD = resource(
    "thread",
    [
        plain("/id", FieldClass.PUBLIC, server_set=True),
        plain("/customer_id"),
        sealed("/title", FieldClass.FREE_TEXT, Mask.FREE_TEXT, "messages"),
        plain("/messages/*/id", FieldClass.PUBLIC, element_id="id"),
        sealed("/messages/*/body", FieldClass.MESSAGE_BODY, Mask.FREE_TEXT, "messages", element_id="id"),
        plain("/messages/*/author", element_id="id"),
        plain("/steps/*/label"),
        plain("/steps/*/done"),
    ],
    SubjectRule("customer", "/customer_id"),
)
MESSAGE = resource(
    "message",
    [
        plain("/id", FieldClass.PUBLIC, server_set=True),
        plain("/thread_id", server_set=True),
        sealed("/body", FieldClass.MESSAGE_BODY, Mask.FREE_TEXT, "messages"),
    ],
    SubjectRule("customer", "/thread_id", through="thread"),
    idempotency=Idempotency.SEARCH,
    lookup_field="/body",
    parent="thread",
)
PLACE = resource("place", [plain("/id", FieldClass.PUBLIC), plain("/city")], None)


def principal(application: str = "app:desk") -> Principal:
    return Principal(Party(application), None, frozenset({"service"}), ("test",))


def decision(
    spec: ResourceSpec,
    read: Disclosure | Mapping[Pattern, Disclosure] = CLEAR,
    write: Iterable[Pattern] | None = None,
) -> Decision:
    """A decision that allows: every field alike unless `read` is a map over the clear rest; every field writable unless named."""
    patterns = [f.pattern for f in spec.fields]
    view = (
        dict.fromkeys(patterns, CLEAR) | dict(read)
        if isinstance(read, Mapping)
        else dict.fromkeys(patterns, read)
    )
    writable = frozenset(patterns if write is None else write)
    return Decision(
        True,
        Reason.RULE_ALLOWED,
        DecidedBy.BUNDLE,
        None,
        FieldView(view),
        writable,
        Facts(),
        "sha256:x",
        "e",
        1,
    )


def asked(
    spec: ResourceSpec, record: str | None = None, parent: str | None = None, mode: UpdateMode | None = None
) -> Addressed:
    above = ResourceRef(spec.upstream, spec.parent, parent) if parent is not None and spec.parent else None
    ref = ResourceRef(spec.upstream, spec.name, record, above)
    draft, to = Draft(None), Forward("/")
    work = Update(to, draft, mode) if mode is not None else Create(to, draft)
    verb = Verb.UPDATE if mode is not None else Verb.CREATE
    route = RouteSpec("r", spec.upstream, "PUT", (), spec.name, verb, "a", Shape(), mode=mode)
    upstream = UpstreamSpec(
        spec.upstream, "/crm", "embedded:", None, (), 1, 1, 1, (route,), {spec.name: spec}
    )
    access = Access("req_1", principal(), "a", "service", ref, NOW)
    return Addressed(access, work, upstream, route, spec)


@dataclass
class World:
    """One lens, and what an upstream would do around it."""

    store: Store
    lens: FieldLens
    counter: dict[str, int] = field(default_factory=dict)

    async def create(
        self,
        spec: ResourceSpec,
        document: JsonObject,
        *,
        parent: str | None = None,
        record: str | None = None,
    ) -> ClosedRecord:
        """Seals, pretends to store upstream, binds: gives the record as the upstream keeps it."""
        what = asked(spec, None, parent)
        change = await self.lens.seal_create(what, Draft(document), decision(spec), principal())
        if record is None:
            self.counter[spec.name] = self.counter.get(spec.name, 0) + 1
            record = f"{spec.name[0]}{self.counter[spec.name]}"
        ref = what.ref.record_of(record)
        assert await self.lens.bind(change, ref) is None
        return ClosedRecord(ref, {"id": record, **change.document}, links=LINKS)

    async def customer(self, **members: object) -> ClosedRecord:
        return await self.create(CUSTOMER, {"name": "张伟", "phone": "13812345678", **members})  # type: ignore[arg-type]  # JSON

    async def thread(self, customer: ClosedRecord, **members: object) -> ClosedRecord:
        inside = {"customer_id": customer.ref.record, "title": "a complaint", **members}
        return await self.create(THREAD, inside)  # type: ignore[arg-type]  # JSON

    async def view(
        self,
        spec: ResourceSpec,
        record: ClosedRecord,
        read: Disclosure | Mapping[Pattern, Disclosure] = CLEAR,
        application: str = "app:desk",
    ) -> View:
        (view,) = await self.lens.views(spec, [(record, decision(spec, read))], principal(application))
        return view

    async def update(
        self,
        spec: ResourceSpec,
        before: ClosedRecord,
        sent: object,
        read: Disclosure | Mapping[Pattern, Disclosure] = CLEAR,
        write: Iterable[Pattern] | None = None,
        mode: UpdateMode = UpdateMode.REPLACE,
    ) -> SealedChange:
        what = asked(spec, before.ref.record, mode=mode)
        draft = Draft(sent)  # type: ignore[arg-type]  # JSON
        return await self.lens.seal_update(what, draft, before, decision(spec, read, write), principal())


def kinds(view: View) -> list[str]:
    return [alarm.kind.value for alarm in view.alarms]


def put(record: ClosedRecord, **members: object) -> ClosedRecord:
    """The record with members exchanged, as somebody at the upstream's database would."""
    return replace(record, fields={**record.fields, **members})  # type: ignore[arg-type]  # JSON


async def migrated(location: Location) -> Store:
    store = await open_store(location)
    await migrate(store, Tree.of("state"))
    return store


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Gives a way to a migrated SQLite file that costs one copy."""
    import asyncio  # noqa: PLC0415  # only here, for one run outside a test's loop
    import shutil  # noqa: PLC0415  # as above

    path = tmp_path_factory.mktemp("template") / "state.db"

    async def make() -> None:
        await (await migrated(Location.parse(f"sqlite:///{path}"))).close()

    asyncio.run(make())

    def copy(to: Path) -> None:
        to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copy(path, to)
        to.chmod(0o600)

    return copy


@pytest.fixture
async def world(tmp_path: Path, template: Callable[[Path], None]) -> AsyncIterator[World]:
    template(tmp_path / "home" / "state.db")
    store = await open_store(Location.parse(f"sqlite:///{tmp_path}/home/state.db"))
    yield World(store, FieldLens(store, Keyring(MATERIAL), clock=lambda: NOW))
    await store.close()
