"""Service, inside: what is asked to be explained, and as whom. From names to a resource and to principals. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.identity import ApiKey
from gateway.policy.bundle import resource_name
from gateway.policy.known import Known
from gateway.words.decision import FactValue, Unfit, as_fact
from gateway.words.errors import Code, Refused
from gateway.words.principal import Party, Principal
from gateway.words.resource import ResourceSpec

MAX_NAME = 300
MAX_FACTS = 100
_NEEDED = ("who", "action")
_MEMBERS = frozenset({*_NEEDED, "purpose", "record", "parent", "through", "upstream", "resource", "facts"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a question.

    who:      `person:…`, `app:…` or `system:…`. through: the application by which a person comes; None: the one that gets him furthest.
    record:   whose facts are read, with the record above it where its address needs one; None: `facts` are taken as they are given.
    resource: its own name, and upstream's, where the action alone does not say it.
    """

    who: str
    action: str
    purpose: str | None = None
    record: str | None = field(default=None, repr=False)
    parent: str | None = field(default=None, repr=False)
    through: str | None = None
    upstream: str | None = None
    resource: str | None = None
    facts: Mapping[str, FactValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credential:
    """What somebody comes with. id: of the key or client; None where there is none, and it is as if one held what is asked for."""

    id: str | None
    principal: Principal


def asked_of(given: Mapping[str, Any]) -> Asked:
    """Gives what a door was sent, checked. Raises Refused: MEMBER_UNKNOWN; VALUE_REFUSED naming the member that cannot be."""
    if given.keys() - _MEMBERS:
        raise Refused(Code.MEMBER_UNKNOWN)
    for name, value in given.items():
        if name != "facts" and not ((value is None and name not in _NEEDED) or _is_name(value)):
            raise Refused(Code.VALUE_REFUSED, field=f"/{name}")
    for name in _NEEDED:
        if name not in given:
            raise Refused(Code.VALUE_REFUSED, field=f"/{name}")
    return Asked(**{**given, "facts": _facts(given.get("facts"))})


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def _facts(given: object) -> dict[str, FactValue]:
    if not isinstance(given, Mapping | None) or (given is not None and len(given) > MAX_FACTS):
        raise Refused(Code.VALUE_REFUSED, field="/facts")
    try:
        return {str(name): as_fact(value) for name, value in (given or {}).items()}
    except Unfit:
        raise Refused(Code.VALUE_REFUSED, field="/facts") from None


def resource_of(asked: Asked, known: Known) -> ResourceSpec:
    """Gives what the action is about. Raises Refused(VALUE_REFUSED): no such action, or several have it and none is named."""
    found = [
        spec
        for name, spec in known.resources.items()
        if asked.action in known.actions[name]
        and asked.upstream in (None, spec.upstream)
        and asked.resource in (None, spec.name)
    ]
    if len(found) != 1:
        raise Refused(Code.VALUE_REFUSED, field="/resource" if found else "/action")
    return found[0]


def credentials(
    asked: Asked, keys: Sequence[ApiKey], known: frozenset[str], now: datetime
) -> list[Credential]:
    """Gives what he could come with, by the rows of keys that hold now, oldest first; of keys that are alike the first.

    known: the policy's purposes. Raises Refused(VALUE_REFUSED) where `who` or `through` is none.
    """
    kind, _, name = asked.who.partition(":")
    if kind not in ("person", "app", "system") or not name:
        raise Refused(Code.VALUE_REFUSED, field="/who")
    if asked.through is not None and (kind != "person" or not asked.through.startswith("app:")):
        raise Refused(Code.VALUE_REFUSED, field="/through")
    person = Party(asked.who) if kind == "person" else None
    wanted = asked.through if person is not None else asked.who
    alike: dict[object, Credential] = {}
    for key in keys:
        if wanted in (None, key.application) and holds_at(key, now):
            principal = Principal(Party(key.application, key.roles), person, key.purposes, ("explained",))
            alike.setdefault((key.application, key.roles, key.purposes), Credential(key.id, principal))
    found = list(alike.values())
    if found or wanted is None:
        return found
    # Nobody was given a credential for it yet, or it is one of our own jobs: as if it held what it is asked for.
    purposes = frozenset({asked.purpose} if asked.purpose else known)
    return [Credential(None, Principal(Party(wanted), person, purposes, ("explained",)))]


def holds_at(key: ApiKey, now: datetime) -> bool:
    """True for a key that would be taken at that moment."""
    return key.confirmed_at is not None and key.revoked_at is None and now < key.not_after


def purpose_of(asked: Asked, principal: Principal) -> str | None:
    """Gives the purpose that is named, or the only one held, as the corridor takes it."""
    if asked.purpose is not None:
        return asked.purpose
    return next(iter(principal.purposes)) if len(principal.purposes) == 1 else None


def said_of(asked: Asked, resource: ResourceSpec) -> dict[str, str | None]:
    """Gives what an entry says was asked for: names of the policy's own, and who."""
    return {
        "as": asked.who,
        "through": asked.through,
        "action": asked.action,
        "purpose": asked.purpose,
        "resource": resource_name(resource),
    }
