"""A server that takes a session and then says nothing: whoever opens the log, or looks at it, is told so in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from audit.errors import LogRefused
from audit.store.postgres import Deadlines, PostgresStore

READY = b"".join(
    kind + (len(said) + 4).to_bytes(4) + said
    for kind, said in (
        (b"R", bytes(4)),
        (b"S", b"server_version\x0014.0\0"),
        (b"K", bytes(8)),
        (b"Z", b"I"),
    )
)
"""Whoever it is may come in, and the server is ready (PostgreSQL's protocol 3, sections 54.2 and 54.7)."""


@pytest.fixture
def silent() -> Iterator[str]:
    """Gives the address of such a server."""
    taken: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                session, _ = server.accept()
            except OSError:
                return
            taken.append(session)
            with suppress(OSError):  # whoever came has given up already: the next may come
                session.recv(1024)
                session.sendall(READY)

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield f"postgresql://gate@127.0.0.1:{server.getsockname()[1]}/log?sslmode=disable"
        server.shutdown(socket.SHUT_RDWR)
        for session in list(taken):
            with suppress(OSError):  # it may be listening to one that says nothing
                session.shutdown(socket.SHUT_RDWR)
        serving.join(10)  # one that came in the last moment is taken before it hears that it is over
        assert not serving.is_alive()
        for session in taken:
            session.close()


def opened(store: PostgresStore) -> None:
    with closing(store.writer()) as writer:
        writer.open(None)


@pytest.mark.parametrize("look", [opened, PostgresStore.inspect])
def test_a_silent_server_is_not_waited_for_without_end(
    silent: str, look: Callable[[PostgresStore], object]
) -> None:
    begun = time.monotonic()
    with pytest.raises(LogRefused, match="cannot be reached or used"):
        look(PostgresStore(silent, deadlines=Deadlines(batch=0.2)))
    assert time.monotonic() - begun < 5
