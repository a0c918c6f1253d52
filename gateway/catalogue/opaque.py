"""Before the path: reads what a route says of a body that nobody here reads, and refuses one that would be a way past the fields."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.catalogue import keys
from gateway.catalogue.section import Section
from gateway.words.resource import OpaqueRule, ResourceSpec, RouteSpec, Verb

_LARGEST = 268_435_456
_USUAL = 1_048_576
# RFC 6838 section 4.2, in lower case, without parameters: a charset or a boundary is somebody's to believe, not ours to say.
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
# What a browser or a desktop runs or shows as a page, or takes apart into other things, whatever stands beside it.
_PAGES = r".*html.*|(?:text|application)/(?:xml.*|xslt?)|.*\+xml|image/svg|text/(?:xul|cache-manifest)"
# HTML lists versions behind a script's name too (text/javascript1.5); scriptlets and components are scripts of Windows.
_SCRIPTS = (
    r".*(?:java|ecma|j|vb|live|action)script(?:[0-9.]+)?|text/(?:x-)?(?:scriptlet|component)|"
    r"application/(?:hta|x-hta|wasm|x-ns-proxy-autoconfig|x-httpd-php|(?:x-)?powershell)|"
    r"(?:application|text)/(?:x-)?(?:bat|c?sh|shellscript)"
)
_PROGRAMS = (
    r"application/(?:java-archive|x-java-.*|x-shockwave-flash|x-silverlight-app|x-chrome-extension|x-xpinstall|"
    r"x-ms-(?:application|xbap|shortcut|installer)|x-(?:msi|msdownload|msdos-program|dosexec|executable|ms-dos-executable)|"
    r"vnd\.microsoft\.portable-executable|vnd\.android\.package-archive|(?:x-)?internet-shortcut|x-mswinurl)"
)
_ARCHIVES = r"multipart/.*|message/.*|application/(?:x-)?(?:mimearchive|mht|webarchive|chm|winhlp)"
_ACTIVE = re.compile("|".join((_PAGES, _SCRIPTS, _PROGRAMS, _ARCHIVES)))


def read_opaque(section: Section, most: int) -> OpaqueRule | None:
    """Gives the rule, None where the route has none. most: what the setting allows."""
    inner = section.section("opaque", f"{section.what}, opaque", keys.OPAQUE)
    if inner is None:
        return None
    inner.need("media_types", "max_bytes")
    types = inner.texts("media_types")
    if inner.ok and not types:
        inner.wrong("media_types", "is empty", "list what these bytes may be, like [application/pdf]")
    for name in types:
        if not _TYPE.fullmatch(name):
            inner.wrong(
                "media_types",
                f"'{name}' is no media type",
                "write it like 'application/pdf', without parameters",
            )
        elif is_json(name):
            inner.wrong(
                "media_types",
                f"'{name}' is JSON, which passes field by field",
                "describe it as a resource, and read it",
            )
        elif _ACTIVE.fullmatch(name):
            inner.wrong(
                "media_types",
                f"'{name}' is something that a browser or a desktop runs, shows or takes apart",
                "remove it: such bytes pass as application/octet-stream",
            )
    size = inner.integer("max_bytes", min(_USUAL, most), 1, _LARGEST)
    if size > most:
        inner.wrong(
            "max_bytes",
            f"is more than the setting for opaque bytes allows ({most})",
            "lower it, or raise the setting",
        )
    return OpaqueRule(types, size)


def is_json(media_type: str) -> bool:
    """True for everything that calls itself a kind of JSON (in lower case): it passes field by field, or not at all."""
    return "json" in media_type


def check_opaque(route: RouteSpec, resource: ResourceSpec, section: Section) -> None:
    """Reports bytes on a route that is not for them, or beside fields that are sealed, and keys that mean nothing for bytes."""
    if route.verb is not Verb.DOWNLOAD:
        if section.has("opaque"):
            section.wrong("opaque", f"does not go with 'does: {route.verb}'", "it is for 'does: download'")
        return
    if not section.has("opaque"):
        section.wrong(
            "does",
            "is 'download' without 'opaque'",
            "say which media types pass, and how much: 'opaque: {…}'",
        )
        return
    if resource.seals:
        section.wrong(
            "opaque",
            f"on '{resource.name}', which has sealed fields",
            "what is sealed would pass in clear beside them: describe the bytes as a resource of their own",
        )
    if not section.has("action"):
        section.wrong("opaque", "without an action of its own", f"add 'action: {resource.name}:download'")
    for key in ("answer", "response_headers"):
        if section.has(key):
            section.wrong(
                key, "says nothing of bytes", "remove it: of what the system says beside them nothing passes"
            )


def check_actions(placed: Iterable[tuple[RouteSpec, Section]]) -> None:
    """Reports bytes that pass by an action which means something else too: whoever allowed that did not mean them."""
    routes = list(placed)
    for route, section in routes:
        if route.verb is not Verb.DOWNLOAD:
            continue
        others = {other.action for other, _ in routes if other.verb is not Verb.DOWNLOAD}
        usual = {f"{route.resource}:{verb}" for verb in Verb if verb is not Verb.DOWNLOAD}
        if route.action in others | usual:
            section.wrong(
                "action",
                f"'{route.action}' is another route's too, or the usual name of another thing",
                f"write one of its own, like '{route.resource}:download'",
            )
