"""Before the path: the keys that a catalogue file may have, section by section. The JSON Schema for editors knows the same."""

from __future__ import annotations

UPSTREAM = frozenset(
    {
        "upstream",
        "prefix",
        "base",
        "credential",
        "tls",
        "assertion",
        "assertion_person",
        "headers",
        "connect_seconds",
        "answer_seconds",
        "alike_seconds",
        "max_answer_bytes",
        "request_headers",
        "response_headers",
        "resources",
        "routes",
    }
)
CREDENTIAL = frozenset({"from", "header", "scheme"})
TLS = frozenset({"ca", "certificate", "key"})
RESOURCE = frozenset(
    {
        "parent",
        "id_form",
        "ids_public",
        "subject",
        "versioning",
        "version_at",
        "removal",
        "idempotency",
        "lookup",
        "lookup_field",
        "read",
        "present",
        "record_answer",
        "list_answer",
        "fields",
    }
)
SUBJECT = frozenset({"resource", "at", "through"})
FIELD = frozenset(
    {
        "class",
        "sealed",
        "mask",
        "element_id",
        "clear_until",
        "fact",
        "server_set",
        "values",
        "form",
        "holds",
        "required",
    }
)
ANSWER = frozenset({"record", "items", "item_record", "id", "next", "total", "around", "body"})
ROUTE = frozenset(
    {
        "request",
        "resource",
        "does",
        "action",
        "mode",
        "answer",
        "parameters",
        "fixed",
        "page",
        "request_headers",
        "response_headers",
        "max_body_bytes",
        "opaque",
    }
)
OPAQUE = frozenset({"media_types", "max_bytes"})
PARAMETER = frozenset({"use", "field", "op", "type", "values", "names", "narrows"})
PAGE = frozenset({"limit", "position", "first", "size", "bound"})

SECTIONS = {
    "upstream": UPSTREAM,
    "credential": CREDENTIAL,
    "tls": TLS,
    "resource": RESOURCE,
    "subject": SUBJECT,
    "field": FIELD,
    "answer": ANSWER,
    "route": ROUTE,
    "opaque": OPAQUE,
    "parameter": PARAMETER,
    "page": PAGE,
}
"""By the name that the schema's `$defs` give the same section."""
