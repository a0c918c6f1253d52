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
# Who a request came from or was for, as some proxy claims it (RFC 7239 and its forerunners).
_FORWARDING: Final = _names(
    "cf-connecting-ip client-ip fastly-client-ip forwarded host real-ip true-client-ip via x-client-ip x-cluster-client-ip "
    "x-envoy-external-address x-envoy-original-path x-forwarded x-host x-original-forwarded-for x-original-host "
    "x-original-uri x-original-url x-proxyuser-ip x-real-ip x-remote-addr x-remote-ip x-rewrite-url"
)
_FORWARDING_PREFIXES: Final = ("x-forwarded-", "x-appengine-", "x-envoy-")
# Who somebody is: the caller's proof is for us alone, and nobody is believed by a bare header.
_IDENTITY: Final = _names(
    "authorization cookie cookie2 from remote-user set-cookie set-cookie2 www-authenticate x-access-token x-api-key x-auth-token "
    "x-authenticated-user x-consumer-id x-consumer-username x-credential-identifier x-email x-remote-user x-ssl-client-cert "
    "x-user x-user-id x-username x-webauth-user"
)
_IDENTITY_PREFIXES: Final = (
    "gatehouse-",
    "x-auth-request-",
    "x-goog-authenticated-",
    "x-amzn-oidc-",
    "x-ssl-client-",
)
# Make of the method or target that was decided on another one.
_OVERRIDES: Final = _names("x-http-method x-http-method-override x-method-override")
# Which trace a request belongs to, and whether it is kept: said by us alone, in one header, to those whom we ask.
_TRACING: Final = _names(
    "b3 baggage elastic-apm-traceparent grpc-trace-bin newrelic sentry-trace traceparent tracestate uber-trace-id x-amzn-trace-id "
    "x-cloud-trace-context x-ot-span-context"
)
_TRACING_PREFIXES: Final = ("x-b3-", "x-datadog-", "uberctx-", "ot-baggage-")
_NEVER: Final = HOP_BY_HOP | _FORWARDING | _IDENTITY | _OVERRIDES | _TRACING
_NEVER_PREFIXES: Final = _FORWARDING_PREFIXES + _IDENTITY_PREFIXES + _TRACING_PREFIXES

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


def well_formed(name: str, value: str) -> bool:
    """True for a lower-case name and a value that everyone reads alike; what we send is held to it as well."""
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None


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
        try:
            name, value = raw_name.decode("ascii").lower(), raw_value.strip(b" \t").decode("ascii")
        except UnicodeDecodeError:
            _refuse()
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
    raise Refused(Code.HEADER_MALFORMED) from None
