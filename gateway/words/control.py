"""What of Gatehouse itself is decided on: its keys and its log are resources of an upstream called `gatehouse`.

The control plane asks the same engine with the same words; a catalogue can therefore describe no upstream of that name.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.words.resource import FieldClass, FieldSpec, Idempotency, ResourceSpec, Versioning

CONTROL_UPSTREAM = "gatehouse"


def _resource(name: str, *fields: tuple[str, FieldClass]) -> ResourceSpec:
    return ResourceSpec(
        upstream=CONTROL_UPSTREAM,
        name=name,
        fields=tuple(FieldSpec(pattern=pattern, cls=cls, server_set=True) for pattern, cls in fields),
        subject=None,
        id_public=True,
        versioning=Versioning.NONE,
        version_at=None,
        idempotency=Idempotency.NONE,
        lookup=None,
        lookup_field=None,
        read_target="",
    )


CONTROL_KEY = _resource(
    "key",
    ("/id", FieldClass.PUBLIC),
    ("/application", FieldClass.INTERNAL),
    ("/proof", FieldClass.INTERNAL),
    ("/roles", FieldClass.INTERNAL),
    ("/purposes", FieldClass.INTERNAL),
    ("/created", FieldClass.INTERNAL),
    ("/expires", FieldClass.INTERNAL),
    ("/confirmed", FieldClass.INTERNAL),
    ("/revoked", FieldClass.INTERNAL),
)
"""An API key, or a client that proves itself at the token endpoint, as the control plane shows it. A secret is no field: it is shown
once, by the answer that made it."""

CONTROL_AUDIT = _resource("audit", ("/entry", FieldClass.INTERNAL))
"""The log, read through the control plane. Entries hold no personal value in clear."""

CONTROL_POLICY = _resource("policy", ("/explanation", FieldClass.INTERNAL))
"""The policy in force: asked what it says, or put in force. An explanation names rules, roles, persons and facts, and no record's value;
what was put in force when and by whom names digests and persons."""

CONTROL_FREEZE = _resource("freeze", ("/who", FieldClass.INTERNAL), ("/since", FieldClass.INTERNAL))
"""A credential or a person that is frozen because a decoy was touched with it."""

CONTROL_RESOURCES: Mapping[str, ResourceSpec] = {
    spec.name: spec for spec in (CONTROL_KEY, CONTROL_AUDIT, CONTROL_POLICY, CONTROL_FREEZE)
}

KEY_CREATE = "key:create"
KEY_REVOKE = "key:revoke"
KEY_LIST = "key:list"
AUDIT_READ = "audit:read"
POLICY_EXPLAIN = "policy:explain"
POLICY_ACTIVATE = "policy:activate"
POLICY_APPROVE = "policy:approve"
POLICY_HISTORY = "policy:history"
FREEZE_LIST = "freeze:list"
FREEZE_LIFT = "freeze:lift"
FREEZE_MAKE = "freeze:make"
"""What the gateway does by itself: nobody can be given the right to it."""

CONTROL_ACTIONS: Mapping[str, frozenset[str]] = {
    CONTROL_KEY.name: frozenset({KEY_CREATE, KEY_REVOKE, KEY_LIST}),
    CONTROL_AUDIT.name: frozenset({AUDIT_READ}),
    CONTROL_POLICY.name: frozenset({POLICY_EXPLAIN, POLICY_ACTIVATE, POLICY_APPROVE, POLICY_HISTORY}),
    CONTROL_FREEZE.name: frozenset({FREEZE_LIST, FREEZE_LIFT}),
}
"""The actions that exist on each control resource: the lint knows no others."""
