"""The corpus of targets over real connections: what is decided on is what was received, byte for byte, or nothing is."""

from __future__ import annotations

import pytest

from tests.edge.conftest import PREFIXES, House
from tests.wire.corpus import ACCEPTED, REFUSED

OURS = [case for case in ACCEPTED if case[1][:1] in PREFIXES or case[1][:2] in PREFIXES]
NOBODYS = [
    *(b"/", b"/crmx", b"/crmx/a", b"/CRM/a", b"/deep", b"/deep/", b"/deep/mounted", b"/mount/a", b"/x/crm/a"),
    *(
        b"/v1x",
        b"/v2/keys",
        b"/healthzz",
        b"/health",
        b"/favicon.ico",
        b"/crm.json",
        b"/cr",
    ),
]


@pytest.mark.parametrize("family", REFUSED)
def test_a_target_with_two_readings_is_400_and_reaches_nobody(house: House, family: str) -> None:
    before = len(house.corridor.calls)
    statuses = {
        raw: house.ask(b"GET " + raw + b" HTTP/1.1\r\nHost: gate\r\n\r\n").status for raw in REFUSED[family]
    }
    assert statuses == dict.fromkeys(statuses, 400)
    assert len(house.corridor.calls) == before


def test_bytes_decided_are_bytes_received(house: House) -> None:
    assert len(OURS) > 60
    with house.wire() as wire:
        for raw, segments, query in OURS:
            wire.send(b"GET " + raw + b" HTTP/1.1\r\nHost: gate\r\n\r\n")
            told = wire.answer().json
            assert (told["path"] + ("?" + told["raw_query"] if told["raw_query"] else "")).encode() == raw
            assert tuple(told["segments"]) == segments
            assert tuple((name, value) for name, value in told["query"]) == query


@pytest.mark.parametrize("raw", NOBODYS)
def test_an_address_outside_every_mount_is_404_for_everyone(house: House, raw: bytes) -> None:
    before = len(house.corridor.calls)
    answer = house.get(raw)
    assert (answer.code, answer.status) == ("not-found", 404)
    assert len(house.corridor.calls) == before


@pytest.mark.parametrize("raw", [b"/crm", b"/crm/", b"/crm/a", b"/a", b"/deep/mount", b"/deep/mount/x"])
def test_an_address_inside_a_mount_goes_to_the_corridor(house: House, raw: bytes) -> None:
    assert house.get(raw).json["path"] == raw.decode()
