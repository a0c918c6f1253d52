"""Steps 1 and 7: which header fields can be read in one way, and which never pass, in either direction. Pure.

The catalogue lists what passes; this page lists what passes whatever a catalogue says: nothing of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NoReturn

from gateway.words.errors import Code, Refused


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# About one connection, not about the message (RFC 9110 section 7.6.1), and the message's framing, which each side makes itself.
HOP_BY_HOP: Final = _names(
    "connection content-length expect http2-settings keep-alive proxy-authenticate proxy-authentication-info "
    "proxy-authorization proxy-connection te trailer transfer-encoding upgrade"
)
# Who a request came from or was for, as some proxy claims it (RFC 7239, its forerunners, and what single proxies made of them).
_FORWARDING: Final = _names(
    "ali-cdn-real-ip cdn-src-ip client-ip forwarded host incap-client-ip proxy real-ip true-client-ip via x-azure-clientip "
    "x-azure-socketip x-client-ip x-cluster-client-ip x-coming-from x-host x-originating-ip x-real-ip x-sucuri-clientip"
)
_FORWARDING_PREFIXES: Final = (
    "cf-",  # Cloudflare, cf-access-… of its Access too
    "fastly-",
    "fly-",
    "forwarded-",
    "wl-proxy-",  # WebLogic
    "x-appengine-",
    "x-arr-",  # Azure's front ends
    "x-envoy-",
    "x-forward",  # x-forwarded-client-cert of Envoy and Istio, x-forwarded-user of many, x-forwarded-tls-… of Traefik
    "x-nf-",
    "x-proxy",
    "x-real-",
    "x-remote-",  # x-remote-addr, and x-remote-user, x-remote-group, x-remote-extra-… of Kubernetes
    "x-vercel-",
)
# Who somebody is: the caller's proof is for us alone, and nobody is believed by a bare header.
_IDENTITY: Final = _names(
    "authentication-info authorization cookie cookie2 from gap-auth on-behalf-of set-cookie set-cookie2 sudo www-authenticate "
    "x-access-token x-act-as x-api-key x-credential-identifier x-email x-end-user x-groups x-id-token x-on-behalf-of x-principal "
    "x-roles x-sudo"
)
_IDENTITY_PREFIXES: Final = (
    "$ws",  # WebSphere's plug-ins
    "client-cert",  # RFC 9440
    "gatehouse-",
    "impersonate-",  # Kubernetes
    "iv-",  # WebSEAL
    "mellon-",
    "oam-",
    "oidc-",
    "remote-",  # Authelia: remote-user, remote-groups, remote-name, remote-email
    "shib-",
    "sm-",  # SiteMinder
    "ssl-",  # ssl-client-cert, ssl-client-subject-dn, ssl-client-verify
    "tailscale-",
    "x-amzn-",  # x-amzn-oidc-…, x-amzn-mtls-…
    "x-anonymous-",
    "x-auth-",  # oauth2-proxy: x-auth-request-…; others: x-auth-username, x-auth-token
    "x-authenticated-",
    "x-authentik-",
    "x-client-",  # x-client-cert, x-client-dn, x-client-verify
    "x-consumer-",  # Kong
    "x-goog-",  # x-goog-authenticated-user-…, x-goog-iap-jwt-assertion
    "x-hasura-",
    "x-impersonate-",
    "x-jwt-",
    "x-ms-client-",  # Azure: x-ms-client-principal, -name, -id, -idp
    "x-ms-token-",
    "x-oidc-",
    "x-pomerium-",
    "x-shib-",
    "x-ssl-",
    "x-user",  # x-user, x-user-id, x-username, x-userinfo
    "x-vouch-",
    "x-webauth-",
)
# Make of the method or target that was decided on another one, or of the answer another file of the proxy's in front.
_OVERRIDES: Final = _names("content-override x-request-uri x-sendfile x-lighttpd-send-file x-reproxy-url")
_OVERRIDE_PREFIXES: Final = (
    "x-accel-",
    "x-http-destination",
    "x-http-method",
    "x-http-path",
    "x-method",
    "x-original-",
    "x-override",
    "x-rewrite-",
)
# Which trace a request belongs to, and whether it is kept: said by us alone, in one header, to those whom we ask.
_TRACING: Final = _names(
    "b3 baggage elastic-apm-traceparent grpc-trace-bin newrelic sentry-trace traceparent tracestate uber-trace-id x-amzn-trace-id "
    "x-cloud-trace-context x-ot-span-context"
)
_TRACING_PREFIXES: Final = ("x-b3-", "x-datadog-", "uberctx-", "ot-baggage-")
_NEVER: Final = HOP_BY_HOP | _FORWARDING | _IDENTITY | _OVERRIDES | _TRACING
_NEVER_PREFIXES: Final = _FORWARDING_PREFIXES + _IDENTITY_PREFIXES + _OVERRIDE_PREFIXES + _TRACING_PREFIXES

# What the gateway says itself, whatever a caller sends: who asks and for what type; conditions, ranges and encodings would answer about
# what was not decided on (RFC 9110 section 13). An upstream that demands one of the first gets it as a fixed header.
OWN_REQUEST: Final = _names(
    "accept accept-encoding content-encoding content-type idempotency-key if-match if-modified-since if-none-match if-range "
    "if-unmodified-since origin range referer user-agent"
)
# Describe bytes that the gateway makes anew, or that it has taken apart.
OWN_RESPONSE: Final = _names(
    "accept-ranges age alt-svc audit-ref cache-control content-disposition content-encoding content-location content-md5 "
    "content-range content-type date digest refresh repr-digest server x-content-type-options"
)

# Two of these and two readers may each believe another (RFC 9110 section 5.3): refused, also when both say the same.
SINGLETONS: Final = _names(
    "authorization content-encoding content-length content-type expect from gatehouse-person gatehouse-purpose host "
    "idempotency-key if-match if-modified-since if-none-match if-range if-unmodified-since max-forwards origin "
    "proxy-authorization range referer transfer-encoding user-agent"
)

# RFC 9110 section 5.6.2, in lower case and without `_`: CGI and its heirs read `_` as `-`, so `x_forwarded_for` is a twin.
_NAME: Final = re.compile(r"[!#$%&'*+.^`|~0-9a-z-]+")
# Section 5.5: visible ASCII with blanks and tabs inside. obs-text is refused, since its charset is anybody's guess.
_VALUE: Final = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")
_TOKEN: Final = re.compile(r"[A-Z]+(?:-[A-Z]+)*")


def never_passes(name: str) -> bool:
    """True for a (lower-case) field name that is forwarded in neither direction, whatever the catalogue lists."""
    return name in _NEVER or name.startswith(_NEVER_PREFIXES) or "_" in name


_SEEN_LIMIT: Final = 512
_seen: set[str] = set()
"""Names that were found well-formed: the same few come with every request. Bounded, since anybody may send others."""


def well_formed(name: str, value: str) -> bool:
    """True for a lower-case name and a value that everyone reads alike; what we send is held to it as well."""
    if name not in _seen:
        if _NAME.fullmatch(name) is None:
            return False
        if len(_seen) < _SEEN_LIMIT:
            _seen.add(name)
    # Nearly every value is visible ASCII with blanks inside; tabs inside are left to the pattern.
    if value.isascii() and value.isprintable() and value[:1] != " " != value[-1:]:
        return True
    return _VALUE.fullmatch(value) is not None


def is_method(method: str) -> bool:
    """True for an upper-case method token (RFC 9110 section 9.1), of which only listed ones will be served."""
    return _TOKEN.fullmatch(method) is not None


def read(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Gives the fields of one request: names in lower case, values without blanks around them, in order.

    A field that Connection names is about the caller's connection and gone here (RFC 9110 section 7.6.1).
    Raises Refused(HEADER_MALFORMED), with the name as `header` only where the name is one of our own list: a name or value that
    is not well formed (underscores and bytes beyond ASCII count), a second field of a singleton name, or a Connection that would
    take such a field away: whoever stands between us and the caller may have added it.
    """
    fields: list[tuple[str, str]] = []
    met: set[str] = set()
    options: set[str] = set()
    for raw_name, raw_value in raw:
        # ISO 8859-1 never fails; what is beyond ASCII is not well formed.
        name, value = raw_name.decode("latin-1").lower(), raw_value.strip(b" \t").decode("latin-1")
        if not well_formed(name, value):
            _refuse()
        if name in SINGLETONS:
            if name in met:
                raise Refused(Code.HEADER_MALFORMED, header=name)
            met.add(name)
        fields.append((name, value))
        if name == "connection":
            options.update(option.strip(" \t").lower() for option in value.split(","))
    if options & SINGLETONS & met:
        raise Refused(Code.HEADER_MALFORMED, header="connection")
    return tuple(field for field in fields if field[0] not in options) if options else tuple(fields)


def _refuse() -> NoReturn:
    raise Refused(Code.HEADER_MALFORMED, cause="form") from None
