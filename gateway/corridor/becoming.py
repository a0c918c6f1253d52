"""Step 5 for a change: what the record would be, so that it is decided on too. Pure."""

from __future__ import annotations

from dataclasses import replace

from gateway.words.json import Json
from gateway.words.record import ClosedRecord, SealedChange
from gateway.words.resource import UpdateMode


def after(before: ClosedRecord, sealed: SealedChange, mode: UpdateMode) -> ClosedRecord:
    """Gives the record as the change would leave it: replaced whole, or merged (RFC 7396 section 2)."""
    if mode is UpdateMode.REPLACE:
        return replace(before, fields=sealed.document)
    merged = merge(before.fields, sealed.document)
    return replace(before, fields=merged if isinstance(merged, dict) else {})


def merge(target: Json, patch: Json) -> Json:
    """Applies a merge patch: members that are null go, objects merge, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result
