"""Before the path: a bundle is made ready: read from a folder or from what was kept, and joined to the rooms that do not change with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.corridor.lists import Lister
from gateway.corridor.walk import Ruled
from gateway.loading import Loaded, read, reread
from gateway.observe import Metrics
from gateway.policy import PolicyDecider
from gateway.rooms import FactSource, Lens, Seals
from gateway.upstream import Adapter, AllowedHosts, AsgiApp, AsgiTransport, Asserting, Places


@dataclass(frozen=True, slots=True)
class Offer:
    """A bundle that could come in force, with the rooms made ready for it. places: its ways to upstreams, none of them open yet."""

    loaded: Loaded
    ruled: Ruled = field(repr=False)
    places: Places = field(repr=False)

    @property
    def digest(self) -> str:
        """The bundle's."""
        return self.loaded.digest


@dataclass(frozen=True, slots=True)
class Making:
    """What is the same for every bundle of this process."""

    hosts: frozenset[str]
    max_opaque_bytes: int
    embedded: AsgiApp
    environment: Mapping[str, str] = field(repr=False)
    facts: FactSource
    lens: Lens
    seals: Seals
    metrics: Metrics
    asserting: Asserting | None = None

    def read(self, folder: Path) -> Loaded:
        """Gives what lies in the folder. Raises Misconfigured with every problem. Blocks; call it off the loop."""
        return read(folder, self.hosts, self.max_opaque_bytes)

    def reread(self, digest: str, files: Mapping[str, bytes]) -> Loaded | None:
        """Gives a kept bundle again, None where the files are not it. Blocks; call it off the loop."""
        return reread(digest, files, self.hosts, self.max_opaque_bytes)

    def offer(self, loaded: Loaded) -> Offer:
        """Gives it made ready. Raises Misconfigured for an upstream whose host, credential or header this process does not have."""
        places = Places(
            environment=self.environment,
            allowed=AllowedHosts(self.hosts),
            embedded=AsgiTransport(self.embedded),
            metrics=self.metrics,
            asserting=self.asserting,
        )
        places.load(loaded.catalogue.upstreams.values())
        upstream = Adapter(places)
        lister = Lister(upstream, self.facts, self.lens, self.seals)
        decider = PolicyDecider(loaded.bundle)
        decoys = loaded.bundle.decoys
        return Offer(loaded, Ruled(0, loaded.catalogue, decider, upstream, lister, decoys), places)
