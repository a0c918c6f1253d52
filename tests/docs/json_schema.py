"""Holds a value to a JSON Schema: what the Compose Specification and SARIF use of it. A keyword not known here is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
# What is looked at, and what says nothing about a value.
_KNOWN = re.compile(
    r"\$ref|type|enum|properties|patternProperties|additionalProperties|unevaluatedProperties|required|items|uniqueItems"
    r"|minimum|maximum|minItems|pattern|format|oneOf|anyOf|allOf|\$schema|\$id|\$defs|definitions|title|description|default"
    r"|deprecated"
)
# RFC 3986: what stands in a URI, and a scheme before one that is no reference.
_FORMATS = {
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[!#$&-;=?-Z_a-z~\[\]]|%[0-9A-Fa-f]{2})*"),
    "uri-reference": re.compile(r"(?:[!#$&-;=?-Z_a-z~\[\]]|%[0-9A-Fa-f]{2})*"),
}


class UnknownKeyword(Exception):
    """The schema asks for something that is not looked at here."""


def problems(value: Any, schema: Schema | bool, root: Schema, at: str = "") -> Iterator[str]:
    """Gives each thing that does not fit, with its place. Raises UnknownKeyword."""
    if isinstance(schema, bool):
        if not schema:
            yield f"{at}: nothing may stand here"
        return
    for word in schema:
        if not _KNOWN.fullmatch(word):
            raise UnknownKeyword(word)
    if "$ref" in schema:
        yield from problems(value, _target(schema["$ref"], root), root, at)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_TYPES[kind](value) for kind in kinds):
        yield f"{at}: not {' or '.join(kinds)}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: none of {schema['enum']}"
    if isinstance(value, dict):
        yield from _object(value, schema, root, at)
    elif isinstance(value, list):
        yield from _array(value, schema, root, at)
    elif isinstance(value, str):
        if not re.search(schema.get("pattern", ""), value):
            yield f"{at}: not of the form {schema['pattern']}"
        if "format" in schema:
            if schema["format"] not in _FORMATS:
                raise UnknownKeyword(schema["format"])
            if not _FORMATS[schema["format"]].fullmatch(value):
                yield f"{at}: no {schema['format']}"
    elif value is not None and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{at}: out of range"
    for inner in schema.get("allOf", []):
        yield from problems(value, inner, root, at)
    for word, right in (("anyOf", lambda n: n > 0), ("oneOf", lambda n: n == 1)):
        found = [list(problems(value, inner, root, at)) for inner in schema.get(word, [])]
        if found and not right(sum(not each for each in found)):
            yield f"{at}: fits none of its forms, or several: {min(found, key=len)}"


def _object(value: dict[str, Any], schema: Schema, root: Schema, at: str) -> Iterator[str]:
    yield from (f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value)
    for name, member in value.items():
        fitting = list(_of(name, schema))
        if not fitting and "additionalProperties" in schema:
            fitting = [schema["additionalProperties"]]
        elif not fitting and not any(True for part in _parts(schema, root) for _ in _of(name, part)):
            fitting = [schema.get("unevaluatedProperties", True)]
        for inner in fitting:
            yield from problems(member, inner, root, f"{at}/{name}")


def _of(name: str, schema: Schema) -> Iterator[Schema | bool]:
    """Gives what a schema says about a member of that name."""
    yield from (inner for form, inner in schema.get("patternProperties", {}).items() if re.search(form, name))
    if name in schema.get("properties", {}):
        yield schema["properties"][name]


def _parts(schema: Schema, root: Schema) -> Iterator[Schema]:
    """Gives the schemas that this one is made of, whose members count as its own."""
    for inner in [*schema.get("allOf", []), *([_target(schema["$ref"], root)] if "$ref" in schema else [])]:
        yield inner
        yield from _parts(inner, root)


def _array(value: list[Any], schema: Schema, root: Schema, at: str) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{at}: too few"
    if schema.get("uniqueItems") and any(item in value[:n] for n, item in enumerate(value)):
        yield f"{at}: an item stands twice"
    for n, item in enumerate(value):
        yield from problems(item, schema.get("items", True), root, f"{at}/{n}")


def _target(reference: str, root: Schema) -> Schema:
    if not reference.startswith("#/"):
        raise UnknownKeyword(reference)
    target: Any = root
    for part in reference.removeprefix("#/").split("/"):
        target = target[part]
    found: Schema = target
    return found
