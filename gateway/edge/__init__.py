"""The data-plane door: raw bytes in, a `Call` for the corridor, a `Reply` out. Step 1 and the last yard of step 10."""

from gateway.edge.admin import Admin
from gateway.edge.asgi import App
from gateway.edge.dispatch import Dispatcher
from gateway.edge.door import Corridor, Door
from gateway.edge.peers import Peers
from gateway.edge.server import Listener, Server, probe
from gateway.edge.tls import ListenerTls

__all__ = [
    "Admin",
    "App",
    "Corridor",
    "Dispatcher",
    "Door",
    "Listener",
    "ListenerTls",
    "Peers",
    "Server",
    "probe",
]
