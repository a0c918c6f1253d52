"""Beside step 5: what the caller himself is told of a denial. Its functions are given no facts and no record: they cannot betray any."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol

from gateway.words.access import Access, ResourceRef
from gateway.words.decision import Decision, Reason
from gateway.words.principal import Principal
from gateway.words.told import Cause, Told

_CAUSES = {
    Reason.PURPOSE_NOT_HELD: Cause.PURPOSE_NOT_HELD,
    Reason.RULE_DENIED: Cause.FORBIDDEN,
    Reason.NO_RULE: Cause.ROLES,
}


class Question(Protocol):
    """What is known of a question before any record."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that could be looked at."""
        ...

    def early(self) -> Decision | None:
        """Gives the denial that holds whatever the record's facts turn out to be, else None."""
        ...

    def ruled_out(self) -> bool:
        """True where the roles alone deny every record, whoever acts by them and when."""
        ...


def tell(access: Access, purposes: Collection[str], ask: Callable[[Access], Question]) -> Told:
    """Gives the caller's part, made from the question, his credential and his roles. purposes: those that the policy knows.

    Which record he asks about is taken away first. What no record could change is told with its reason; all else is one text,
    whatever the record is, and whether there is one.
    """
    ref = ResourceRef(access.ref.upstream, access.ref.resource)
    access = replace(access, ref=ref)
    asked = ask(access)
    early = asked.early()
    reason = Reason.NO_RULE if early is None else early.reason
    cause = Cause.DEPENDS if early is None else _CAUSES.get(reason, Cause.UNDECIDED)
    if cause in (Cause.ROLES, Cause.FORBIDDEN) and not asked.ruled_out():
        cause = Cause.WHO_OR_WHEN
    application = access.principal.application.id
    told = Told(reason, cause, access.action, access.purpose, application, roles=asked.roles)
    if cause not in (Cause.ROLES, Cause.FORBIDDEN, Cause.WHO_OR_WHEN):
        return told
    held = access.principal.purposes.intersection(purposes)
    others = tuple(p for p in sorted(held - {access.purpose}) if _may(ask, replace(access, purpose=p)))
    if others:
        return replace(told, cause=Cause.OTHER_PURPOSE, purposes=others)
    if access.principal.person is not None and ask(_alone(access)).ruled_out():
        return replace(told, cause=Cause.APPLICATION)
    return told


def _may(ask: Callable[[Access], Question], access: Access) -> bool:
    return ask(access).early() is None


def _alone(access: Access) -> Access:
    """The same question of the application's own rules: its ceiling, for whomever it asks. Only its roles are looked at: a rule may forbid
    it to ask for nobody."""
    principal = access.principal
    alone = Principal(principal.application, None, principal.purposes, principal.proven)
    return replace(access, principal=alone)
