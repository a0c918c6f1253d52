"""The shape of JSON as Python values; every room that touches a document speaks of it in these names."""

from __future__ import annotations

from typing import TypeAlias

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
JsonObject: TypeAlias = dict[str, Json]
Pointer: TypeAlias = str
"""A JSON Pointer (RFC 6901) to one place, relative to a record's root: `/phone`, `/messages/msg_7/body`."""
Pattern: TypeAlias = str
"""A JSON Pointer in which `*` stands for any one array element or member: `/messages/*/body`."""


def kind_of(value: Json) -> str:
    """Gives the JSON type's name: null, boolean, integer, number, string, array or object (RFC 8259 section 3)."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
