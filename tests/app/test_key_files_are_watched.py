"""A signing key that is taken out of an issuer's file is refused by a process that serves on, and nobody has to touch anything else."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from gateway import demo
from gateway.app import House, open_house, serve, utc_now
from gateway.edge import Server
from gateway.settings import read
from gateway.wire.json import dump
from gateway.words.errors import Code, GatehouseError
from tests.app.asking import ask
from tests.waiting import until


async def refused(house: House, key: str, token: str) -> bool:
    """Whether the person is unproven now. What else becomes of the request is no matter here."""
    try:
        await ask(house, "GET", "/crm/customers/none", key, gatehouse_person=token)
    except GatehouseError as error:
        return error.code is Code.PERSON_UNPROVEN
    return False


async def test_a_stolen_key_is_believed_no_longer_once_it_is_gone_from_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"HOME": str(tmp_path), "PORT": "0", "WATCH_SECONDS": "0.05", "STOP_SECONDS": "5"}
    chosen = read({f"GATEHOUSE_{name}": value for name, value in given.items()})
    issuer = demo.prepare(chosen)
    file = issuer.terms().jwks
    assert isinstance(file, Path)
    async with open_house(chosen, issuers=(issuer.terms(),)) as house:
        key = (await demo.credentials(house))["desk"]
        token = issuer.mint("li.wei", "app:demo-desk", 15, now=utc_now())
        started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(serve(house, started=started.set_result))
        server = await started
        try:
            assert not await refused(house, key, token)
            with caplog.at_level(logging.WARNING, "gatehouse"):
                file.write_bytes(b'{"keys": [')
                await until(lambda: "issuer-keys-refused" in caplog.messages)
                assert not await refused(house, key, token)  # the good ones stay
                other = OKPKey.generate_key("Ed25519").as_dict(private=False)
                file.write_bytes(dump({"keys": [{**other, "kid": "other"}]}))
                await until(lambda: "issuer-keys-changed" in caplog.messages)
            assert await refused(house, key, token)
        finally:
            server.stop()
            await task
    assert caplog.messages.count("issuer-keys-refused") == 1
