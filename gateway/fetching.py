"""Beside the path: reads an issuer's published keys, with the same thin client that reaches upstreams: pinned, no redirects."""

from __future__ import annotations

from gateway.upstream import AllowedHosts, Exchange, HttpTransport
from gateway.upstream.address import parse_base
from gateway.words.errors import BadAnswer, Misconfigured

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 5.0
MAX_BYTES = 256 * 1024


async def fetch(address: str) -> bytes:
    """Gives what stands at an https address that the operator wrote down himself. Raises GatehouseError; follows nothing.

    The address comes from the issuers file, never from a token; its host is allowed by that.
    """
    origin, path = parse_base(address)
    if origin.scheme != "https":
        raise Misconfigured("an issuer's keys are read over https")
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    transport = HttpTransport(origin, allowed=AllowedHosts({f"{host}:{origin.port}"}))
    try:
        raw = await transport.send(
            Exchange(
                method="GET",
                target=(path or "/").encode(),
                headers=(("accept", "application/json"),),
                body=None,
                connect_seconds=CONNECT_SECONDS,
                answer_seconds=ANSWER_SECONDS,
                max_answer_bytes=MAX_BYTES,
            )
        )
    finally:
        await transport.close()
    if raw.status != 200:
        raise BadAnswer(raw.status)
    return raw.body
