"""The lens's other side: a caller's document, joined with what is stored, as it will be sent upstream. Pure: keys were fetched before.

One walk serves create (nothing stored), PUT (what is absent goes, unless he cannot see it) and merge-patch (what is absent stays).
What he sends back as he was shown it keeps its stored bytes; everything else needs the write view and is sealed anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import Enum

from gateway.fields.envelope import PREFIX, FieldKey, Unsealable, holds_envelope, is_envelope
from gateway.fields.look import CLEAR, WITHHELD, Look, listed, unknown_pattern
from gateway.fields.masks import holds_token, looks_masked
from gateway.fields.shape import Node, element_ids, escaped
from gateway.fields.show import ABSENT, Maybe, Show
from gateway.words.errors import Code, Refused
from gateway.words.json import Json, JsonObject, Pattern, Pointer
from gateway.words.resource import FieldClass, FieldSpec, Mask


class Silence(Enum):
    """What it means that a member is not in the caller's document."""

    KEEPS = "keeps"  # merge-patch: nothing was said about it
    REMOVES_SEEN = "removes-seen"  # PUT: what he sees goes, what he cannot see stays
    REMOVES = "removes"  # an explicit null above it: everything must go, and he must be allowed to


class Sealing:
    """Seals new values of one record and notes their digests."""

    __slots__ = ("_about", "_dice", "_keys", "digests")

    def __init__(self, keys: Callable[[str], FieldKey], about: bytes, dice: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._about = about
        self._dice = dice
        self.digests: dict[Pointer, str] = {}

    def seal(self, spec: FieldSpec, pointer: Pointer, value: Json) -> str:
        """Gives the envelope's text. Raises Refused VALUE_REFUSED for what cannot be sealed."""
        try:
            text = self._keys(spec.key_class or "").seal(self._about, pointer, value, self._dice(12))
        except Unsealable:
            raise Refused(Code.VALUE_REFUSED, field=spec.pattern) from None
        self.digests[pointer] = hashlib.sha256(text.encode("ascii")).hexdigest()
        return text


class Change:
    """One caller's change of one record.

    own: what he sends at `subject` names whom the record's binding names. The stored document may leave that out.
    adopt: sealed fields that are sealed on the way where they stand in clear.
    set: pointers that change. clear_kept: True when something that the catalogue seals stays in clear upstream.
    Raises Refused from every method: FIELD_UNKNOWN, FIELD_NOT_WRITABLE, MASK_SUBMITTED, VALUE_REFUSED, SUBJECT_CHANGED.
    Promises: what is withheld from him decides nothing that he can tell: whether it has a value, whether it is the one he sent.
    """

    __slots__ = (
        "_adopt",
        "_fresh",
        "_look",
        "_own",
        "_sealing",
        "_show",
        "_subject",
        "_write",
        "clear_kept",
        "set",
    )

    def __init__(
        self,
        look: Look,
        write: frozenset[Pattern],
        sealing: Sealing,
        *,
        subject: Pointer | None,
        own: bool = True,
        adopt: frozenset[Pattern] = frozenset(),
    ) -> None:
        self._look = look
        self._show = Show(look)
        self._write = write
        self._sealing = sealing
        self._subject = subject
        self._own = own
        self._adopt = adopt
        self._fresh = False
        self.set: list[Pointer] = []
        self.clear_kept = False

    def record(self, root: Node, stored: JsonObject, sent: Json, silence: Silence) -> JsonObject:
        """Gives the record's document as it will be."""
        if not isinstance(sent, dict):
            raise Refused(Code.VALUE_REFUSED)
        # Nobody outside has an envelope to give; one of another record is an attack.
        if (place := _enveloped(root, sent)) is not None:
            raise Refused(Code.VALUE_REFUSED, field=place)
        self._fresh = not stored
        return self._members(root, "", stored, sent, silence)

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────

    def _part(self, node: Node, pointer: Pointer, stored: Maybe, sent: Maybe, silence: Silence) -> Maybe:
        if node.spec is not None:
            return self._leaf(node.spec, pointer, stored, sent, silence)
        if sent is ABSENT and silence is Silence.KEEPS:
            return self._untouched(node, pointer, stored)
        if sent is None:
            self._sees_all(node)
        elif (sent == [] or sent == {}) and self._unseen(node, pointer, stored):
            return self._untouched(node, pointer, stored)
        if (stored is ABSENT or stored is None) and (sent is ABSENT or sent is None):
            return stored
        holder = sent if stored is ABSENT or stored is None else stored
        if isinstance(holder, list):
            return self._array(node, pointer, stored, sent, silence)
        return self._object(node, pointer, stored, sent, silence)

    def _object(self, node: Node, pointer: Pointer, stored: Maybe, sent: Maybe, silence: Silence) -> Maybe:
        if not (node.members or node.star) or (not isinstance(stored, dict | None) and stored is not ABSENT):
            return self._strange(node, stored, sent)
        if sent is None:
            silence = Silence.REMOVES
        if sent is not ABSENT and sent is not None and not isinstance(sent, dict):
            raise Refused(Code.VALUE_REFUSED, field=node.pattern)
        have = stored if isinstance(stored, dict) else {}
        out = self._members(node, pointer, have, sent if isinstance(sent, dict) else {}, silence)
        return ABSENT if not out and (have or not isinstance(stored, dict)) else out

    def _members(
        self, node: Node, pointer: Pointer, stored: JsonObject, sent: JsonObject, silence: Silence
    ) -> JsonObject:
        out: JsonObject = {}
        for name in [*stored, *(name for name in sent if name not in stored)]:
            below = node.child(name)
            have, want = stored.get(name, ABSENT), sent.get(name, ABSENT)
            if below is None:
                if want is not ABSENT:
                    raise Refused(Code.FIELD_UNKNOWN, field=unknown_pattern(node.pattern, name))
                if silence is Silence.REMOVES:
                    raise Refused(Code.FIELD_NOT_WRITABLE, field=node.pattern or "/")
                out[name] = stored[name]  # nobody catalogued it: not shown, not lost
                continue
            now = self._part(below, f"{pointer}/{escaped(name)}", have, want, silence)
            if now is not ABSENT:
                out[name] = now
        return out

    def _array(self, node: Node, pointer: Pointer, stored: Maybe, sent: Maybe, silence: Silence) -> Maybe:
        if node.star is None or (not isinstance(stored, list | None) and stored is not ABSENT):
            return self._strange(node, stored, sent)
        have = stored if isinstance(stored, list) else []
        seen = self._show.elements(node, pointer, have)
        if sent is None or silence is Silence.REMOVES:
            silence, want = Silence.REMOVES, list[Json]()
        elif sent is ABSENT:
            if all(element is ABSENT for element in seen):
                return self._untouched(node, pointer, stored)
            silence, want = Silence.REMOVES_SEEN, list[Json]()
        elif isinstance(sent, list):
            silence, want = Silence.REMOVES_SEEN, sent
        else:
            raise Refused(Code.VALUE_REFUSED, field=node.pattern)
        out = self._elements(node, pointer, have, seen, want, silence)
        return ABSENT if not out and not isinstance(sent, list) else out

    def _elements(
        self,
        node: Node,
        pointer: Pointer,
        stored: list[Json],
        seen: list[Maybe],
        sent: list[Json],
        silence: Silence,
    ) -> list[Json]:
        star = node.star
        if star is None or (sent and not self._show.identified(node)):
            raise Refused(Code.FIELD_NOT_WRITABLE, field=node.pattern)
        ids, wanted = element_ids(node, stored), element_ids(node, sent)
        if None in wanted:
            raise Refused(Code.VALUE_REFUSED, field=star.pattern)
        veiled = not self._fresh and self._show.veiled(node)
        if node.element_id is not None:
            visible = [i for i, e in zip(ids, seen, strict=True) if e is not ABSENT]
        elif veiled:  # the last ones of which he sees nothing were not shown to him
            visible = ids[: max((n for n, e in enumerate(seen, 1) if e is not ABSENT), default=0)]
        else:
            visible = ids
        if wanted != visible and veiled and node.element_id is None:  # nor does he know how many there are
            raise Refused(Code.FIELD_NOT_WRITABLE, field=star.pattern)
        if wanted == visible:
            pairs = dict(zip(wanted, sent, strict=True))
            order = list(zip(ids, stored, strict=True))
        else:
            self._may_rearrange(star, visible, wanted, hidden=len(visible) < len(ids))
            self.set.append(pointer)
            pairs = dict(zip(wanted, sent, strict=True))
            had = dict(zip(ids, stored, strict=True))
            order = [(i, had.pop(i, ABSENT)) for i in wanted]  # type: ignore[arg-type]  # absent ones are new
            for step, element in had.items():
                self._part(star, f"{pointer}/{step}", element, ABSENT, Silence.REMOVES)
        out: list[Json] = []
        for step, element in order:
            if step not in pairs:  # hidden from him: stays where it is
                now = element if step is None else self._untouched(star, f"{pointer}/{step}", element)
            else:
                now = self._part(star, f"{pointer}/{step}", element, pairs[step], silence)
            if now is ABSENT:
                now = None if element is None else {}
            out.append(now)
        return out

    def _may_rearrange(
        self, star: Node, visible: list[str | None], wanted: list[str | None], *, hidden: bool
    ) -> None:
        """Elements that come, go or move: only for whom sees them all; for a move or a removal he must be able to write them too."""
        if hidden:
            raise Refused(Code.FIELD_NOT_WRITABLE, field=star.pattern)
        left = [i for i in wanted if i in set(visible)]
        if left == visible:
            return  # only new ones: each of their fields is asked for below
        if len(left) < len(visible):
            self._sees_all(star)
        for spec in star.leaves():
            if not spec.server_set and spec.pattern not in self._write:
                raise Refused(Code.FIELD_NOT_WRITABLE, field=spec.pattern)

    def _hides(self, spec: FieldSpec) -> bool:
        """True for a field of which he may see nothing. Of a create nothing is hidden: nothing stands there."""
        return not self._fresh and self._look.disclosure(spec) is WITHHELD

    def _withheld(self, node: Node) -> FieldSpec | None:
        """Gives a field of this place that is withheld from him, None where none is."""
        return next((s for s in node.leaves() if self._hides(s)), None)

    def _sees_all(self, node: Node) -> None:
        """What is to go must be his to see, whether or not it is there: a refusal only where it is would tell."""
        if (spec := self._withheld(node)) is not None:
            raise Refused(Code.FIELD_NOT_WRITABLE, field=spec.pattern)

    def _unseen(self, node: Node, pointer: Pointer, stored: Maybe) -> bool:
        """True for elements or members that are not there for all he can tell: they may be, with what is withheld from him."""
        if node.star is None or self._fresh or not self._show.veiled(node):
            return False
        if stored is ABSENT or stored is None or stored == [] or stored == {}:
            return True
        return self._show.part(node, pointer, stored) is ABSENT

    def _strange(self, node: Node, stored: Maybe, sent: Maybe) -> Maybe:
        """What stands there, or was sent, is not what the catalogue says: it is not his to see, and stays."""
        if sent is not ABSENT and sent != {}:  # {}: what an element that is not his to see was shown as
            raise Refused(Code.VALUE_REFUSED, field=node.pattern)
        return stored

    def _untouched(self, node: Node, pointer: Pointer, stored: Maybe) -> Maybe:
        """Keeps a whole part; looks through it only to find what should be sealed and is not."""
        if isinstance(stored, dict) and node.spec is None:
            return self._members(node, pointer, stored, {}, Silence.KEEPS)
        if isinstance(stored, list) and node.star is not None:
            kept: list[Json] = []
            for step, element in zip(element_ids(node, stored), stored, strict=True):
                now = element if step is None else self._untouched(node.star, f"{pointer}/{step}", element)
                kept.append(None if now is ABSENT else now)
            return kept
        return stored

    # ── one field ────────────────────────────────────────────────────────────────────────────────────────────────

    def _leaf(self, spec: FieldSpec, pointer: Pointer, stored: Maybe, sent: Maybe, silence: Silence) -> Maybe:
        if spec.cls is FieldClass.LINK:
            return self._link(spec, pointer, stored, sent)
        if sent is ABSENT and silence is Silence.KEEPS:
            return self._kept(spec, pointer, stored)
        if sent is None and self._hides(spec):  # the same answer whether or not it has a value
            raise Refused(Code.FIELD_NOT_WRITABLE, field=spec.pattern)
        how, shown = (
            (self._look.disclosure(spec), None)
            if stored is ABSENT
            else self._look.show(spec, pointer, stored)
        )
        if sent is ABSENT or sent is None:
            return self._without(spec, pointer, stored, sent, silence, sees=how is CLEAR)
        if stored is not ABSENT and how is not WITHHELD and same(shown, sent):
            return self._kept(spec, pointer, stored)
        stands = stored is not ABSENT and stored is not None
        if pointer == self._subject and (stands or not self._own or how is WITHHELD):
            raise Refused(Code.SUBJECT_CHANGED, field=spec.pattern)
        masked = spec.sealed or how is not CLEAR or spec.mask is not Mask.NONE
        if holds_token(sent) or (masked and looks_masked(spec.mask, sent)):
            raise Refused(Code.MASK_SUBMITTED, field=spec.pattern)
        self._may_write(spec)
        if not spec.takes(sent) or not (spec.sealed or listed(spec, sent)):  # nor would it be shown
            raise Refused(Code.VALUE_REFUSED, field=spec.pattern)
        self.set.append(pointer)
        return self._sealing.seal(spec, pointer, sent) if spec.sealed else sent

    def _without(
        self, spec: FieldSpec, pointer: Pointer, stored: Maybe, sent: Maybe, silence: Silence, *, sees: bool
    ) -> Maybe:
        """Decides on a field that he leaves out or sets to null."""
        if stored is ABSENT and sent is None and pointer == self._subject:
            raise Refused(Code.SUBJECT_CHANGED, field=spec.pattern)
        if stored is ABSENT or stored is None:
            # A null of a field that he may write goes along as he wrote it; it changes nothing.
            return None if sent is None and spec.pattern in self._write and not spec.server_set else stored
        explicit = sent is None or silence is Silence.REMOVES
        if not explicit and (spec.server_set or not sees):
            return self._kept(spec, pointer, stored)
        if pointer == self._subject:
            raise Refused(Code.SUBJECT_CHANGED, field=spec.pattern)
        if not (spec.server_set and silence is Silence.REMOVES):  # a whole element goes, its id with it
            self._may_write(spec)
        if not sees:
            raise Refused(Code.FIELD_NOT_WRITABLE, field=spec.pattern)
        self.set.append(pointer)
        return ABSENT

    def _kept(self, spec: FieldSpec, pointer: Pointer, stored: Maybe) -> Maybe:
        if not spec.sealed or stored is ABSENT or stored is None or is_envelope(stored):
            return stored
        self.clear_kept = True
        if spec.pattern not in self._adopt:
            return stored
        self.set.append(pointer)
        try:
            return self._sealing.seal(spec, pointer, stored)
        except (
            Refused
        ):  # he did not send it, and may not even see it: which field cannot be sealed is not his to know
            raise Refused(Code.RECORD_WITHHELD) from None

    def _link(self, spec: FieldSpec, pointer: Pointer, stored: Maybe, sent: Maybe) -> Maybe:
        """A link is the upstream's to say: never set, and kept as it stands there, whether or not he was shown it."""
        if sent is not ABSENT and sent is not None:
            how, shown = (WITHHELD, None) if stored is ABSENT else self._look.show(spec, pointer, stored)
            if how is WITHHELD or not same(shown, sent):
                raise Refused(Code.FIELD_NOT_WRITABLE, field=spec.pattern)
        return stored

    def _may_write(self, spec: FieldSpec) -> None:
        if spec.server_set or spec.pattern not in self._write:
            raise Refused(Code.FIELD_NOT_WRITABLE, field=spec.pattern)


def _enveloped(node: Node, sent: Json) -> Pattern | None:
    """Gives the pattern of a field that was sent with an envelope in it, names included; None where none was."""
    if node.spec is not None or not isinstance(sent, dict | list):
        place = node.pattern if node.spec is None else node.spec.pattern
        return place if holds_envelope(sent) else None
    for name, one in sent.items() if isinstance(sent, dict) else (("*", element) for element in sent):
        below = node.child(name)
        if below is None:
            found = unknown_pattern(node.pattern, name) if holds_envelope({name: one}) else None
        else:
            found = below.pattern if name.startswith(PREFIX) else _enveloped(below, one)
        if found is not None:
            return found
    return None


def same(one: Maybe, other: Maybe) -> bool:
    """True for the same JSON value: types too, since 1, 1.0 and true are three values."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def difference(old: JsonObject, new: JsonObject) -> JsonObject:
    """Gives the merge-patch (RFC 7396) that makes `new` of `old`: only what changes, null for what goes."""
    patch: JsonObject = {name: None for name in old if name not in new and old[name] is not None}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := difference(before, value):
                patch[name] = inner
        elif not same(before, value) and not (before is None and value is None):
            patch[name] = value
    return patch
