"""Beside step 5: what the caller himself is told of a denial. Its functions are given no facts and no record: they cannot betray any."""

from __future__ import annotations

from dataclasses import replace

from gateway.policy.decider import Engine, prepare
from gateway.words.access import Access, ResourceRef
from gateway.words.decision import Decision, Reason
from gateway.words.principal import ANYWHERE, Principal
from gateway.words.resource import ResourceSpec
from gateway.words.told import Cause, Told

_CAUSES = {
    Reason.PURPOSE_NOT_HELD: Cause.PURPOSE_NOT_HELD,
    Reason.RULE_DENIED: Cause.FORBIDDEN,
    Reason.NO_RULE: Cause.ROLES,
}


def tell(engine: Engine | None, access: Access, resource: ResourceSpec) -> Told:
    """Gives the caller's part, made from the question, his credential and his roles. Never raises.

    Which record he asks about is taken away first. What no record could change is told with its reason; all else is one text,
    whatever the record is, and whether there is one.
    """
    access = replace(access, ref=ResourceRef(resource.upstream, resource.name))
    early = None if engine is None else _early(engine, access, resource)
    if engine is None:
        return _told(access, Reason.NO_BUNDLE, Cause.UNDECIDED)
    if early is None:
        return replace(_told(access, Reason.NO_RULE, Cause.DEPENDS), roles=_roles(engine, access, resource))
    cause = _CAUSES.get(early.reason, Cause.UNDECIDED)
    told = replace(_told(access, early.reason, cause), roles=early.roles)
    if cause in (Cause.ROLES, Cause.FORBIDDEN):
        others = tuple(
            purpose
            for purpose in sorted(access.principal.purposes & engine.bundle.vocabulary.purposes.keys())
            if purpose != access.purpose
            and _early(engine, replace(access, purpose=purpose), resource) is None
        )
        if others:
            return replace(told, cause=Cause.OTHER_PURPOSE, purposes=others)
        if access.principal.person is not None and _ceiling(engine, access, resource):
            return replace(told, cause=Cause.APPLICATION)
    return told


def _told(access: Access, reason: Reason, cause: Cause) -> Told:
    return Told(reason, cause, access.action, access.purpose, access.principal.application.id)


def _early(engine: Engine, access: Access, resource: ResourceSpec) -> Decision | None:
    return prepare(engine, access, resource, 0).early()


def _ceiling(engine: Engine, access: Access, resource: ResourceSpec) -> bool:
    """True where the application's own rules already say no, whatever it is asked and for whomever."""
    principal = access.principal
    alone = Principal(principal.application, None, principal.purposes, principal.proven)
    return _early(engine, replace(access, principal=alone), resource) is not None


def _roles(engine: Engine, access: Access, resource: ResourceSpec) -> tuple[str, ...]:
    """Gives the roles that could be looked at, over all units."""
    purpose = access.purpose or "-"
    try:
        return engine.ready(access.principal, access.action, purpose, resource).asking.roles
    except Exception:  # noqa: BLE001 - the promise of `tell`: what cannot be worked out is not told
        return tuple(
            sorted({h.role for p in access.principal.parties for h in p.roles if h.unit == ANYWHERE})
        )
