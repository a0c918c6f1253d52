"""The composition root: joins rooms, services and doors, and knows nothing else. Settings stop here."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import cast

from audit import AuditEvent, Kind, Log, LogBusy, LogUnavailable, RecordPart
from gateway import __version__, catalogue, keyfit, local, machine
from gateway.activating import SYSTEM, Activating, ActivationSettlement, History
from gateway.bundles import Bundles
from gateway.catalogue import Catalogue
from gateway.certificates import Certificates
from gateway.control import ControlDeps, Readiness, TokenDoor, create_control
from gateway.corridor.desk import Desk
from gateway.corridor.facts import FactRoom
from gateway.corridor.inforce import InForce
from gateway.corridor.late import Latecomers
from gateway.corridor.recorder import Recorder, tell
from gateway.corridor.settle import Settler
from gateway.corridor.turns import Turns
from gateway.credentials import Declared, Freezes, Keys, KeySettlement, Trapping
from gateway.edge import (
    RECORD_SECONDS,
    Admin,
    App,
    Dispatcher,
    Door,
    Inside,
    Later,
    Listener,
    ListenerTls,
    Peers,
    Server,
)
from gateway.explaining import Explaining
from gateway.exposure import exposed
from gateway.fetching import fetch
from gateway.fields import FieldLens
from gateway.gate import Gate
from gateway.idempotency import IdempotencyKeys
from gateway.identity import Identity, Issuer, Silence, keyed_hash, read_issuers
from gateway.identity.demo import APPLICATIONS
from gateway.issuing import issuing
from gateway.jobs import Loops
from gateway.keys import AssertionKey, KeyedEvidence, Keyring, SealedTexts, from_file
from gateway.observe import (
    CLOSE_SECONDS,
    Alarms,
    Collecting,
    Count,
    Level,
    Metrics,
    Series,
    Spans,
    Tracer,
    collector,
    event,
    place_of,
)
from gateway.offering import Making, Offer
from gateway.policy import KeptBundles, PolicyDecider, Standing
from gateway.records import create_records
from gateway.replaying import replayed
from gateway.settings import Settings
from gateway.stores import Stores, open_stores
from gateway.trail import Reading
from gateway.upstream import Asserting
from gateway.wire.json import dump
from gateway.wire.limits import DEFAULT_LIMITS, Limits
from gateway.words.access import ResourceRef
from gateway.words.control import CONTROL_UPSTREAM
from gateway.words.errors import Code
from gateway.words.ids import new_id
from gateway.words.record import Alarm, AlarmKind, ClosedRecord
from gateway.words.resource import ResourceSpec
from gateway.worker import Worker

Clock = Callable[[], datetime]
SWEEP_SECONDS = 600.0
"""How often keys that have ended are forgotten; whether one has ended is looked at when it is used."""
# Requests leave hardly a cycle behind; looking for one every 700 objects took 2 to 3 % of a read (perf, 48 connections).
_COLLECTED = (20_000, 20, 50)
# So many of the largest bodies, or of the largest answers, may be on their way at once before the oldest is let go.
_AT_ONCE = 16
_MOMENT = 1.0
_IDENTITYS = frozenset({Code.UNIDENTIFIED, Code.PERSON_UNPROVEN})


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class House:
    """Everything joined, not yet serving. Tests and commands that need no listener stop here."""

    settings: Settings
    stores: Stores
    keyring: Keyring
    identity: Identity
    fields: FieldLens
    held: InForce
    bundles: Bundles
    gate: Gate
    keys: Keys
    freezes: Freezes
    settler: Settler
    latecomers: Latecomers
    alarms: Alarms
    metrics: Metrics
    repeats: IdempotencyKeys
    door: Door
    turned_away: Counter[Code]
    tokens: TokenDoor | None = None
    spans: Spans | None = None

    @property
    def log(self) -> Log:
        """The log."""
        return self.stores.log

    @property
    def activating(self) -> Activating[Offer]:
        """What puts a bundle in force for a person."""
        return Activating(self.keys.desk, self.log, self.bundles)

    @property
    def history(self) -> History:
        """What says which bundles were in force, and what waits."""
        return History(self.keys.desk, self.log, self.bundles)

    @property
    def explaining(self) -> Explaining:
        """What says why the policy decides as it does."""
        gate = self.gate
        return Explaining(self.keys.desk, gate.facts, gate.lens, gate.evidence)

    def doors(self, loaded: Callable[[], None] = lambda: None) -> tuple[Dispatcher, Inside]:
        """Gives what answers on the data port, control plane and data plane, and what the admin port shows.

        loaded: is called when the control plane's framework was loaded, in another thread.
        """
        deps = ControlDeps(
            identity=self.identity,
            keys=self.keys,
            freezes=self.freezes,
            log=self.log,
            stores={"state": self.stores.state, "records": self.stores.records},
            bundle=lambda: self.bundles.digest or None,
            edit_refused=lambda: bool(self.bundles.refused),
            edit_waits=lambda: self.bundles.waits is not None,
            key_file_there=self.settings.keys.exists,
            assertion_keys=dump(AssertionKey(self.keyring).jwks()),
            tokens=self.tokens,
            explaining=self.explaining,
            activating=self.activating,
            history=self.history,
        )
        readiness = Readiness(deps)
        control = Later(
            lambda: cast(App, create_control(deps, readiness)), loaded
        )  # Litestar's types, the same shape
        return Dispatcher(self.door, control, self.prefixes), Inside(self.collected, readiness.standing)

    async def collected(self) -> Sequence[Series]:
        """Gives every instrument as it stands now."""
        return self.metrics.collect()

    def prefixes(self) -> tuple[tuple[str, ...], ...]:
        """Gives the mounts of the catalogue in force, as segments; worked out once a bundle."""
        return self.bundles.mounts


class Sight:
    """What the reconciler sees: always the bundle in force. Fits settle.InSight."""

    def __init__(self, held: Callable[[], InForce]) -> None:
        self._held = held

    def resource(self, upstream: str, name: str) -> ResourceSpec | None:
        """Gives the spec by the catalogue in force."""
        return in_force(self._held()).resource(upstream, name)

    async def find(self, ref: ResourceRef, resource: ResourceSpec, marker: str) -> ClosedRecord | None:
        """Looks for what a create made."""
        return await self._held().now.upstream.find(ref, resource, marker)

    async def look(self, ref: ResourceRef, resource: ResourceSpec) -> ClosedRecord | None:
        """Reads one record."""
        return await self._held().now.upstream.look(ref, resource)

    def slack(self, upstream: str) -> timedelta:
        """Gives how long an upstream may still carry out what it was sent: its two deadlines, nothing for one in this process."""
        spec = in_force(self._held()).upstreams.get(upstream)
        if spec is None or spec.base == catalogue.EMBEDDED:
            return timedelta(0)
        return timedelta(seconds=spec.connect_seconds + spec.answer_seconds)

    def patience(self, upstream: str) -> timedelta:
        """Gives how long a change may be under way in another process: compared again (two reads at most), then sent."""
        spec = in_force(self._held()).upstreams.get(upstream)
        return timedelta(seconds=0 if spec is None else 3 * (spec.connect_seconds + spec.answer_seconds))


def in_force(held: InForce) -> Catalogue:
    """Gives the catalogue in force: what addresses calls is a catalogue, since `Bundles` made it."""
    addresser = held.now.addresser
    if not isinstance(addresser, Catalogue):
        raise AssertionError("only a catalogue is put in force")
    return addresser


def _declared(held: InForce) -> Declared:
    decider = held.now.decider
    bundle = decider.bundle if isinstance(decider, PolicyDecider) else None
    if bundle is None:
        return Declared()
    known = bundle.vocabulary
    return Declared(frozenset(known.roles), frozenset(known.purposes), frozenset(known.units))


@asynccontextmanager
async def open_house(
    settings: Settings,
    *,
    clock: Clock = utc_now,
    issuers: tuple[Issuer, ...] = (),
    environment: Mapping[str, str] = os.environ,
    demonstration: bool = False,
) -> AsyncIterator[House]:
    """Opens the stores, loads keys, credentials and the bundle that the log stands at, and settles what the last run left open.

    demonstration: it is the demo that is opened: where nobody else can reach it, it asks for no second person.
    Raises Misconfigured with what to do. Promises: every open intent that can be settled is before anything is served, as far as that
    takes no longer than a stop's patience; an upstream or a database that is slower is waited for by the loop, while it serves.
    """
    async with AsyncExitStack() as stack:
        machine.clock(clock())
        machine.descriptors()
        keyring = Keyring(from_file(settings.keys))
        stores = await stack.enter_async_context(open_stores(settings))
        machine.clock_after(clock(), (await stores.log.head()).time, settings.clock_back_seconds)
        await keyfit.refuse_another(settings.keys, keyring, stores.log, stores.state)
        metrics = Metrics()
        stack.callback(metrics.close)
        metrics.before_reading(lambda: tell(stores.log.figures(), metrics))
        recorder = Recorder(stores.log, metrics)
        alarms = Alarms(metrics, clock)
        if settings.issuers_file is not None:
            issuers = (*issuers, *read_issuers(settings.issuers_file, settings.audience))
        hashing = keyed_hash(keyring)
        issues = issuing(settings, keyring)
        adopted = partial(metrics.count, Count.ADOPTED)
        fields = FieldLens(
            stores.state, keyring, clock=clock, adopted=adopted, alarm=lambda one: alarms.raise_([one])
        )
        identity = Identity(
            store=stores.state,
            keyed_hash=hashing,
            issuers=issuers,
            clock=clock,
            fetch=fetch,
            told=partial(_tell_keys, alarms),
            barred=APPLICATIONS if exposed(settings) else None,
            holders=settings.client_certificates_file,
            clients=None if issues is None else issues.clients,
            tokens=None if issues is None else issues.tokens,
        )
        evidence = KeyedEvidence(keyring)
        repeats = IdempotencyKeys(stores.state, keyring, limit=settings.idempotency_keys, clock=clock)
        facts = FactRoom(catalogue.of_record, catalogue.of_draft)
        making = Making(
            settings.upstream_hosts,
            settings.max_opaque_bytes,
            create_records(stores.records),
            environment,
            facts,
            fields,
            SealedTexts(keyring),
            metrics,
            Asserting(AssertionKey(keyring), settings.assertion_issuer, clock),
        )
        bundles = Bundles(
            settings.policies,
            making,
            log=stores.log,
            kept=KeptBundles(stores.state, clock=clock),
            standing=Standing(stores.state, keyring),
            alone=stores.state.alone,
            waives=demonstration and not exposed(settings),
        )
        stack.push_async_callback(bundles.close)

        async def reload() -> None:
            await identity.load()
            fields.forget()

        first, seen = await bundles.first()
        await reload()
        await identity.update_issuers()
        held = InForce(stores.log, reload, first, bundles.follow, seen)
        desk = Desk(recorder, held, stores.state, clock)
        freezes = Freezes(desk, reload)
        trapping = Trapping(freezes, alarms, partial(_report, "decoys"))
        stack.push_async_callback(trapping.close)
        gate = Gate(
            identifier=identity,
            facts=facts,
            lens=fields,
            log=recorder,
            evidence=evidence,
            caches=held,
            alarms=alarms,
            repeats=repeats,
            traps=trapping,
            turns=Turns(stores.state.alone if settings.database_url else None),
        )
        sight = Sight(lambda: held)
        # On SQLite nobody else can have a request under way; on PostgreSQL another replica may.
        patience = sight.patience if settings.database_url else lambda _: timedelta(0)
        settler = Settler(
            stores.log,
            sight,
            fields,
            (KeySettlement(desk, reload), freezes, ActivationSettlement(desk, stores.log)),
            evidence,
            alarms,
            under_way=gate.under_way,
            patience=patience,
            slack=sight.slack,
        )
        latecomers = Latecomers(stores.log, sight, fields, evidence, alarms, patience=patience)
        turned_away: Counter[Code] = Counter()
        spans = Spans(metrics) if settings.otlp_endpoint else None
        tracer = Tracer(
            ratio=settings.trace_ratio,
            spans=spans,
            parent=Peers(settings.trace_peers).parent if settings.trace_peers else None,
        )
        door = Door(gate, metrics, now=clock, stranger=lambda code: turned_away.update([code]), tracer=tracer)
        keys = Keys(desk, hashing, reload, lambda: _declared(held))
        tokens = None if issues is None else issues.door(keys, identity, clock)
        house = House(
            settings,
            stores,
            keyring,
            identity,
            fields,
            held,
            bundles,
            gate,
            keys,
            freezes,
            settler,
            latecomers,
            alarms,
            metrics,
            repeats,
            door,
            turned_away,
            tokens,
            spans,
        )
        await stores.log.append(_note(keyfit.START, version=__version__, root=keyfit.root_of(keyring)))
        await bundles.begin(held)
        await _settle_first(house)
        yield house


def limits_of(settings: Settings) -> Limits:
    """Gives the bounds of both doors."""
    return replace(
        DEFAULT_LIMITS,
        max_body_bytes=settings.max_body_bytes,
        header_seconds=min(DEFAULT_LIMITS.header_seconds, settings.request_seconds),
        body_seconds=settings.request_seconds,
        max_unread_bytes=max(DEFAULT_LIMITS.max_unread_bytes, _AT_ONCE * settings.max_opaque_bytes),
        max_unfinished_bytes=max(DEFAULT_LIMITS.max_unfinished_bytes, _AT_ONCE * settings.max_body_bytes),
        stop_seconds=math.ceil(settings.stop_seconds),
    )


def within(limits: Limits, descriptors: int) -> Limits:
    """Gives the same bounds for a process that may have so many files and connections open at once.

    Half of them are its callers': the rest is for those that wait to be taken, for upstreams and for the stores. Where callers could use
    up all of them, nobody would be let go to make room for the next.
    """
    most = descriptors // 2
    if most >= limits.max_connections:
        return limits
    event("few-connections", logging.WARNING, count=most)
    return replace(limits, max_connections=most)


async def serve(
    house: House,
    *,
    started: Callable[[Server], None],
    tls: ListenerTls | None = None,
    worker: Worker | None = None,
    bound: socket.socket | None = None,
    asked: Callable[[float], None] = lambda _: None,
) -> None:
    """Serves until a signal, then finishes what is under way, sums up and returns. tls: of the port, None for plain HTTP.

    bound: the port's socket, where somebody took it before; it is closed at the end.
    worker: where this process is one of several: it serves on their port, and its parent has the admin port and may ask it to stop.
    asked: is told, when a stop is asked for, in how many seconds what is under way will have ended or been left.
    """
    settings = house.settings
    limits = within(limits_of(settings), machine.descriptors())
    dispatcher, inside = house.doors(loaded=_keep)
    listeners = [Listener(settings.host, settings.port, dispatcher, tls=tls, bound=bound)]
    if settings.admin_port is not None and worker is None:
        admin = Admin(inside)
        listeners.append(
            Listener(settings.admin_host, settings.admin_port, admin, setting="GATEHOUSE_ADMIN_PORT")
        )
    reading = Reading(house.keys.desk, house.log, house.gate.evidence)
    server = Server(
        listeners, limits=limits, refused=house.door.unrecorded, settled=house.door.settled, asked=asked
    )
    loops = Loops(_report)
    grace = timedelta(seconds=settings.settle_grace_seconds)
    loops.every(settings.settle_seconds, "settle", lambda: settle(house, grace))
    loops.every(settings.settle_seconds, "late", lambda: look_for_late(house, grace))
    loops.every(settings.summary_seconds, "strangers", lambda: sum_up(house))
    loops.every(SWEEP_SECONDS, "idempotency", lambda: sweep(house))
    loops.every(settings.watch_seconds, "policies", lambda: house.bundles.watch(house.held))
    loops.every(settings.watch_seconds, "issuers", house.identity.watch)
    loops.every(settings.watch_seconds, "issuers-addresses", house.identity.keep_fresh)
    loops.every(settings.watch_seconds, "caches", house.held.catch_up)
    warn = timedelta(days=settings.tls_warn_days)
    certificates = Certificates(house.alarms, warn, utc_now, listener=tls, upstreams=house.bundles.look)
    loops.every(settings.watch_seconds, "certificates", certificates.watch)

    def begun() -> None:
        if worker is not None:
            worker.serves(inside, server.stop)
        started(server)

    _keep()
    gc.set_threshold(*_COLLECTED)
    try:
        async with AsyncExitStack() as stack:
            stack.callback(server.close)  # what is begun before it serves may be refused
            if house.spans is not None:
                telemetry = collector(settings.otlp_endpoint, house.spans, house.metrics, __version__)
                stack.push_async_callback(_end, telemetry)
                loops.every(settings.otlp_seconds, "telemetry", lambda: _push(telemetry))
            if settings.socket and not settings.database_url:
                await stack.enter_async_context(
                    local.listening(
                        settings.home,
                        local.operations(reading, lambda: server.addresses, partial(replayed, house.bundles))
                        | local.explanations(house.explaining)
                        | local.activations(house.activating, house.history, house.identity)
                        | local.freezes_of(house.freezes),
                    )
                )
            await server.serve(started=begun)
    finally:
        for name in await loops.stop(_within(server, RECORD_SECONDS)):
            event("loop-cut-short", logging.WARNING, component=name)
        try:
            async with asyncio.timeout(_within(server, RECORD_SECONDS)):
                await sum_up(house)
                await house.log.append(_note("gateway:stop", version=__version__))
        # Nothing is served any more; the next start says that this one ended.
        except (LogBusy, LogUnavailable, TimeoutError) as error:
            _report("stop", error)


def _keep() -> None:
    """What was loaded stays: a collection never walks through the policy, or the control plane, again."""
    gc.collect()
    gc.freeze()


def _within(server: Server, seconds: float) -> float:
    """Gives so many seconds, or what a stop has left of them: a moment at least, since most work needs no more."""
    return max(min(seconds, server.left_seconds), _MOMENT)


async def _push(telemetry: Collecting) -> None:
    telemetry.push()


async def _end(telemetry: Collecting) -> None:
    await asyncio.to_thread(telemetry.close().join, CLOSE_SECONDS)


async def _settle_first(house: House) -> None:
    """Settles what the last run left open, for as long as a stop has patience: neither a slow upstream nor a slow database keeps the
    port closed without end. What is left then is the loop's, as it is where an upstream does not answer at all."""
    settings = house.settings
    grace = timedelta(seconds=settings.settle_grace_seconds if settings.database_url else 0)
    try:
        async with asyncio.timeout(settings.stop_seconds):
            await settle(house, grace)
    except TimeoutError:
        event("settling-goes-on", logging.WARNING, seconds=math.ceil(settings.stop_seconds))


async def settle(house: House, grace: timedelta) -> None:
    """Settles open intents, unless another replica is at it: two looks at one upstream could tell two different outcomes."""
    async with house.stores.state.alone("settle") as mine:
        if mine:
            await house.settler.round(grace)
            await house.keys.settlement.end_unconfirmed(grace)
    await measure(house)


async def measure(house: House) -> None:
    """Notes how many changes have no recorded outcome, how old the oldest is, and whether an edit of the policy was refused."""
    still_open = await house.log.open_intents()
    oldest = 0.0
    if still_open:
        oldest = (utc_now() - datetime.fromisoformat(still_open[0].time)).total_seconds()
    house.metrics.level(Level.INTENTS_OPEN, len(still_open))
    house.metrics.level(Level.INTENTS_OLDEST, max(oldest, 0.0))
    house.metrics.level(Level.BUNDLE_REFUSED, 1 if house.bundles.refused else 0)


async def look_for_late(house: House, grace: timedelta) -> None:
    """Looks for creates whose record was never seen, unless another replica is at it."""
    async with house.stores.state.alone("late") as mine:
        if mine:
            await house.latecomers.round(grace)


async def sweep(house: House) -> None:
    """Forgets idempotency keys that have ended, unless another replica is at it."""
    async with house.stores.state.alone("idempotency") as mine:
        if mine:
            await house.repeats.sweep()


async def sum_up(house: House) -> None:
    """Writes what strangers were refused since the last time as one entry, if there was any; a failed write keeps the counts."""
    counts = house.identity.strangers.take()
    # What identity refused it has counted by its own, finer reasons.
    codes = {code: n for code, n in house.turned_away.items() if code not in _IDENTITYS}
    house.turned_away.clear()
    if not counts and not codes:
        return
    try:
        await house.log.append(
            _note("strangers:refused", **counts, **{code.value: n for code, n in codes.items()})
        )
    except (LogBusy, LogUnavailable):
        house.identity.strangers.give_back(counts)
        house.turned_away.update(codes)
        raise


def _note(action: str, **said: str | int) -> AuditEvent:
    parts = (RecordPart({"said": dict(said)}),) if said else ()
    return AuditEvent(Kind.NOTE, new_id("req"), SYSTEM, action, records=parts)


def _report(name: str, error: BaseException) -> None:
    kind, at = place_of(error)
    event("loop-failed", logging.ERROR, component=name, error=kind, at=at)


def _tell_keys(alarms: Alarms, issuer: int, why: BaseException | Silence | None) -> None:
    """Says that an issuer's keys changed: others are in force, or its file or address gives none and those before go on."""
    name = f"issuer-{issuer}"
    match why:
        case None:
            event("issuer-keys-changed", logging.WARNING, component=name)
        case Silence():
            event("issuer-silent", logging.ERROR, component=name, kind=why.name.lower())
            alarms.raise_([Alarm(AlarmKind.ISSUER_SILENT, CONTROL_UPSTREAM, name)])
        case _:
            event("issuer-keys-refused", logging.ERROR, component=name, error=type(why).__name__)
