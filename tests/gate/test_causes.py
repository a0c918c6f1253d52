"""What a request broke on is kept as the cause, for the log line; its caller is told no word of it."""

from __future__ import annotations

import pytest

from audit import Kind, LogBusy, LogUnavailable
from gateway.words.errors import Code, Unavailable
from gateway.words.resource import Verb
from tests.gate.house import House, call
from tests.gate.test_what_every_path_keeps import failing_at


@pytest.mark.parametrize("error", [LogBusy(7), LogUnavailable("gone")], ids=["busy", "gone"])
@pytest.mark.parametrize("status", [None, 409], ids=["done", "refused"])
async def test_an_outcome_that_nobody_recorded_is_no_defect_of_ours(
    house: House, monkeypatch: pytest.MonkeyPatch, status: int | None, error: Exception
) -> None:
    house.shelf.put("a", name="one")
    house.shelf.answers = status
    failing_at(house, monkeypatch, Kind.OUTCOME, error)
    with pytest.raises(Unavailable) as refusal:
        await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}))
    assert (refusal.value.code, refusal.value.__cause__) == (Code.OUTCOME_UNRECORDED, error)
