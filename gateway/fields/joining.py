"""Step 6's document of an update: what a caller sends, joined with what is stored. Pure: keys were fetched or minted before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from gateway.fields.change import Change, Sealing, Silence, difference
from gateway.fields.fetch import current_key
from gateway.fields.look import Look, Place
from gateway.fields.shape import shape_of
from gateway.words.json import Json, JsonObject, Pattern
from gateway.words.record import ClosedRecord, SealedChange
from gateway.words.resource import ResourceSpec


def adopting(resource: ResourceSpec, today: date) -> frozenset[Pattern]:
    """Gives the sealed fields that may still come in clear: their day has not passed. While there is one, the resource is adopted."""
    return frozenset(
        f.pattern for f in resource.fields if f.clear_until is not None and today <= f.clear_until
    )


def sealed_of(resource: ResourceSpec) -> frozenset[Pattern]:
    """Gives every field that is sealed."""
    return frozenset(f.pattern for f in resource.fields if f.sealed)


@dataclass(frozen=True, slots=True)
class Joining:
    """One caller's update of one stored record.

    look: the eye for a place. own: as in Change. sweeps: fields that are sealed on the way where they stand in clear, whoever may see
    or set them: what is sealed comes from what is stored, and nobody learns it by that.
    """

    resource: ResourceSpec
    look: Callable[[Place], Look]
    write: frozenset[Pattern]
    before: ClosedRecord
    sent: Json = field(repr=False)
    replaces: bool
    own: bool
    sweeps: frozenset[Pattern]
    dice: Callable[[int], bytes]

    def sealed(self, place: Place, subject: str | None) -> SealedChange:
        """Gives the change under that place's keys and seal. Raises Refused as `Change` does, and RECORD_WITHHELD."""
        target, change, sealing = self._walk(place, frozenset())
        if change.set and change.clear_kept and self.sweeps:
            target, change, sealing = self._walk(place, self.sweeps)
        document = target if self.replaces else difference(self.before.fields, target)
        return SealedChange(document, tuple(change.set), sealing.digests, not change.set, subject)

    def _walk(self, place: Place, adopt: frozenset[Pattern]) -> tuple[JsonObject, Change, Sealing]:
        resource = self.resource
        sealing = Sealing(partial(current_key, place.keys), place.about, self.dice)
        pointer = resource.subject.pointer if resource.subject is not None else None
        change = Change(self.look(place), self.write, sealing, subject=pointer, own=self.own, adopt=adopt)
        silence = Silence.REMOVES_SEEN if self.replaces else Silence.KEEPS
        return change.record(shape_of(resource), self.before.fields, self.sent, silence), change, sealing
