"""Each step of a change fails once: what holds then is the narrower state, and the reconciler says what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from audit import AuditEvent, Kind, LogBusy, LogUnavailable
from gateway.credentials import Page
from gateway.identity import all_keys
from gateway.words.errors import Code, GatehouseError, Unavailable
from tests.credentials.desk_house import Breaking, Desks, open_desks


class Wrapped:
    """Keeps hold of what `open_desks` wrapped."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name, self.error = name, error
        self.made: Breaking | None = None

    def __call__(self, real: Any) -> Breaking:
        self.made = Breaking(real, self.name, self.error)
        return self.made

    def arm(self, at: int, **how: Any) -> None:
        assert self.made is not None
        self.made.arm(at, **how)


async def failing(act: Callable[[], Awaitable[Any]]) -> GatehouseError:
    with pytest.raises(GatehouseError) as caught:
        await act()
    return caught.value


async def settle(desks: Desks) -> list[dict[str, Any]]:
    """Settles every open intent and gives the outcomes that were written for it."""
    before = len(await desks.entries())
    for intent in await desks.log.open_intents():
        assert await desks.settlement.settle(intent) is True
    assert await desks.log.open_intents() == []
    return (await desks.entries())[before:]


@pytest.mark.parametrize("error", [LogUnavailable("x"), LogBusy(3)])
async def test_no_intent_no_change(tmp_path: Path, error: Exception) -> None:
    log = Wrapped("append", error)
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        issued = await desks.issue(admin)
        for act in (lambda: desks.issue(admin), lambda: desks.keys.revoke(desks.asker(admin), issued.key.id)):
            log.arm(1)
            assert (await failing(act)).code in (Code.LOG_UNAVAILABLE, Code.LOG_BUSY)
        assert await desks.holds(issued.text)
        assert len(await desks.store.scan(all_keys)) == 2
        assert await desks.log.open_intents() == []


async def test_an_issue_whose_outcome_is_not_recorded_gives_no_key_and_is_settled(tmp_path: Path) -> None:
    log = Wrapped("append", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        log.arm(2)
        error = await failing(lambda: desks.issue(admin))
        (intent,) = await desks.log.open_intents()
        assert error.code is Code.OUTCOME_UNRECORDED
        assert error.params["intent"] == error.entry == f"{intent.seq}:{intent.entry.hash}"
        (row,) = [key for key in await desks.store.scan(all_keys) if key.intent == intent.seq]
        assert (row.confirmed_at, row.revoked_at) == (None, None)
        (outcome,) = await settle(desks)
        assert outcome["upstream"] == {"result": "not-done", "by": "reconciler"}
        (row,) = [key for key in await desks.store.scan(all_keys) if key.intent == intent.seq]
        assert row.revoked_at is not None


@pytest.mark.parametrize("after", [False, True])
async def test_an_issue_whose_rows_may_not_stand_gives_no_key_and_is_settled(
    tmp_path: Path, after: bool
) -> None:
    store = Wrapped("write", Unavailable())
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        store.arm(1, after=after)
        assert (await failing(lambda: desks.issue(admin))).code is Code.OUTCOME_UNRECORDED
        (outcome,) = await settle(desks)
        assert outcome["upstream"]["result"] == "not-done"
        live = [key for key in await desks.store.scan(all_keys) if key.revoked_at is None]
        assert [key.application for key in live] == ["app:admin"]


async def test_an_issue_that_is_not_confirmed_never_holds(tmp_path: Path) -> None:
    store = Wrapped("write", Unavailable())
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        store.arm(2)
        error = await failing(lambda: desks.issue(admin))
        assert error.code is Code.NOT_READY
        assert error.entry is not None
        (key,) = [key for key in await desks.store.scan(all_keys) if key.application == "app:desk"]
        assert key.confirmed_at is None


async def test_a_revocation_whose_outcome_is_not_recorded_holds_here_at_once_and_everywhere_once_settled(
    tmp_path: Path,
) -> None:
    log = Wrapped("append", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        issued = await desks.issue(admin)
        log.arm(2)
        error = await failing(lambda: desks.keys.revoke(desks.asker(admin), issued.key.id))
        assert error.code is Code.OUTCOME_UNRECORDED
        assert not await desks.holds(issued.text)
        fence = (await desks.log.head()).fence
        (outcome,) = await settle(desks)
        assert outcome["upstream"] == {"result": "done", "by": "reconciler"}
        assert (await desks.log.head()).fence == desks.inforce.now.fence == fence + 1


@pytest.mark.parametrize(("after", "said"), [(False, "not-done"), (True, "done")])
async def test_a_revocation_whose_rows_may_not_stand_is_settled_by_the_rows(
    tmp_path: Path, after: bool, said: str
) -> None:
    store = Wrapped("write", Unavailable())
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        issued = await desks.issue(admin)
        store.arm(1, after=after)
        error = await failing(lambda: desks.keys.revoke(desks.asker(admin), issued.key.id))
        assert error.code is Code.OUTCOME_UNRECORDED
        (outcome,) = await settle(desks)
        assert outcome["upstream"]["result"] == said
        assert await desks.holds(issued.text) is (said == "not-done")


async def test_a_killed_process_leaves_nothing_half_done_for_the_next(tmp_path: Path) -> None:
    log = Wrapped("append", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        log.arm(2)
        await failing(lambda: desks.issue(admin))
    async with open_desks(tmp_path / "home") as next_process:
        (outcome,) = await settle(next_process)
        assert outcome["upstream"]["by"] == "reconciler"


async def test_intents_of_others_are_left_to_others(desks: Desks) -> None:
    await desks.log.append(
        AuditEvent(
            kind=Kind.INTENT,
            request="req_1",
            principal={"application": "app:desk", "person": None, "roles": [], "proven": []},
            action="customer:update",
            resource={"upstream": "crm", "type": "customer"},
        )
    )
    (intent,) = await desks.log.open_intents()
    assert await desks.settlement.settle(intent) is False


async def test_a_defect_of_ours_is_an_answer_with_an_entry(tmp_path: Path) -> None:
    store = Wrapped("scan", RuntimeError("what nobody may read"))
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        store.arm(1)
        error = await failing(lambda: desks.keys.list(desks.asker(admin), lambda: Page(None, 10)))
        assert error.code is Code.INTERNAL
        last = (await desks.entries())[-1]
        assert (last["kind"], last["decision"]["reason"]) == ("denied", "internal")
        assert error.entry is not None
        assert error.entry.startswith(f"{last['seq']}:")


async def test_a_fence_that_keeps_moving_ends_in_a_refusal_with_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desks(tmp_path / "home") as desks:
        admin = await desks.admin()
        event = AuditEvent(Kind.CHANGE, "r", {"application": "app:admin"}, "x")
        await desks.log.append(event, raises_fence=True)

        async def never_new() -> None:
            return

        monkeypatch.setattr(desks.keys.desk.caches, "refresh", never_new)
        error = await failing(lambda: desks.keys.list(desks.asker(admin), lambda: Page(None, 10)))
        assert error.code is Code.FENCE_MOVING
        assert error.entry is not None
        assert (await desks.entries())[-1]["decision"]["reason"] == "fence-moving"
