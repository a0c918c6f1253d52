"""Embedded upstream: what it answers when it will not do what was asked. RFC 9457, and never a value in it."""

from __future__ import annotations

from collections.abc import Mapping

# Code → status and title. The codes are this service's own: to the gateway it is an upstream like any other.
_PROBLEMS: Mapping[str, tuple[int, str]] = {
    "body": (400, "The body is not one JSON object that can be read in exactly one way."),
    "field-unknown": (400, "The record has no such field."),
    "field-value": (400, "The field does not take such a value."),
    "field-required": (400, "The field must have a value."),
    "field-read-only": (400, "The field is not the caller's to change."),
    "parameter-unknown": (400, "There is no such parameter here."),
    "parameter-value": (400, "The parameter does not take such a value."),
    "cursor": (400, "The cursor does not belong to this list."),
    "condition": (400, "If-Match is neither * nor a list of entity tags."),
    "key": (400, "The idempotency key is not 1 to 128 unreserved characters."),
    "reference": (400, "The field refers to a record that is not there."),
    "not-found": (404, "There is no such record."),
    "method": (405, "The method is not one of this place."),
    "dependents": (409, "Other records still refer to this one."),
    "key-used": (409, "The idempotency key has created something else."),
    "gone": (410, "The record that this key created has been deleted."),
    "changed": (412, "The record is no longer at that version."),
    "too-large": (413, "The body is larger than 2 MiB."),
    "media-type": (415, "The body's media type is not one of this method."),
    "condition-missing": (428, "A change needs If-Match."),
    "unavailable": (503, "The store cannot serve now."),
}


class Problem(Exception):
    """Raised anywhere in this room, turned into an answer in `app.py`. `field` is a name of the schema or of a parameter."""

    def __init__(self, code: str, *, field: str | None = None, allow: str | None = None) -> None:
        self.code, self.field, self.allow = code, field, allow
        self.status, self.title = _PROBLEMS[code]
        super().__init__(code)

    def document(self) -> dict[str, str | int]:
        """Gives the problem document."""
        document: dict[str, str | int] = {
            "type": f"urn:records:problem:{self.code}",
            "title": self.title,
            "status": self.status,
        }
        if self.field is not None:
            document["field"] = self.field
        return document
