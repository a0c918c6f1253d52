"""Off this machine: not in clear unless a proxy is declared, and never with what the demonstration handed out."""

from __future__ import annotations

import json
import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from gateway import demo
from gateway.app import House, open_house, utc_now
from gateway.corridor.desk import Asker
from gateway.credentials import Wish
from gateway.doctor import examine
from gateway.exposure import check_address, check_credentials, exposed, listener_tls, loopback
from gateway.identity import all_keys
from gateway.identity.demo import APPLICATIONS
from gateway.keys import create_key_file
from gateway.serving import serve_demo, serve_forever
from gateway.settings import Settings, read
from gateway.words.errors import Denied, Misconfigured, Unidentified
from gateway.words.ids import new_id
from tests.app.asking import ask
from tests.certificates import DAY, Authority, Files, now


def settings(home: Path, **more: str) -> Settings:
    return read({"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0"} | more)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "127.1"])
def test_this_machine_alone_is_told(host: str) -> None:
    assert loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "", "0", "::", "10.0.0.5", "192.168.1.1", "fd12::1", "::ffff:10.0.0.5", "not a host"]
)
def test_what_others_may_reach_is_told(host: str) -> None:
    assert not loopback(host)


def test_a_name_counts_by_everything_that_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (address, 0)) for address in ("127.0.0.1", "10.0.0.5")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert not loopback("gate.test")


async def test_run_serves_no_plain_http_to_others(tmp_path: Path) -> None:
    create_key_file(tmp_path / "keys.json")
    with pytest.raises(Misconfigured, match=r"refuses plain HTTP on 0\.0\.0\.0.*GATEHOUSE_TLS_TERMINATED"):
        await serve_forever(settings(tmp_path, GATEHOUSE_HOST="0.0.0.0"))
    assert os.listdir(tmp_path) == ["keys.json"]  # refused before its long work


def test_a_declared_proxy_lets_it_listen_anywhere(tmp_path: Path) -> None:
    check_address(settings(tmp_path, GATEHOUSE_HOST="0.0.0.0", GATEHOUSE_TLS_TERMINATED="on"))


def certified(home: Path, pair: Files) -> Settings:
    return settings(
        home,
        GATEHOUSE_HOST="0.0.0.0",
        GATEHOUSE_TLS_CERTIFICATE_FILE=str(pair.certificate),
        GATEHOUSE_TLS_KEY_FILE=str(pair.key),
    )


def test_a_certificate_of_its_own_lets_it_listen_anywhere(tmp_path: Path) -> None:
    chosen = certified(tmp_path, Authority(tmp_path).issue("gate.test"))
    check_address(chosen)
    assert listener_tls(chosen, utc_now) is not None
    assert exposed(chosen)


async def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    create_key_file(tmp_path / "keys.json")
    pair = Authority(tmp_path).issue("gate.test")
    pair.key.chmod(0o644)
    with pytest.raises(Misconfigured, match=r"leaf\.key: others may read or write it"):
        await serve_forever(certified(tmp_path, pair))


@pytest.mark.parametrize("half", ["CERTIFICATE", "KEY"])
def test_half_of_a_certificate_is_none(tmp_path: Path, half: str) -> None:
    with pytest.raises(Misconfigured, match="go together"):
        listener_tls(settings(tmp_path, **{f"GATEHOUSE_TLS_{half}_FILE": "x.pem"}), utc_now)


def test_the_doctor_looks_at_the_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    def said(pair: Files) -> str:
        found = [
            check.todo for check in examine(environment_of(pair, tmp_path)) if check.what == "certificate"
        ]
        (todo,) = found
        return todo

    assert said(authority.issue("gate.test")) == ""
    assert "ends in 5 days" in said(authority.issue("gate.test", ends=now() + 5.5 * DAY))
    assert "ended on" in said(authority.issue("gate.test", begins=now() - 2 * DAY, ends=now() - DAY))
    good = environment_of(authority.issue("gate.test"), tmp_path)
    (tmp_path / "holders.json").write_text("[")
    clients = {
        "GATEHOUSE_TLS_CLIENT_CA_FILE": str(authority.file),
        "GATEHOUSE_CLIENT_CERTIFICATES_FILE": str(tmp_path / "holders.json"),
    }
    (todo,) = [check.todo for check in examine(good | clients) if check.what == "certificate"]
    assert "holders.json: not JSON" in todo


def environment_of(pair: Files, home: Path) -> dict[str, str]:
    return {
        "GATEHOUSE_HOME": str(home),
        "GATEHOUSE_PORT": "0",
        "GATEHOUSE_TLS_CERTIFICATE_FILE": str(pair.certificate),
        "GATEHOUSE_TLS_KEY_FILE": str(pair.key),
    }


def test_the_doctor_says_it_too(tmp_path: Path) -> None:
    environment = {"GATEHOUSE_HOME": str(tmp_path), "GATEHOUSE_PORT": "0", "GATEHOUSE_HOST": "0.0.0.0"}
    said = {check.what: check.todo for check in examine(environment) if not check.good}
    assert "GATEHOUSE_TLS_TERMINATED" in said["address and TLS"]


# ── the demonstration's credentials ──────────────────────────────────────────────────────────────────────────────


def test_every_application_of_the_demonstration_has_a_name_that_is_reserved_for_it() -> None:
    assert {key.application.startswith(APPLICATIONS) for key in demo.KEYS} == {True}


async def demonstrated(home: Path) -> None:
    """Leaves what an earlier `gatehouse demo` leaves behind: keys."""
    chosen = settings(home)
    demo.prepare(chosen)
    async with open_house(chosen) as house:
        await demo.credentials(house)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
async def test_run_behind_a_proxy_refuses_keys_of_the_demonstration(tmp_path: Path, host: str) -> None:
    await demonstrated(tmp_path)
    exposing = settings(tmp_path, GATEHOUSE_HOST=host, GATEHOUSE_TLS_TERMINATED="on")
    with pytest.raises(Misconfigured, match=r"refuses demo credentials: 5 key\(s\).*key_.*and others"):
        await serve_forever(exposing)


async def test_revoked_and_ended_ones_are_no_danger(tmp_path: Path) -> None:
    await demonstrated(tmp_path)
    exposing = settings(tmp_path, GATEHOUSE_TLS_TERMINATED="on")
    async with open_house(settings(tmp_path)) as house:
        operator = demo.AsSystem("operator", {demo.PURPOSE})
        kept = await house.stores.state.scan(all_keys)
        check_credentials(exposing, kept, utc_now() + timedelta(days=91))
        for key in kept[:-1]:
            await house.keys.revoke(Asker(new_id("req"), operator.give, demo.PURPOSE), key.id)
        with pytest.raises(Misconfigured, match=r"1 key\(s\)"):
            check_credentials(exposing, await house.stores.state.scan(all_keys), utc_now())
        await house.keys.revoke(Asker(new_id("req"), operator.give, demo.PURPOSE), kept[-1].id)
        check_credentials(exposing, await house.stores.state.scan(all_keys), utc_now())


async def issued(house: House, application: str) -> str:
    operator = demo.AsSystem("operator", {demo.PURPOSE})
    wish = Wish(application, frozenset(), frozenset({"service"}), utc_now() + timedelta(days=1))
    made = await house.keys.issue(Asker(new_id("req"), operator.give, demo.PURPOSE), lambda: wish)
    return made.text


@pytest.mark.parametrize("exposing", ["on", "off"])
async def test_one_that_is_issued_while_it_serves_others_is_nobodys_either(
    tmp_path: Path, exposing: str
) -> None:
    chosen = settings(tmp_path, GATEHOUSE_TLS_TERMINATED=exposing)
    demo.prepare(chosen)
    async with open_house(chosen) as house:
        with pytest.raises(Denied):  # known, and decided on: it may ask for persons only
            await ask(house, "GET", "/crm/customers?limit=1", await issued(house, "app:desk"))
        key = await issued(house, "app:demo-agent")
        if exposing == "off":
            assert (await ask(house, "GET", "/crm/customers?limit=1", key)).status == 200
            return
        with pytest.raises(Unidentified):
            await ask(house, "GET", "/crm/customers?limit=1", key)


async def test_the_demonstrations_issuer_of_persons_is_refused(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    issuer = demo.prepare(chosen)
    listed = tmp_path / "issuers.json"
    terms = {"issuer": issuer.terms().issuer, "jwks": "demo/demo-issuer.jwks.json", "algorithms": ["EdDSA"]}
    listed.write_text(json.dumps([terms]))
    exposing = settings(
        tmp_path, GATEHOUSE_TLS_TERMINATED="on", GATEHOUSE_ISSUERS_FILE=str(listed), GATEHOUSE_HOST="0.0.0.0"
    )
    with pytest.raises(Misconfigured, match=r"refuses demo credentials: issuers\.json lists"):
        await serve_forever(exposing)


async def test_the_demonstration_itself_stays_behind_no_proxy(tmp_path: Path) -> None:
    chosen = settings(tmp_path, GATEHOUSE_TLS_TERMINATED="on")
    assert exposed(chosen)
    with pytest.raises(Misconfigured, match="for this machine only"):
        await serve_demo(chosen, lambda *_, **__: None)
