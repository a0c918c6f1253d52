"""Step 8's eye: how one field of one record is shown to one principal. Pure: bindings and keys were fetched before.

A closed field is opened only to be shown in some way; WITHHELD opens nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from cryptography.exceptions import InvalidTag

from gateway.fields.envelope import PREFIX, Malformed, decoded, holds_envelope, parse
from gateway.fields.masks import mask
from gateway.fields.subjects import SubjectKeys
from gateway.words.decision import Disclosure, FieldView
from gateway.words.json import Json, Pattern, Pointer
from gateway.words.record import Alarm, AlarmKind
from gateway.words.resource import FieldClass, FieldSpec, Holds, ResourceSpec

_PLAIN_NAME = re.compile(r"[A-Za-z_@$][A-Za-z_.$-]{0,47}[0-9]{0,2}")

CLEAR, MASKED, WITHHELD = Disclosure.CLEAR, Disclosure.MASKED, Disclosure.WITHHELD


@dataclass(frozen=True, slots=True)
class Place:
    """What opens one record. about: `about_record` of its binding. shut: why every sealed field of it stays withheld."""

    keys: SubjectKeys | None = field(default=None, repr=False)
    about: bytes = field(default=b"", repr=False)
    shut: AlarmKind | None = None


class Look:
    """One record under one decision. Gathers alarms, one a kind and pattern. `reload`: an envelope names a key that is not cached."""

    __slots__ = ("_alarms", "_links", "_place", "_resource", "_today", "_token", "_view", "adopted", "reload")

    def __init__(
        self,
        resource: ResourceSpec,
        place: Place,
        view: FieldView,
        today: date,
        token: Callable[[Pattern, Json], Json],
        links: Mapping[str, str],
    ) -> None:
        self._resource = resource
        self._place = place
        self._view = view
        self._today = today
        self._token = token
        self._links = links
        self._alarms: dict[tuple[AlarmKind, Pattern | None], Alarm] = {}
        self.adopted = 0
        self.reload = False
        # An unbound record is only worth an alarm where something of it is sealed: an adopted one may still be in clear.
        if place.shut is not None and place.shut is not AlarmKind.RECORD_UNBOUND:
            self.alarm(place.shut, None)

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What was withheld because it should not be."""
        return tuple(self._alarms.values())

    def alarm(self, kind: AlarmKind, pattern: Pattern | None) -> None:
        """Notes one."""
        key = (kind, pattern)
        if key not in self._alarms:
            self._alarms[key] = Alarm(kind, self._resource.upstream, self._resource.name, pattern)

    def disclosure(self, spec: FieldSpec) -> Disclosure:
        """Gives how the decision lets the field be shown, whatever stands there."""
        return self._view.of(spec.pattern)

    def show(
        self, spec: FieldSpec, pointer: Pointer, stored: Json, *, blind: bool = False
    ) -> tuple[Disclosure, Json]:
        """Gives how the field is shown, and what; None with WITHHELD. `pointer` has the element's id in place of `*`.

        blind: it is withheld for the sake of something else; only alarms are raised.
        """
        how = WITHHELD if blind else self._view.of(spec.pattern)
        if spec.sealed:
            if stored is None:
                return how, None
            if type(stored) is not str or not stored.startswith(PREFIX):
                return self._clear_where_sealed(spec, how, stored)
            if how is WITHHELD and self._place.shut is not AlarmKind.RECORD_UNBOUND:
                return WITHHELD, None
            return self._sealed(spec, pointer, how, stored)
        # Most values: one text in a field for texts.
        if type(stored) is str and spec.cls is not FieldClass.LINK:
            if stored.startswith(PREFIX):
                self.alarm(AlarmKind.ENVELOPE_MISPLACED, spec.pattern)
                return WITHHELD, None
            if spec.holds is not Holds.TEXTS:
                return how, stored if how is CLEAR else self._as(spec, how, stored)
        if holds_envelope(stored):
            self.alarm(AlarmKind.ENVELOPE_MISPLACED, spec.pattern)
            return WITHHELD, None
        if spec.cls is FieldClass.LINK and stored is not None:
            stored = self._linked(spec, stored)
            if stored is None:
                return WITHHELD, None
        elif not listed(spec, stored) or not _fits(spec, stored):
            self.alarm(AlarmKind.FIELD_UNKNOWN, spec.pattern)
            return WITHHELD, None
        return how, self._as(spec, how, stored)

    def _linked(self, spec: FieldSpec, stored: Json) -> Json:
        """Gives a link's address here; None for one that leads past the gateway. An array of links keeps its length."""
        if isinstance(stored, str):
            return self._links.get(stored)
        if not spec.pattern.endswith("/*"):
            return None
        if isinstance(stored, list):
            return [self._links.get(link) if isinstance(link, str) else None for link in stored]
        if isinstance(stored, dict):
            found = {name: self._links.get(link) for name, link in stored.items() if isinstance(link, str)}
            nulls = {name for name, link in stored.items() if link is None}
            return {name: found.get(name) for name in stored if found.get(name) is not None or name in nulls}
        return None

    def unknown(self, parent: Pattern, name: str) -> None:
        """Notes a member that the catalogue does not name."""
        self.alarm(AlarmKind.FIELD_UNKNOWN, unknown_pattern(parent, name))

    def _clear_where_sealed(self, spec: FieldSpec, how: Disclosure, stored: Json) -> tuple[Disclosure, Json]:
        adopting = spec.clear_until is not None and self._today <= spec.clear_until
        if not adopting or holds_envelope(stored):
            self.alarm(AlarmKind.CLEAR_WHERE_SEALED, spec.pattern)
            return WITHHELD, None
        if not _fits(spec, stored):
            self.alarm(AlarmKind.FIELD_UNKNOWN, spec.pattern)
            return WITHHELD, None
        self.adopted += 1
        if self._place.shut not in (None, AlarmKind.RECORD_UNBOUND):
            return WITHHELD, None
        return how, self._as(spec, how, stored)

    def _sealed(
        self, spec: FieldSpec, pointer: Pointer, how: Disclosure, stored: str
    ) -> tuple[Disclosure, Json]:
        failed = self._place.shut
        if failed is AlarmKind.RECORD_UNBOUND:
            self.alarm(failed, None)
        if failed is not None or how is WITHHELD:
            return WITHHELD, None
        keys, cls = self._place.keys, spec.key_class or ""
        try:
            data = decoded(stored)
            key = keys.open.get(data[: 21 + len(cls)]) if keys is not None else None
            if key is None or key.cls != cls:
                raise InvalidTag
            value = key.open(self._place.about, pointer, data)
        except (Malformed, InvalidTag) as error:
            self.alarm(self._reason(spec, stored, error), spec.pattern)
            return WITHHELD, None
        return how, value if how is CLEAR else self._as(spec, how, value)

    def _reason(self, spec: FieldSpec, stored: str, error: Malformed | InvalidTag) -> AlarmKind:
        """Tells what an envelope that did not open is: not one, of a key that is gone or broken, or of another place."""
        try:
            named = parse(stored)
        except Malformed:
            return AlarmKind.ENVELOPE_MALFORMED
        keys = self._place.keys
        if keys is None or isinstance(error, Malformed):
            return AlarmKind.ENVELOPE_MISPLACED if keys is not None else AlarmKind.KEY_MISSING
        shut = keys.shut.get((named.cls, named.key))
        if shut is not None and named.cls == spec.key_class:
            return shut
        if not any(key.key == named.key for key in keys.open.values()):
            self.reload = True  # another process may have made it since these were read
        if spec.key_class not in keys.current and named.cls == spec.key_class:
            return AlarmKind.KEY_MISSING
        return AlarmKind.ENVELOPE_MISPLACED

    def _as(self, spec: FieldSpec, how: Disclosure, value: Json) -> Json:
        if how is CLEAR:
            return value
        if how is WITHHELD:
            return None
        return mask(spec.mask, value) if how is MASKED else self._token(spec.pattern, value)


def listed(spec: FieldSpec, value: Json) -> bool:
    """True for a value that a field which is not sealed may have: nobody listed what stands inside an object.

    A scalar, an array of scalars, and where the pattern ends in `/*` also an object of them.
    """
    if isinstance(value, dict):
        return spec.pattern.endswith("/*") and not any(isinstance(v, list | dict) for v in value.values())
    return not isinstance(value, list) or not any(isinstance(v, list | dict) for v in value)


def _fits(spec: FieldSpec, value: Json) -> bool:
    """True for a value of the type that the catalogue says. null is one of every type."""
    return value is None or spec.holds.fits(value)


def unknown_pattern(parent: Pattern, name: str) -> Pattern:
    """Gives the place of a member that nobody catalogued. A name may be a value where names are keys: an odd one is not said."""
    return f"{parent}/{name if _PLAIN_NAME.fullmatch(name) else '*'}"
