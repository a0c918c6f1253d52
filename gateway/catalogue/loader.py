"""Before the path: reads the folder of catalogue files into upstreams, or refuses it with every problem's file and line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from gateway.catalogue import keys, templates
from gateway.catalogue.addressing import Catalogue
from gateway.catalogue.resources import Described, read_resource
from gateway.catalogue.routes import read_routes
from gateway.catalogue.section import NAME, Problems, Section, nearest
from gateway.plainfile import read_plain
from gateway.wire import headers
from gateway.wire.destination import permitted, spelled
from gateway.wire.yaml import Node, Unreadable, canonical, read
from gateway.words.control import CONTROL_UPSTREAM
from gateway.words.errors import Misconfigured
from gateway.words.resource import (
    ALIKE_SECONDS,
    MAX_OPAQUE_BYTES,
    Credential,
    PersonSaid,
    ResourceSpec,
    RouteSpec,
    UpstreamSpec,
    UpstreamTls,
    Verb,
)

EMBEDDED = "embedded:"
RESERVED = ("/.well-known", "/v1", "/oauth", "/schema", "/console", "/healthz", "/metrics", "/readyz")
"""Prefixes that are the gateway's own."""

_SCHEMA = "catalogue.schema.json"
_MOST_ALIKE = 5.0
_MAX_BYTES = 4 * 1024 * 1024
_FORMAT = b"gatehouse-catalogue-1\n"
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,99}|file:[^\x00-\x1f]{1,500}")
_FILE = re.compile(r"file:[^\x00-\x1f]{1,500}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")
_PORTS = {"http": 80, "https": 443}


def load(
    folder: Path, *, allowed_hosts: frozenset[str], max_opaque_bytes: int = MAX_OPAQUE_BYTES
) -> Catalogue:
    """Gives the catalogue of all `*.yaml` files in the folder.

    allowed_hosts: `host:port` of every upstream that may be reached over the network, or `*.suffix:port` (a setting, outside
                   the policy bundle).
    max_opaque_bytes: the most that a route of opaque bytes may let through (a setting too).
    Raises: Misconfigured with all problems, each `file:line: what; what to do`.
    """
    problems: list[str] = []
    upstreams: dict[str, UpstreamSpec] = {}
    where: dict[str, str] = {}
    trees: dict[str, object] = {}
    if not folder.is_dir():
        raise Misconfigured(
            f"{folder.name}:1: this folder of catalogue files is not there; create it, or correct the setting"
        )
    files: dict[str, bytes] = {}
    problems += _passed_over(folder)
    for path in sorted(folder.glob("*.yaml")):
        found = Problems(path.name)
        node = _tree(path, found, files)
        if node is not None:
            section = Section(node, "the file", found, keys.UPSTREAM)
            upstream = _upstream(section, allowed_hosts, max_opaque_bytes)
            _check_others(upstream, section, upstreams, where)
            upstreams.setdefault(upstream.name, upstream)
            where.setdefault(upstream.name, f"{path.name}:{section.line_of('prefix')}")
            trees[upstream.name] = canonical(node)
        problems += found.sorted()
    if not upstreams and not problems:
        problems.append(
            f"{folder.name}:1: there is no catalogue file; describe an upstream in a file like crm.yaml"
        )
    if problems:
        raise Misconfigured(*problems)
    return Catalogue(upstreams=upstreams, digest=_digest(trees), files=files)


def _passed_over(folder: Path) -> list[str]:
    """Reports what lies in the folder and is not read: whoever put it there believes that it counts.

    Names that begin with a dot are editors' and mounts' own.
    """
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".yaml" or path.name == _SCHEMA or path.name.startswith("."):
            continue
        if path.is_dir():
            found.append(f"{path.name}:1: folders in here are not read; move its files up, or elsewhere")
        elif path.suffix.lower() in (".yml", ".yaml"):
            found.append(
                f"{path.name}:1: files that end in {path.suffix} are not read; name it {path.stem}.yaml"
            )
        else:
            found.append(f"{path.name}:1: only files that end in .yaml are read; move it elsewhere")
    return found


def _digest(trees: dict[str, object]) -> str:
    text = json.dumps(trees, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(_FORMAT + text.encode()).hexdigest()


def _tree(path: Path, problems: Problems, files: dict[str, bytes]) -> Node | None:
    """Gives the file's tree, and puts its bytes into `files`: what is kept of it is what was read."""
    try:
        data = files[path.name] = read_plain(path, _MAX_BYTES)
        return read(data.decode("utf-8"))
    except UnicodeDecodeError:
        problems.add(1, "the file is not UTF-8", "save it as UTF-8")
    except OSError:
        problems.add(
            1,
            "the file cannot be read",
            "check that it is a plain file, its permissions and its size (4 MiB at most)",
        )
    except Unreadable as error:
        problems.add(error.line, error.what, error.do)
    return None


def _upstream(section: Section, allowed_hosts: frozenset[str], max_opaque_bytes: int) -> UpstreamSpec:
    section.need("upstream", "prefix", "base", "resources", "routes")
    name = section.text("upstream", "", NAME, "crm")
    if name == CONTROL_UPSTREAM:
        section.wrong("upstream", f"'{name}' is the gateway's own name", "choose another")
    prefix = section.checked("prefix", templates.fault_of_prefix, "/crm")
    for reserved in RESERVED:
        if prefix == reserved or prefix.startswith(reserved + "/"):
            section.wrong(
                "prefix", f"'{prefix}' is reserved for the gateway itself", "choose another, like '/crm'"
            )
    resources = {
        key: read_resource(name, key, inner)
        for key, inner in section.sections("resources", "resource", keys.RESOURCE)
    }
    _check_resources(resources)
    routes = read_routes(name, section, resources, max_opaque_bytes=max_opaque_bytes)
    return UpstreamSpec(
        name=name,
        prefix=prefix,
        base=_base(section, allowed_hosts),
        credential=_credential(section),
        headers=_headers(section),
        connect_seconds=section.seconds("connect_seconds", 2.0),
        answer_seconds=section.seconds("answer_seconds", 15.0),
        max_answer_bytes=section.integer("max_answer_bytes", 8_388_608, 1024, 268_435_456),
        routes=routes,
        resources={key: _with_its_end(described.spec, routes) for key, described in resources.items()},
        tls=_tls(section),
        assertion=_assertion(section),
        alike_seconds=_alike(section),
    )


def _with_its_end(spec: ResourceSpec, routes: Iterable[RouteSpec]) -> ResourceSpec:
    ends = (route.action for route in routes if route.verb is Verb.DELETE and route.resource == spec.name)
    return replace(spec, destroyed_by=frozenset(ends))


def _alike(section: Section) -> float:
    seconds = section.seconds("alike_seconds", ALIKE_SECONDS)
    if not ALIKE_SECONDS <= seconds <= _MOST_ALIKE:
        section.wrong(
            "alike_seconds",
            f"is not between {ALIKE_SECONDS:g} and {_MOST_ALIKE:g}",
            "write somewhat more than this system usually takes for one record",
        )
    return seconds


def _base(section: Section, allowed_hosts: frozenset[str]) -> str:
    base = section.text("base")
    if base in ("", EMBEDDED):
        return base
    like = "write it like 'https://crm.example:8443/api', or 'embedded:'"
    try:
        url = urlsplit(base)
        port = url.port or _PORTS.get(url.scheme)
    except ValueError:
        section.wrong("base", "is no address", like)
        return base
    if url.scheme not in _PORTS or not url.hostname or port is None:
        section.wrong("base", "is no http or https address", like)
    elif "@" in url.netloc:
        section.wrong("base", "holds a user or password", "remove it; a credential is given by reference")
    elif _unplain(base, url):
        section.wrong("base", "has a query, a fragment, or a path that is not plain", like)
    elif not _allowed(url.hostname, port, allowed_hosts):
        section.wrong(
            "base",
            f"goes to '{url.hostname}:{port}', which is not in the list of allowed hosts",
            "add it to the setting for upstream hosts, if this system may be reached",
        )
    elif (address := spelled(url.hostname)) is not None:
        _check_address(section, address, literal=_place(url.hostname, port) in map(str.lower, allowed_hosts))
    return base


def _check_address(section: Section, address: str, *, literal: bool) -> None:
    """Reports an address that no connection is ever made to, however it is spelled: else each request would fail, and nothing say why."""
    if not permitted(address, literal=True):
        section.wrong(
            "base",
            f"goes to '{address}', a link-local, metadata, multicast or reserved address, which nothing may reach whatever is listed",
            "write the system's own name or address",
        )
    elif not permitted(address, literal=literal):
        section.wrong(
            "base",
            f"goes to '{address}', an address of this machine or of a private network, which only a '*' lists",
            "list the host and port as they stand here",
        )


def _allowed(host: str, port: int, allowed_hosts: frozenset[str]) -> bool:
    """True when the setting lists the host and port, or (`*.suffix:port`) a suffix of the name. The host is in lower case."""
    place = _place(host, port)
    return any(
        place.endswith(listed[1:]) if listed.startswith("*.") else place == listed
        for listed in map(str.lower, allowed_hosts)
    )


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _unplain(base: str, url: SplitResult) -> bool:
    if "?" in base or "#" in base or base != base.strip() or not base.isascii():
        return True
    return url.path != "" and templates.fault_of_template(url.path, frozenset()) is not None


def _credential(section: Section) -> Credential | None:
    inner = section.section("credential", "credential", keys.CREDENTIAL)
    if inner is None:
        return None
    inner.need("from")
    reference = inner.text("from")
    if inner.has("from") and not _REFERENCE.fullmatch(reference):
        # The text itself may be a secret that somebody put there, so it is not repeated.
        inner.wrong("from", "is not a reference", "write 'env:NAME' or 'file:PATH'; never the secret itself")
        reference = ""
    scheme = inner.text("scheme", "Bearer")
    if scheme and not _SCHEME.fullmatch(scheme):
        inner.wrong(
            "scheme", "is not one word", "write Bearer or Basic, or '' where the header holds the value alone"
        )
    header = inner.text("header", "authorization").lower()
    taken = header in headers.OWN_REQUEST or headers.never_passes(header)
    if header != "authorization" and taken and header not in _CREDENTIAL_HEADERS:
        inner.wrong("header", f"'{header}' cannot hold a credential", "the usual one is 'authorization'")
    return Credential(reference=reference, header=header, scheme=scheme)


def _tls(section: Section) -> UpstreamTls | None:
    inner = section.section("tls", "tls", keys.TLS)
    if inner is None:
        return None
    if not section.text("base").startswith("https:"):
        inner.problem("tls is only for an https base", "write 'https://…' there, or remove it")
    given: dict[str, str] = {}
    for key in sorted(keys.TLS):
        if not inner.has(key):
            continue
        given[key] = inner.text(key)
        if not _FILE.fullmatch(given[key]):
            # As for a credential: it may be the key itself, so it is not repeated.
            inner.wrong(key, "is not a reference", "write 'file:PATH'; never what the file holds")
    if ("certificate" in given) != ("key" in given):
        inner.problem("tls: 'certificate' and 'key' go together", "add the other one")
    if not given:
        inner.problem("tls says nothing", "add 'ca', or 'certificate' and 'key', or remove it")
    return UpstreamTls(**given)


def _assertion(section: Section) -> PersonSaid | None:
    person = section.choice("assertion_person", PersonSaid, PersonSaid.PSEUDONYM)
    if not section.flag("assertion"):
        if section.has("assertion_person"):
            section.wrong(
                "assertion_person", "is only for an assertion", "add 'assertion: true', or remove it"
            )
        return None
    if section.text("base") == EMBEDDED:
        section.wrong("assertion", "is for a system that others could reach", "remove it")
    return person


_CREDENTIAL_HEADERS = frozenset({"x-api-key", "x-auth-token", "x-access-token"})
_DEMANDED = frozenset({"accept", "origin", "referer", "user-agent"})
"""What the gateway says itself, and a system may want said in another way. The rest of it (what version a change is for, a create's key,
how the body is written) it says of each request: a fixed one would stand beside it."""
_SAID_EACH_TIME = headers.OWN_REQUEST - _DEMANDED


def _headers(section: Section) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for name, value, line in section.pairs("headers"):
        lower = name.lower()
        if not headers.well_formed(lower, value):
            section.problem(
                f"headers: '{name}' is no header, or its value is not plain", "write 'name: value'", line
            )
        elif headers.never_passes(lower):
            section.problem(f"headers: '{name}' cannot be fixed", "credentials go under 'credential'", line)
        elif lower in _SAID_EACH_TIME:
            section.problem(
                f"headers: '{name}' cannot be fixed", "remove it; the gateway says it of each request", line
            )
        elif lower in (known for known, _ in found):
            section.problem(f"headers: '{name}' stands twice", "keep one", line)
        found.append((lower, value))
    return tuple(found)


def _check_resources(resources: dict[str, Described]) -> None:
    """Reports a parent or a subject that is not described, and targets that do not fit."""
    for described in resources.values():
        spec, section = described.spec, described.section
        if spec.parent is not None:
            parent = resources.get(spec.parent)
            if parent is None or spec.parent == spec.name:
                section.wrong(
                    "parent", f"'{spec.parent}' is no other resource here", nearest(spec.parent, resources)
                )
            elif parent.spec.parent is not None:
                section.wrong(
                    "parent", f"'{spec.parent}' has a parent itself", "a path has one parent at most"
                )
            else:
                _check_found_again(parent.spec, section)
        for key, target in (
            ("read", spec.read_target),
            ("lookup", spec.lookup or ""),
            ("present", spec.present_target or ""),
        ):
            has = templates.PARENT in target
            if (has and spec.parent is None) or (
                key == "read" and target and not has and spec.parent is not None
            ):
                section.wrong(
                    key, "and 'parent' do not fit", "a target has '{parent}' where the resource has a parent"
                )
        if spec.subject is not None and spec.subject.pointer is not None:
            _check_subject(described, resources)


def _check_found_again(parent: ResourceSpec, section: Section) -> None:
    """Reports a parent that an entry could not name so that it is found again: what became of a change below it could not be told."""
    if parent.subject is None and not parent.id_public:
        section.wrong(
            "parent",
            f"'{parent.name}' has neither a subject nor public ids, so that nothing below it is found again from an entry",
            f"say 'ids_public: true' at '{parent.name}', or whose data it is",
        )


def _check_subject(described: Described, resources: dict[str, Described]) -> None:
    rule, section = described.spec.subject, described.section
    if rule is None:
        return
    whose = resources.get(rule.resource)
    if whose is None:
        section.wrong(
            "subject", f"'{rule.resource}' is not described here", nearest(rule.resource, resources)
        )
    elif whose.spec.subject is None or whose.spec.subject.pointer is not None:
        section.wrong("subject", f"'{rule.resource}' is no customer", "it must say 'subject: itself'")
    if rule.through is None:
        return
    through = resources.get(rule.through)
    if through is None or through.spec.subject is None or rule.through == described.spec.name:
        section.wrong(
            "subject", f"through '{rule.through}' leads to no customer", nearest(rule.through, resources)
        )
    elif through.spec.subject.resource != rule.resource:
        section.wrong(
            "subject", f"through '{rule.through}' leads to another resource", f"expected '{rule.resource}'"
        )


def _check_others(
    upstream: UpstreamSpec, section: Section, upstreams: dict[str, UpstreamSpec], where: dict[str, str]
) -> None:
    """Reports a name or a prefix that another file has already."""
    for name, other in upstreams.items():
        if name == upstream.name:
            section.wrong("upstream", f"'{name}' is described already ({where[name]})", "choose another name")
        if upstream.base == other.base == EMBEDDED:
            section.wrong(
                "base",
                f"is the embedded store, which '{name}' ({where[name]}) describes already",
                "describe it in one file: one store under two sets of rules has the weaker of both",
            )
        one, two = upstream.prefix + "/", other.prefix + "/"
        if one.startswith(two) or two.startswith(one):
            section.wrong(
                "prefix", f"and that of '{name}' ({where[name]}) overlap", "each upstream has its own"
            )
