"""Step 8's hand: a record's document as it may be seen. Pure. What cannot be shown is absent, and so is a part that nothing is left of:
null, empty and filled are then told apart only by whom nothing in it is withheld from."""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

from gateway.fields.look import CLEAR, WITHHELD, Look
from gateway.fields.shape import Node, element_ids, escaped
from gateway.words.decision import Disclosure
from gateway.words.json import Json, JsonObject, Pointer
from gateway.words.record import AlarmKind


class Absent(Enum):
    """Nothing stands there; not even null."""

    ABSENT = 0


ABSENT: Final = Absent.ABSENT
Maybe: TypeAlias = "Json | Absent"


class Show:
    """Walks one record. `shown` grows: pointer → how, withheld fields too; members that nobody catalogued have no place in it."""

    __slots__ = ("_blind", "_look", "shown")

    def __init__(self, look: Look) -> None:
        self._look = look
        self._blind = False  # true inside what he is not shown: looked through for alarms only
        self.shown: dict[Pointer, Disclosure] = {}

    def record(self, root: Node, fields: JsonObject) -> JsonObject:
        """Gives the view's document."""
        return self._members(root, "", fields)

    def part(self, node: Node, pointer: Pointer, stored: Json) -> Maybe:
        """Gives what of one place may be seen."""
        if node.spec is not None:
            how, value = self._look.show(node.spec, pointer, stored, blind=self._blind)
            if not self._blind:
                self.shown[pointer] = how
            return ABSENT if how is WITHHELD else value
        if stored is None:
            return ABSENT if self.veiled(node) else None
        seen: Json
        if isinstance(stored, dict) and (node.members or node.star):
            seen = self._members(node, pointer, stored)
        elif isinstance(stored, list) and node.star is not None:
            seen = self._elements(node, pointer, stored)
        else:  # the catalogue says that something else stands here
            self._look.alarm(AlarmKind.FIELD_UNKNOWN, node.pattern)
            return ABSENT
        # Where something in it is withheld from him, empty and filled with just that look the same.
        return seen if seen or (not stored and not self.veiled(node)) else ABSENT

    def _members(self, node: Node, pointer: Pointer, stored: JsonObject) -> JsonObject:
        out: JsonObject = {}
        members, star = node.members, node.star
        show, shown, blind = self._look.show, self.shown, self._blind
        for name, value in stored.items():
            below = members.get(name, star)
            if below is None:
                self._look.unknown(node.pattern, name)
                continue
            # Where no `*` stands above, a place's pattern is its pointer.
            at = below.pattern if below.exact else f"{pointer}/{escaped(name)}"
            if below.spec is None:
                seen = self.part(below, at, value)
                if seen is not ABSENT:
                    out[name] = seen
                continue
            # As in `part`: most members are fields, and a call less for each is a tenth of a record's view.
            how, leaf = show(below.spec, at, value, blind=blind)
            if not blind:
                shown[at] = how
            if how is not WITHHELD:
                out[name] = leaf
        return out

    def _elements(self, node: Node, pointer: Pointer, stored: list[Json]) -> list[Json]:
        """Gives the elements that may be seen; none where their identity may not be."""
        out: list[Json] = []
        for element in self.elements(node, pointer, stored):
            if element is not ABSENT:
                out.append(element)
            elif node.element_id is None:
                out.append({})  # known by its index: leaving it out would move the others
        if out and out[-1] == {} and node.element_id is None and self.veiled(node):
            while out and out[-1] == {}:  # how many follow of which he sees nothing is not his to know
                out.pop()
        return out if any(element != {} for element in out) else []

    def elements(self, node: Node, pointer: Pointer, stored: list[Json]) -> list[Maybe]:
        """Gives what of each element may be seen, ABSENT for one of which nothing may."""
        star = node.star
        if star is None:
            raise AssertionError("asked for the elements of what has none")
        if not self.identified(node):
            for spec in star.leaves():
                self.shown[f"{pointer}{spec.pattern.removeprefix(node.pattern)}"] = WITHHELD
            before, self._blind = self._blind, True
            for element in stored:
                self.part(star, f"{pointer}/*", element)
            self._blind = before
            return [ABSENT] * len(stored)
        out: list[Maybe] = []
        for step, element in zip(element_ids(node, stored), stored, strict=True):
            if step is None:  # nothing can be bound to an element without a name of its own
                self._look.alarm(AlarmKind.ENVELOPE_MISPLACED, star.pattern)
                out.append(ABSENT)
            else:
                seen = self.part(star, f"{pointer}/{step}", element)
                out.append(ABSENT if seen is None or seen == {} else seen)
        return out

    def veiled(self, node: Node) -> bool:
        """True where something in a part is withheld from him whatever stands there, or has no identity for him."""
        if node.spec is not None:
            return self._look.disclosure(node.spec) is WITHHELD
        if node.star is not None and (not self.identified(node) or self.veiled(node.star)):
            return True
        return any(self.veiled(below) for below in node.members.values())

    def identified(self, node: Node) -> bool:
        """False where elements are known by an id that he may not see in clear."""
        if node.element_id is None or node.star is None:
            return True
        spec = node.star.members[node.element_id].spec
        return spec is not None and self._look.disclosure(spec) is CLEAR
