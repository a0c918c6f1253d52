"""Before the path: what a draft of the policy folder would change, looked at before it acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import policy
from gateway.catalogue import Change, changes
from gateway.loading import Loaded, read
from gateway.policy import Effects
from gateway.replaying import replay
from gateway.weighing import weigh
from gateway.words.errors import Misconfigured
from gateway.words.replay import Replayed
from gateway.words.widening import Widening


@dataclass(frozen=True, slots=True)
class Plan:
    """What stands now, what the draft is, and everything that differs. widenings: empty where it is proven that nobody gains.

    replayed: what became of recorded decisions; None where none were given.
    """

    before: str
    after: str
    widenings: tuple[Widening, ...]
    effects: Effects
    catalogue: tuple[Change, ...]
    replayed: Replayed | None = None


def plan(
    now: Path,
    draft: Path,
    hosts: frozenset[str],
    max_opaque_bytes: int,
    recorded: Sequence[Mapping[str, Any]] = (),
) -> Plan:
    """Compares two policy folders. recorded: entries to make again, as `replaying.replay` takes them.

    Raises Misconfigured with every problem of the one that does not load, cases that fail included.
    """
    old, new = (_read(folder, hosts, max_opaque_bytes) for folder in (now, draft))
    differs = changes(old.catalogue, new.catalogue)
    return Plan(
        old.bundle.digest,
        new.bundle.digest,
        weigh(old, new),
        policy.effects(old.bundle, new.bundle, new.catalogue),
        differs,
        replay(recorded, old, new) if recorded else None,
    )


def _read(folder: Path, hosts: frozenset[str], max_opaque_bytes: int) -> Loaded:
    try:
        return read(folder, hosts, max_opaque_bytes)
    except Misconfigured as error:
        raise Misconfigured(*(f"{folder}/{problem}" for problem in error.problems)) from error
