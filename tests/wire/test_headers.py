"""Header fields that can be read in one way, and those that never pass."""

from __future__ import annotations

import pytest

from gateway.wire.headers import is_method, never_passes, read, well_formed
from gateway.words.errors import Code, Refused

LISTED = """connection keep-alive te trailer transfer-encoding upgrade proxy-authorization proxy-authenticate proxy-connection expect
content-length http2-settings host via forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port
x-forwarded-prefix x-forwarded-user x-forwarded-email x-forwarded-client-cert x-forwarded-anything-new x-real-ip client-ip
x-client-ip true-client-ip cf-connecting-ip x-cluster-client-ip x-original-url x-rewrite-url x-original-uri x-original-host x-host
x-envoy-original-path x-envoy-external-address authorization cookie cookie2 set-cookie set-cookie2 www-authenticate remote-user
x-remote-user x-user x-user-id x-auth-request-user x-goog-authenticated-user-email x-api-key x-auth-token gatehouse-person
gatehouse-purpose gatehouse-anything x-http-method-override x-http-method x-method-override x_forwarded_for gatehouse_person
remote_user content_length from traceparent tracestate baggage b3 x-b3-traceid x-b3-sampled uber-trace-id uberctx-customer
x-amzn-trace-id x-cloud-trace-context x-datadog-trace-id sentry-trace"""


# By whom each is believed where it stands in front: what such a proxy writes, a caller could write too.
OF_PROXIES = {
    "oauth2-proxy": "x-auth-request-user x-auth-request-email x-auth-request-groups x-auth-request-access-token gap-auth "
    "x-forwarded-groups x-forwarded-preferred-username x-forwarded-access-token",
    "authelia": "remote-user remote-groups remote-name remote-email",
    "authentik": "x-authentik-username x-authentik-groups x-authentik-jwt",
    "cloudflare": "cf-access-jwt-assertion cf-access-authenticated-user-email cf-connecting-ip cf-connecting-ipv6 cf-ipcountry cf-visitor",
    "google": "x-goog-iap-jwt-assertion x-goog-authenticated-user-email x-goog-authenticated-user-id x-appengine-user-ip",
    "aws": "x-amzn-oidc-data x-amzn-oidc-identity x-amzn-oidc-accesstoken x-amzn-mtls-clientcert x-amzn-mtls-clientcert-subject",
    "azure": "x-ms-client-principal x-ms-client-principal-id x-ms-client-principal-name x-ms-client-principal-idp "
    "x-ms-token-aad-access-token x-azure-clientip x-azure-socketip x-arr-clientcert x-arr-ssl",
    "envoy, istio": "x-forwarded-client-cert x-envoy-external-address x-envoy-original-path x-envoy-internal "
    "x-envoy-peer-metadata x-jwt-payload",
    "traefik": "x-forwarded-tls-client-cert x-forwarded-tls-client-cert-info x-forwarded-uri x-forwarded-method x-webauth-user",
    "tailscale": "tailscale-user-login tailscale-user-name tailscale-user-profile-pic",
    "kubernetes": "x-remote-user x-remote-group x-remote-extra-scopes impersonate-user impersonate-group",
    "nginx": "x-ssl-client-cert x-ssl-client-s-dn x-ssl-client-verify ssl-client-cert ssl-client-subject-dn ssl-client-verify "
    "x-client-cert x-client-dn x-client-verify client-cert client-cert-chain x-original-uri x-original-method x-accel-redirect x-sendfile",
    "kong, apisix": "x-consumer-id x-consumer-username x-consumer-groups x-authenticated-userid x-authenticated-scope "
    "x-authenticated-groups x-anonymous-consumer x-credential-identifier x-userinfo x-id-token x-access-token",
    "others": "x-webauth-user x-webauth-email x-pomerium-jwt-assertion x-vouch-user iv-user iv-groups sm-user shib-session-id "
    "mellon-name-id oidc-claim-sub wl-proxy-client-ip fly-client-ip fastly-client-ip x-vercel-forwarded-for x-hasura-role "
    "x-user-email x-username x-roles x-groups x-auth-username on-behalf-of sudo proxy",
    "frameworks": "x-method x-method-override x-http-method x-http-method-override x-http-path-override x-override-method "
    "x-original-url x-rewrite-url x-request-uri",
}


@pytest.mark.parametrize("names", OF_PROXIES.values(), ids=OF_PROXIES)
def test_no_proxys_word_on_who_or_what_is_asked_passes(names: str) -> None:
    assert [name for name in names.split() if not never_passes(name)] == []


@pytest.mark.parametrize("name", LISTED.split())
def test_this_never_passes_whatever_a_catalogue_lists(name: str) -> None:
    assert never_passes(name)


@pytest.mark.parametrize(
    "name",
    [
        "accept",
        "accept-language",
        "content-type",
        "etag",
        "if-match",
        "last-modified",
        "location",
        "origin",
        "prefer",
        "referer",
        "retry-after",
        "x-csrf-token",
        "x-request-id",
        "x-requested-with",
        "x-tenant",
        "x-total-count",
    ],
)
def test_what_is_about_the_message_may_be_listed(name: str) -> None:
    assert not never_passes(name)


def test_names_are_lowered_and_values_are_freed_of_blanks() -> None:
    assert read([(b"Accept", b" application/json\t"), (b"X-A", b"")]) == (
        ("accept", "application/json"),
        ("x-a", ""),
    )


def test_a_list_header_may_stand_twice() -> None:
    assert read([(b"accept", b"a/b"), (b"accept", b"c/d")]) == (("accept", "a/b"), ("accept", "c/d"))


@pytest.mark.parametrize(
    "name",
    [
        b"authorization",
        b"Gatehouse-Person",
        b"gatehouse-purpose",
        b"content-type",
        b"if-match",
        b"idempotency-key",
    ],
)
def test_a_header_that_is_one_may_not_stand_twice_even_when_both_say_the_same(name: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read([(name, b"a"), (name.upper(), b"a")])
    assert refused.value.code is Code.HEADER_MALFORMED
    assert refused.value.params == {"header": name.decode().lower()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"x_a", b"b"),
        (b"", b"b"),
        (b"x a", b"b"),
        (b"x:a", b"b"),
        (b"x\xe9", b"b"),
        (b"x-a\0", b"b"),
        (b"x-a", b"b\0c"),
        (b"x-a", b"b\rc"),
        (b"x-a", b"b\nc"),
        (b"x-a", b"b\x7f"),
        (b"x-a", b"\xe9"),
        (b"x-a", "张".encode()),
        (b"x-a", b"\x0bb"),
    ],
)
def test_a_field_that_is_not_plain_is_refused_and_not_told(name: bytes, value: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read([(name, value)])
    assert (refused.value.code, refused.value.params) == (Code.HEADER_MALFORMED, {"cause": "form"})


def test_what_we_send_is_held_to_the_same_form() -> None:
    assert well_formed("etag", '"a b"')
    assert not well_formed("ETag", "a")
    assert not well_formed("etag", "a\r\nset-cookie: b")
    assert not well_formed("etag", " a")
    assert not well_formed("etag", "a\n")


def test_a_method_is_an_upper_case_token() -> None:
    assert [is_method(method) for method in ("GET", "M-SEARCH", "get", "", "GET ", "GETX\n")] == [
        True,
        True,
    ] + [False] * 4


@pytest.mark.parametrize(
    "options", [b"x-a", b"close, X-A", b"keep-alive ,\tx-a", b"x-a,x-b,", b",,x-a"]
)  # RFC 9110 section 7.6.1
def test_a_field_that_connection_names_goes_no_further(options: bytes) -> None:
    fields = read([(b"X-A", b"1"), (b"connection", options), (b"x-a", b"2"), (b"x-c", b"3")])
    assert fields == (("connection", options.decode()), ("x-c", "3"))


def test_an_ordinary_connection_takes_nothing_away() -> None:
    fields = (("connection", "keep-alive"), ("x-a", "1"), ("keep-aliv", "2"))
    assert read([(name.encode(), value.encode()) for name, value in fields]) == fields


@pytest.mark.parametrize(
    "name", [b"Gatehouse-Person", b"authorization", b"if-match", b"host", b"content-length"]
)
def test_no_connection_takes_away_who_is_asking_or_what_for(name: bytes) -> None:
    for fields in (
        [(name, b"a"), (b"Connection", name)],
        [(b"Connection", b"close"), (b"connection", name), (name, b"a")],
    ):
        with pytest.raises(Refused) as refused:
            read(fields)
        assert refused.value.params == {"header": "connection"}
    assert read([(b"connection", name)]) == (("connection", name.decode()),)
