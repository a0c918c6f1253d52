"""The corpus of framings against the running server: one request, exactly as it was sent, or none; never what stands behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from gateway.wire.limits import Limits
from tests.edge.conftest import House, open_house
from tests.wire.framings import Around, Form, Law, forms

TARGET = b"/crm/x"
HIDDEN = b"GET /crm/hidden-behind HTTP/1.1\r\nHost: gate\r\n\r\n"
FORMS = list(forms(Around(TARGET)))


@pytest.fixture(scope="module")
def hasty_house() -> Iterator[House]:
    """One that does not wait long for what never comes."""
    opened = open_house(Limits(header_seconds=1, body_seconds=1, stop_seconds=2))
    yield opened
    opened.stop()
    opened.metrics.close()


def told(house: House, form: Form) -> tuple[list[int], bool]:
    """Gives the statuses of all answers to a form with a whole request behind it, and whether the connection was closed then."""
    with house.wire() as wire:
        with suppress(BrokenPipeError, ConnectionResetError):  # it was refused before all of it was sent
            wire.send(form.data + HIDDEN)
        closed = wire.ended()
        heads = [part for part in wire.buffer.split(b"HTTP/1.1 ")[1:] if part[:3].isdigit()]
    return [int(part[:3]) for part in heads if part[:3] != b"100"], closed


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
def test_a_form_is_one_request_as_it_was_sent_or_none(hasty_house: House, form: Form) -> None:
    before = len(hasty_house.corridor.calls)
    statuses, closed = told(hasty_house, form)
    calls = hasty_house.corridor.calls[before:]
    assert closed
    assert len(statuses) <= 1, statuses
    assert len(calls) <= 1, [call.path for call in calls]
    for call in calls:
        assert call.path == TARGET.decode()
        assert call.body == form.body
        assert statuses == [200]
    match form.law:
        case Law.TAKEN:
            assert calls, statuses
        case Law.REFUSED:
            assert calls == []
            assert all(400 <= status < 500 for status in statuses), statuses
        case Law.EITHER:
            assert calls or all(400 <= status < 500 for status in statuses), statuses


def test_the_corpus_is_one_of_some_hundreds_each_of_its_own_name() -> None:
    assert len(FORMS) > 400
    assert len({form.name for form in FORMS}) == len(FORMS)
    assert {law: sum(form.law is law for form in FORMS) >= 20 for law in Law} == dict.fromkeys(Law, True)
