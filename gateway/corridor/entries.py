"""Steps 6 and 9 of the request path: what an entry says. Pure: values in, an `AuditEvent` out.

No value that a record carries ever stands here: pointers (see pointers.py), digests, references, and facts (which are never personal).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from audit import AuditEvent, Kind, RecordPart
from gateway.corridor.pointers import Pointers
from gateway.rooms import Evidence
from gateway.words.access import Access, Call, ResourceRef
from gateway.words.answer import Content
from gateway.words.claim import Claim
from gateway.words.decision import Decision, Disclosure, Facts, may_be_fact
from gateway.words.errors import GatehouseError
from gateway.words.json import Json
from gateway.words.principal import Principal
from gateway.words.record import Alarm, ClosedRecord, SealedChange, View
from gateway.words.resource import ResourceSpec, Verb
from gateway.words.work import Addressed

_NO_FLOORS = Facts().floors
_WORDS = tuple(how.word for how in sorted(Disclosure))  # a member's number is its place


def facts_digest(facts: Facts) -> str:
    """Gives SHA-256 (hex) over the facts' sorted JSON: what a decision was made on, without repeating it."""
    return hashlib.sha256(orjson.dumps(_plain(facts), option=orjson.OPT_SORT_KEYS)).hexdigest()


def principal_of(principal: Principal, roles: Sequence[str] = ()) -> dict[str, Any]:
    """Gives the entry's `principal`: both parties, the roles that were looked at, how each was proven."""
    held = roles or sorted({r.role for party in principal.parties for r in party.roles})
    return {
        "application": principal.application.id,
        "person": principal.person.id if principal.person else None,
        "roles": list(held),
        "proven": list(principal.proven),
    }


def decision_of(decision: Decision) -> dict[str, Any]:
    """Gives the entry's `decision`."""
    return {
        "allowed": decision.allowed,
        "reason": decision.reason.value,
        "by": decision.by.value,
        "rule": f"{decision.rule.file}:{decision.rule.line}" if decision.rule else None,
        "bundle": decision.bundle,
        "facts": facts_digest(decision.facts),
        "engine": decision.engine,
    }


def served(what: Addressed, decision: Decision, views: Sequence[View], evidence: Evidence) -> AuditEvent:
    """Gives the entry of a read: every record that is about to be shown, and how each of its fields is."""
    pointers = Pointers(what.resource, evidence)
    parts = tuple(_shown(v, what.resource, pointers, evidence) for v in views)
    return _event(Kind.SERVED, what, decision, (*parts, *_called(what.access.callers_id, evidence)))


def downloaded(
    what: Addressed, decision: Decision, content: Content, pseudonym: str | None, evidence: Evidence
) -> AuditEvent:
    """Gives the entry of bytes that are about to be handed out: of whose record, how many, and which, by a digest that guesses nothing."""
    body: dict[str, Any] = {
        "reference": evidence.reference(what.ref, what.resource.id_public),
        "subject": pseudonym,
        "fields": {},
        "facts": _plain(decision.facts),
        "content": {"bytes": len(content.data), "digest": evidence.bytes_digest("content", content.data)},
    }
    return _event(Kind.SERVED, what, decision, (RecordPart(body), *_called(what.access.callers_id, evidence)))


def unchanged(what: Addressed, decision: Decision, evidence: Evidence) -> AuditEvent:
    """Gives the entry of a change that would have changed nothing, made by somebody who is shown nothing of the record."""
    reference = evidence.reference(what.ref, what.resource.id_public)
    body: dict[str, Any] = {"reference": reference, "subject": None, "fields": {}}
    return _event(Kind.SERVED, what, decision, (RecordPart(body),))


def intent(
    what: Addressed,
    decision: Decision,
    sealed: SealedChange | None,
    before: ClosedRecord | None,
    pseudonym: str | None,
    evidence: Evidence,
    claim: Claim | None = None,
) -> AuditEvent:
    """Gives the entry of a change that is about to be forwarded, with all that settles it if no answer comes.

    claim: what its caller's key stands for; the entry vouches for it by its mark, the state's row only points here.
    """
    body: dict[str, Any] = {
        "verb": what.route.verb.value,
        "reference": evidence.reference(what.ref, what.resource.id_public),
        "subject": pseudonym,
        "facts": _plain(decision.facts),
        "version": None
        if before is None or before.version is None
        else _version_digest(before.version, evidence),
    }
    if what.ref.parent is not None:
        above = what.upstream.resources.get(what.ref.parent.resource)
        body["parent"] = evidence.reference(what.ref.parent, above is not None and above.id_public)
    if sealed is not None:
        pointers = Pointers(what.resource, evidence)
        body |= {
            "set": [pointers.said(pointer) for pointer in sealed.set],
            "sealed": {pointers.said(pointer): digest for pointer, digest in sealed.digests.items()},
            "plain": plain_digests(sealed, pointers, evidence),
            "marker": sealed.marker if what.route.verb in (Verb.CREATE, Verb.SEND) else None,
            "seal": sealed.pending,
        }
    if claim is not None:
        body["idempotency"] = claim.mark
    parts = (RecordPart(body), *_called(what.access.callers_id, evidence))
    return _event(Kind.INTENT, what, decision, parts)


def outcome(
    what: Addressed,
    decision: Decision,
    of: int,
    upstream: Mapping[str, Any],
    view: View | None,
    evidence: Evidence,
    created: str | None = None,
) -> AuditEvent:
    """Gives the entry of what became of an intent, and of what its caller is shown. created: the id of a new record, shown or not."""
    parts: tuple[RecordPart, ...] = ()
    if view is not None:
        parts = (_shown(view, what.resource, Pointers(what.resource, evidence), evidence),)
    elif created is not None:
        reference = evidence.reference(what.ref.record_of(created), what.resource.id_public)
        parts = (RecordPart({"reference": reference, "subject": None}),)
    return _event(Kind.OUTCOME, what, decision, parts, of=of, upstream=upstream)


def repeated(
    what: Addressed,
    decision: Decision,
    views: Sequence[View],
    of: int,
    said: Mapping[str, Any],
    evidence: Evidence,
) -> AuditEvent:
    """Gives the entry of a repetition that is about to be told what became of the first request with its key, and is shown `views`.

    The first one's intent stands in `upstream`, not in `of`: an entry that is told of an open intent must not settle it.
    """
    pointers = Pointers(what.resource, evidence)
    parts = tuple(_shown(v, what.resource, pointers, evidence) for v in views)
    return _event(Kind.SERVED, what, decision, parts, upstream={"replay": of, **said})


def refused(
    call: Call,
    principal: Principal,
    error: GatehouseError,
    what: Addressed | None,
    decision: Decision | None,
    pseudonym: str | None,
    evidence: Evidence,
    replay: int | None = None,
) -> AuditEvent:
    """Gives the entry of a refusal, as complete as that of a grant: whatever was known when it was refused.

    pseudonym: of the data subject whose record was looked at.
    replay: the intent of the first request with the same idempotency key.
    Facts that an entry cannot hold are left out: there is an entry whatever an upstream sent.
    """
    if decision is not None:
        decision = replace(decision, facts=_held(decision.facts))
    verdict = (
        decision_of(decision)
        if decision is not None and not decision.allowed
        else {
            "allowed": False,
            "reason": error.code.value,
            "by": "gate",
            "rule": None,
            "bundle": decision.bundle if decision else None,
            "facts": facts_digest(decision.facts) if decision else None,
            "engine": decision.engine if decision else None,
        }
    )
    parts: tuple[RecordPart, ...] = ()
    if what is not None and what.ref.record is not None:
        body = {
            "reference": evidence.reference(what.ref, what.resource.id_public),
            "subject": pseudonym,
            "facts": _plain(decision.facts) if decision else {},
        }
        parts = (RecordPart(body | _alarmed(error.alarms)),)
    elif error.alarms:
        # What stands in the way is another record: that of whoever the new one is to belong to.
        parts = (RecordPart({"subject": None, **_alarmed(error.alarms)}),)
    return AuditEvent(
        kind=Kind.DENIED,
        request=call.id,
        trace=call.trace,
        principal=principal_of(principal, decision.roles if decision else ()),
        action=what.access.action if what else "unmapped",
        purpose=what.access.purpose if what else None,
        resource=place(what.ref) if what else None,
        records=(*parts, *_called(call.callers_id, evidence)),
        decision=verdict,
        upstream=None if replay is None else {"replay": replay},
    )


def callers_token(callers_id: str, evidence: Evidence) -> str:
    """Gives the keyed token under which an entry knows what the caller calls his request."""
    return evidence.bytes_digest("callers-request", callers_id.encode(errors="replace"))


def _called(callers_id: str | None, evidence: Evidence) -> tuple[RecordPart, ...]:
    """Gives the last part of an entry whose caller had an id of his own for the request: recorded, never adopted, never readable."""
    return () if callers_id is None else (RecordPart({"caller": callers_token(callers_id, evidence)}),)


def place(ref: ResourceRef) -> dict[str, Any]:
    """Gives the entry's `resource`: upstream and type; which record stands only in the committed part."""
    return {"upstream": ref.upstream, "type": ref.resource}


def plain_digests(sealed: SealedChange, pointers: Pointers, evidence: Evidence) -> dict[str, str]:
    """Gives pointer → keyed digest of each new value that is not sealed: the reconciler compares with them."""
    return {
        pointers.said(pointer): value_digest(pointers.member(sealed.document, pointer), evidence)
        for pointer in sealed.set
        if pointer not in sealed.digests
    }


def value_digest(value: Json, evidence: Evidence) -> str:
    """Gives the keyed digest of one unsealed value as an upstream stores it."""
    return evidence.bytes_digest("change-value", orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def version_digest(record: ClosedRecord, evidence: Evidence) -> str | None:
    """Gives the keyed digest of a record's version, None where it has none."""
    return None if record.version is None else _version_digest(record.version, evidence)


def _event(
    kind: Kind,
    what: Addressed,
    decision: Decision,
    parts: tuple[RecordPart, ...],
    *,
    of: int | None = None,
    upstream: Mapping[str, Any] | None = None,
) -> AuditEvent:
    access: Access = what.access
    return AuditEvent(
        kind=kind,
        request=access.request,
        trace=access.trace,
        principal=principal_of(access.principal, decision.roles),
        action=access.action,
        purpose=access.purpose,
        resource=place(what.ref),
        records=parts,
        decision=decision_of(decision),
        grant=decision.grant,
        of=of,
        upstream=upstream,
    )


def _shown(view: View, resource: ResourceSpec, pointers: Pointers, evidence: Evidence) -> RecordPart:
    how: dict[str, list[str]] = {}
    for pointer, disclosure in view.shown.items():
        how.setdefault(_WORDS[disclosure], []).append(pointers.said(pointer))
    body: dict[str, Any] = {
        "reference": evidence.reference(view.ref, resource.id_public),
        "subject": view.subject,
        "fields": {word: sorted(said) for word, said in how.items()},
        "facts": _plain(view.decision.facts),
    }
    return RecordPart(body | _alarmed(view.alarms))


def _alarmed(alarms: Sequence[Alarm]) -> dict[str, Any]:
    return {"alarms": [{"kind": a.kind.value, "field": a.pattern} for a in alarms]} if alarms else {}


def _plain(facts: Facts) -> dict[str, Any]:
    plain: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in facts.values.items()}
    floors = facts.floors
    if floors is not _NO_FLOORS and floors != _NO_FLOORS:
        plain["floors"] = {"erased": floors.erased, "held": floors.held, "refused": sorted(floors.refused)}
    return plain


def facts_of(facts: Facts) -> dict[str, Any]:
    """Gives facts as a part holds them; what an entry cannot hold is left out."""
    return _plain(_held(facts))


def _held(facts: Facts) -> Facts:
    values = {name: value for name, value in facts.values.items() if may_be_fact(value)}
    return replace(facts, values=values)


def _version_digest(version: str, evidence: Evidence) -> str:
    return evidence.bytes_digest("record-version", version.encode())
