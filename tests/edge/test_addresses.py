"""An address is taken before anybody is started, and connections only once somebody serves."""

from __future__ import annotations

import socket

import pytest

from gateway.edge import Listener, Server, bind, probe
from gateway.words.errors import Misconfigured


async def nobody(*_: object) -> None:
    raise AssertionError("nobody asks")


def connects(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def test_an_address_that_is_bound_takes_no_connection_until_somebody_serves() -> None:
    with bind("127.0.0.1", 0, "GATEHOUSE_PORT") as bound:
        port = bound.getsockname()[1]
        assert not connects(port)
        server = Server([Listener("127.0.0.1", port, nobody, bound=bound)])
        assert server.addresses == (("127.0.0.1", port),)
        assert connects(port)
        server.close()
    assert not connects(port)


def test_of_two_who_bound_one_address_the_second_to_listen_is_refused() -> None:
    with bind("127.0.0.1", 0, "GATEHOUSE_PORT") as one:
        port = one.getsockname()[1]
        with bind("127.0.0.1", port, "GATEHOUSE_PORT") as other:
            one.listen()
            with pytest.raises(Misconfigured, match=f"port {port}, or set GATEHOUSE_PORT"):
                Server([Listener("127.0.0.1", port, nobody, bound=other)])
        with pytest.raises(Misconfigured, match=f"port {port}, or set GATEHOUSE_PORT"):
            probe("127.0.0.1", port)


def test_an_address_of_another_machine_is_told_as_that() -> None:
    # RFC 5737: nobody's.
    with pytest.raises(Misconfigured, match="set GATEHOUSE_ADMIN_HOST to an address of this machine"):
        bind("192.0.2.1", 0, "GATEHOUSE_ADMIN_PORT")
