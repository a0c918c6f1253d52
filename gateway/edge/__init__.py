"""The data-plane door: raw bytes in, a `Call` for the corridor, a `Reply` out. Step 1 and the last yard of step 10."""

from gateway.edge.admin import Admin, Inside
from gateway.edge.asgi import App
from gateway.edge.dispatch import Dispatcher
from gateway.edge.door import Corridor, Door
from gateway.edge.later import Later
from gateway.edge.peers import Peers
from gateway.edge.server import RECORD_SECONDS, Listener, Server, bind, probe, stopping_signals
from gateway.edge.tls import ListenerTls

__all__ = [
    "RECORD_SECONDS",
    "Admin",
    "App",
    "Corridor",
    "Dispatcher",
    "Door",
    "Inside",
    "Later",
    "Listener",
    "ListenerTls",
    "Peers",
    "Server",
    "bind",
    "probe",
    "stopping_signals",
]
