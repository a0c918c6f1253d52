"""Room of step 7: from work to closed records, over HTTP or in this process. Public face."""

from gateway.upstream.adapter import Adapter
from gateway.upstream.address import AllowedHosts
from gateway.upstream.asgi import AsgiApp, AsgiTransport
from gateway.upstream.assertion import Asserting
from gateway.upstream.http import HttpTransport, tls_context
from gateway.upstream.places import Look, Places
from gateway.upstream.tls import Renewed
from gateway.upstream.transport import Exchange, RawAnswer, Transport

__all__ = [
    "Adapter",
    "AllowedHosts",
    "AsgiApp",
    "AsgiTransport",
    "Asserting",
    "Exchange",
    "HttpTransport",
    "Look",
    "Places",
    "RawAnswer",
    "Renewed",
    "Transport",
    "tls_context",
]
