"""Before the path: a policy folder becomes what is in force. A folder that is refused changes nothing; the good bundle stays."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from audit import AuditEvent, Kind, Log, LogBusy, LogUnavailable, RecordPart
from gateway import catalogue, policy
from gateway.catalogue import Catalogue
from gateway.corridor.inforce import Enter, InForce
from gateway.corridor.lists import Lister
from gateway.corridor.walk import Ruled
from gateway.fields import shape_of
from gateway.observe import Metrics, event
from gateway.policy import Bundle, KeptBundles, PolicyDecider
from gateway.rooms import FactSource, Lens, Seals
from gateway.siblings import ACTIVATE, RUN, Siblings
from gateway.upstream import Adapter, AllowedHosts, AsgiApp, AsgiTransport, Asserting, Look, Places
from gateway.words.errors import Code, Misconfigured, Unavailable
from gateway.words.ids import new_id

# Connections of bundles that were in force before: a request that began under one ends on them.
_KEPT = 3
# Problems of a refused bundle that are logged one by one; the rest are in the count.
_TOLD = 20
CATALOGUE = "catalogue"
CHECK = "gatehouse policy check"
"""What says more than a log line may: the mistakes' own words."""
_PROBLEM = re.compile(r"([^:]+):(\d+): (.*)", re.DOTALL)
SYSTEM = {"application": "system:gatehouse", "person": None, "roles": [], "proven": ["process"]}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A folder that was read, checked and whose cases hold."""

    catalogue: Catalogue
    bundle: Bundle

    @property
    def files(self) -> Mapping[str, bytes]:
        """Every file's bytes as they were read, by its name below the folder."""
        return {
            **self.bundle.files,
            **{f"{CATALOGUE}/{name}": data for name, data in self.catalogue.files.items()},
        }


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of a catalogue, where it stands and what to do about it (empty where the text says all)."""

    file: str
    line: int
    what: str
    do: str


def mistake(problem: str) -> Mistake:
    """Gives what a catalogue's `file:line: what; what to do` says; line 1 of the whole folder where it names none."""
    found = _PROBLEM.fullmatch(problem)
    if found is None:
        return Mistake(CATALOGUE, 1, problem, "")
    what, _, do = found[3].partition("; ")
    return Mistake(found[1], int(found[2]), what, do)


def sealable(found: Catalogue) -> Catalogue:
    """Gives it back. Raises Misconfigured: what the lens could not seal is refused now, not at the first record."""
    for upstream in found.upstreams.values():
        for resource in upstream.resources.values():
            shape_of(resource)
    return found


def catalogue_of(folder: Path, hosts: frozenset[str], max_opaque_bytes: int) -> Catalogue:
    """Gives the catalogue of a policy folder. Raises Misconfigured with every problem, by file (as seen from that folder) and line."""
    try:
        found = catalogue.load(folder / CATALOGUE, allowed_hosts=hosts, max_opaque_bytes=max_opaque_bytes)
        return sealable(found)
    except Misconfigured as error:
        raise Misconfigured(*map(_from_the_policy_folder, error.problems)) from error


def _from_the_policy_folder(problem: str) -> str:
    named = _PROBLEM.fullmatch(problem)
    return f"{CATALOGUE}/{problem}" if named and named[1] != CATALOGUE else problem


def read(folder: Path, hosts: frozenset[str], max_opaque_bytes: int) -> Loaded:
    """Gives what lies in the folder. Raises Misconfigured with every problem, by file and line. Blocks; call it off the loop."""
    found = catalogue_of(folder, hosts, max_opaque_bytes)
    return Loaded(found, policy.load(folder, found))


def written(files: Mapping[str, bytes], into: Path) -> Path:
    """Writes a bundle's files below a folder and gives it."""
    for name, data in files.items():
        place = into / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
    return into


def look_at_upstreams(
    found: Catalogue, hosts: frozenset[str], environment: Mapping[str, str], asserting: Asserting
) -> None:
    """Raises Misconfigured for what a start would refuse of them: hosts, credentials, fixed headers. Opens no connection."""

    async def nobody(*_asked: object) -> None:
        raise AssertionError("nothing is asked of it")

    places = Places(
        environment=environment,
        allowed=AllowedHosts(hosts),
        embedded=AsgiTransport(nobody),
        asserting=asserting,
    )
    places.load(found.upstreams.values())


class Bundles:
    """Keeps one bundle in force and watches its folder. The rooms that do not change with a bundle are given once.

    siblings: the workers beside this one, which look at the same folder; None where this process is alone.
    kept: where bundles stay after they were in force.
    """

    def __init__(
        self,
        folder: Path,
        hosts: frozenset[str],
        *,
        max_opaque_bytes: int,
        embedded: AsgiApp,
        environment: Mapping[str, str],
        facts: FactSource,
        lens: Lens,
        seals: Seals,
        metrics: Metrics | None = None,
        asserting: Asserting | None = None,
        siblings: Siblings | None = None,
        kept: KeptBundles,
    ) -> None:
        self._folder = folder
        self._max_opaque_bytes = max_opaque_bytes
        self._siblings = siblings
        self._kept = kept
        self._read_last: Loaded | None = None
        self._unfit: object = None
        self._hosts = hosts
        self._embedded = embedded
        self._environment = environment
        self._rooms = (facts, lens, seals)
        self._metrics = metrics or Metrics()
        self._asserting = asserting
        self._seen: object = None
        self._places: list[Places] = []
        self._unentered: tuple[Ruled, str] | None = None
        self.loaded_digest = self.digest = ""
        self.mounts: tuple[tuple[str, ...], ...] = ()
        self.refused: tuple[str, ...] = ()

    async def first(self) -> Ruled:
        """Gives the rooms for the folder as it is now, at no fence yet. Raises Misconfigured: there is nothing to fall back on."""
        self._seen = _look(self._folder)
        loaded = await self._read()
        self.loaded_digest = loaded.bundle.digest
        return self._ruled(loaded)

    async def enter(self, held: InForce, ruled: Ruled, digest: str, before: str | None) -> None:
        """Puts a bundle in force by its entry, and keeps its files before. Raises Unavailable where one of both could not be done;
        `watch` then tries again."""
        self._unentered = ruled, digest
        if self._read_last is not None and self._read_last.bundle.digest == digest:
            await self._kept.keep(digest, self._read_last.files)
        await held.activate(ruled, self._activation(digest, before))
        # Else a sibling's came after it in the same moment, and was followed.
        if held.now.decider is ruled.decider:
            await self._took(ruled, digest)

    async def follow(self, after: int, upto: int, enter: Enter) -> Ruled | None:
        """Gives what a sibling put in force; fits `inforce.Follow`.

        Where the folder was edited once more since, that edit is put in force instead. Raises Unavailable where the folder no longer
        holds anything that loads: what the sibling has is not to be had here, and what was in force before no longer is.
        """
        if self._siblings is None:
            return None
        digest = await self._siblings.put_in_force(after, upto)
        if digest is None or digest == self.digest:
            return None
        if self._unentered is None or self._unentered[1] != digest:
            self._unentered = await self._found()
        ruled, found = self._unentered
        if found != digest:
            await enter(ruled, self._activation(found, digest))
        await self._took(ruled, found)
        return ruled if found == digest else None

    async def _found(self) -> tuple[Ruled, str]:
        """Gives what lies in the folder now, in force or not. Raises Unavailable; a state that did not load is not read again."""
        now = await asyncio.to_thread(_look, self._folder)
        if now != self._unfit:
            try:
                loaded = await self._read()
                found = self._ruled(loaded), loaded.bundle.digest
            except Misconfigured as error:
                self._unfit, self.refused = now, error.problems
                _tell(error.problems, self.digest)
                raise Unavailable(Code.NOT_READY) from error
            self._seen = now
            return found
        raise Unavailable(Code.NOT_READY)

    async def _read(self) -> Loaded:
        self._read_last = await asyncio.to_thread(read, self._folder, self._hosts, self._max_opaque_bytes)
        return self._read_last

    async def once(self, digest: str) -> Loaded | None:
        """Gives a bundle that was in force, as it was; None where it was not kept, or what was kept is not it or no longer loads."""
        if self._read_last is not None and self._read_last.bundle.digest == digest:
            return self._read_last
        files = await self._kept.find(digest)
        return None if files is None else await asyncio.to_thread(self._reread, digest, files)

    def _reread(self, digest: str, files: Mapping[str, bytes]) -> Loaded | None:
        with TemporaryDirectory(prefix="gatehouse-") as folder:
            try:
                found = read(written(files, Path(folder)), self._hosts, self._max_opaque_bytes)
            except (Misconfigured, OSError):
                return None
        return found if found.bundle.digest == digest else None

    async def _took(self, ruled: Ruled, digest: str) -> None:
        if isinstance(ruled.addresser, Catalogue):
            self.mounts = tuple(tuple(p.strip("/").split("/")) for p in ruled.addresser.prefixes)
        self._unentered = None
        self.digest, self.refused = digest, ()
        event("bundle-active", bundle=digest)
        while len(self._places) > _KEPT:
            await self._places.pop(0).close()

    async def _put(self, held: InForce, ruled: Ruled, digest: str) -> None:
        """Puts it in force, unless a sibling is at it or did: one entry says it for all of them."""
        if self._siblings is None:
            await self.enter(held, ruled, digest, self.digest)
            return
        self._unentered = ruled, digest
        async with self._siblings.alone("bundle") as mine:
            if not mine:
                return  # the next round finds it done, or does it
            await held.catch_up()
            if self._unentered is not None:
                await self.enter(held, *self._unentered, self.digest)

    def _activation(self, digest: str, before: str | None) -> AuditEvent:
        ours = {} if self._siblings is None else {RUN: self._siblings.run}
        return _event(ACTIVATE, digest, before, **ours)

    async def watch(self, held: InForce, log: Log) -> None:
        """Looks at the folder once; loads it when it changed. A refusal is an entry, and the running bundle goes on."""
        now = await asyncio.to_thread(_look, self._folder)
        if now == self._seen:
            if self._unentered is not None:
                await self._put(held, *self._unentered)
            return
        self._seen = now
        try:
            loaded = await self._read()
            digest = loaded.bundle.digest
            # One that could not be entered may yet come in force by itself: the one before it must then be entered again.
            if digest == self.digest and self._unentered is None:
                self.refused = ()
                return
            ruled = self._ruled(loaded)
        except Misconfigured as error:
            self.refused = error.problems
            try:
                await log.append(_event("bundle:refuse", self.digest, None, problems=len(error.problems)))
            except (LogBusy, LogUnavailable):
                self._seen = None  # looked at again, until its refusal stands in the log
                raise
            _tell(error.problems, self.digest)
            return
        await self._put(held, ruled, digest)

    async def look(self) -> Iterable[Look]:
        """Looks at the upstreams' certificate files; those of bundles that were in force before too, whose requests may still run."""
        found: dict[str, Look] = {}
        for places in tuple(self._places):
            found |= {look.upstream: look for look in await places.look()}
        return found.values()

    async def close(self) -> None:
        """Ends every connection to upstreams."""
        await asyncio.gather(*(places.close() for places in self._places))

    def _ruled(self, loaded: Loaded) -> Ruled:
        places = Places(
            environment=self._environment,
            allowed=AllowedHosts(self._hosts),
            embedded=AsgiTransport(self._embedded),
            metrics=self._metrics,
            asserting=self._asserting,
        )
        places.load(loaded.catalogue.upstreams.values())
        self._places.append(places)
        upstream = Adapter(places)
        facts, lens, seals = self._rooms
        return Ruled(
            0,
            loaded.catalogue,
            PolicyDecider(loaded.bundle),
            upstream,
            Lister(upstream, facts, lens, seals),
            loaded.bundle.decoys,
        )


def _tell(problems: tuple[str, ...], kept: str) -> None:
    """Writes what was refused, where each problem stands, and which bundle goes on instead."""
    left_out = max(0, len(problems) - _TOLD)
    event("bundle-refused", logging.ERROR, count=len(problems), left_out=left_out or None, next=CHECK)
    for problem in problems[:_TOLD]:
        place = _PROBLEM.fullmatch(problem)
        event("bundle-problem", logging.ERROR, at=f"{place[1]}:{place[2]}" if place else None)
    event("bundle-kept", logging.WARNING, bundle=kept)


def _event(action: str, digest: str, before: str | None, **said: int | str) -> AuditEvent:
    verdict = {
        "allowed": action == ACTIVATE,
        "reason": action,
        "by": "process",
        "rule": None,
        "bundle": digest,
    }
    return AuditEvent(
        kind=Kind.CHANGE if action == ACTIVATE else Kind.NOTE,
        request=new_id("req"),
        principal=SYSTEM,
        action=action,
        resource={"upstream": "gatehouse", "type": "bundle"},
        records=(RecordPart({"reference": digest, "before": before, **said}),),
        decision={**verdict, "facts": None, "engine": policy.COMPILED},
    )


def _look(folder: Path) -> object:
    """Gives what tells one state of the folder from another: every file's name, size and time of change."""
    return sorted(
        (str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and (stat := path.stat())
    )
